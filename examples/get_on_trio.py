"""The same request on trio: ``python examples/get_on_trio.py http://localhost:8000/``."""

from __future__ import annotations

import sys

import trio

from anyhttp import ClientSession


async def main(base_url: str) -> None:
    """Print the status, the type and the content of what is at *base_url*."""
    async with ClientSession() as session, session.get(base_url) as response:
        print(response.status, response.content_type)
        print(await response.json())


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
