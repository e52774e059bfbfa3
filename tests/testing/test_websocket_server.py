from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from websockets.frames import Frame, Opcode

from anyhttp import (
    BaseConnector,
    ClientSession,
    ClientWebSocketResponse,
    WSMessage,
    WSMsgType,
    WSServerHandshakeError,
)
from anyhttp.testing._http1_server import MalformedRequest
from anyhttp.testing._memory import MemoryStream, memory_connection
from anyhttp.testing._server_connection import ServerConnection, ServerExchange
from anyhttp.testing._websocket_server import WebSocketClosed, WebSocketPeer
from tests.support.cancel import cancel_at_every_checkpoint

Handler = Callable[[ServerExchange], Awaitable[None]]
Script = Callable[[WebSocketPeer], Awaitable[None]]
URL = "ws://a.test/feed"


class Served(BaseConnector):
    """Gives each connection to a task that calls *handler* with its one request."""

    def __init__(self, tasks: anyio.abc.TaskGroup, handler: Handler) -> None:
        super().__init__()
        self._tasks = tasks
        self._handler = handler

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> MemoryStream:
        client, server = memory_connection()
        self._tasks.start_soon(self._serve, server)
        return client

    async def _serve(self, stream: MemoryStream) -> None:
        async with stream:
            exchange = await ServerConnection(stream).next_request()
            assert exchange is not None
            await self._handler(exchange)


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[ClientSession]:
    """Yield a session whose requests *handler* gets; wait for its end."""
    async with anyio.create_task_group() as tasks:
        async with ClientSession(connector=Served(tasks, handler)) as session:
            yield session


@asynccontextmanager
async def opened(
    script: Script, *, offer: int = 0, **options: Any
) -> AsyncIterator[ClientWebSocketResponse]:
    """Yield the client's end of a WebSocket; *script* plays the server.

    :param offer: the compression that the client offers
    """

    async def handler(exchange: ServerExchange) -> None:
        await script(await exchange.accept_websocket(**options))

    async with served(handler) as session, session.ws_connect(URL, compress=offer) as websocket:
        yield websocket


async def echo(peer: WebSocketPeer) -> None:
    """Send every message back."""
    async for message in peer:
        await peer.send(message)


@pytest.mark.parametrize("compress", [0, 15])
async def test_messages_go_both_ways(compress: int) -> None:
    """Texts are str, binary messages are bytes, compressed or not."""
    async with opened(echo, compress=True, offer=compress) as websocket:
        assert websocket.compress == compress
        await websocket.send_str("grüße " * 100)
        assert await websocket.receive_str() == "grüße " * 100
        await websocket.send_bytes(bytes(70000))
        assert await websocket.receive_bytes() == bytes(70000)
        await websocket.send_str("")
        assert await websocket.receive_str() == ""


async def test_iterating_leaves_nothing_behind() -> None:
    """The loop may be left in any way, and another one goes on; there is no generator to close."""
    heard: list[str | bytes] = []

    async def hear_twice(peer: WebSocketPeer) -> None:
        for _ in range(2):
            async for message in peer:
                heard.append(message)
                break

    async with opened(hear_twice) as websocket:
        await websocket.send_str("one")
        await websocket.send_str("two")
        await websocket.receive()
    assert heard == ["one", "two"]


async def test_json() -> None:
    """In both directions."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.send_json({"got": await peer.receive_json()})
        with pytest.raises(TypeError, match="not JSON serializable"):
            await peer.send_json(object())
        await peer.close()

    async with opened(script) as websocket:
        await websocket.send_json([1, "ü"])
        assert await websocket.receive_json() == {"got": [1, "ü"]}


HANDSHAKE = (
    b"GET /feed HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def raw_peer(after: bytes = b"") -> tuple[MemoryStream, WebSocketPeer]:
    """Return a client that speaks in frames, and the server's end of its WebSocket."""
    client, server = memory_connection()
    await client.send(HANDSHAKE + after)
    exchange = await ServerConnection(server).next_request()
    assert exchange is not None
    peer = await exchange.accept_websocket()
    await client.receive()
    return client, peer


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    """Return a frame as clients send it."""
    return Frame(opcode, data, fin).serialize(mask=True)


def sent(opcode: Opcode, data: bytes = b"") -> bytes:
    """Return a frame as servers send it."""
    return Frame(opcode, data).serialize(mask=False)


