"""How calls of ASGI applications end: the client leaves, or the connector is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import copy_context
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import yarl

from anyhttp import ClientConnectionError, ClientRequest, ClientSession, ClientTimeout
from anyhttp.connector import open_stream
from anyhttp.testing import ASGIConnector, _application
from anyhttp.testing._memory import memory_connection
from tests.support.cancel import cancel_at_every_checkpoint, cancel_when
from tests.support.census import assert_no_tokens
from tests.support.client import get

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

URL = "http://app.test/"
START = {"type": "http.response.start", "status": 200}
HOUR = 3600.0


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    """Return the message for a part of the body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


def session_for(app: Any, **options: Any) -> ClientSession:
    """Return a session that calls *app*."""
    return ClientSession(connector=ASGIConnector(app, lifespan="off", **options))


class Waiting:
    """An application that waits for the end of the request, and notes it.

    :param answers: whether it begins a response before
    :param cleanup: what it awaits afterwards
    """

    def __init__(
        self, *, answers: bool = False, cleanup: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self.answers = answers
        self.cleanup = cleanup
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        if self.answers:
            await send(START)
            await send(body(b"half", more=True))
        self.seen.append((await receive())["type"])
        for _ in range(3):  # nobody gets it, and it is no error
            await send(body(b"more", more=True))
        if self.cleanup is not None:
            await self.cleanup()
        self.seen.append("cleaned")


class TestTheClientLeaves:
    """The application is told, and is not cancelled."""

    async def test_a_cancelled_request(self) -> None:
        app = Waiting()
        async with session_for(app) as session:
            await cancel_when(lambda: get(session, URL), anyio.wait_all_tasks_blocked)
            await anyio.wait_all_tasks_blocked()
            assert app.seen == ["http.disconnect", "cleaned"]

    async def test_a_closed_response(self) -> None:
        app = Waiting(answers=True)
        async with session_for(app) as session:
            response = await session.get(URL)
            response.close()
            await anyio.wait_all_tasks_blocked()
            assert app.seen == ["http.disconnect", "cleaned"]

    async def test_a_block_that_is_left(self) -> None:
        app = Waiting(answers=True)
        async with session_for(app) as session:
            async with session.get(URL) as response:
                assert await response.content.readany() == b"half"
            await anyio.wait_all_tasks_blocked()
            assert app.seen == ["http.disconnect", "cleaned"]

    @pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: app"], ids=["nothing", "half"])
    async def test_before_it_has_asked(self, sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
        """The application is not called, and it is no failure."""
        calls: list[Any] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            calls.append(scope)

        async with ASGIConnector(app, lifespan="off") as connector:
            request = ClientRequest("GET", yarl.URL(URL))
            stream = await open_stream(connector, request, (), ClientTimeout())
            await stream.send(sent)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()
            await anyio.wait_all_tasks_blocked()
        assert calls == []
        assert [each for each in caplog.records if each.name.startswith("anyhttp")] == []

    async def test_what_is_no_request_is_not_answered(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whatever the application does when it is told of the end."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            assert await receive() == {"type": "http.disconnect"}
            raise KeyError("after a mistake")

        async with ASGIConnector(app, lifespan="off", raise_app_exceptions=False) as connector:
            request = ClientRequest("GET", yarl.URL(URL))
            stream = await open_stream(connector, request, (), ClientTimeout())
            head = b"POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            await stream.send(head + b"no chunk\r\n")
            assert await stream.receive() == b""
            await stream.aclose()
        assert "after a mistake" in caplog.text

    async def test_in_one_direction(self) -> None:
        """A client that sends no more still gets the response."""
        seen: list[Any] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            seen.append(await receive())
            await send(START)
            await send(body(b"ok"))

        async with ASGIConnector(app, lifespan="off") as connector:
            request = ClientRequest("GET", yarl.URL(URL))
            stream = await connector._create_connection(request, (), ClientTimeout())
            await stream.send(b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
            await stream.send_eof()
            assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
            await stream.aclose()
        assert seen == [{"type": "http.request", "body": b"", "more_body": False}]

    async def test_and_then_it_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        """As a server does, the log tells it; there is nobody to answer."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            assert await receive() == {"type": "http.disconnect"}
            raise KeyError("when nobody listens")

        async with session_for(app, raise_app_exceptions=False) as session:
            await cancel_when(lambda: get(session, URL), anyio.wait_all_tasks_blocked)
            await anyio.wait_all_tasks_blocked()
            assert "when nobody listens" in caplog.text

    async def test_in_the_middle_of_an_upload(self) -> None:
        """The application is told in place of the rest of the body."""
        seen = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            while (message := await receive())["type"] == "http.request":
                seen.append(message["body"])
            seen.append(message)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await anyio.sleep_forever()

        async with session_for(app) as session:

            async def post() -> None:
                await session.post(URL, data=pieces())

            await cancel_when(post, anyio.wait_all_tasks_blocked)
            await anyio.wait_all_tasks_blocked()
        assert seen == [b"first", {"type": "http.disconnect"}]

    async def test_while_the_application_sends(self) -> None:
        """Sending is no error; receiving tells it."""
        seen = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(START)
            for _ in range(100):
                await send(body(bytes(50_000), more=True))
            seen.append(await receive())
            seen.append(await receive())

        async with session_for(app) as session:
            async with session.get(URL) as response:
                await response.content.readany()
            await anyio.wait_all_tasks_blocked()
        assert seen[-1] == {"type": "http.disconnect"}


class TestTheEndOfTheSession:
    async def test_who_waits_for_the_client_may_finish(self) -> None:
        """An application that is told of the end gets the time to clean up."""

        async def cleanup() -> None:
            await anyio.wait_all_tasks_blocked()
            await anyio.sleep(0.01)

        for answers in (False, True):
            app = Waiting(answers=answers, cleanup=cleanup)
            async with session_for(app, shutdown_timeout=HOUR) as session:
                async with anyio.create_task_group() as group:

                    async def ask() -> None:
                        with pytest.raises(ClientConnectionError):
                            await get(session, URL)

                    group.start_soon(ask)
                    await anyio.wait_all_tasks_blocked()
                    await session.close()
                    assert app.seen == ["http.disconnect", "cleaned"]

    async def test_but_not_for_ever(self) -> None:
        """There is a time limit, at which it is cancelled."""
        app = Waiting(answers=True, cleanup=anyio.sleep_forever)
        async with session_for(app, shutdown_timeout=0.01) as session:
            response = await session.get(URL)
        assert app.seen == ["http.disconnect"]
        assert response.closed

    async def test_others_are_cancelled_at_once(self) -> None:
        """Such as one that is slow, in a test of a time limit."""
        cancelled = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                cancelled.append(True)
                raise

        async with session_for(app, shutdown_timeout=HOUR) as session:
            await cancel_when(lambda: get(session, URL), anyio.wait_all_tasks_blocked)
            assert cancelled == []
        assert cancelled == [True]

    async def test_a_failure_while_it_is_cancelled(self, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged, as nobody waits for the answer."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                raise KeyError("in the middle of something")

        async with session_for(app) as session:
            await cancel_when(lambda: get(session, URL), anyio.wait_all_tasks_blocked)
        assert "in the middle of something" in caplog.text

    async def test_it_ignores_its_cancellation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A shielded application does not hold the session for ever."""
        monkeypatch.setattr(_application, "CLEAN_UP_SECONDS", 0.01)
        go = anyio.Event()
        over = anyio.Event()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            with anyio.CancelScope(shield=True):
                await go.wait()
            over.set()

        session = session_for(app)
        await cancel_when(lambda: get(session, URL), anyio.wait_all_tasks_blocked)
        with pytest.warns(RuntimeWarning, match=r"1 calls of the application have not ended 0\.01"):
            await session.close()
        go.set()
        await over.wait()
        await anyio.wait_all_tasks_blocked()

    async def test_the_application_closes_the_session(self) -> None:
        """It does not wait for itself."""
        sessions: list[ClientSession] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await sessions[0].close()

        sessions.append(session_for(app))
        with pytest.raises(ClientConnectionError):
            await get(sessions[0], URL)
        await anyio.wait_all_tasks_blocked()
        assert sessions[0].closed

    async def test_a_cancelled_close(self) -> None:
        """The calls are cancelled without waiting for what they would do."""
        app = Waiting(answers=True, cleanup=anyio.sleep_forever)
        session = session_for(app, shutdown_timeout=HOUR)
        response = await session.get(URL)
        assert await cancel_when(session.close, anyio.wait_all_tasks_blocked)
        assert response.closed
        assert app.seen == ["http.disconnect"]

    async def test_a_close_that_is_dropped(self) -> None:
        """The coroutine may be closed; then the calls are cancelled without waiting."""
        app = Waiting(answers=True, cleanup=anyio.sleep_forever)
        connector = ASGIConnector(app, lifespan="off", shutdown_timeout=HOUR)
        async with ClientSession(connector=connector, connector_owner=False) as session:
            response = await session.get(URL)
            closing = connector.close()
            closing.send(None)
            closing.close()
            await anyio.wait_all_tasks_blocked()
            assert app.seen == []
            response.close()

    async def test_a_close_of_what_was_never_used(self) -> None:
        """There is nothing to cancel then."""
        connector = ASGIConnector(Waiting(), lifespan="off")
        closing = connector.close()
        closing.send(None)
        closing.close()
        assert connector.closed
        await connector.close()

    async def test_threads(self) -> None:
        """Work in a thread cannot be cancelled, so the end waits for it."""
        done = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await anyio.to_thread.run_sync(lambda: done.append(1))

        async with session_for(app) as session:
            await cancel_when(lambda: get(session, URL), anyio.lowlevel.checkpoint)
        assert done in ([1], [])


class TestCancellation:
    @pytest.mark.parametrize("how", ["scope", "every-task", "native"])
    async def test_at_every_checkpoint(self, how: Any) -> None:
        """Nothing is left behind: no connection, no task (as the census checks)."""
        sessions = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            while (await receive()).get("more_body"):
                pass
            await send(START)
            await send(body(b"hel", more=True))
            await anyio.lowlevel.checkpoint()
            await send(body(b"lo"))

        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        async def operation() -> None:
            sessions.append(session := session_for(app))
            async with session:
                async with session.post(URL, data=pieces()) as response:
                    assert await response.read() == b"hello"

        async def after() -> None:
            connector = sessions[-1].connector
            if connector is not None:
                assert_no_tokens(connector, idle=0)

        assert await cancel_at_every_checkpoint(operation, after=after, how=how) > 3


class TestLimits:
    async def test_requests_wait(self) -> None:
        """The limit counts requests in progress."""
        running = 0
        most = 0

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await anyio.wait_all_tasks_blocked()
            running -= 1
            await send(START)
            await send(body(b"ok"))

        async with session_for(app, limit=2) as session:
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(get, session, URL)
        assert most == 2


def test_another_event_loop() -> None:
    """A connector belongs to the first one; the message says so."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"ok"))

    connector = ASGIConnector(app, lifespan="off")

    async def ask() -> None:
        async with ClientSession(connector=connector, connector_owner=False) as session:
            await get(session, URL)

    for backend in ("asyncio", "trio"):
        connector = ASGIConnector(app, lifespan="off")
        anyio.run(ask, backend=backend)
        for other in ("asyncio", "trio"):
            with pytest.raises(RuntimeError, match="this ASGIConnector has been used in another"):
                anyio.run(ask, backend=other)
        anyio.run(connector.close, backend=backend)


@pytest.mark.once
async def test_a_call_that_is_thrown_away(caplog: pytest.LogCaptureFixture) -> None:
    """So does an event loop with what it leaves: that is no failure of the application."""
    app = Waiting()
    connector = ASGIConnector(app, lifespan="off")
    ours, theirs = memory_connection()
    request = ClientRequest("GET", yarl.URL(URL))
    run = _application._Run(request, _application.ApplicationStream(ours), theirs)
    call = connector._serve(run)
    copy_context().run(call.send, None)
    call.close()
    assert app.seen == []
    assert [each for each in caplog.records if each.name.startswith("anyhttp")] == []
    with pytest.raises(anyio.BrokenResourceError):
        await ours.receive()
    await ours.aclose()
    await connector.close()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::RuntimeWarning")
def test_an_event_loop_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing can be waited for; closing the connector is no error."""
    app = Waiting(answers=True)
    connector = ASGIConnector(app, lifespan="off", shutdown_timeout=HOUR)

    async def ask(connector: ASGIConnector) -> None:
        session = ClientSession(connector=connector, connector_owner=False)
        await session.get(URL)
        await anyio.wait_all_tasks_blocked()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(ask(connector))
    loop.close()
    anyio.run(connector.close)
    assert connector.closed
    assert app.seen == []
    assert [each for each in caplog.records if each.name.startswith("anyhttp")] == []
