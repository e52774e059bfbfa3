"""Whole requests on shared HTTP/2 connections: what is sent again, what waits, what is counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from anyhttp import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientSession,
    HttpVersion,
    TCPConnector,
    TraceConfig,
)
from tests.support.census import assert_no_tokens
from tests.support.http2_peer import Http2Connection, Http2Script
from tests.support.http2_server import Http2Exchange, Http2Server
from tests.support.peer import Flag
from tests.support.tls import Authority
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.routes import Exchange
    from tests.support.server import Server

TWO = HttpVersion(2, 0)


def connector(**options: Any) -> TCPConnector:
    """Return a connector that speaks HTTP/2 without TLS, too."""
    return TCPConnector(http2="prior-knowledge", **options)


@asynccontextmanager
async def session(url: Any = None, **options: Any) -> AsyncIterator[ClientSession]:
    """Be a session with such a connector, and check that nothing is left at its end."""
    own = {
        name: options.pop(name)
        for name in ("retry_connections", "trace_configs")
        if name in options
    }
    async with (
        connector(**options) as shared,
        ClientSession(url, connector=shared, **own) as session,
    ):
        yield session
        assert_no_tokens(shared)


@contextmanager
def serving(
    tls_ca: Authority, handler: Callable[[Any], None], **options: Any
) -> Iterator[Http2Server]:
    """Run a server of the test's own."""
    server = Http2Server(tls_ca.server_with("h2", "http/1.1"), handler, **options)
    try:
        yield server
    finally:
        server.stop()


def ok(exchange: Exchange) -> None:
    """Answer at once."""
    exchange.respond(b"ok")


async def get_many(session: ClientSession, url: Any, count: int, **options: Any) -> list[Any]:
    """Make requests at the same time, and return their responses."""
    responses = []

    async def get() -> None:
        async with session.get(url, **options) as response:
            await response.read()
            responses.append(response)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(get)
    return responses


@pytest.mark.uvloop
async def test_a_hundred_requests_at_once_need_one_connection(
    http2_server: Http2Server, tls_ca: Authority
) -> None:
    """Over TLS nobody knows before the first handshake what the server speaks."""
    async with session(ssl=tls_ca.client) as client:
        responses = await get_many(client, http2_server.https_url / "json", 100)
        assert {response.version for response in responses} == {TWO}
        assert client.connector.statistics().idle == 1  # type: ignore[union-attr]
    assert http2_server.http2_connections == 1


@pytest.mark.parametrize(("limit", "at_most"), [(100, 4), (2, 2), (1, 1)])
async def test_a_server_that_allows_few_at_a_time(
    tls_ca: Authority, limit: int, at_most: int
) -> None:
    """Other connections are opened within the limit, and the rest waits."""
    settings: dict[Any, int] = {SettingCodes.MAX_CONCURRENT_STREAMS: 30}
    with serving(tls_ca, ok, settings=settings) as server:
        async with session(ssl=tls_ca.client, limit=limit) as client:
            responses = await get_many(client, server.https_url, 100)
            assert len(responses) == 100
        assert server.http2_connections <= at_most


async def test_a_server_of_http1_gets_as_many_connections_as_before(
    server: Server, tls_ca: Authority
) -> None:
    """The first one tells what it speaks; then each request has its own."""
    arrived = 0
    all_here = anyio.Event()

    async def get() -> None:
        nonlocal arrived
        async with client.get(server.https_url / "bytes/1000000") as response:
            assert response.version == HttpVersion(1, 1)
            arrived += 1
            if arrived == 10:
                all_here.set()
            await all_here.wait()

    async with session(ssl=tls_ca.client) as client, anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(get)
    assert server.connections == 10


# -- what the server has not processed


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_request_is_sent_again(http2_script: Http2Script, method: str) -> None:
    """RFC 9113 §8.7: nothing was done with it, so its method does not matter."""

    def play(peer: Http2Connection) -> None:
        peer.reset_stream(peer.request(), ErrorCodes.REFUSED_STREAM)
        again = peer.whole_request()
        assert (again["method"], bytes(again.body)) == (method, b"x" * 10)
        peer.respond(again, body=b"ok")

    peer = await http2_script(play)
    async with session() as client, client.request(method, peer.url, data=b"x" * 10) as response:
        assert await response.text() == "ok"


async def test_a_server_that_always_refuses(http2_script: Http2Script) -> None:
    """In the end the caller is told."""
    refused = 0

    def play(peer: Http2Connection) -> None:
        nonlocal refused
        while True:
            request = peer.request()
            refused += 1
            peer.reset_stream(request, ErrorCodes.REFUSED_STREAM)

    peer = await http2_script(play, partial=True)
    async with session() as client:
        with pytest.raises(ClientConnectionResetError, match="REFUSED_STREAM"):
            await client.get(peer.url)
    assert refused == 6


@pytest.mark.parametrize("why", ["the program", "its body"])
async def test_what_cannot_be_sent_again(http2_script: Http2Script, why: str) -> None:
    """If the program wants no retries, or the body is used up."""

    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    def play(peer: Http2Connection) -> None:
        peer.reset_stream(peer.whole_request(), ErrorCodes.REFUSED_STREAM)

    peer = await http2_script(play, partial=True)
    async with session(retry_connections=why != "the program") as client:
        with pytest.raises(ClientConnectionError):
            await client.post(peer.url, data=body() if why == "its body" else None)