async def test_the_response_to_a_handshake() -> None:
    """RFC 6455 §1.3 has this example, and there is nothing else in the response."""
    client, server = memory_connection()
    await client.send(HANDSHAKE)
    exchange = await ServerConnection(server).next_request()
    assert exchange is not None
    peer = await exchange.accept_websocket(protocol="chat", headers={"X": "y"})
    assert await client.receive() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\nX: y\r\n\r\n"
    )
    assert peer.headers["host"] == "a.test"
    assert str(peer.url) == "http://a.test/feed"


async def test_a_message_in_fragments_is_one_message() -> None:
    """RFC 6455 §5.4: there may be a PING between them, which is answered."""
    client, peer = await raw_peer()
    text = "grüße".encode()
    await client.send(frame(Opcode.TEXT, text[:3], fin=False) + frame(Opcode.PING, b"?"))
    await client.send(frame(Opcode.CONT, text[3:]) + frame(Opcode.BINARY, b"x"))
    assert [await peer.receive(), await peer.receive()] == ["grüße", b"x"]
    assert await client.receive() == sent(Opcode.PONG, b"?")


async def test_frames_that_came_with_the_handshake() -> None:
    """A client may send them at once."""
    _, peer = await raw_peer(frame(Opcode.TEXT, b"early"))
    assert await peer.receive() == "early"


async def test_pings_are_answered() -> None:
    """The answers are kept, with what they carry."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.ping(b"1")
        await peer.ping()
        assert await peer.receive() == "x"
        assert peer.pongs == [b"1", b""]
        await peer.close()

    async with opened(script) as websocket:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(websocket.receive)
            await anyio.wait_all_tasks_blocked()
            await websocket.send_str("x")


async def test_the_client_closes() -> None:
    """Code and reason are told, and the CLOSE is answered."""
    ended = anyio.Event()

    async def script(peer: WebSocketPeer) -> None:
        assert peer.close_reason == ""
        assert await peer.receive() == "last"
        for _ in range(2):
            with pytest.raises(
                WebSocketClosed, match=r"the WebSocket is closed: 4001 bye$"
            ) as caught:
                await peer.receive()
            assert (caught.value.code, caught.value.reason) == (4001, "bye")
        for use in (peer.send("x"), peer.ping()):
            with pytest.raises(WebSocketClosed):
                await use
        assert peer.close_code == 4001
        assert peer.close_reason == "bye"
        await peer.close()
        ended.set()

    async with opened(script) as websocket:
        await websocket.send_str("last")
        assert await websocket.close(code=4001, message=b"bye")
        assert websocket.close_code == 4001
        await ended.wait()


async def test_a_close_without_a_code() -> None:
    """RFC 6455 §7.1.5 has a number for it."""
    client, peer = await raw_peer()
    await client.send(frame(Opcode.CLOSE))
    with pytest.raises(WebSocketClosed) as caught:
        await peer.receive()
    assert caught.value.code == 1005
    assert await client.receive() == sent(Opcode.CLOSE)
    with pytest.raises(anyio.EndOfStream):
        await client.receive()


async def test_the_server_closes() -> None:
    """The client gets code and reason; what it has sent before is dropped."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.close(4002, "tschüß")
        await peer.close()
        assert peer.close_code == 4002

    async with opened(script) as websocket:
        await websocket.send_str("unread")
        assert await websocket.receive() == WSMessage(WSMsgType.CLOSE, 4002, "tschüß")
        assert websocket.close_code == 4002


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (99, ""), (1000, "x" * 124)])
async def test_a_code_that_may_not_be_sent(code: int, reason: str) -> None:
    """RFC 6455 §7.4.2; and the reason is not too long for a frame."""
    _, peer = await raw_peer()
    with pytest.raises(ValueError, match=f"code {code} or reason '{reason}'"):
        await peer.close(code, reason)


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_client_that_is_gone(end: str) -> None:
    """Without a CLOSE the code is 1006."""
    client, peer = await raw_peer()
    if end == "close":
        await client.aclose()
    else:
        client.abort()
    with pytest.raises(WebSocketClosed, match=r"1006$") as caught:
        await peer.receive()
    assert caught.value.code == peer.close_code == 1006
    with pytest.raises(WebSocketClosed):
        await peer.send("x")
    await peer.close()


async def test_a_client_that_does_not_answer_the_close() -> None:
    """The server waits for it, until it is gone."""
    client, peer = await raw_peer()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.close)
        assert await client.receive() == sent(Opcode.CLOSE, b"\x03\xe8")
        await anyio.wait_all_tasks_blocked()
        await client.aclose()
    assert peer.close_code == 1006


