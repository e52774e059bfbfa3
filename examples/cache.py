"""A middleware keeps responses, and asks the server whether they are still good."""

from __future__ import annotations

import sys
from collections import OrderedDict

import anyio
from multidict import CIMultiDict
from yarl import URL

from anyhttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession

Key = tuple[URL, frozenset[tuple[str, str]]]

# What a 304 says of these is about itself, not about what has been kept.
NOT_UPDATED = ("content-encoding", "content-length", "content-range", "content-type", "set-cookie")


class Cache:
    """Keeps answers to GET requests, and sends their entity tags when they are asked for again.

    If nothing has changed since, the server answers 304 without a body.
    """

    def __init__(self, *, entries: int = 100, size: int = 1_000_000) -> None:
        """Keep up to *entries* bodies of up to *size* bytes each; forget the least used first."""
        self._entries, self._size = entries, size
        self._kept: OrderedDict[Key, tuple[CIMultiDict[str], bytes]] = OrderedDict()

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Return what has been kept if the server says so, or else what it answers."""
        if request.method != "GET" or "If-None-Match" in request.headers:
            return await handler(request)
        # With all headers, as the answer may depend on any of them: on the language, on the user.
        key = request.url, frozenset(request.headers.items())
        if key not in self._kept:
            return await self._keep(key, await handler(request))
        headers, body = self._kept[key]
        self._kept.move_to_end(key)
        request.headers["If-None-Match"] = headers["ETag"]
        try:
            response = await handler(request)
        finally:  # a middleware outside of this one may send the same request again
            request.headers.popall("If-None-Match", None)
        if response.status != 304:
            return await self._keep(key, response)
        told = response.headers.items()
        headers.update([pair for pair in told if pair[0].lower() not in NOT_UPDATED])
        return ClientResponse.for_request(request, headers=headers, body=body)

    async def _keep(self, key: Key, response: ClientResponse) -> ClientResponse:
        if response.status >= 500:
            return response  # what has been kept may be good again later
        self._kept.pop(key, None)
        if not self._is_kept(response) or len(body := await response.read()) > self._size:
            return response
        headers = response.headers.copy()
        headers.popall("Set-Cookie", None)  # or an old cookie would come back
        self._kept[key] = headers, body
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
        return response

    def _is_kept(self, response: ClientResponse) -> bool:
        if response.status != 200 or "ETag" not in response.headers:
            return False
        rules = ",".join(response.headers.getall("Cache-Control", ())).lower()
        return "no-store" not in rules and (response.content_length or 0) <= self._size


async def main(base_url: str) -> None:
    """Ask twice for the same thing, of which the server sends the body once."""
    async with ClientSession(base_url, middlewares=[Cache()], max_body_size=10_000_000) as session:
        for _ in range(2):
            async with session.get("/") as response:
                body = await response.read()
                print(response.status, response.content_type, len(body))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
