"""How a session borrows a connection: what it gets, and what ends the wait for one."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import pytest
from multidict import CIMultiDict

from anyhttp import (
    ClientConnectionError,
    ClientRequest,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
    TraceConfig,
)
from anyhttp._http1 import BUSY, IDLE, Http1Connection
from anyhttp._tasks import Expired, PendingWaits, Watchdog
from anyhttp.connector import AddrInfoType, Connection, LendingTerms, lend, lend_nowait
from anyhttp.tracing import Trace
from tests.support.census import assert_no_tokens
from tests.support.server import Server
from tests.support.waiting import DEADLINE

SHORT = 0.5
NO_TIMEOUT = ClientTimeout()


@pytest.fixture(params=["watched", "in a scope"])
async def terms(request: pytest.FixtureRequest) -> AsyncIterator[LendingTerms]:
    """Those of an entered session, whose watchdog ends waits, or of another."""
    async with anyio.create_task_group() as group:
        watchdog = None
        if request.param == "watched":
            watchdog = Watchdog(lambda run, end: group.start_soon(run))
        yield LendingTerms(
            traces=(),
            timeout=ClientTimeout(),
            total_at=anyio.current_time() + DEADLINE,
            watchdog=watchdog,
            waits=PendingWaits(),
        )
        if watchdog is not None:
            watchdog.stop()


def changed(terms: LendingTerms, **changes: Any) -> LendingTerms:
    """Return *terms* with some of them replaced."""
    names = ("traces", "timeout", "total_at", "watchdog", "waits")
    return LendingTerms(**{name: getattr(terms, name) for name in names} | changes)


@pytest.fixture
def request_(server: Server) -> ClientRequest:
    """A request to the test server."""
    return ClientRequest("GET", server.url, CIMultiDict())


def make_idle(connection: Connection) -> None:
    """Give *connection* back as if it had carried a request."""
    http1 = connection.protocol
    assert isinstance(http1, Http1Connection)
    http1.move(BUSY)
    http1.move(IDLE)
    connection.release()


async def test_an_idle_connection_is_lent_at_once(
    request_: ClientRequest, terms: LendingTerms
) -> None:
    """Without one only ``lend()`` helps, which makes one."""
    async with TCPConnector() as connector:
        assert lend_nowait(connector, request_) is None
        first = await lend(connector, request_, terms)
        assert not first.reused
        make_idle(first)
        second = lend_nowait(connector, request_)
        assert second is not None
        assert second.reused
        make_idle(second)
        assert_no_tokens(connector, idle=1)


async def test_a_closed_connector_lends_nothing(
    request_: ClientRequest, terms: LendingTerms
) -> None:
    """Not even to somebody who would wait."""
    connector = TCPConnector()
    await connector.close()
    with pytest.raises(ClientConnectionError, match="Connector is closed"):
        lend_nowait(connector, request_)
    with pytest.raises(ClientConnectionError, match="Connector is closed"):
        await lend(connector, request_, terms)


async def test_a_closed_session_borrows_nothing(
    request_: ClientRequest, terms: LendingTerms
) -> None:
    """A wait that began now would never be ended."""
    async with TCPConnector() as connector:
        assert terms.waits is not None
        await terms.waits.cancel_all()
        with pytest.raises(ClientConnectionError, match="Session is closed"):
            await lend(connector, request_, terms)
        assert_no_tokens(connector)


@pytest.mark.parametrize("reason", ["total", "session"])
async def test_what_ends_the_wait(
    request_: ClientRequest, terms: LendingTerms, reason: str
) -> None:
    """The ``total`` time, or the end of the session; the place in the queue is given up."""
    expected: dict[str, type[Exception]] = {"total": Expired, "session": ClientConnectionError}
    async with TCPConnector(limit=1) as connector:
        held = await lend(connector, request_, terms)
        if reason == "total":
            terms = changed(terms, total_at=anyio.current_time() + SHORT)
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                with pytest.raises(expected[reason]):
                    await lend(connector, request_, terms)

            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert connector.statistics().waiting == 1
            if reason == "session":
                assert terms.waits is not None
                await terms.waits.cancel_all()
                assert connector.statistics().waiting == 0
        held.close()
        assert_no_tokens(connector)


async def test_a_slot_that_comes_as_the_session_is_closed(
    request_: ClientRequest, terms: LendingTerms
) -> None:
    """It is given back, and no connection is made."""
    made = []

    def counted(address: AddrInfoType) -> socket.socket:
        made.append(address)
        return socket.socket(address[0], address[1])

    async with TCPConnector(limit=1, socket_factory=counted) as connector:
        held = await lend(connector, request_, terms)
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                with pytest.raises(ClientConnectionError, match="Session is closed"):
                    await lend(connector, request_, terms)

            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            held.close()
            assert terms.waits is not None
            await terms.waits.cancel_all()
        assert_no_tokens(connector)
    assert len(made) == 1


class Own(TCPConnector):
    """A connector of a program, which has a ``connect()`` of its own."""

    told: tuple[Any, ...] = ()

    async def connect(
        self,
        req: ClientRequest,
        traces: Sequence[Trace] = (),
        timeout: ClientTimeout = NO_TIMEOUT,
    ) -> Connection:
        """Note what was told, and make a connection."""
        self.told = req, traces, timeout
        return await super().connect(req, traces, timeout)


async def test_a_connect_of_the_program_is_asked_each_time(
    request_: ClientRequest, terms: LendingTerms
) -> None:
    """For idle connections too; it is told of the handlers and the time limits of the call."""
    terms = changed(terms, timeout=ClientTimeout(connect=DEADLINE))
    async with Own() as connector:
        make_idle(await lend(connector, request_, terms))
        assert connector.told == (request_, terms.traces, terms.timeout)
        assert lend_nowait(connector, request_) is None
        again = await lend(connector, request_, terms)
        assert again.reused
        make_idle(again)
        assert_no_tokens(connector, idle=1)


async def test_so_is_one_that_was_put_in_its_place(
    request_: ClientRequest, terms: LendingTerms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a test does that replaces the method of one connector."""
    async with TCPConnector() as connector:
        usual, asked = connector.connect, []

        async def connect(req: ClientRequest, *args: Any) -> Connection:
            asked.append(req)
            return await usual(req, *args)

        monkeypatch.setattr(connector, "connect", connect)
        make_idle(await lend(connector, request_, terms))
        assert lend_nowait(connector, request_) is None
        assert asked == [request_]


