"""WebSockets: what aiohttp's users see of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import anyio
from yarl import URL

from tests.compat.comparison import compared, different, failure
from tests.support import websocket
from tests.support.peer import CLOSE, STALL, Flag, Peer, Step, Wait
from tests.support.websocket import BINARY, PING, PONG, TEXT, Accept, Frame

OPEN: Step = (b"GET / HTTP/1.1\r\n", Accept())
FAREWELL: Step = (Frame(websocket.CLOSE, b"\x03\xe8"), websocket.close(1000))


@asynccontextmanager
async def connected(
    client: ModuleType, steps: Sequence[Step], **options: Any
) -> AsyncIterator[Any]:
    """Open a WebSocket to a peer that plays *steps*."""
    peer = Peer([steps])
    try:
        async with client.ClientSession() as session:
            async with session.ws_connect(peer.url, **options) as websocket:
                yield websocket
    finally:
        peer.stop()


def shown(message: Any) -> tuple[object, ...]:
    """Return a message as plain data."""
    data = message.data
    if isinstance(data, Exception):
        data = (type(data).__name__, getattr(data, "code", None))
    return message.type.name, int(message.type), data, message.extra


@compared
async def test_messages_of_every_type(client: ModuleType, base: URL) -> object:
    """Types, data and extra; pings are answered and not shown."""
    more = (
        websocket.frame(TEXT, b"[1]")
        + websocket.frame(BINARY, b"b")
        + websocket.frame(PING, b"?")
        + websocket.frame(TEXT, b"x", last=False)
        + websocket.frame(0, b"y")
    )
    steps: list[Step] = [(b"GET / ", Accept(more)), (Frame(PONG, b"?"), [])]
    steps += [(Frame(TEXT, b"go"), websocket.close(4001, b"why"))]
    steps += [(websocket.CloseWith(1000 if client.__name__ == "aiohttp" else 4001), STALL)]
    async with connected(client, steps) as ws:
        before = (ws.closed, ws.close_code, ws.protocol, ws.compress, ws.exception())
        messages = [await ws.receive()]
        parsed = messages[0].json()
        messages += [await ws.receive() for _ in range(2)]
        await ws.send_str("go")
        messages += [await ws.receive() for _ in range(3)]
        after = (ws.closed, ws.close_code, ws.exception(), await ws.close())
    return before, parsed, [shown(message) for message in messages], after


@compared
async def test_without_autoping_and_autoclose(client: ModuleType, base: URL) -> object:
    """The application sees control frames, and answers CLOSE by itself."""
    more = websocket.frame(PING, b"1") + websocket.frame(PONG, b"2") + websocket.close(1001)
    steps: list[Step] = [
        (b"GET / ", Accept(more)),
        (Frame(websocket.CLOSE, b"\x0b\xb8bye"), STALL),
    ]
    async with connected(client, steps, autoping=False, autoclose=False) as ws:
        messages = [shown(await ws.receive()) for _ in range(3)]
        return messages, ws.closed, await ws.close(code=3000, message=b"bye"), ws.close_code


@compared
async def test_text_as_bytes(client: ModuleType, base: URL) -> object:
    """With decode_text=False."""
    steps: list[Step] = [(b"GET / ", Accept(websocket.frame(TEXT, b"\xc3\xbc"))), FAREWELL]
    async with connected(client, steps, decode_text=False) as ws:
        return shown(await ws.receive())


@compared
async def test_wrong_types(client: ModuleType, base: URL) -> object:
    """What is not sent, and what is not received, in classes of errors."""
    more = websocket.frame(BINARY, b"x") + websocket.frame(TEXT, b"x")
    steps: list[Step] = [(b"GET / ", Accept(more)), FAREWELL]
    async with connected(client, steps) as ws:
        failures = [
            await failure(ws.send_str(b"x")),
            await failure(ws.send_bytes("x")),
            await failure(ws.receive_str()),
            await failure(ws.receive_bytes()),
        ]
        code = ws.close_code
        failures.append(await failure(ws.receive(timeout=0.01)))
    failures += [await failure(ws.send_str("x")), await failure(ws.ping())]
    return failures, code, shown(await ws.receive()), await ws.close(), ws.get_extra_info("a", 1)


@compared
async def test_violations(client: ModuleType, base: URL) -> object:
    """An ERROR with the code, CLOSED ever after."""
    seen = []
    for wire in (
        b"\xff\xff",
        websocket.frame(TEXT, b"\xff"),
        websocket.frame(BINARY, bytes(300)),
        websocket.close(1005),
    ):
        steps: list[Step] = [(b"GET / ", [Accept(wire), STALL])]
        async with connected(client, steps, max_msg_size=200) as ws:
            messages = [shown(await ws.receive()) for _ in range(2)]
            seen.append((messages, ws.closed, ws.close_code))
    return seen


@compared
async def test_a_lost_connection(client: ModuleType, base: URL) -> object:
    """CLOSED and 1006."""
    steps: list[Step] = [(b"GET / ", [Accept(), CLOSE])]
    async with connected(client, steps) as ws:
        return shown(await ws.receive())[0], ws.closed


@compared
async def test_the_end_as_it_is_received_and_what_is_sent_then(
    client: ModuleType, base: URL
) -> object:
    """CLOSE and then CLOSED; JSON cannot be sent any more, and never what JSON cannot hold."""
    steps: list[Step] = [OPEN, (Frame(TEXT, b"go"), websocket.close(1000)), FAREWELL]
    async with connected(client, steps) as ws:
        results: list[object] = [(await failure(ws.send_json({1})))[0]]
        await ws.send_str("go")
        results += [shown(await ws.receive())[0] for _ in range(3)]
        results.append(await failure(ws.send_json({})))
    return results


@compared
async def test_close_wakes_a_receive(client: ModuleType, base: URL) -> object:
    """It returns CLOSING."""
    wait = Flag()
    steps: list[Step] = [
        OPEN,
        (Frame(websocket.CLOSE, b"\x03\xe8"), [Wait(wait), websocket.close(1000)]),
    ]
    results = []
    async with connected(client, steps) as ws:

        async def receive() -> None:
            results.append(shown(await ws.receive()))
            wait.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            results.append(await ws.close())
        return results, ws.close_code


@compared
async def test_a_handshake_that_is_refused(client: ModuleType, base: URL) -> object:
    """Class, status, message and headers of the error."""
    seen = []
    for status in ("403 Forbidden", "200 OK"):
        reply = f"HTTP/1.1 {status}\r\nX-A: b\r\nContent-Length: 0\r\n\r\n".encode()
        peer = Peer([[(b"GET / ", reply)]])
        try:
            async with client.ClientSession() as session:
                try:
                    await session.ws_connect(peer.url)
                except client.WSServerHandshakeError as exc:
                    seen.append((exc.status, exc.message, exc.headers["X-A"]))
        finally:
            peer.stop()
    return seen


@compared
async def test_options_that_cannot_be(client: ModuleType, base: URL) -> object:
    """Refused before anything is sent."""
    async with client.ClientSession() as session:
        return await failure(session.ws_connect("ws://127.0.0.1:1/", compress=8))


@different(there="WebSocketError", here="bytes")
async def test_a_message_of_exactly_the_largest_size(client: ModuleType, base: URL) -> object:
    """Aiohttp refuses it, unless it was compressed."""
    steps: list[Step] = [(b"GET / ", [Accept(websocket.frame(BINARY, bytes(200))), STALL])]
    timeout = client.ClientWSTimeout(ws_close=0.1)
    async with connected(client, steps, max_msg_size=200, timeout=timeout) as ws:
        return type((await ws.receive()).data).__name__
