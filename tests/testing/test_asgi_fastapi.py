"""Applications of FastAPI, as users write and test them."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
import fastapi

from anyhttp import ClientSession, FormData
from anyhttp.testing import ASGIConnector
from tests.support.client import get

BASE = "https://app.test"


def session_for(app: Any, **options: Any) -> ClientSession:
    """Return a session that calls *app*."""
    return ClientSession(BASE, connector=ASGIConnector(app, **options))


class Database:
    """What a dependency gives."""

    def find(self, number: int) -> str:
        """Return the real thing."""
        raise AssertionError("no test may use the real database")


class FakeDatabase(Database):
    """The same for tests."""

    def find(self, number: int) -> str:
        return f"item {number}"


class TestFastAPI:
    def make_app(self) -> Any:
        """Return an application with a bit of everything."""
        app = fastapi.FastAPI()
        app.state.sent = []

        @app.get("/items/{number}")
        async def item(
            number: int, database: Annotated[Database, fastapi.Depends(Database)]
        ) -> dict[str, str]:
            return {"name": database.find(number)}

        @app.get("/sync")
        def sync() -> dict[str, bool]:
            return {"sync": True}

        @app.post("/orders", status_code=202)
        async def order(tasks: fastapi.BackgroundTasks) -> None:
            async def send_mail(to: str) -> None:
                await anyio.sleep(0.01)
                app.state.sent.append(to)

            tasks.add_task(send_mail, "ada@example.test")

        @app.post("/files")
        async def upload(file: fastapi.UploadFile) -> dict[str, Any]:
            return {"name": file.filename, "size": len(await file.read())}

        @app.websocket("/echo")
        async def echo(websocket: fastapi.WebSocket) -> None:
            await websocket.accept()
            while True:  # as the framework's tutorial has it: leaving is an exception
                await websocket.send_text(await websocket.receive_text())

        return app

    async def test_dependency_overrides(self) -> None:
        app = self.make_app()
        app.dependency_overrides[Database] = FakeDatabase
        async with session_for(app) as session:
            async with session.get("/items/5") as response:
                assert await response.json() == {"name": "item 5"}
            async with session.get("/items/x") as response:
                assert response.status == 422
                assert (await response.json())["detail"][0]["loc"] == ["path", "number"]

    async def test_a_function_in_a_thread(self) -> None:
        async with session_for(self.make_app()) as session:
            assert await get(session, "/sync") == b'{"sync":true}'

    async def test_background_tasks(self) -> None:
        """They have run when the test goes on."""
        app = self.make_app()
        async with session_for(app) as session:
            async with session.post("/orders") as response:
                assert response.status == 202
                assert app.state.sent == ["ada@example.test"]

    async def test_forms(self) -> None:
        form = FormData()
        form.add_field("file", b"x" * 300_000, filename="big.txt")
        async with session_for(self.make_app()) as session:
            async with session.post("/files", data=form) as response:
                assert await response.json() == {"name": "big.txt", "size": 300_000}

    async def test_a_websocket(self) -> None:
        async with session_for(self.make_app()) as session:
            async with session.ws_connect("/echo") as ws:
                await ws.send_str("hello")
                assert await ws.receive_str() == "hello"

    async def test_many_at_once(self) -> None:
        app = self.make_app()
        app.dependency_overrides[Database] = FakeDatabase
        async with session_for(app) as session, anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(get, session, f"/items/{number}")
