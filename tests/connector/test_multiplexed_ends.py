"""Shared HTTP/2 connections when a wait, a task, a session, an event loop or a process ends."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from hyperframe.frame import PingFrame, RstStreamFrame

from anyhttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    HttpVersion,
    TCPConnector,
    TraceConfig,
)
from anyhttp.connector import ConnectorStatistics
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.census import assert_no_tokens, open_sockets
from tests.support.forks import in_child
from tests.support.http2_peer import FIRST_WINDOW, Http2Connection, Http2Peer, Http2Script
from tests.support.peer import Flag
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.http2_server import Http2Server

TWO = HttpVersion(2, 0)
MAX_CONCURRENT_STREAMS = 3


def connector(**options: Any) -> TCPConnector:
    """Return a connector that speaks HTTP/2 without TLS, too."""
    return TCPConnector(http2="prior-knowledge", **options)


async def get(session: ClientSession, url: Any, **options: Any) -> str:
    """Make a request by HTTP/2."""
    async with session.get(url, **options) as response:
        assert response.version == TWO
        return await response.text()


# -- cancellation


@pytest.mark.parametrize("how", ["scope", "every-task", "native"])
async def test_cancellation_of_requests_that_share_a_connection(
    http2_server: Http2Server, how: How
) -> None:
    """Wherever each of them is, no slot is taken and no stream is left."""

    async def alone() -> None:
        await get(session, http2_server.url / "json")

    async def together() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(alone)

    async def after() -> None:
        assert_no_tokens(shared)
        assert shared.statistics().streams == 0
        await close_idle(shared)  # each run begins without a connection

    work = together if how == "every-task" else alone
    async with connector(limit=1) as shared, ClientSession(connector=shared) as session:
        assert await cancel_at_every_checkpoint(work, after=after, how=how) > 1


async def close_idle(shared: TCPConnector) -> None:
    """Close the idle connections."""
    while shared.statistics().idle:
        shared._pool.evict_idle()
    await shared._pool.finish_closing()


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_cancelling_one_of_those_that_come_together(
    http2_server: Http2Server, place: int
) -> None:
    """At each of its suspension points; the others get their answers."""
    others: list[anyio.Event] = []

    async def ask(over: anyio.Event) -> None:
        await get(session, http2_server.url / "json")
        over.set()

    async def ask_in_between() -> None:
        for number in range(3):
            if number == place:
                tasks.append(get(session, http2_server.url / "json"))
            else:
                others.append(anyio.Event())
                group.start_soon(ask, others[-1])
                await anyio.wait_all_tasks_blocked()
        await tasks.pop()

    async def after() -> None:
        with anyio.fail_after(5):
            for over in others:
                await over.wait()
        others.clear()
        for task in tasks:
            task.close()
        tasks.clear()
        assert_no_tokens(shared)
        await close_idle(shared)

    tasks: list[Any] = []
    async with (
        connector() as shared,
        ClientSession(connector=shared) as session,
        anyio.create_task_group() as group,
    ):
        await cancel_at_every_checkpoint(ask_in_between, after=after)


async def test_cancellation_of_a_check(http2_server: Http2Server) -> None:
    """The connection is as good, or as bad, as before."""

    async def work() -> None:
        pool = shared._pool
        if not pool.idle:
            await get(session, http2_server.url / "json")
        for slot, _ in pool.idle.with_expiry():
            slot.http1._heard_at -= 100  # type: ignore[union-attr]
        await get(session, http2_server.url / "json")

    async def after() -> None:
        assert_no_tokens(shared)

    async with connector() as shared, ClientSession(connector=shared) as session:
        assert await cancel_at_every_checkpoint(work, after=after) > 2
        assert shared.statistics().idle == 1


# -- after a limit has ended an exchange


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("waits_for", ["head", "body", "window"])
async def test_a_living_peer_that_has_let_one_wait(
    http2_script: Http2Script, waits_for: str, *, entered: bool
) -> None:
    """The next request shares the connection as soon as its peer has answered a PING."""

    def play(peer: Http2Connection) -> None:
        peer.credits = False
        request = peer.request()
        if waits_for == "body":
            peer.send(*peer.head(request), peer.data(request, b"some"))
        peer.frame(RstStreamFrame)
        peer.frame(PingFrame)
        assert len(peer.requests) == 1
        peer.respond(peer.request(), body=b"next")

    peer = await http2_script(play)
    data = bytes(FIRST_WINDOW + 1) if waits_for == "window" else None
    async with session_of(connector(), entered=entered) as session:
        with pytest.raises(TimeoutError):
            await get(session, peer.url, data=data, timeout=ClientTimeout(total=0.1))
        assert await get(session, peer.url) == "next"


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("how", ["limit", "traced", "cancelled"])
async def test_a_dead_peer_that_has_let_one_wait(
    http2_script: Http2Script, monkeypatch: pytest.MonkeyPatch, how: str, *, entered: bool
) -> None:
    """Later requests do not wait for it in vain, too: they have another connection."""
    monkeypatch.setattr("anyhttp._http2.connection.CHECK_SECONDS", 0.05)
    monkeypatch.setattr("anyhttp._http2.connection.DOUBT_AFTER", 0.05)

    def dead(peer: Http2Connection) -> None:
        peer.acknowledges = False
        peer.wait_closed()
        assert len(peer.requests) == 1

    peer = await http2_script(dead, lambda peer: peer.respond(peer.request(), body=b"next"))
    traces = [TraceConfig()] if how == "traced" else None
    async with session_of(connector(), entered=entered, trace_configs=traces) as session:
        if how == "cancelled":
            with anyio.move_on_after(0.2):
                await get(session, peer.url)
        else:
            with pytest.raises(TimeoutError):
                await get(session, peer.url, timeout=ClientTimeout(total=0.2))
        assert await get(session, peer.url) == "next"


@asynccontextmanager
async def session_of(
    shared: TCPConnector, *, entered: bool, **options: Any
) -> AsyncIterator[ClientSession]:
    """Yield a session with this connector, *entered* or not."""
    async with shared, AsyncExitStack() as stack:
        session = ClientSession(connector=shared, **options)
        if entered:
            await stack.enter_async_context(session)
        else:
            stack.push_async_callback(session.close)
        yield session


# -- what ends a wait for a stream


@pytest.fixture
def held(http2_script: Http2Script) -> Callable[[Flag], Awaitable[Http2Peer]]:
    """A server that answers one request at a time, and the first when the flag is set."""

    async def start(flag: Flag) -> Http2Peer:
        def play(peer: Http2Connection) -> None:
            request = peer.request()
            peer.pause(flag)
            peer.respond(request, body=b"first")
            while True:
                peer.respond(peer.request(), body=b"next")

        return await http2_script(play, settings={MAX_CONCURRENT_STREAMS: 1}, partial=True)

    return start


Held = Callable[[Flag], Awaitable[Http2Peer]]


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("reason", ["connect", "total", "session", "connector"])
async def test_what_ends_a_wait_for_a_stream(held: Held, reason: str, *, entered: bool) -> None:
    """The same as ends a wait for a slot, and with the same exceptions."""
    expected: Any = {"connect": ConnectionTimeoutError, "total": TimeoutError}
    timeout = {"connect": ClientTimeout(connect=0.2), "total": ClientTimeout(total=0.2)}
    flag = Flag()
    peer = await held(flag)
    shared = connector(limit=1)
    session = ClientSession(connector=shared)
    if entered:
        await session.__aenter__()
    first = anyio.Event()

    async def hold() -> None:
        try:
            await get(session, peer.url)
        except ClientConnectionError:
            assert reason in {"session", "connector"}
        first.set()

    async def ask() -> None:
        with pytest.raises(expected.get(reason, ClientConnectionError)):
            await get(session, peer.url, timeout=timeout.get(reason, ClientTimeout()))

    async with anyio.create_task_group() as group:
        group.start_soon(hold)
        await until(lambda: peer.connections and peer.connections[0].paused, "the first request")
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(ask)
            await until(lambda: shared.statistics().waiting == 1, "the second to wait")
            assert shared.statistics() == ConnectorStatistics(1, 0, 1, 1)
            if reason == "session":
                await session.close()
            elif reason == "connector":
                await shared.close()
        assert shared.statistics().waiting == 0
        flag.set()
        await first.wait()
    await session.close()
    assert_no_tokens(shared)


async def test_traces_of_a_shared_connection(held: Held) -> None:
    """Who opens it is told of that; who waits for a stream, of the wait, and of a used one."""
    told: dict[str, list[str]] = {}
    config = TraceConfig()
    for event in ("queued_start", "queued_end", "create_start", "create_end", "reuseconn"):

        async def note(session: Any, context: Any, params: Any, event: str = event) -> None:
            told.setdefault(context.trace_request_ctx, []).append(event)

        getattr(config, f"on_connection_{event}").append(note)
    flag = Flag()
    peer = await held(flag)
    async with (
        ClientSession(connector=connector(limit=1), trace_configs=[config]) as session,
        anyio.create_task_group() as group,
    ):

        async def ask(name: str) -> None:
            async with session.get(peer.url, trace_request_ctx=name) as response:
                await response.read()

        group.start_soon(ask, "first")
        await until(lambda: peer.connections and peer.connections[0].paused, "the first request")
        group.start_soon(ask, "second")
        await until(lambda: "queued_start" in told.get("second", ()), "the second to wait")
        flag.set()
    assert told["first"] == ["create_start", "create_end"]
    assert told["second"] == ["queued_start", "queued_end", "reuseconn"]


# -- the end of its connector, of an event loop, of a process


@pytest.mark.parametrize("keep", [{"force_close": True}, {"keepalive_timeout": 0}], ids=str)
async def test_a_connection_that_is_not_kept(http2_server: Http2Server, keep: Any) -> None:
    """It is closed when its last exchange ends, not when the first does."""
    async with connector(**keep) as shared, ClientSession(connector=shared) as session:
        async with session.get(http2_server.url / "bytes/300000") as response:
            await get(session, http2_server.url / "json")
            assert len(await response.read()) == 300_000
        assert shared.statistics() == ConnectorStatistics(0, 0, 0, 0)
        await get(session, http2_server.url / "json")
    assert http2_server.http2_connections == 2


async def test_a_connector_is_closed_with_exchanges_on_a_connection(
    http2_server: Http2Server,
) -> None:
    """They fail as that of a connection of HTTP/1.1 does."""
    shared = connector()
    async with ClientSession(connector=shared) as session:
        async with session.get(http2_server.url / "bytes/3000000") as response:
            await shared.close()
            with pytest.raises(ClientPayloadError, match="the connection has been closed"):
                await response.read()
    assert_no_tokens(shared)


def test_an_event_loop_that_has_left_everything_unfinished(http2_server: Http2Server) -> None:
    """In a later one the connector opens a connection of its own."""
    before = open_sockets()
    tasks: list[asyncio.Task[Any]] = []
    shared = connector(limit=2)
    session = ClientSession(connector=shared)

    async def begin() -> None:
        async def hold() -> None:
            async with session.get(http2_server.url / "bytes/3000000"):
                await anyio.sleep_forever()

        tasks.extend(asyncio.create_task(hold()) for _ in range(2))
        await until(lambda: shared.statistics().streams == 2, "two exchanges")

    async def go_on() -> None:
        with anyio.fail_after(5):
            assert await get(session, http2_server.url / "json")
            await session.close()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it complains of the tasks
    loop.run_until_complete(begin())
    loop.close()
    asyncio.run(go_on())
    tasks.clear()
    del loop
    gc.collect()
    gc.collect()
    assert open_sockets() == before
    assert http2_server.http2_connections == 2


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_two_runs_one_after_the_other(http2_server: Http2Server, backend: str) -> None:
    """What the first has kept is of no use in the second, unless it belongs to no event loop."""
    shared = connector()

    async def run(closes: bool) -> None:
        session = ClientSession(connector=shared, connector_owner=closes)
        async with session:
            await get(session, http2_server.url / "json")

    anyio.run(run, False, backend=backend)
    anyio.run(run, True, backend=backend)
    assert http2_server.http2_connections == (2 if backend == "asyncio" else 1)
    gc.collect()  # asyncio complains of the transport that the first run has left


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the operating system cannot fork")
@pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")
async def test_a_child_opens_a_connection_of_its_own(
    http2_server: Http2Server, anyio_backend: Any
) -> None:
    """And what its parent does on the shared one goes on."""

    async def ask() -> str:
        return await get(session, http2_server.url / "json")

    async with (
        connector() as shared,
        ClientSession(connector=shared) as session,
        session.get(http2_server.url / "bytes/3000000") as response,
    ):
        told = await in_child(anyio_backend, ask)
        assert "Traceback" not in told
        assert http2_server.http2_connections == 2
        assert len(await response.read()) == 3_000_000
        await get(session, http2_server.url / "json")
    assert http2_server.http2_connections == 2


async def test_nothing_is_left_for_the_garbage_collector(http2_server: Http2Server) -> None:
    """Closing breaks all cycles of the pool."""
    import weakref

    shared = connector()
    async with ClientSession(connector=shared) as session:
        await get(session, http2_server.url / "json")
    pool = weakref.ref(shared._pool)
    gc.collect()
    gc.disable()
    try:
        del shared, session
        assert pool() is None
    finally:
        gc.enable()


async def test_origins_are_not_remembered_for_ever() -> None:
    """As many as one pool has a use for."""
    from anyhttp.connector._multiplexed import MOST_ORIGINS
    from tests.support.keys import key
    from tests.support.multiplexed import make_pool

    pool = make_pool()
    for number in range(MOST_ORIGINS * 2):
        slot = pool.reserve(key(f"{number}.test"))
        assert slot.is_held
        pool.release_slot(slot)
    assert len(pool._origins) <= MOST_ORIGINS
    assert key(f"{MOST_ORIGINS * 2 - 1}.test") in pool._origins
