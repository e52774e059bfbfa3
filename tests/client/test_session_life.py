"""The life of a session: closed, forgotten, entered again, used in other tasks and event loops."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import (
    BaseConnector,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    TCPConnector,
    UploadTracker,
)
from tests.support.census import assert_no_tokens, running_tasks
from tests.support.client import get
from tests.support.peer import STALL, Flag, Script, Tell, Until
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop


async def pieces(count: int = 3) -> AsyncIterator[bytes]:
    """Yield a body that is not known beforehand."""
    for number in range(count):
        yield b"%d" % number * 1000
        await anyio.lowlevel.checkpoint()


async def test_a_forgotten_session_is_warned_about_once(server: Server) -> None:
    """One warning, for the session; none for its connector, its connections or responses."""
    session = ClientSession(server.url)
    await get(session)
    connector = session.connector
    assert isinstance(connector, TCPConnector)
    idle = connector._pool.idle
    del connector
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del session
        gc.collect()
    assert [str(warning.category.__name__) for warning in caught] == ["ResourceWarning"]
    assert "Unclosed client session" in str(caught[0].message)
    for slot in idle.clear():
        assert slot.http1 is not None
        await slot.http1.stream.aclose()


async def test_a_closed_session_is_of_no_use(server: Server) -> None:
    """Using it is an error of the program; closing it again is none."""
    session = ClientSession(server.url)
    assert not session.closed
    await session.close()
    await session.close()
    assert session.closed
    with pytest.raises(RuntimeError, match=r"^Session is closed$"):
        await session.get("/json")
    with pytest.raises(RuntimeError, match=r"^Session is closed$"):
        async with session.get("/json"):
            pass
    with pytest.raises(RuntimeError, match=r"^Session is closed$"):
        async with session:
            pass


async def test_a_session_that_was_left_is_closed(server: Server) -> None:
    """So is one whose block has ended."""
    async with ClientSession(server.url) as session:
        pass
    assert session.closed
    with pytest.raises(RuntimeError, match=r"^Session is closed$"):
        await session.get("/json")


async def test_a_session_is_entered_again(server: Server) -> None:
    """Libraries for aiohttp do so, some for each request; the first to leave closes it."""
    async with ClientSession(server.url) as session:
        for _ in range(3):
            assert await session.__aenter__() is session
        await get(session)
        async with session:
            await get(session)
        assert session.closed
        with pytest.raises(RuntimeError, match=r"^Session is closed$"):
            async with session:
                pass
    await session.close()


async def test_detach(server: Server) -> None:
    """The session is closed then, its connector is not."""
    session = ClientSession(server.url)
    connector = session.connector
    assert connector is not None
    await get(session)
    session.detach()
    assert session.closed
    assert session.connector is None
    assert connector.statistics().idle == 1
    await session.close()
    assert not connector.closed
    await connector.close()


async def test_detach_while_a_request_waits(server: Server) -> None:
    """The wait ends with the session, which is the last to know of its time limit."""
    connector = TCPConnector(limit=1)
    options: dict[str, Any] = {"connector": connector, "connector_owner": False}
    async with connector, ClientSession(server.url, **options) as first:
        async with first.get("/bytes/1000000"), anyio.create_task_group() as group:

            async def ask() -> None:
                with pytest.raises(anyhttp.ClientConnectionError, match="Session is closed"):
                    await get(second)

            async with ClientSession(server.url, **options) as second:
                group.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                second.detach()
            assert connector.statistics().waiting == 0
        assert_no_tokens(connector)


async def test_a_plain_with_says_what_to_write(server: Server) -> None:
    """``with`` cannot wait for a connection, nor close it."""
    async with TCPConnector() as connector, ClientSession(connector=connector) as session:
        requests = (session.get(server.url), session.ws_connect(server.url))
        for manager in (connector, session, *requests):
            with pytest.raises(TypeError, match="use 'async with', not 'with'"), manager:
                pass
        for request in requests:
            request.close()


async def test_a_session_that_is_closed_by_another_task(server: Server) -> None:
    """Fixtures open in one task and close in another; without a block that works."""
    session = ClientSession(server.url)

    async def use() -> None:
        await get(session)
        async with session.post("/upload", data=pieces()) as response:
            await response.read()

    async with anyio.create_task_group() as group:
        group.start_soon(use)
    async with anyio.create_task_group() as group:
        group.start_soon(session.close)
    assert session.closed


def test_a_session_that_is_older_than_its_event_loop(server: Server) -> None:
    """It may be built before there is an event loop, of either kind."""

    async def use(session: ClientSession) -> None:
        for _ in range(2):
            await get(session)
        await session.close()

    for backend in ("asyncio", "trio"):
        session = ClientSession(server.url, connector=TCPConnector(limit=1, limit_per_host=1))
        anyio.run(use, session, backend=backend)
    assert server.connections == 2


def test_a_request_that_is_thrown_away(server: Server) -> None:
    """A coroutine that is closed cannot await anything: its connection is closed all the same."""

    async def main() -> None:
        connector = TCPConnector(limit=1)
        async with ClientSession(server.url, connector=connector) as session:
            await get(session)
            request = session.get("/json")
            request.send(None)  # until it waits for the response
            assert connector.statistics().in_use == 1
            request.close()
            assert_no_tokens(connector)
            await get(session)

    asyncio.run(main())
    assert server.connections == 2


async def pass_on(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Be a middleware."""
    return await handler(request)


