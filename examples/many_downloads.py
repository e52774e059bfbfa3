"""Download two hundred files, twenty at a time, and tell how far they are."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import anyio

from anyhttp import ClientSession, download


async def main(base_url: str) -> None:
    """Download the files into a temporary directory, and print how much that was."""
    received: dict[str, int] = {}  # how much there is of each file
    done: list[str] = []
    limiter = anyio.CapacityLimiter(20)

    async def get(session: ClientSession, name: str, directory: str) -> None:
        def show(size: int, total: int | None) -> None:
            received[name] = size  # a progress bar would be moved here

        async with limiter:
            await download(session, f"files/{name}", Path(directory, name), progress=show)
        done.append(name)
        if len(done) % 50 == 0:
            print(f"{len(done)} files")

    with tempfile.TemporaryDirectory() as directory:
        async with ClientSession(base_url) as session, anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(get, session, f"{number}.bin", directory)
        print(f"{sum(received.values())} bytes")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
