"""Many requests at a time over one connection of HTTP/2, with a server that is known to speak it.

For servers over TLS the option is ``http2=True``, and the server chooses.
"""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientSession, TCPConnector


async def main(base_url: str) -> None:
    """Fetch a hundred bodies at a time, and say how."""
    total = 0
    versions: set[int] = set()

    async def fetch(size: int) -> None:
        nonlocal total
        async with session.get(f"bytes/{size}") as response:
            body = await response.read()
            total += len(body)
            versions.add(response.version.major)

    connector = TCPConnector(http2="prior-knowledge")
    async with ClientSession(base_url, connector=connector) as session:
        async with anyio.create_task_group() as group:
            for size in range(100):
                group.start_soon(fetch, size)
        print(f"{total} bytes by HTTP/{versions.pop()}, {connector.statistics().idle} connection")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
