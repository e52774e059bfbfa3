"""A resolver of one's own: some names lead where the program says."""

from __future__ import annotations

import socket
import sys

import anyio
from yarl import URL

from anyhttp import ClientSession, TCPConnector
from anyhttp.abc import AbstractResolver, ResolveResult
from anyhttp.resolver import ThreadedResolver


class Pinned(AbstractResolver):
    """Knows some addresses by heart, and asks the operating system for the others."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = addresses
        self._others = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*."""
        return await self._others.resolve(self._addresses.get(host, host), port, family)

    async def close(self) -> None:
        """Close what was opened here."""
        await self._others.close()


async def main(base_url: str) -> None:
    """Fetch a page from a name that no name server knows."""
    url = URL(base_url).with_host("shop.test")
    async with TCPConnector(resolver=Pinned({"shop.test": "127.0.0.1"})) as connector:
        async with ClientSession(connector=connector, connector_owner=False) as session:
            async with session.get(url) as response:
                print(response.status, response.host)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
