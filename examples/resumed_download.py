"""Go on with a download that was interrupted, and check the digest of the whole file."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio

from anyhttp import ClientSession, download

DIGEST = "sha256:d29751f2649b32ff572b5e0a9f541ea660a50f94ff0beedfb0b692b924cc8025"


async def main(base_url: str) -> None:
    """Download a file, be interrupted in the middle of it, and download it again."""
    with tempfile.TemporaryDirectory() as directory:
        file, scope = Path(directory) / "file.bin", anyio.CancelScope()

        def stop_half_way(received: int, total: int | None) -> None:
            if total is not None and total / 2 <= received < total:
                scope.cancel()

        async with ClientSession(base_url) as session:
            with scope:
                await download(session, "file", file, progress=stop_half_way)
            print("complete" if file.exists() else "interrupted")
            result = await download(session, "file", file, digest=DIGEST)
            print(f"{result.size} bytes, not all of them anew: {result.resumed_from > 0}")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
