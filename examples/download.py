"""Write a body of any size to a file, piece by piece, in constant memory."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio

from anyhttp import ClientSession


async def main(base_url: str) -> None:
    """Download a file into a temporary directory and print how large it was."""
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "file.bin"
        async with ClientSession(base_url, raise_for_status=True) as session:
            async with session.get("file") as response, await anyio.open_file(target, "wb") as file:
                async for piece in response.content.iter_chunked(64 * 1024):
                    await file.write(piece)
        print(f"{target.stat().st_size} bytes")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
