"""WebSockets on streams of HTTP/2 (:rfc:`8441`): the handshake, and what they share with others."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio
import pytest

pytest.importorskip("h2")

from h2.settings import SettingCodes

from anyhttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    CookieJar,
    HttpVersion,
    WSMsgType,
    WSServerHandshakeError,
)
from anyhttp.http import HttpVersion11
from tests.support import websocket
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.http2_client import one_connection
from tests.support.http2_gateway import Gateway
from tests.support.http2_peer import FRAME_SIZE, Http2Connection, Http2Script
from tests.support.peer import STALL, Script, Step
from tests.support.programs import websocket_server
from tests.support.tls import Authority
from tests.support.waiting import until
from tests.support.websocket import BINARY, PING, TEXT, Accept, Frame

GET = b"GET / HTTP/1.1\r\n"
OPEN: Step = (GET, Accept())
BYE = Frame(websocket.CLOSE, b"\x03\xe8")
FAREWELL: Step = (BYE, websocket.close(1000))


@pytest.fixture
def gateway(tls_ca: Authority) -> Iterator[Gateway]:
    """What brings WebSockets from HTTP/2 to a scripted peer."""
    gateway = Gateway(tls_ca.server)
    yield gateway
    gateway.stop()


class TestHandshake:
    async def test_fields(self, script: Script, gateway: Gateway) -> None:
        """RFC 8441 §5: those of HTTP/1.1's upgrade are not sent, and there is no key."""
        peer = await script([(b"GET /chat?a=1 ", Accept(fields=("X: 1",))), FAREWELL])
        jar = CookieJar(unsafe=True)
        async with gateway.session(
            headers={"X-Session": "1"}, cookie_jar=jar, cookies={"c": "2"}
        ) as session:
            async with session.ws_connect(
                peer.url.with_scheme("ws") / "chat",
                params={"a": "1"},
                headers={"X-Own": "3", "Connection": "keep-alive, Upgrade"},
                origin="https://example.org",
                protocols=("a", "b"),
                compress=15,
            ) as ws:
                assert not ws.closed
        (exchange,) = gateway.server.exchanges
        assert (exchange.head.method, exchange.protocol) == ("CONNECT", "websocket")
        fields = dict(exchange.head.headers)
        assert len(fields) == len(exchange.head.headers)
        del fields["accept-encoding"], fields["user-agent"]
        assert fields == {
            "host": f"127.0.0.1:{peer.port}",
            "accept": "*/*",
            "cookie": "c=2",
            "origin": "https://example.org",
            "sec-websocket-extensions": "permessage-deflate; client_max_window_bits",
            "sec-websocket-protocol": "a,b",
            "sec-websocket-version": "13",
            "x-own": "3",
            "x-session": "1",
        }

    async def test_what_is_agreed_on(self, script: Script, gateway: Gateway) -> None:
        """The answer names a subprotocol and the compression, as that of HTTP/1.1 does."""
        fields = ("Sec-WebSocket-Protocol: b", "Sec-WebSocket-Extensions: permessage-deflate")
        peer = await script([(GET, Accept(fields=fields)), FAREWELL])
        async with gateway.session() as session:
            async with session.ws_connect(peer.url, protocols=("a", "b"), compress=15) as ws:
                assert (ws.protocol, ws.compress) == ("b", 15)
                assert ws.get_extra_info("peername")[1] == gateway.port

    @pytest.mark.parametrize(
        ("field", "message"),
        [
            ("Sec-WebSocket-Protocol: c", "Invalid subprotocol 'c'"),
            ("Sec-WebSocket-Extensions: x", "Invalid extension x"),
        ],
    )
    async def test_what_was_not_offered(
        self, script: Script, gateway: Gateway, field: str, message: str
    ) -> None:
        """RFC 6455 §4.1: the client fails the connection; here it ends the stream."""
        peer = await script([(GET, Accept(fields=(field,)))])
        async with gateway.session() as session:
            with pytest.raises(WSServerHandshakeError, match=message) as caught:
                await session.ws_connect(peer.url)
            assert caught.value.status == 200

    async def test_refused(self, script: Script, gateway: Gateway) -> None:
        """The error has the status, the headers and the beginning of the body."""
        answer = b"HTTP/1.1 403 Forbidden\r\nX-Why: 1\r\nContent-Length: 2\r\n\r\nno"
        peer = await script([(GET, answer)])
        async with gateway.session() as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect(peer.url)
        assert (caught.value.status, caught.value.message) == (403, "Invalid response status")
        assert caught.value.headers is not None
        assert (caught.value.headers["X-Why"], caught.value.body) == ("1", b"no")

    async def test_a_request_that_is_no_handshake_any_more(self, gateway: Gateway) -> None:
        """A middleware has taken the upgrade away: the answer opens no WebSocket."""

        async def change(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            del request.headers["Upgrade"]
            response = await handler(request)
            assert response.version == HttpVersion(2, 0)
            return response

        async with gateway.session(middlewares=[change]) as session:
            with pytest.raises(WSServerHandshakeError, match="Invalid response status"):
                await session.ws_connect(gateway.server.url)


class TestBesideOthers:
    async def test_a_request_and_two_websockets(self, script: Script, gateway: Gateway) -> None:
        """All of them share a connection, and none waits for another."""
        more = (Frame(TEXT, b"up"), websocket.frame(BINARY, b"down"))
        first, second = await script([OPEN, more, FAREWELL]), await script([OPEN, more, FAREWELL])
        async with gateway.session() as session:
            async with session.ws_connect(first.url) as one, session.ws_connect(second.url) as two:
                async with session.get(gateway.server.url) as response:
                    assert response.version == HttpVersion(2, 0)
                for ws in (two, one):
                    await ws.send_str("up")
                    assert (await ws.receive()).data == b"down"
        assert gateway.server.http2_connections == 1

    async def test_cancelling_one_leaves_the_others_alone(
        self, script: Script, gateway: Gateway
    ) -> None:
        """The rest of its frame never comes, so its stream is reset, and nothing else."""
        deaf = await script([OPEN, STALL])
        fine = await script([OPEN, (Frame(TEXT, b"up"), websocket.frame(TEXT, b"down")), FAREWELL])
        async with gateway.session() as session, session.ws_connect(fine.url) as ws:
            broken = await session.ws_connect(deaf.url)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(broken.send_bytes, bytes(50_000_000))
                await until(lambda: not broken._stream.send_nowait(b""), "the windows to be full")
                tasks.cancel_scope.cancel()
            assert broken.closed
            await ws.send_str("up")
            assert (await ws.receive()).data == "down"
        codes = [exchange.reset_code for exchange in gateway.server.exchanges]
        assert sorted(codes, key=str) == [8, None]  # CANCEL

    async def test_the_end_of_the_connection_ends_it(
        self, script: Script, gateway: Gateway
    ) -> None:
        """As the end of a socket of its own would."""
        peer = await script([OPEN, STALL])
        async with gateway.session() as session:
            async with session.ws_connect(peer.url) as ws:
                gateway.server.exchanges[0].close()
                message = await ws.receive()
                assert message.type is WSMsgType.CLOSED
                assert ws.close_code == 1006

    async def test_what_came_before_the_end_of_the_connection(
        self, http2_script: Http2Script
    ) -> None:
        """It is received, although a PING before it cannot be answered any more."""
        flag, ended = threading.Event(), threading.Event()
        last = b"x" * 150_000  # which is not received at once

        def play(peer: Http2Connection) -> None:
            request = peer.request()
            peer.send(*peer.head(request))
            peer.pause(flag)
            data = websocket.frame(PING) + websocket.frame(TEXT, last) + websocket.close(1000)
            for start in range(0, len(data), FRAME_SIZE):
                peer.send(peer.data(request, data[start : start + FRAME_SIZE]))
            peer.close()
            ended.set()

        peer = await http2_script(play, settings={SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
        async with one_connection(peer.port) as (session, _):
            async with session.ws_connect(peer.url) as ws:
                flag.set()
                await until(ended.is_set, "the peer to close")
                assert (await ws.receive()).data == last.decode()
                assert (await ws.receive()).type is WSMsgType.CLOSE
                assert ws.close_code == 1000


@pytest.fixture(scope="module")
def echo_url() -> Iterator[str]:
    """The URL of a server that sends messages back, in a process of its own."""
    with websocket_server() as port:
        yield f"ws://127.0.0.1:{port}/echo"


@pytest.mark.parametrize("how", ["scope", "native"])
async def test_cancelled_everywhere(echo_url: str, gateway: Gateway, how: How) -> None:
    """Neither a WebSocket nor a request beside it on the connection notices anything."""
    async with gateway.session() as session, session.ws_connect(echo_url) as other:

        async def operation() -> None:
            async with session.ws_connect(echo_url, heartbeat=30, compress=15) as ws:
                await ws.send_str("x" * 10_000)
                assert len(await ws.receive_str()) == 10_000

        async def after() -> None:
            await other.send_str("still there")
            assert await other.receive_str() == "still there"
            async with session.get(gateway.server.url) as response:
                assert response.status == 200

        points = await cancel_at_every_checkpoint(operation, after=after, how=how)
        assert points >= 4
        await operation()
    assert gateway.server.http2_connections == 1


async def test_without_the_option_it_is_http1(script: Script) -> None:
    """RFC 6455, as ever."""
    peer = await script([OPEN, FAREWELL])
    async with ClientSession() as session, session.ws_connect(peer.url) as ws:
        response: ClientResponse = ws._response
        assert (response.status, response.version) == (101, HttpVersion11)