async def test_requests_beyond_a_goaway_go_elsewhere(http2_script: Http2Script) -> None:
    """RFC 9113 §6.8: those above the last id were not looked at; the others are answered."""

    def first(peer: Http2Connection) -> None:
        one = peer.request()
        two, three = peer.request(), peer.request()
        peer.go_away(one.stream_id)
        peer.respond(one, body=b"first")
        assert (two.reset_code, three.reset_code) == (None, None)
        peer.wait_closed()

    def second(peer: Http2Connection) -> None:
        for _ in range(2):
            peer.respond(peer.request(), body=b"second")

    peer = await http2_script(first, second)
    async with session() as client:
        bodies: list[str] = []

        async def post() -> None:
            async with client.post(peer.url) as response:
                bodies.append(await response.text())

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(post)
        assert sorted(bodies) == ["first", "second", "second"]


async def test_a_goaway_before_anything_was_sent(http2_script: Http2Script) -> None:
    """Then even a body that can be sent only once has not been touched."""
    flag, ended = Flag(), anyio.Event()

    def first(peer: Http2Connection) -> None:
        request = peer.request()
        peer.pause(flag)
        peer.go_away(request.stream_id)
        peer.respond(request, body=b"first")
        peer.wait_closed()

    def second(peer: Http2Connection) -> None:
        request = peer.whole_request()
        peer.respond(request, body=request.body)

    async def body() -> AsyncIterator[bytes]:
        yield b"second"

    async def before(client: Any, context: Any, params: Any) -> None:
        if params.method == "POST":
            flag.set()
            await ended.wait()

    peer = await http2_script(first, second)
    trace = TraceConfig()
    trace.on_request_headers_sent.append(before)
    async with session(trace_configs=[trace]) as client, anyio.create_task_group() as group:

        async def get() -> None:
            async with client.get(peer.url) as response:
                assert await response.text() == "first"
            ended.set()

        group.start_soon(get)
        await until(lambda: peer.connections and peer.connections[0].paused, "the request")
        async with client.post(peer.url, data=body()) as response:
            assert await response.text() == "second"


async def test_a_kept_connection_that_the_server_has_closed(http2_script: Http2Script) -> None:
    """The old rule of HTTP/1.1 holds too: an idempotent request is sent again, once."""

    def first(peer: Http2Connection) -> None:
        peer.respond(peer.request())
        peer.request()
        peer.close()

    def second(peer: Http2Connection) -> None:
        peer.respond(peer.request(), body=b"ok")

    peer = await http2_script(first, second)
    async with session() as client:
        async with client.get(peer.url):
            pass
        async with client.get(peer.url) as response:
            assert await response.text() == "ok"


async def test_a_server_that_wants_http1(tls_ca: Authority) -> None:
    """HTTP_1_1_REQUIRED: the request is sent by that, and the connection stays for others."""

    def handler(exchange: Exchange) -> None:
        if isinstance(exchange, Http2Exchange) and exchange.path == "/old":
            exchange.reset(ErrorCodes.HTTP_1_1_REQUIRED)
        else:
            exchange.respond(b"ok")

    with serving(tls_ca, handler) as server:
        async with session(ssl=tls_ca.client) as client:
            async with client.get(server.https_url / "new") as response:
                assert response.version == TWO
            async with client.post(server.https_url / "old", data=b"x") as response:
                assert response.status != 500
                assert response.version == HttpVersion(1, 1)
            async with client.get(server.https_url / "new") as response:
                assert response.version == TWO
        assert server.http2_connections == 1


async def test_a_refused_request_waits_for_room(http2_script: Http2Script) -> None:
    """It is not sent again before another exchange has ended: it would only be refused again."""

    def play(peer: Http2Connection) -> None:
        one, two = peer.request(), peer.request()
        peer.reset_stream(two, ErrorCodes.REFUSED_STREAM)
        peer.send(b"\0\0\x08\x06\0\0\0\0\0abcdefgh")
        peer.until(lambda: any(type(frame).__name__ == "PingFrame" for frame in peer.frames))
        assert len(peer.requests) == 2
        peer.respond(one, body=b"ok")
        peer.respond(peer.request(), body=b"ok")

    peer = await http2_script(play)
    async with session(limit=1) as client:
        responses = await get_many(client, peer.url, 2)
        assert len(responses) == 2


async def test_a_server_that_changes_connections_often(tls_ca: Authority) -> None:
    """Each takes three requests and refuses the others, many times as long as it answers some."""

    def answer(exchange: Http2Exchange) -> None:
        exchange.respond(body=b"".join(exchange.body()))

    async def post(client: ClientSession, number: int) -> None:
        body = str(number).encode()
        async with client.post("/", data=body) as response:
            assert await response.read() == body

    with serving(tls_ca, answer, go_away_after=3) as server:
        async with (
            session(server.https_url, ssl=tls_ca.client) as client,
            anyio.create_task_group() as group,
        ):
            for number in range(60):
                group.start_soon(post, client, number)
        assert server.http2_connections >= 20
        assert len(server.exchanges) == 60


async def test_a_request_that_is_refused_while_others_are_answered(
    http2_script: Http2Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent again more often, and not for ever."""
    monkeypatch.setattr("anyhttp.client._attempt.MAX_REFUSALS", 20)
    refused = 0
    over = anyio.Event()

    def play(peer: Http2Connection) -> None:
        nonlocal refused
        while True:
            request = peer.request()
            if request["path"] == "/good":
                peer.respond(request)
            else:
                refused += 1
                peer.reset_stream(request, ErrorCodes.REFUSED_STREAM)

    async def get_others() -> None:
        while not over.is_set():
            async with client.get(peer.url.with_path("/good")) as response:
                assert response.status == 200

    peer = await http2_script(play, partial=True)
    async with session() as client, anyio.create_task_group() as group:
        group.start_soon(get_others)
        with pytest.raises(ClientConnectionResetError, match="REFUSED_STREAM"):
            await client.get(peer.url.with_path("/bad"))
        over.set()
    assert 6 < refused <= 21
