"""Download a file, which appears when it is complete."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio

from anyhttp import ClientSession, download


async def main(base_url: str) -> None:
    """Download a file into a temporary directory and print how large it was."""
    with tempfile.TemporaryDirectory() as directory:
        async with ClientSession(base_url) as session:
            result = await download(session, "file", Path(directory) / "file.bin")
        print(f"{result.size} bytes")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