async def test_sending_to_a_client_that_is_gone() -> None:
    """It is the same exception."""
    client, peer = await raw_peer()
    client.abort()
    with pytest.raises(WebSocketClosed):
        await peer.send("x")
    assert peer.close_code == 1006
    with pytest.raises(WebSocketClosed):
        await peer.send_raw(b"x")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (sent(Opcode.TEXT, b"unmasked"), 1002),
        (frame(Opcode.CONT, b"x"), 1002),
        (frame(Opcode.TEXT, b"\xff"), 1007),
    ],
    ids=["unmasked", "continuation", "no UTF-8"],  # the frames have masks by chance
)
async def test_a_client_that_breaks_the_protocol(data: bytes, code: int) -> None:
    """The WebSocket is closed with the code for it, and the cause is told."""
    client, peer = await raw_peer()
    await client.send(frame(Opcode.TEXT, b"fine") + data)
    assert await peer.receive() == "fine"
    with pytest.raises(WebSocketClosed) as caught:
        await peer.receive()
    assert caught.value.code == peer.close_code == code
    assert caught.value.__cause__ is not None
    data = await client.receive()
    assert data[0] == 0x88
    assert int.from_bytes(data[2:4]) == code


async def test_an_abrupt_end() -> None:
    """The client sees no CLOSE."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.abort()
        assert peer.close_code == 1006

    async with opened(script) as websocket:
        message = await websocket.receive()
        assert message.type in {WSMsgType.ERROR, WSMsgType.CLOSED}
        assert websocket.close_code == 1006


async def test_any_bytes_can_be_sent() -> None:
    """To see what a client does with them."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.send_raw(sent(Opcode.TEXT, b"fine"))
        await peer.send_raw(b"\xff\xff\xff")
        with pytest.raises(WebSocketClosed):
            await peer.receive()

    async with opened(script) as websocket:
        assert await websocket.receive_str() == "fine"
        assert (await websocket.receive()).type is WSMsgType.ERROR
        assert websocket.close_code == 1002


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (HANDSHAKE.replace(b"GET", b"PUT"), 405, "method: PUT"),
        (HANDSHAKE.replace(b"Upgrade: websocket\r\n", b""), 426, "Upgrade"),
        (HANDSHAKE.replace(b"13", b"12"), 400, "Sec-WebSocket-Version"),
        (HANDSHAKE.replace(b"dGhlIHNhbX", b""), 400, "Sec-WebSocket-Key"),
    ],
)
async def test_a_request_that_is_no_handshake(request_: bytes, status: int, reason: str) -> None:
    """It is refused, and whoever wanted to accept it is told why."""
    client, server = memory_connection()
    await client.send(request_)
    exchange = await ServerConnection(server).next_request()
    assert exchange is not None
    with pytest.raises(MalformedRequest, match=reason):
        await exchange.accept_websocket()
    assert (await client.receive()).startswith(b"HTTP/1.1 %d " % status)


async def test_a_subprotocol() -> None:
    """The server chooses one of those that the client offers."""

    async def handler(exchange: ServerExchange) -> None:
        assert exchange.headers["Sec-WebSocket-Protocol"] == "a,b"
        await echo(await exchange.accept_websocket(protocol="b"))

    async with served(handler) as session:
        async with session.ws_connect(URL, protocols=["a", "b"]) as websocket:
            assert websocket.protocol == "b"


async def test_a_subprotocol_that_was_not_offered() -> None:
    """A server that does so can be played, and the client refuses it."""

    async def handler(exchange: ServerExchange) -> None:
        await echo(await exchange.accept_websocket(protocol="b"))

    async with served(handler) as session:
        with pytest.raises(WSServerHandshakeError, match="Invalid subprotocol 'b'"):
            await session.ws_connect(URL, protocols=["a"])


async def test_many_tasks_may_send() -> None:
    """No frame gets into another one, though the client reads slowly."""
    client, peer = await raw_peer()
    received = b""
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(peer.send, b"%02d" % number * 5000)
        while len(received) < 20 * 10004:
            received += await client.receive(777)
    frames = [received[start : start + 10004] for start in range(0, len(received), 10004)]
    assert sorted(frames) == [sent(Opcode.BINARY, b"%02d" % number * 5000) for number in range(20)]


async def test_cancellation_at_each_step() -> None:
    """The connection can be closed afterwards, and nothing is left."""

    async def exchange() -> None:
        client, peer = await raw_peer()
        await client.send(frame(Opcode.TEXT, b"x"))
        assert await peer.receive() == "x"
        await peer.send("y")
        await peer.ping()
        await client.send(frame(Opcode.CLOSE, b"\x03\xe8"))
        await peer.close()

    async def nothing() -> None:
        await anyio.lowlevel.checkpoint()

    assert await cancel_at_every_checkpoint(exchange, after=nothing)
