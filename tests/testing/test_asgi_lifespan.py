"""Startup and shutdown of ASGI applications in memory."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from anyhttp import ClientSession
from anyhttp.testing import ASGIConnector, ASGIProtocolError, LifespanError
from tests.support.cancel import cancel_at_every_checkpoint, cancel_when
from tests.support.client import get

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

URL = "http://app.test/"
STARTED = {"type": "lifespan.startup.complete"}
STOPPED = {"type": "lifespan.shutdown.complete"}


class Failure(Exception):
    """What applications fail with here."""


class Application:
    """Notes what happens to it; a subclass changes one step."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "lifespan":
            try:
                await self.live(scope, receive, send)
            finally:
                self.steps.append("over")
        else:
            self.steps.append(scope["path"])
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"ok"})

    async def live(self, scope: Any, receive: Receive, send: Send) -> None:
        """Start, and stop."""
        assert await receive() == {"type": "lifespan.startup"}
        await self.start(scope, send)
        assert await receive() == {"type": "lifespan.shutdown"}
        await self.stop(send)

    async def start(self, scope: Any, send: Send) -> None:
        """Do what the startup is."""
        await anyio.lowlevel.checkpoint()
        self.steps.append("start")
        await send(STARTED)

    async def stop(self, send: Send) -> None:
        """Do what the shutdown is."""
        await anyio.lowlevel.checkpoint()
        self.steps.append("stop")
        await send(STOPPED)


def session_for(app: Any, **options: Any) -> ClientSession:
    """Return a session that calls *app*."""
    return ClientSession(connector=ASGIConnector(app, **options))


class TestOrder:
    async def test_an_entered_session(self) -> None:
        """The application has started when the block begins, and is over when it has ended."""
        app = Application()
        async with session_for(app) as session:
            assert app.steps == ["start"]
            await get(session, URL)
            await get(session, URL)
        assert app.steps == ["start", "/", "/", "stop", "over"]

    async def test_a_session_that_is_not_entered(self) -> None:
        """The first request starts the application."""
        app = Application()
        session = session_for(app)
        assert app.steps == []
        await get(session, URL)
        await session.close()
        assert app.steps == ["start", "/", "stop", "over"]

    async def test_a_connector_of_several_sessions(self) -> None:
        """The connector's end is the application's."""
        app = Application()
        async with ASGIConnector(app) as connector:
            for _ in range(2):
                async with ClientSession(connector=connector, connector_owner=False) as session:
                    await get(session, URL)
        assert app.steps == ["start", "/", "/", "stop", "over"]

    async def test_off(self) -> None:
        app = Application()
        async with session_for(app, lifespan="off") as session:
            await get(session, URL)
        assert app.steps == ["/"]

    async def test_never_used(self) -> None:
        """Nothing has been started."""
        app = Application()
        await session_for(app).close()
        assert app.steps == []

    async def test_the_scope(self) -> None:
        app = Application()
        async with session_for(app):
            assert app.scopes == [
                {
                    "type": "lifespan",
                    "asgi": {"version": "3.0", "spec_version": "2.0"},
                    "state": {},
                }
            ]

    async def test_state(self) -> None:
        """What the startup keeps is there in each request, as a copy of its own."""

        class App(Application):
            async def start(self, scope: Any, send: Send) -> None:
                scope["state"]["database"] = "open"
                scope["state"]["shared"] = []
                await super().start(scope, send)

        app = App()
        async with session_for(app) as session:
            await get(session, URL)
            app.scopes[1]["state"]["mine"] = 1
            await get(session, URL)
        states = [scope["state"] for scope in app.scopes]
        assert states == [
            {"database": "open", "shared": []},
            {"database": "open", "shared": [], "mine": 1},
            {"database": "open", "shared": []},
        ]
        assert states[1]["shared"] is states[2]["shared"]

    async def test_a_scope_of_the_application(self) -> None:
        """Startup and shutdown run in one task, so a task group may be open in between."""

        class App(Application):
            async def live(self, scope: Any, receive: Receive, send: Send) -> None:
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep_forever)
                    await super().live(scope, receive, send)
                    group.cancel_scope.cancel()

        app = App()
        async with session_for(app) as session:
            await get(session, URL)
        assert app.steps == ["start", "/", "stop", "over"]


