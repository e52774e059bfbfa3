"""``python -m anyhttp``: the same as the ``anyhttp`` command."""

from __future__ import annotations

from anyhttp._cli import main

if __name__ == "__main__":
    main()