async def replace_body(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Be one whose body needs a task."""
    await request.update_body(stream())
    return await handler(request)


async def stream() -> AsyncIterator[bytes]:
    """Yield one piece, and then no more."""
    yield b"x"
    await anyio.sleep_forever()


async def run_until(came: Flag, request: Coroutine[Any, Any, object]) -> None:
    """Run *request*, as a task of asyncio does, until the peer says that it came."""

    def over(future: Any) -> bool:
        return future.done() or came.is_set()

    while not came.is_set():
        future = request.send(None)
        await asyncio.sleep(0)
        if future is not None:
            future._asyncio_future_blocking = False
            await until(partial(over, future), "a step")


@pytest.mark.once
@pytest.mark.parametrize("entered", [False, True])
@pytest.mark.parametrize(
    ("middlewares", "body"),
    [
        ((), stream),
        ((pass_on,), lambda: b"x"),
        ((pass_on,), stream),
        ((replace_body,), lambda: b""),
    ],
    ids=["stream", "middleware", "both", "replaced"],
)
async def test_a_request_with_tasks_that_is_thrown_away(
    script: Script, entered: bool, middlewares: Any, body: Callable[[], Any]
) -> None:
    """It cannot wait for them; they end by themselves, and nobody's cancel scopes are confused."""
    came = Flag()
    peer = await script([(Until(b"x"), [Tell(came), STALL])])
    before = running_tasks()
    connector = TCPConnector()
    session = ClientSession(connector=connector, middlewares=middlewares)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(session.close)
        if entered:
            await stack.enter_async_context(session)

        with anyio.CancelScope():
            request = session.post(peer.url, data=body())
            await run_until(came, request)
            request.close()
            assert_no_tokens(connector)
    await anyio.wait_all_tasks_blocked()
    assert running_tasks() == before


async def test_a_forgotten_session_of_a_connector_of_others(server: Server) -> None:
    """It is warned about, too; and so is the connector, which is not the session's."""
    connector = TCPConnector()
    session = ClientSession(server.url, connector=connector, connector_owner=False)
    await get(session)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del session
        gc.collect()
    assert ["Unclosed client session" in str(each.message) for each in caught] == [True]
    assert not connector.closed
    assert connector.statistics().idle == 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del connector
        gc.collect()
    assert ["Unclosed connector" in str(each.message) for each in caught] == [True]


def test_an_end_of_a_session_that_is_thrown_away(server: Server) -> None:
    """A coroutine that is closed cannot await anything: the sockets are closed all the same."""

    async def main() -> None:
        session = ClientSession(server.url)
        await get(session)
        connector = session.connector
        assert connector is not None
        end = session.close()
        end.send(None)
        end.close()
        assert session.closed
        assert_no_tokens(connector, idle=0)

    asyncio.run(main())


@pytest.mark.once
async def test_a_beginning_of_a_session_that_is_thrown_away() -> None:
    """A session that was not entered is still to be closed."""

    class Starting(BaseConnector):
        async def _start_up(self) -> None:
            await anyio.sleep_forever()

    session = ClientSession(connector=Starting())
    beginning = session.__aenter__()
    beginning.send(None)
    beginning.close()
    assert not session.closed
    await session.close()
    assert session.closed


@pytest.mark.once
async def test_an_upload_that_is_thrown_away_is_over(script: Script) -> None:
    """Whoever watches its progress learns that nothing more will be sent."""
    came = Flag()
    peer = await script([(b"POST / ", [Tell(came), STALL])])
    tracker = UploadTracker()
    connector = TCPConnector()
    async with ClientSession(peer.url, connector=connector) as session:
        request = session.post("", data=b"body", upload_tracker=tracker)
        await run_until(came, request)
        assert (tracker.bytes_written, tracker.upload_complete.done()) == (4, False)
        request.close()
        assert tracker.upload_complete.done()
        assert_no_tokens(connector)
