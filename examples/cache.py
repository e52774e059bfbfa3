"""A middleware keeps responses, and answers by itself when one is asked for again."""

from __future__ import annotations

import sys

import anyio
from multidict import CIMultiDictProxy
from yarl import URL

from anyhttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession


class Cache:
    """Keeps the successful answers to GET requests."""

    def __init__(self) -> None:
        self._kept: dict[URL, tuple[CIMultiDictProxy[str], bytes]] = {}

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Return what has been kept, or what the server answers."""
        if request.method == "GET" and request.url in self._kept:
            headers, body = self._kept[request.url]
            return ClientResponse.for_request(request, headers=headers, body=body)
        response = await handler(request)
        if request.method == "GET" and response.status == 200:
            self._kept[request.url] = response.headers, await response.read()
        return response


async def main(base_url: str) -> None:
    """Ask twice for the same thing, of which the server hears once."""
    async with ClientSession(base_url, middlewares=[Cache()]) as session:
        for _ in range(2):
            async with session.get("/") as response:
                body = await response.read()
                print(response.status, response.content_type, len(body))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
