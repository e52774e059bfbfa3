"""Two ways to stop waiting: a timeout of the client, and a cancel scope of your own."""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientSession, ClientTimeout


async def main(base_url: str) -> None:
    """Give up on a server that never answers, twice, and then use the session again."""
    async with ClientSession(base_url) as session:
        try:
            async with session.get("never", timeout=ClientTimeout(total=0.1)):
                pass
        except TimeoutError:
            print("timed out")

        with anyio.move_on_after(0.1) as scope:
            async with session.get("never"):
                pass
        print("cancelled" if scope.cancelled_caught else "answered")

        async with session.get("echo", params={"number": 1}) as response:
            print("still usable:", response.status)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
