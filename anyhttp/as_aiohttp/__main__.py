"""``python -m anyhttp.as_aiohttp PROGRAM``: run a program with this client in place of aiohttp."""

from __future__ import annotations

from ._program import main

if __name__ == "__main__":
    main()
