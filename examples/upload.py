"""Send a body while it is being made: an asynchronous generator is sent in chunks."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import anyio

from anyhttp import ClientSession


async def lines(count: int) -> AsyncIterator[bytes]:
    """Yield the body piece by piece; the next one is made when the last was sent."""
    for number in range(count):
        yield f"line {number}\n".encode()


async def main(base_url: str) -> None:
    """Upload a thousand lines and print how many bytes the server counted."""
    async with ClientSession(base_url, raise_for_status=True) as session:
        async with session.put("upload", data=lines(1000)) as response:
            print(await response.text())


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
