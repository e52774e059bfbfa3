"""Exchanges that share one connection: what is sent, who reads, and how each of them ends."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import anyio.lowlevel
import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from anyhttp import ClientSession
from tests.support.http2_client import OneConnection, one_connection
from tests.support.http2_server import Handler, Http2Exchange, Http2Server
from tests.support.tls import Authority
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop


@pytest.fixture
def serve(tls_ca: Authority) -> Iterator[Callable[[Handler], Http2Server]]:
    """Start servers, which speak HTTP/2 in clear text too."""
    context: ssl.SSLContext = tls_ca.server_with("h2")
    servers: list[Http2Server] = []

    def start(handler: Handler) -> Http2Server:
        servers.append(Http2Server(context, handler))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def echo(exchange: Http2Exchange) -> None:
    """Answer with the method and the body of the request."""
    if ("expect", "100-continue") in exchange.head.headers:
        exchange.inform(100)
    exchange.respond(exchange.head.method.encode() + b" " + b"".join(exchange.body()))


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    """A body that is written piece by piece."""
    for number in range(count):
        yield bytes([number % 256]) * size
        await anyio.lowlevel.checkpoint()


Opened = tuple[ClientSession, OneConnection]


class TestBodies:
    async def test_requests_of_every_kind_end_their_streams(
        self, serve: Callable[[Handler], Http2Server]
    ) -> None:
        """RFC 9113 §8.1: END_STREAM comes with the head, with the last DATA, or alone."""
        server = serve(echo)
        large = bytes(range(256)) * 4000
        async with one_connection(server.url.port or 0) as (session, connector):
            async with session.get(server.url) as response:
                assert (response.version, response.status) == ((2, 0), 200)
                assert await response.read() == b"GET "
            for body in (b"", b"x" * 1000, b"x" * 65_000, large):
                async with session.post(server.url, data=body) as response:
                    assert await response.read() == b"POST " + body
            for expect100 in (False, True):
                async with session.put(
                    server.url, data=pieces(5, 1000), expect100=expect100
                ) as response:
                    expected = b"".join([piece async for piece in pieces(5, 1000)])
                    assert await response.read() == b"PUT " + expected
            length = {"Content-Length": "3000"}
            async with session.put(server.url, data=pieces(3, 1000), headers=length) as response:
                assert len(await response.read()) == 3004
            assert connector.http2 is not None
            assert connector.http2.exchanges == 0
        assert server.http2_connections == 1

    async def test_many_uploads_and_downloads_at_a_time(
        self, serve: Callable[[Handler], Http2Server]
    ) -> None:
        """Windows are shared fairly enough that all of them end."""
        server = serve(echo)

        async def post(size: int) -> None:
            async with session.post(server.url, data=pieces(4, size)) as response:
                assert len(await response.read()) == 5 + 4 * size

        async with one_connection(server.url.port or 0) as (session, _):
            async with anyio.create_task_group() as group:
                for number in range(30):
                    group.start_soon(post, number * 2000)


async def test_what_is_shown_of_connections_and_streams(
    serve: Callable[[Handler], Http2Server],
) -> None:
    """In logs and debuggers: what they are for, and in which state they are."""
    server = serve(Http2Exchange.hang)
    async with one_connection(server.url.port or 0) as (session, connector):
        async with anyio.create_task_group() as group:
            group.start_soon(session.get, server.url)
            await until(lambda: server.exchanges, "the request")
            connection = connector.http2
            assert connection is not None
            assert repr(connection) == "<Http2Connection BUSY: 1 exchanges>"
            (stream,) = connection._streams.values()
            assert repr(stream) == "<Http2Stream 1 BUSY: one exchange in flight>"
            group.cancel_scope.cancel()
