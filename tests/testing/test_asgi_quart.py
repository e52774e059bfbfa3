"""Applications of Quart, as users write and test them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import quart

from anyhttp import ClientSession, WSMsgType
from anyhttp.testing import ASGIConnector, LifespanError
from tests.support.client import get

BASE = "https://app.test"


def session_for(app: Any, **options: Any) -> ClientSession:
    """Return a session that calls *app*."""
    return ClientSession(BASE, connector=ASGIConnector(app, **options))


@pytest.mark.once  # Quart runs on asyncio; on trio there is another package, quart-trio
class TestQuart:
    def make_app(self) -> Any:
        """Return an application with a bit of everything."""
        app = quart.Quart(__name__)
        steps: list[str] = []
        app.config["STEPS"] = steps

        @app.before_serving
        async def start() -> None:
            steps.append("start")

        @app.after_serving
        async def stop() -> None:
            steps.append("stop")

        @app.get("/hello/<name>")
        async def hello(name: str) -> dict[str, str | None]:
            return {"hello": name, "from": quart.request.remote_addr}

        @app.post("/upper")
        async def upper() -> Any:
            body = quart.request.body

            async def pieces() -> AsyncIterator[bytes]:
                async for piece in body:
                    yield piece.upper()

            return pieces(), 200

        @app.get("/work")
        async def work() -> str:
            async def later() -> None:
                await asyncio.sleep(0)
                steps.append("worked")

            app.add_background_task(later)
            return "ok"

        @app.get("/fail")
        async def fail() -> str:
            raise KeyError("typo")

        @app.websocket("/echo")
        async def echo() -> None:
            await quart.websocket.accept(subprotocol="v1")
            while True:
                await quart.websocket.send(await quart.websocket.receive())

        return app

    async def test_requests(self) -> None:
        app = self.make_app()
        async with session_for(app, client=("192.0.2.7", 5), lifespan="on") as session:
            async with session.get("/hello/ada") as response:
                assert await response.json() == {"hello": "ada", "from": "192.0.2.7"}
            async with session.get("/nothing") as response:
                assert response.status == 404
            await get(session, "/work")
        assert app.config["STEPS"][0] == "start"
        assert sorted(app.config["STEPS"][1:]) == ["stop", "worked"]

    async def test_streaming(self) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 10_000

        async with session_for(self.make_app()) as session:
            async with session.post("/upper", data=pieces()) as response:
                assert await response.read() == b"X" * 200_000

    async def test_errors(self) -> None:
        """The framework answers for them, unless it is asked to pass them on."""
        app = self.make_app()
        async with session_for(app) as session:
            async with session.get("/fail") as response:
                assert response.status == 500
        app.config["PROPAGATE_EXCEPTIONS"] = True
        async with session_for(app) as session:
            with pytest.raises((KeyError, ExceptionGroup)) as caught:
                await get(session, "/fail")
        assert "typo" in repr(caught.value)

    async def test_a_websocket(self) -> None:
        async with session_for(self.make_app()) as session:
            async with session.ws_connect("/echo", protocols=["v1"]) as ws:
                assert ws.protocol == "v1"
                await ws.send_str("hello")
                assert (await ws.receive()).data == "hello"
                await ws.send_bytes(b"\x00")
                assert (await ws.receive()).type is WSMsgType.BINARY

    async def test_a_failed_startup(self) -> None:
        app: quart.Quart = self.make_app()

        @app.before_serving
        async def start() -> None:
            raise LookupError("no database")

        with pytest.raises((LookupError, LifespanError), match="no database"):
            async with session_for(app):
                raise AssertionError
