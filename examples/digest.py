"""Digest authentication: the password never leaves the program."""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientSession, DigestAuthMiddleware


async def main(base_url: str) -> None:
    """Log in by signing the request."""
    digest = DigestAuthMiddleware("ada", "secret")
    async with ClientSession(base_url, middlewares=[digest]) as session:
        async with session.get("digest") as response:
            print(response.status, await response.text())


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
