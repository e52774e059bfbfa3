"""WebSockets: opening, each way to send and to receive, and closing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import anyio

import anyhttp
from anyhttp import ClientSession, ClientWSTimeout, WSMsgType
from tests.cancellation.stage import Stage, add, operation, pieces

#: How long one waits for the other side to close: it is there.
PATIENT = ClientWSTimeout(ws_close=5)


async def _messages(compress: int, stage: Stage, session: ClientSession) -> None:
    """Each kind of message, there and back."""
    async with session.ws_connect("/websocket", compress=compress, timeout=PATIENT) as ws:
        await ws.send_str("a")
        assert await ws.receive_str() == "a"
        await ws.send_bytes(b"b" * 70_000)
        assert await ws.receive_bytes() == b"b" * 70_000
        await ws.send_json({"a": 1})
        assert await ws.receive_json() == {"a": 1}
        await ws.send_json_bytes({"b": 2}, dumps=lambda _: b'{"b":2}')
        assert (await ws.receive()).data == b'{"b":2}'
        await ws.send_frame(b"frame", WSMsgType.TEXT)
        assert (await anext(ws)).data == "frame"
        await ws.ping()
        await ws.pong()
        await ws.send_stream(pieces(), compress=compress)
        stream = await ws.receive_stream()
        assert b"".join([bytes(piece) async for piece in stream]) == b"".join(
            b"%d" % number * 1000 for number in range(3)
        )


add("websocket-messages", partial(_messages, 0), unentered=True)


@operation(unentered=True)
async def websocket_awaited(stage: Stage, session: ClientSession) -> None:
    """Without a block, closed by its method."""
    ws = await session.ws_connect("/websocket", timeout=PATIENT)
    try:
        await ws.send_str("x")
        assert await ws.receive_str() == "x"
        assert await ws.close()
    finally:
        await _close(ws)
    async with await session.ws_connect("/websocket", timeout=PATIENT) as other:
        await other.send_str("x")


async def _close(ws: anyhttp.ClientWebSocketResponse) -> None:
    with anyio.CancelScope(shield=True):
        await ws.close()


@operation(unentered=True)
async def websocket_with_heartbeat(stage: Stage, session: ClientSession) -> None:
    """A task of its own sends pings; it ends with the WebSocket."""
    async with session.ws_connect("/websocket", heartbeat=30, timeout=PATIENT) as ws:
        await ws.send_str("x")
        assert await ws.receive_str() == "x"


@operation(unentered=True)
async def websocket_both_ways(stage: Stage, session: ClientSession) -> None:
    """One task sends while another one receives."""

    async def send() -> None:
        for number in range(3):
            await ws.send_str(str(number))

    async with session.ws_connect("/websocket", timeout=PATIENT) as ws:
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            assert [await ws.receive_str() for _ in range(3)] == ["0", "1", "2"]


@operation()
async def websocket_without_session(stage: Stage, _: ClientSession) -> None:
    """The private session of ``anyhttp.ws_connect()`` goes with it."""
    async with anyhttp.ws_connect(stage.server.url / "websocket", timeout=PATIENT) as ws:
        await ws.send_str("x")
        assert await ws.receive_str() == "x"


@operation(unentered=True)
async def websocket_refused(stage: Stage, session: ClientSession) -> None:
    """The answer is another one."""
    try:
        async with session.ws_connect("/status/403"):
            raise AssertionError("it was accepted")
    except anyhttp.WSServerHandshakeError:
        pass


@operation(unentered=True)
async def websocket_left_open(stage: Stage, session: ClientSession) -> None:
    """A message and a stream are not read to their end."""

    async def two() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async with session.ws_connect("/websocket", timeout=PATIENT) as ws:
        await ws.send_stream(two())
        await ws.send_str("x")
        stream = await ws.receive_stream()
        await anext(stream)
