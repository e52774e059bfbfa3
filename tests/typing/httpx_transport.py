"""Each library's client takes the transport, whose options are of that library's types."""

from __future__ import annotations

import ssl
from typing import assert_type

import httpx
import httpx2

from anyhttp import httpx as for_httpx, httpx2 as for_httpx2


async def of_httpx(context: ssl.SSLContext) -> None:
    """One library's types are refused by the other."""
    transport = for_httpx.AnyhttpTransport(
        verify=context,
        cert=("certificate.pem", "key.pem"),
        limits=httpx.Limits(max_connections=1),
        proxy=httpx.Proxy("http://localhost"),
        socket_options=[(1, 2, 3), (1, 2, b"")],
    )
    base: httpx.AsyncBaseTransport = transport
    for_httpx.AnyhttpTransport(proxy="http://localhost")
    for_httpx.AnyhttpTransport(proxy=httpx.URL("http://localhost"))
    async with httpx.AsyncClient(transport=base) as client:
        await client.get("http://localhost/")
    request = httpx.Request("GET", "http://localhost/")
    async with transport as entered:
        assert_type(entered, for_httpx.AnyhttpTransport)
        assert_type(await entered.handle_async_request(request), httpx.Response)
    for_httpx.AnyhttpTransport(limits=3)  # type: ignore[arg-type]
    httpx2.AsyncClient(transport=transport)  # type: ignore[arg-type]


async def of_httpx2(context: ssl.SSLContext) -> None:
    """The same."""
    transport = for_httpx2.AnyhttpTransport(
        verify=context,
        limits=httpx2.Limits(max_connections=1),
        proxy=httpx2.Proxy("http://localhost"),
    )
    base: httpx2.AsyncBaseTransport = transport
    async with httpx2.AsyncClient(transport=base) as client:
        await client.get("http://localhost/")
    request = httpx2.Request("GET", "http://localhost/")
    assert_type(await transport.handle_async_request(request), httpx2.Response)
