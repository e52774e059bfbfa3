"""Middlewares: one writes down what happens, one brings a token and renews it in time."""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession


async def log(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Print each request and what became of it."""
    response = await handler(request)
    print(request.method, request.url.path, response.status)
    return response


class Token:
    """Sends a token with each request, and fetches another when it is refused."""

    def __init__(self) -> None:
        self._token = "expired"

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send *request*, and once more if the token was too old."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = await handler(request)
        if response.status == 401:
            response.release()
            # Without middlewares, as this request must not wait for itself.
            async with request.session.get("token", middlewares=()) as answer:
                self._token = await answer.text()
            request.headers["Authorization"] = f"Bearer {self._token}"
            response = await handler(request)
        return response


async def main(base_url: str) -> None:
    """Ask for something that needs a token, twice."""
    async with ClientSession(base_url, middlewares=[Token(), log]) as session:
        for _ in range(2):
            async with session.get("private") as response:
                print(await response.text())


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
