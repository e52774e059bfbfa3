"""HTTP/2 through proxies: by a tunnel, in which the handshake with the origin chooses it."""

from __future__ import annotations

import anyio
import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from anyhttp import ClientSession, HttpVersion, HttpVersion11, TCPConnector
from tests.support.http2_server import Http2Server
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
async def test_many_requests_share_a_tunnel(
    http2_server: Http2Server, proxies: Proxies, tls_ca: Authority, scheme: str
) -> None:
    """With bodies in both directions."""
    if scheme == "socks5h":
        pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
    proxy = proxies(scheme)
    connector = TCPConnector(http2=True, ssl=tls_ca.client)
    versions: list[HttpVersion | None] = []
    url = http2_server.https_url.with_host("localhost")
    async with ClientSession(url, connector=connector, proxy=proxy.url) as session:

        async def post(number: int) -> None:
            body = b"%d," % number * 20_000
            async with session.post("/echo-body", data=body) as response:
                assert await response.read() == body
                versions.append(response.version)

        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(post, number)
    assert versions == [HttpVersion(2, 0)] * 10
    assert len(proxy.seen) == 1


async def test_a_proxy_that_forwards_gets_http_1_1(server: Server, proxies: Proxies) -> None:
    """Whatever is known of the origin: nobody knows it of the proxy."""
    connector = TCPConnector(http2="prior-knowledge")
    async with ClientSession(connector=connector, proxy=proxies("http").url) as session:
        async with session.get(server.url) as response:
            assert response.version == HttpVersion11
