"""Many requests at once over few connections; the task group waits for all of them."""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientSession, TCPConnector


async def main(base_url: str) -> None:
    """Fetch ten pages over at most three connections and print what came."""
    pages: dict[int, str] = {}

    async def fetch(number: int) -> None:
        async with session.get("echo", params={"number": number}) as response:
            pages[number] = await response.text()

    async with ClientSession(base_url, connector=TCPConnector(limit=3)) as session:
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(fetch, number)
    print(", ".join(pages[number] for number in range(10)))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
