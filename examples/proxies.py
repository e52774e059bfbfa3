"""Go through a proxy that wants a password, and see what it refuses."""

from __future__ import annotations

import sys

import anyio

from anyhttp import (
    BasicAuth,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientSession,
)


async def main(proxy: str) -> None:
    """Ask for the same page twice, once in the clear and once in a tunnel."""
    login = BasicAuth("user", "secret")
    async with ClientSession(proxy=proxy, proxy_auth=login) as session:
        for url in ("http://example.test/", "https://example.test/"):
            try:
                async with session.get(url) as response:
                    print(url, response.status)
            except ClientHttpProxyError as error:
                print(url, "refused by the proxy:", error.status)
            except ClientProxyConnectionError as error:
                print("no connection to the proxy:", error)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