class TestNoLifespan:
    """Applications that know requests alone."""

    @pytest.mark.parametrize("when", ["at once", "after receive", "by returning", "by answering"])
    async def test_auto(self, when: str, caplog: pytest.LogCaptureFixture) -> None:
        """The application says so in some way; requests work."""

        class App(Application):
            async def live(self, scope: Any, receive: Receive, send: Send) -> None:
                if when == "after receive":
                    await receive()
                if when == "by answering":
                    await send({"type": "http.response.start", "status": 200})
                elif when != "by returning":
                    raise Failure("http alone")

        caplog.set_level(logging.INFO, "anyhttp.testing")
        async with session_for(App()) as session:
            assert await get(session, URL) == b"ok"
        assert "the application knows of no lifespan" in caplog.text

    async def test_on(self) -> None:
        """It is an error then."""

        class Raises(Application):
            async def live(self, scope: Any, receive: Receive, send: Send) -> None:
                raise Failure("http alone")

        class Returns(Application):
            async def live(self, scope: Any, receive: Receive, send: Send) -> None:
                pass

        with pytest.raises(Failure, match="http alone"):
            async with session_for(Raises(), lifespan="on"):
                raise AssertionError
        text = "returned from its lifespan before lifespan.startup.complete"
        with pytest.raises(ASGIProtocolError, match=text):
            async with session_for(Returns(), lifespan="on"):
                raise AssertionError

    async def test_it_returns_early(self) -> None:
        """Nobody has to wait for the shutdown."""

        class App(Application):
            async def live(self, scope: Any, receive: Receive, send: Send) -> None:
                await send(STARTED)

        app = App()
        async with session_for(app) as session:
            await get(session, URL)
        assert app.steps == ["over", "/"]


class TestFailures:
    @pytest.mark.parametrize("mode", ["auto", "on"])
    @pytest.mark.parametrize(
        ("said", "text"), [({"message": "no database"}, "no database"), ({}, "it did not say why")]
    )
    async def test_startup_failed(self, mode: str, said: Any, text: str) -> None:
        """What the application says is raised; the session is closed."""

        class App(Application):
            async def start(self, scope: Any, send: Send) -> None:
                await send({"type": "lifespan.startup.failed", **said})

        app = App()
        session = session_for(app, lifespan=mode)
        with pytest.raises(LifespanError, match=f"startup of the application failed: {text}"):
            async with session:
                raise AssertionError
        assert session.closed
        assert app.steps == ["over"]

    @pytest.mark.parametrize("error", [Failure("no database"), OSError(5, "no database")])
    async def test_startup_failed_and_raised(self, error: Exception) -> None:
        """Frameworks do both; the exception says more.  Without a block it leaves the request."""

        class App(Application):
            async def start(self, scope: Any, send: Send) -> None:
                await send({"type": "lifespan.startup.failed", "message": "a traceback"})
                raise error

        with pytest.raises(type(error)) as caught:
            async with session_for(App()):
                raise AssertionError
        assert caught.value is error
        session = session_for(App())
        with pytest.raises(type(error)) as caught:
            await get(session, URL)
        assert caught.value is error
        await session.close()

    async def test_the_next_request_tries_again(self) -> None:
        class App(Application):
            async def start(self, scope: Any, send: Send) -> None:
                scope["state"]["attempt"] = len(self.scopes)
                if len(self.scopes) == 1:
                    await send({"type": "lifespan.startup.failed", "message": "busy"})
                else:
                    await super().start(scope, send)

        app = App()
        session = session_for(app)
        with pytest.raises(LifespanError, match="busy"):
            await get(session, URL)
        await get(session, URL)
        await session.close()
        assert app.steps == ["over", "start", "/", "stop", "over"]
        assert app.scopes[-1]["state"] == {"attempt": 2}

    @pytest.mark.parametrize("how", ["says", "raises", "says and raises"])
    async def test_shutdown_failed(self, how: str) -> None:
        """The end of the session raises it."""

        class App(Application):
            async def stop(self, send: Send) -> None:
                if how.startswith("says"):
                    await send({"type": "lifespan.shutdown.failed", "message": "unsaved"})
                if how.endswith("raises"):
                    raise Failure("unsaved")

        kind = LifespanError if how == "says" else Failure
        session = session_for(App())
        async with session:
            await get(session, URL)
            with pytest.raises(kind, match="unsaved"):
                await session.close()
        await session.close()

    async def test_it_fails_while_it_runs(self) -> None:
        """The end of the session raises what has ended it."""
        go = anyio.Event()

        class App(Application):
            async def live(self, scope: Any, receive: Receive, send: Send) -> None:
                await send(STARTED)
                await go.wait()
                raise Failure("the worker died")

        async with session_for(App()) as session:
            await get(session, URL)
            go.set()
            await anyio.wait_all_tasks_blocked()
            await get(session, URL)
            with pytest.raises(Failure, match="the worker died"):
                await session.close()

    @pytest.mark.parametrize(
        ("messages", "text"),
        [
            ([STOPPED], "sent 'lifespan.shutdown.complete' during its startup"),
            ([{}], "sent None during its startup"),
            ([STARTED, STARTED], "sent 'lifespan.startup.complete' after its startup"),
            (
                [STARTED, {"type": "lifespan.shutdown.failed"}],
                "sent 'lifespan.shutdown.failed' after its startup",
            ),
        ],
    )
    async def test_rules(self, messages: list[Any], text: str) -> None:
        class App(Application):
            async def live(self, scope: Any, receive: Receive, send: Send) -> None:
                for message in messages:
                    await send(message)

        session = session_for(App(), lifespan="on")
        with pytest.raises(ASGIProtocolError, match=text):
            async with session:
                await session.close()


