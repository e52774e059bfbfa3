"""Applications of Starlette, as users write and test them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from anyhttp import ClientSession, WSServerHandshakeError
from anyhttp.testing import ASGIConnector
from tests.support.client import get

BASE = "https://app.test"


def session_for(app: Any, **options: Any) -> ClientSession:
    """Return a session that calls *app*."""
    return ClientSession(BASE, connector=ASGIConnector(app, **options))


class TestStarlette:
    async def test_a_small_application(self) -> None:
        """Cookies, redirects and compressed bodies work as they do with a server."""

        async def login(request: Request) -> Response:
            form = await request.form()
            response = RedirectResponse(request.url_for("me"), status_code=303)
            response.set_cookie("user", str(form["name"]), secure=True)
            return response

        async def me(request: Request) -> Response:
            return PlainTextResponse(f"hello {request.cookies['user']}" + " " * 1000)

        app = Starlette(
            routes=[Route("/login", login, methods=["POST"]), Route("/me", me, name="me")],
            middleware=[Middleware(GZipMiddleware)],
        )
        async with session_for(app) as session:
            async with session.post("/login", data={"name": "ada"}) as response:
                assert (await response.text()).strip() == "hello ada"
                assert response.headers["Content-Encoding"] == "gzip"
                assert [each.status for each in response.history] == [303]
                assert str(response.url) == f"{BASE}/me"

    async def test_streaming_both_ways(self) -> None:
        """Megabytes pass through, and nobody holds them all."""

        async def digest(request: Request) -> Response:
            hashed = hashlib.sha256()
            async for piece in request.stream():
                hashed.update(piece)
            return PlainTextResponse(hashed.hexdigest())

        async def count(request: Request) -> Response:
            async def pieces() -> AsyncIterator[bytes]:
                for number in range(1000):
                    yield f"{number}\n".encode() * 100

            return StreamingResponse(pieces())

        app = Starlette(routes=[Route("/", digest, methods=["POST"]), Route("/count", count)])

        async def upload() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield bytes(40_000)

        async with session_for(app) as session:
            async with session.post("/", data=upload()) as response:
                assert await response.text() == hashlib.sha256(bytes(2_000_000)).hexdigest()
            async with session.get("/count") as response:
                lines = [line async for line in response.content]
                assert len(lines) == 100_000
                assert lines[-1] == b"999\n"

    async def test_an_endless_stream(self) -> None:
        """It ends when the client has seen enough, even while it is idle."""
        ended = anyio.Event()

        async def events(request: Request) -> Response:
            async def pieces() -> AsyncIterator[bytes]:
                try:
                    yield b"data: hello\n\n"
                    await anyio.sleep_forever()
                finally:
                    ended.set()

            return StreamingResponse(pieces(), media_type="text/event-stream")

        async with session_for(Starlette(routes=[Route("/events", events)])) as session:
            async with session.get("/events") as response:
                assert await response.content.readuntil(b"\n\n") == b"data: hello\n\n"
                await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(5):
                await ended.wait()

    async def test_lifespan(self) -> None:
        """What it yields is the state of each request; its errors come out unchanged."""

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
            if not database:
                raise LookupError("no database")
            yield {"database": database}
            database.append("closed")

        async def show(request: Request) -> Response:
            return JSONResponse(request.state.database)

        app = Starlette(routes=[Route("/", show)], lifespan=lifespan)
        database = ["open"]
        async with session_for(app) as session:
            assert await get(session, "/") == b'["open"]'
        assert database == ["open", "closed"]
        database = []
        with pytest.raises(LookupError, match="no database"):
            async with session_for(app):
                raise AssertionError

    async def test_errors(self) -> None:
        """The exception is raised, or seen as the framework's own page."""

        async def fail(request: Request) -> Response:
            raise KeyError("typo")

        for middleware in ([], [Middleware(BaseHTTPMiddleware, dispatch=_pass_on)]):
            app = Starlette(routes=[Route("/", fail)], middleware=middleware)
            async with session_for(app) as session:
                with pytest.raises(KeyError, match="typo"):
                    await get(session, "/")
            async with session_for(app, raise_app_exceptions=False) as session:
                async with session.get("/") as response:
                    assert response.status == 500
                    assert await response.text() == "Internal Server Error"

    async def test_websockets(self) -> None:
        """Rooms, refusals, and clients that leave."""
        left = anyio.Event()
        codes: list[int] = []

        async def chat(websocket: WebSocket) -> None:
            if "token" not in websocket.query_params:
                await websocket.send_denial_response(PlainTextResponse("who?", 401))
                return
            await websocket.accept(subprotocol=websocket.scope["subprotocols"][0])
            try:
                while True:
                    await websocket.send_json({"said": await websocket.receive_text()})
            except WebSocketDisconnect as exc:
                codes.append(exc.code)
                left.set()

        app = Starlette(routes=[WebSocketRoute("/chat", chat)])
        async with session_for(app) as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect("/chat")
            assert caught.value.status == 401
            async with session.ws_connect("/chat?token=1", protocols=["v1"]) as ws:
                assert ws.protocol == "v1"
                for text in ("hello", "how are you"):
                    await ws.send_str(text)
                    assert await ws.receive_json() == {"said": text}
                await ws.close(code=1001)
            await left.wait()
        assert codes == [1001]

    async def test_a_mounted_application(self) -> None:
        """Links that the application makes lead back to it."""

        async def where(request: Request) -> Response:
            return PlainTextResponse(str(request.url_for("where")))

        inner = Starlette(routes=[Route("/where", where, name="where")])
        async with session_for(inner, root_path="/api") as session:
            assert await get(session, "/api/where") == f"{BASE}/api/where".encode()
        outer = Starlette(routes=[Mount("/inner", inner)])
        async with session_for(outer) as session:
            assert await get(session, "/inner/where") == f"{BASE}/inner/where".encode()

    async def test_files(self, tmp_path: Path) -> None:
        """With ranges, and without a body for HEAD."""
        path = tmp_path / "numbers.bin"
        path.write_bytes(bytes(range(256)) * 512)  # as long as two pieces that the framework sends

        async def send_file(request: Request) -> Response:
            return FileResponse(path)

        async with session_for(Starlette(routes=[Route("/file", send_file)])) as session:
            assert await get(session, "/file") == path.read_bytes()
            async with session.get("/file", headers={"Range": "bytes=10-12"}) as response:
                assert (response.status, await response.read()) == (206, b"\x0a\x0b\x0c")
            async with session.head("/file") as response:
                assert response.content_length == 131072
                assert await response.read() == b""


async def _pass_on(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    return response
