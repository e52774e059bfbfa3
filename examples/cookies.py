"""A session keeps cookies, and follows redirects with them."""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientSession, CookieJar


async def main(base_url: str) -> None:
    """Log in, be redirected, and be recognised."""
    # Cookies of hosts that are bare IP addresses are refused unless asked for.
    async with ClientSession(base_url, cookie_jar=CookieJar(unsafe=True)) as session:
        async with session.post("login") as response:
            print([earlier.status for earlier in response.history], response.url.path)
            print(await response.text())


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