class TestEndings:
    """Nothing is left running."""

    async def test_it_ignores_the_shutdown(self) -> None:
        """It has a time limit, and is cancelled then."""

        class App(Application):
            async def stop(self, send: Send) -> None:
                await anyio.sleep_forever()

        app = App()
        async with session_for(app, shutdown_timeout=0.01) as session:
            text = r"the application has not shut down within 0\.01 seconds"
            with pytest.raises(LifespanError, match=text):
                await session.close()
        assert app.steps == ["start", "over"]

    async def test_it_goes_on_receiving(self) -> None:
        """A loop around receive() has no end of its own; nothing more comes, so it is cancelled."""

        class App(Application):
            async def live(self, scope: Any, receive: Receive, send: Send) -> None:
                await super().live(scope, receive, send)
                await receive()
                raise AssertionError

        app = App()
        async with session_for(app):
            pass
        assert app.steps == ["start", "stop", "over"]

    async def test_it_goes_on_after_a_failed_startup(self) -> None:
        """The same."""

        class App(Application):
            async def start(self, scope: Any, send: Send) -> None:
                await send({"type": "lifespan.startup.failed", "message": "busy"})

        with pytest.raises(LifespanError, match="busy"):
            async with session_for(App()):
                raise AssertionError

    async def test_a_failed_startup_that_does_not_return(self) -> None:
        class App(Application):
            async def start(self, scope: Any, send: Send) -> None:
                await send({"type": "lifespan.startup.failed", "message": "busy"})
                await anyio.sleep_forever()

        with pytest.raises(LifespanError, match="busy"):
            async with session_for(App(), shutdown_timeout=0.01):
                raise AssertionError

    async def test_the_startup_is_cancelled(self) -> None:
        """The application is, too; a later request starts it anew."""

        class App(Application):
            gate: anyio.Event | None = None

            async def start(self, scope: Any, send: Send) -> None:
                if self.gate is not None:
                    await self.gate.wait()
                await super().start(scope, send)

        app = App()
        app.gate = anyio.Event()
        session = session_for(app)

        assert await cancel_when(lambda: get(session, URL), anyio.wait_all_tasks_blocked)
        assert app.steps == ["over"]
        app.gate = None
        await get(session, URL)
        await session.close()
        assert app.steps == ["over", "start", "/", "stop", "over"]

    async def test_a_close_that_is_dropped(self) -> None:
        """The coroutine may be closed; then the application is cancelled."""
        app = Application()
        session = session_for(app)
        await get(session, URL)
        closing = session.close()
        closing.send(None)
        closing.close()
        await anyio.wait_all_tasks_blocked()
        assert app.steps == ["start", "/", "over"]

    @pytest.mark.parametrize("how", ["scope", "native"])
    async def test_cancellation_at_every_checkpoint(self, how: Any) -> None:
        """Whatever is cancelled, the application has ended afterwards."""
        apps = []

        async def operation() -> None:
            apps.append(app := Application())
            async with session_for(app) as session:
                await get(session, URL)

        async def after() -> None:
            await anyio.lowlevel.checkpoint()
            steps = apps[-1].steps
            assert steps.count("over") == len(
                [scope for scope in apps[-1].scopes if scope["type"] == "lifespan"]
            )

        assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 3


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_event_loop_ends(backend: str, caplog: pytest.LogCaptureFixture) -> None:
    """The application is cancelled then, and that is no failure of its own."""
    app = Application()
    session = session_for(app, lifespan="on")
    anyio.run(get, session, URL, backend=backend)
    assert app.steps == ["start", "/", "over"]
    anyio.run(session.close, backend=backend)
    assert [each for each in caplog.records if each.name.startswith("anyhttp")] == []
