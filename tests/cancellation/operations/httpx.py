"""The transports for httpx and httpx2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel

from anyhttp import ClientSession
from tests.cancellation.stage import Stage, add
from tests.support.httpx_libraries import Library, library


class _Pieces:
    """A body of some pieces; no generator, which httpx would not close."""

    def __init__(self) -> None:
        self.left = 3

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return b"x" * 70_000


async def _use(name: str, tls: bool, stage: Stage, _: ClientSession) -> None:
    found: Library = library(name)
    transport: Any = found.ours(verify=stage.ca.client)
    url = str(stage.server.https_url if tls else stage.server.url)
    try:
        async with found.package.AsyncClient(transport=transport) as client:
            await client.get(url + "json")
            async with client.stream("GET", url + "stream/5") as response:
                async for _piece in response.aiter_raw():
                    pass
            await client.post(url + "upload", content=_Pieces())
    finally:
        with anyio.CancelScope(shield=True):
            await transport.aclose()


for _name in ("httpx", "httpx2"):
    add(_name, partial(_use, _name, False), needs=_name)
    add(f"{_name}-tls", partial(_use, _name, True), needs=_name)
