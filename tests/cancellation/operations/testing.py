"""What tests of programs use: servers, mocks, recorders, applications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel

from anyhttp import ClientSession, ClientWSTimeout
from anyhttp.testing import (
    Answer,
    ASGIConnector,
    MockConnector,
    ReceivedRequest,
    Recorder,
    WebSocketClosed,
    WebSocketPeer,
    WSGIConnector,
    drip,
    mock_requests,
    record_requests,
    serve,
)
from tests.cancellation.stage import Stage, add, operation, pieces
from tests.support.client import get

API = "http://api.test"
#: What answers requests has tasks of its own, which end one after the other.
GRACE = 20
SOON = ClientWSTimeout(ws_close=0.01)


async def _body() -> AsyncIterator[bytes]:
    for piece in (b"a", b"b", b"c"):
        await anyio.lowlevel.checkpoint()
        yield piece


async def _answer(request: ReceivedRequest) -> Answer:
    await anyio.lowlevel.checkpoint()
    return Answer(body=_body())


async def _answer_stream(request: ReceivedRequest) -> Answer:
    if request.headers.get("X-Read"):
        await request.read()
    else:
        async for piece in request.stream():
            assert piece
    return Answer(body=_body())


async def _script(peer: WebSocketPeer) -> None:
    """Use every method of the server's side."""
    await peer.send(await peer.receive())
    await peer.send_json(await peer.receive_json())
    await peer.ping()
    await peer.send_raw(b"\x81\x01x")
    try:
        async for message in peer:
            await peer.send(message)
    except WebSocketClosed:
        pass
    await peer.close()


async def _abort(peer: WebSocketPeer) -> None:
    await peer.receive()
    await peer.send_close()
    await peer.abort()


def _routes(mock: Any) -> None:
    mock.get("/canned", json={"a": 1})
    mock.get("/drip", body=drip(b"abc"))
    mock.get("/function", answer=_answer)
    mock.post("/upload", answer=lambda request: Answer(text="done"))
    mock.post("/streamed", answer=_answer_stream, stream_request=True)
    mock.ws("/feed", _script)
    mock.ws("/abort", _abort)


async def _use(session: ClientSession, base: str = API) -> None:
    for path in ("canned", "drip", "function"):
        async with session.get(f"{base}/{path}") as response:
            await response.read()
    for path, headers in (("upload", {}), ("streamed", {}), ("streamed", {"X-Read": "1"})):
        async with session.post(f"{base}/{path}", data=pieces(), headers=headers) as response:
            await response.read()


async def _talk(session: ClientSession, base: str = API) -> None:
    async with session.ws_connect(f"{base}/feed", timeout=SOON) as ws:
        await ws.send_str("a")
        assert await ws.receive_str() == "a"
        await ws.send_json({"a": 1})
        assert await ws.receive_json() == {"a": 1}
        assert await ws.receive_str() == "x"
    async with session.ws_connect(f"{base}/abort", timeout=SOON) as ws:
        await ws.send_str("a")
        await ws.receive()


_Act = Any


async def _with_mock(act: _Act, stage: Stage, _: ClientSession) -> None:
    mock = MockConnector()
    _routes(mock)
    async with ClientSession(connector=mock) as session:
        await act(session)


async def _with_mock_requests(act: _Act, stage: Stage, _: ClientSession) -> None:
    async with mock_requests(assert_all_called=False) as mock:
        _routes(mock)
        async with ClientSession() as session:
            await act(session)


async def _with_server(act: _Act, stage: Stage, _: ClientSession) -> None:
    async with serve() as server:
        _routes(server)
        async with ClientSession() as session:
            await act(session, str(server.url).rstrip("/"))


for _name, _act in (("requests", _use), ("websocket", _talk)):
    add(f"mock-{_name}", partial(_with_mock, _act), grace=GRACE)
    add(f"mock-in-place-{_name}", partial(_with_mock_requests, _act), grace=GRACE)
    add(f"serve-{_name}", partial(_with_server, _act), grace=GRACE)


@operation(grace=GRACE)
async def recording(stage: Stage, _: ClientSession) -> None:
    """Record, and replay; the cassette is whole or not there."""
    path = stage.folder / "cassette.har"
    try:
        for _number in range(2):
            real = MockConnector()
            _routes(real)
            recorder = Recorder(path, real)
            async with recorder, ClientSession(connector=recorder) as session:
                async with session.get(f"{API}/function") as response:
                    assert await response.read() == b"abc"
    finally:
        path.unlink(missing_ok=True)


@operation(grace=GRACE)
async def recording_in_place(stage: Stage, _: ClientSession) -> None:
    """A recorder in the place of the network."""
    path = stage.folder / "cassette.har"
    try:
        async with record_requests(path):
            async with ClientSession(stage.server.url) as session:
                await get(session)
    finally:
        path.unlink(missing_ok=True)


async def _asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hel", "more_body": True})
    await anyio.lowlevel.checkpoint()
    await send({"type": "http.response.body", "body": b"lo"})


def _wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [b"hel", b"lo"]


@operation(grace=GRACE)
async def asgi(stage: Stage, _: ClientSession) -> None:
    """An application that is started, asked and stopped."""
    async with ClientSession(API, connector=ASGIConnector(_asgi)) as session:
        async with session.post("/", data=pieces()) as response:
            assert await response.read() == b"hello"


@operation(grace=GRACE)
async def wsgi(stage: Stage, _: ClientSession) -> None:
    """One that runs in a thread."""
    async with ClientSession(API, connector=WSGIConnector(_wsgi)) as session:
        async with session.post("/", data=pieces()) as response:
            assert await response.read() == b"hello"


@operation(grace=GRACE)
async def serve_application(stage: Stage, _: ClientSession) -> None:
    """An application on a real server."""
    async with serve(_asgi) as server, ClientSession(server.url) as session:
        async with session.post("/", data=pieces()) as response:
            assert await response.read() == b"hello"
