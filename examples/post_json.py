"""Send JSON, and fail on an error status; paths are relative to the session's base URL."""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientSession


async def main(base_url: str) -> None:
    """Post an item and print what the server made of it."""
    async with ClientSession(base_url, raise_for_status=True) as session:
        async with session.post("items", json={"name": "pencil"}, params={"copies": 2}) as response:
            print(response.status, response.url.path_qs)
            print(await response.json())


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
