"""Middlewares: one writes down what happens, one brings a token and renews it in time."""

from __future__ import annotations

import sys

import anyio

from anyhttp import (
    BearerAuthMiddleware,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
)


async def log(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Print each request and what became of it."""
    response = await handler(request)
    print(request.method, request.url.path, response.status)
    return response


async def main(base_url: str) -> None:
    """Ask for something that needs a token, twice."""

    async def fetch_token() -> str:
        async with session.get("token", raise_for_status=True) as response:
            return await response.text()

    bearer = BearerAuthMiddleware(fetch_token)
    async with ClientSession(base_url, middlewares=[bearer, log]) as session:
        for _ in range(2):
            async with session.get("private") as response:
                print(await response.text())


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