async def test_the_time_limit_of_the_wait_for_a_slot(
    request_: ClientRequest, terms: LendingTerms
) -> None:
    """``connect``, also if nobody traces."""
    async with TCPConnector(limit=1) as connector:
        held = await lend(connector, request_, terms)
        limited = changed(terms, timeout=ClientTimeout(connect=0.01))
        with pytest.raises(ConnectionTimeoutError):
            await lend(connector, request_, limited)
        held.close()
        assert_no_tokens(connector)


async def test_who_traces_is_told_of_the_wait_for_a_slot(
    request_: ClientRequest, terms: LendingTerms
) -> None:
    """Also if it has no time limit of its own."""
    told: list[object] = []

    async def note(session: ClientSession, context: object, params: object) -> None:
        told.append(params)

    config = TraceConfig()
    config.on_connection_queued_start.append(note)
    async with ClientSession() as session, TCPConnector(limit=1) as connector:
        traced = changed(terms, traces=(Trace(session, config, None),))
        held = await lend(connector, request_, terms)
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                make_idle(await lend(connector, request_, traced))

            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert len(told) == 1
            make_idle(held)
        assert_no_tokens(connector, idle=1)


async def test_what_stands_for_a_connector_may_have_another_connect(
    request_: ClientRequest, terms: LendingTerms
) -> None:
    """An object that passes everything on is not asked for less than it might do itself."""

    class Proxy:
        def __init__(self, connector: TCPConnector) -> None:
            self._connector = connector

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connector, name)

    async with TCPConnector() as connector:
        proxy: Any = Proxy(connector)
        make_idle(await lend(proxy, request_, terms))
        assert lend_nowait(proxy, request_) is None
        lent = lend_nowait(connector, request_)
        assert lent is not None
        make_idle(lent)


async def test_whoever_has_waited_gets_a_connection(
    request_: ClientRequest, terms: LendingTerms
) -> None:
    """A new one if the one before was closed, else that one."""
    async with TCPConnector(limit=1) as connector:
        held = await lend(connector, request_, terms)
        for closes in (True, False):
            async with anyio.create_task_group() as group:

                async def wait() -> None:
                    nonlocal held
                    held = await lend(connector, request_, terms)

                group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                assert connector.statistics().waiting == 1
                assert terms.watchdog is None or len(terms.watchdog._deadlines) == 1
                if closes:
                    held.close()
                else:
                    make_idle(held)
            assert held.reused is not closes
            assert terms.watchdog is None or not terms.watchdog._deadlines
        make_idle(held)
        assert_no_tokens(connector, idle=1)


async def test_a_pool_knows_how_often_a_request_was_refused(
    request_: ClientRequest, terms: LendingTerms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may choose another connection then."""
    request_.refusals = 2
    told = []
    async with TCPConnector() as connector:
        pool = type(connector._pool)
        reserve = pool.reserve

        def noted(self: Any, key: Any, refusals: int = 0) -> Any:
            told.append(refusals)
            return reserve(self, key, refusals)

        monkeypatch.setattr(pool, "reserve", noted)
        (await lend(connector, request_, terms)).close()
    assert told == [2]
