"""A request to a mock that is cancelled leaves no task and no slot, wherever that happens."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from anyhttp import ClientConnectionError, ClientError, ClientSession, ClientWSTimeout
from anyhttp.testing import Answer, MockConnector, ReceivedRequest, WebSocketPeer, drip, stall
from tests.support.cancel import How, act_at_every_checkpoint, cancel_at_every_checkpoint
from tests.support.census import assert_no_tokens

API = "http://api.test"


async def body() -> AsyncIterator[bytes]:
    """Make a body in three pieces."""
    for piece in (b"a", b"b", b"c"):
        await anyio.lowlevel.checkpoint()
        yield piece


async def function(request: ReceivedRequest) -> Answer:
    """Answer after a moment, with a body that is made."""
    await anyio.lowlevel.checkpoint()
    return Answer(body=body())


async def echo(peer: WebSocketPeer) -> None:
    """Send back each message."""
    async for message in peer:
        await peer.send(message)


def routes(mock: MockConnector) -> None:
    """Make one route of each kind."""
    mock.get("/canned", json={"a": 1})
    mock.get("/drip", body=drip(b"abc"))
    mock.get("/function", answer=function)
    mock.post("/upload", answer=lambda request: Answer(text="done"))
    mock.post("/streamed", answer=function, stream_request=True)
    mock.post("/matched", match_body=b"abc", text="matched")
    mock.ws("/feed", echo)


async def canned(session: ClientSession) -> None:
    """Ask for what needs no task."""
    for path in ("canned", "drip"):
        async with session.get(f"{API}/{path}") as response:
            await response.read()


async def called(session: ClientSession) -> None:
    """Ask for what a function answers."""
    async with session.get(f"{API}/function") as response:
        assert await response.read() == b"abc"


async def uploaded(session: ClientSession) -> None:
    """Send bodies that are made meanwhile."""
    for path in ("upload", "streamed", "matched"):
        async with session.post(f"{API}/{path}", data=body()) as response:
            await response.read()


async def connected(session: ClientSession) -> None:
    """Use a WebSocket."""
    timeout = ClientWSTimeout(ws_close=0.01)
    async with session.ws_connect("ws://api.test/feed", timeout=timeout) as websocket:
        await websocket.send_str("a")
        assert await websocket.receive_str() == "a"


@pytest.mark.parametrize("how", ["scope", "every-task", "native"])
@pytest.mark.parametrize("use", [canned, called, uploaded, connected])
async def test_cancelling_at_each_point(use: Callable[[ClientSession], Any], how: How) -> None:
    """Every await of the client and of what answers is such a point."""
    mock = MockConnector()
    routes(mock)
    async with ClientSession(connector=mock) as session:

        async def operation() -> None:
            await use(session)

        async def after() -> None:
            for _ in range(20):  # what answers ends in its own task
                await anyio.lowlevel.checkpoint()
            assert_no_tokens(mock, idle=0)
            await use(session)

        points = await cancel_at_every_checkpoint(operation, after=after, how=how)
    assert points >= 3


@pytest.mark.parametrize("use", [canned, called, uploaded, connected])
async def test_closing_the_mock_at_each_point(use: Callable[[ClientSession], Any]) -> None:
    """Another task closes it: the request fails, and nothing is left."""

    @asynccontextmanager
    async def prepare() -> AsyncIterator[Any]:
        mock = MockConnector()
        routes(mock)
        session = ClientSession(connector=mock)

        async def operation() -> None:
            try:
                await use(session)
            except (ClientError, RuntimeError, TypeError):
                assert mock.closed  # a WebSocket tells of it by messages without text

        yield operation, mock.close
        await session.close()
        assert_no_tokens(mock, idle=0)

    assert await act_at_every_checkpoint(prepare) >= 1


@pytest.mark.parametrize("answer", [stall(), Answer(delay=3600), stall(b"half")])
async def test_leaving_the_session_ends_a_request_that_waits(answer: Answer) -> None:
    """The task that waits gets the error of a closed connection."""
    mock = MockConnector()
    mock.get("/", answer=answer)
    failed = anyio.Event()

    async def ask(session: ClientSession) -> None:
        with pytest.raises(ClientConnectionError):
            await (await session.get(API)).read()
        failed.set()

    async with anyio.create_task_group() as group:
        async with ClientSession(connector=mock) as session:
            group.start_soon(ask, session)
            await anyio.wait_all_tasks_blocked()
        await failed.wait()


def test_a_mock_can_be_used_in_one_event_loop_after_the_other() -> None:
    """A mock of a module serves the tests of that module, each in a loop of its own."""
    mock = MockConnector()
    routes(mock)

    async def main() -> None:
        async with ClientSession(connector=mock, connector_owner=False) as session:
            await canned(session)
            await called(session)
            await connected(session)

    for _ in range(2):
        asyncio.run(main())
        trio.run(main)

    async def close() -> None:
        await mock.close()

    trio.run(close)
    assert len(mock.calls) == 16


async def test_a_function_may_close_the_mock() -> None:
    """It does not wait for itself."""
    mock = MockConnector()

    async def answer(request: ReceivedRequest) -> Answer:
        await mock.close()
        return Answer()

    mock.get("/", answer=answer)
    async with ClientSession(connector=mock) as session:
        with pytest.raises(ClientConnectionError):
            await session.get(API)


async def test_a_mock_that_is_forgotten_leaves_no_warning() -> None:
    """It has no socket."""
    mock = MockConnector()
    mock.get("/", answer=function)
    session = ClientSession(connector=mock)
    async with session.get(API) as response:
        await response.read()
    await session.close()
    del mock, session, response
    gc.collect()


async def test_closing_twice() -> None:
    """The second time does nothing."""
    mock = MockConnector()
    mock.get("/")
    session = ClientSession(connector=mock)
    await mock.close()
    await mock.close()
    with pytest.raises((ClientConnectionError, RuntimeError)):
        await session.get(API)
    await session.close()
