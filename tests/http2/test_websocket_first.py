"""A WebSocket to a server that is taken to speak HTTP/2, without a request before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anyio
import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from h2.settings import SettingCodes

from anyhttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    HttpVersion,
    TCPConnector,
    TraceConfig,
)
from tests.support import routes, server, websocket
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.census import assert_no_tokens
from tests.support.http2_peer import Http2Connection, Http2Script
from tests.support.http2_server import Http2Exchange, Http2Server
from tests.support.links import Gone
from tests.support.peer import Flag
from tests.support.programs import free_port
from tests.support.tls import Authority
from tests.support.websocket import CLOSE, TEXT, Accept, take_frame

ONE, TWO = HttpVersion(1, 1), HttpVersion(2, 0)
ALLOWED: dict[SettingCodes | int, int] = {SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}


class _Pieces:
    """The body of an exchange, as bytes to take."""

    def __init__(self, exchange: Http2Exchange) -> None:
        self._exchange = exchange
        self._bytes = bytearray()

    def take(self, count: int) -> bytes:
        while len(self._bytes) < count:
            piece = next(self._exchange.body(), None)
            if piece is None:
                raise Gone("the client has ended its bytes")
            self._bytes += piece
        taken = bytes(self._bytes[:count])
        del self._bytes[:count]
        return taken


def say_hello(exchange: Http2Exchange) -> None:
    """Answer a handshake by HTTP/2, send a message, and wait for CLOSE."""
    if exchange.protocol is None:
        routes.answer(exchange)
        return
    exchange.send_head(200)
    exchange.send(websocket.frame(TEXT, b"hello"))
    if take_frame(_Pieces(exchange)).opcode == CLOSE:
        exchange.send(websocket.close(1000), end=True)


class Greeter(Http2Server):
    """Does the same by HTTP/1.1."""

    def answer(self, exchange: routes.Exchange) -> None:
        assert isinstance(exchange, server.Exchange)
        (key,) = exchange.head.all("sec-websocket-key")
        head = f"\r\nSec-WebSocket-Key: {key}\r\n".encode()
        exchange.link.send(Accept(websocket.frame(TEXT, b"hello")).data(head))
        if take_frame(exchange.link).opcode == CLOSE:
            exchange.link.send(websocket.close(1000))
        raise Gone("the WebSocket is over")


Serving = Callable[..., AbstractContextManager[Greeter]]


@pytest.fixture
def serving(tls_ca: Authority) -> Serving:
    """Start a server; its settings say whether it takes WebSockets by HTTP/2."""

    @contextmanager
    def serve(settings: dict[SettingCodes | int, int] = ALLOWED) -> Iterator[Greeter]:
        greeter = Greeter(tls_ca.server_with("h2", "http/1.1"), say_hello, settings=settings)
        try:
            yield greeter
        finally:
            greeter.stop()

    return serve


def connector(**options: Any) -> TCPConnector:
    """Return a connector that speaks HTTP/2 without TLS, too."""
    return TCPConnector(http2="prior-knowledge", **options)


async def greet(session: ClientSession, url: Any, **options: Any) -> HttpVersion:
    """Open a WebSocket, take a message, and return the version of the handshake."""
    async with session.ws_connect(url, **options) as ws:
        assert await ws.receive_str() == "hello"
        version: HttpVersion = ws._response.version
        return version


@pytest.mark.uvloop
async def test_the_first_thing_on_a_connection(serving: Serving) -> None:
    """The connection is opened for it, and carries what follows."""
    with serving() as greeter:
        async with connector() as shared, ClientSession(connector=shared) as session:
            url = greeter.url.with_scheme("ws")
            assert await greet(session, url) == TWO
            async with session.get(greeter.url / "json") as response:
                assert response.version == TWO
            assert await greet(session, url) == TWO
            assert_no_tokens(shared)
        assert greeter.http2_connections == greeter.connections == 1


async def test_many_at_once(serving: Serving) -> None:
    """They wait for the connection that the first one opens."""
    with serving() as greeter:
        async with connector(limit=1) as shared, ClientSession(connector=shared) as session:
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(greet, session, greeter.url)
            assert_no_tokens(shared)
        assert greeter.http2_connections == greeter.connections == 1


@pytest.mark.parametrize("limit", [0, 1])
async def test_a_server_that_takes_none(serving: Serving, limit: int) -> None:
    """Each gets a connection of its own by HTTP/1.1; the server is asked once."""
    with serving({}) as greeter:
        async with connector(limit=limit) as shared, ClientSession(connector=shared) as session:
            assert await greet(session, greeter.url) == ONE
            assert greeter.http2_connections == 1
            if not limit:  # else there was no room for the connection that was asked
                assert await greet(session, greeter.url) == ONE
                assert greeter.http2_connections == 1
            assert_no_tokens(shared)


async def test_a_server_that_speaks_http1_only(http2_script: Http2Script) -> None:
    """It answers the preface with an error, and gets a handshake."""

    def refuse(peer: Http2Connection) -> None:
        peer.link.take_until(b"\r\n\r\n")
        peer.link.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        peer.link.wait_hangup()

    def accept(peer: Http2Connection) -> None:
        head = peer.link.take_until(b"\r\n\r\n")
        peer.link.send(Accept(websocket.frame(TEXT, b"hello")).data(head))
        assert take_frame(peer.link).opcode == CLOSE
        peer.link.send(websocket.close(1000))
        peer.link.wait_hangup()

    peer = await http2_script(refuse, accept, greets=False)
    async with connector() as shared, ClientSession(connector=shared) as session:
        assert await greet(session, peer.url) == ONE
        assert_no_tokens(shared)


async def test_over_tls_none_is_opened_to_ask(serving: Serving, tls_ca: Authority) -> None:
    """There ALPN tells the server before that a WebSocket is to come by HTTP/1.1."""
    with serving() as greeter:
        async with ClientSession(connector=connector(ssl=tls_ca.client)) as session:
            assert await greet(session, greeter.https_url) == ONE
        assert (greeter.http2_connections, greeter.connections) == (0, 1)


async def test_nobody_listens() -> None:
    """The error is that of every request."""
    async with connector() as shared, ClientSession(connector=shared) as session:
        with pytest.raises(ClientConnectorError):
            await session.ws_connect(f"ws://127.0.0.1:{free_port()}")
        assert_no_tokens(shared)


async def test_handlers_are_told_of_each_connection(serving: Serving) -> None:
    """Of the one that is asked, and of the one that is used then."""
    told: list[str] = []

    async def on_create(*args: object) -> None:
        told.append("created")

    trace = TraceConfig()
    trace.on_connection_create_end.append(on_create)
    with serving({}) as greeter:
        async with connector() as shared:
            async with ClientSession(connector=shared, trace_configs=[trace]) as session:
                assert await greet(session, greeter.url) == ONE
                assert_no_tokens(shared)
    assert told == ["created"] * 2


@pytest.mark.parametrize("how", ["scope", "every-task", "native"])
@pytest.mark.parametrize("settings", [ALLOWED, {}], ids=["taken", "not"])
async def test_cancelled_everywhere(serving: Serving, settings: Any, how: How) -> None:
    """No connection is left in use, and no right to one."""

    async def operation() -> None:
        await greet(session, greeter.url)

    async def after() -> None:
        assert_no_tokens(shared)
        assert shared.statistics().streams == 0
        while shared.statistics().idle:
            shared._pool.evict_idle()
        await shared._pool.finish_closing()

    with serving(settings) as greeter:
        async with connector(limit=1) as shared, ClientSession(connector=shared) as session:
            points = await cancel_at_every_checkpoint(operation, after=after, how=how)
            assert points >= 4


class TestMuteServer:
    """One that says nothing, not even what it allows."""

    @pytest.fixture
    async def url(self, http2_script: Http2Script) -> Any:
        """The URL of such a server."""
        self.is_asked = Flag()

        def play(peer: Http2Connection) -> None:
            self.is_asked.set()
            peer.link.wait_hangup()

        peer = await http2_script(play, greets=False)
        return peer.url

    @pytest.mark.parametrize(
        ("timeout", "error"),
        [
            (ClientTimeout(connect=0.1), ConnectionTimeoutError),
            (ClientTimeout(total=0.1), TimeoutError),
        ],
        ids=["connect", "total"],
    )
    async def test_time_limits(
        self, url: Any, timeout: ClientTimeout, error: type[Exception]
    ) -> None:
        """They end the wait for what the server allows."""
        async with connector() as shared:
            async with ClientSession(connector=shared, timeout=timeout) as session:
                with pytest.raises(error):
                    await session.ws_connect(url)
                assert_no_tokens(shared)

    @pytest.mark.parametrize("closes", ["session", "connector"])
    async def test_the_end_of_the_session(self, url: Any, closes: str) -> None:
        """It ends that wait, too."""
        async with connector() as shared, ClientSession(connector=shared) as session:

            async def open_one() -> None:
                with pytest.raises(ClientConnectionError, match="is closed"):
                    await session.ws_connect(url)

            async with anyio.create_task_group() as group:
                group.start_soon(open_one)
                await self.is_asked.until_set()
                await (session if closes == "session" else shared).close()
            assert_no_tokens(shared)
