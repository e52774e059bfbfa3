"""Connectors that start something of their own before their first connection."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import BaseConnector, ClientConnectionError, ClientSession, ClientTimeout
from anyhttp.connector import open_stream, start
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.canned import Canned
from tests.support.census import assert_no_tokens
from tests.support.client import get
from tests.support.responses import OK

URL = "http://app.test/"


class Application(BaseConnector):
    """Notes what happens to it, in order.

    :param failures: what the first calls of ``_start_up()`` raise
    """

    def __init__(self, *failures: BaseException, **options: Any) -> None:
        super().__init__(**options)
        self.steps: list[str] = []
        self.failures = list(failures)
        self.gate: anyio.Event | None = None

    async def _start_up(self) -> None:
        self.steps.append("start")
        try:
            await anyio.lowlevel.checkpoint()
            if self.gate is not None:
                await self.gate.wait()
            if self.failures:
                raise self.failures.pop(0)
        except BaseException:
            self.steps.append("failed")
            raise
        self.steps.append("started")

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        assert self.steps[-1] != "failed"
        self.steps.append("connect")
        return Canned(OK)

    async def close(self, *, abort_ssl: bool = False) -> None:
        try:
            await super().close()
        finally:
            self.steps.append("close")


class TestWhen:
    async def test_an_entered_session(self) -> None:
        """It starts before the block begins, and is closed with the session."""
        connector = Application()
        async with ClientSession(connector=connector) as session:
            assert connector.steps == ["start", "started"]
            await get(session, URL)
        assert connector.steps == ["start", "started", "connect", "close"]

    async def test_a_session_that_is_not_entered(self) -> None:
        """It starts with the first connection."""
        connector = Application()
        session = ClientSession(connector=connector)
        assert connector.steps == []
        await get(session, URL)
        await get(session, URL)
        await session.close()
        assert connector.steps == ["start", "started", "connect", "connect", "close"]

    async def test_a_connector_that_is_entered(self) -> None:
        """The block closes it; sessions use what is there."""
        async with Application() as connector:
            assert connector.steps == ["start", "started"]
            for _ in range(2):
                async with ClientSession(connector=connector, connector_owner=False) as session:
                    await get(session, URL)
            async with anyhttp.request("GET", URL, connector=connector) as response:
                assert response.ok
        assert connector.steps == ["start", "started", *["connect"] * 3, "close"]

    async def test_two_sessions_at_once(self) -> None:
        """The second one waits until the first has started it."""
        connector, entered = Application(), []
        connector.gate = anyio.Event()

        async def enter() -> None:
            async with ClientSession(connector=connector, connector_owner=False):
                entered.append(list(connector.steps))

        async with anyio.create_task_group() as group:
            group.start_soon(enter)
            group.start_soon(enter)
            await anyio.wait_all_tasks_blocked()
            assert entered == []
            connector.gate.set()
        assert entered == [["start", "started"]] * 2
        assert connector.steps == ["start", "started"]
        await connector.close()

    async def test_a_connector_around_it(self) -> None:
        """One that takes its streams starts it, too."""

        class Around(BaseConnector):
            async def _start_up(self) -> None:
                await start(inner)

            async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
                return await open_stream(inner, req, traces, timeout)

        async with Application() as inner, ClientSession(connector=Around()) as session:
            await get(session, URL)
        assert inner.steps == ["start", "started", "connect", "close"]
        async with Application() as inner:
            session = ClientSession(connector=Around())
            await get(session, URL)
            await session.close()
        assert inner.steps == ["start", "started", "connect", "close"]


class TestFailures:
    async def test_a_session_is_not_entered(self) -> None:
        """The error comes out of ``async with``, and everything is closed."""
        connector = Application(LookupError("no database"))
        session = ClientSession(connector=connector)
        with pytest.raises(LookupError, match="no database"):
            async with session:
                raise AssertionError
        assert session.closed
        assert connector.closed
        assert connector.steps == ["start", "failed", "close"]

    async def test_a_session_of_a_subclass_is_not_entered(self) -> None:
        """Python does not leave what was not entered, and no error of that hides the first one."""

        class Mine(ClientSession):
            async def __aexit__(self, *_: object) -> None:
                raise AssertionError

        connector = Application(LookupError("no database"))
        with pytest.raises(LookupError, match="no database"):
            async with Mine(connector=connector):
                raise AssertionError
        assert connector.steps == ["start", "failed", "close"]

    async def test_a_shared_connector_stays_open(self) -> None:
        """The session does not own it; the next session tries again."""
        connector = Application(LookupError("busy"))
        session = ClientSession(connector=connector, connector_owner=False)
        with pytest.raises(LookupError, match="busy"):
            async with session:
                raise AssertionError
        assert session.closed
        assert not connector.closed
        async with ClientSession(connector=connector) as session:
            await get(session, URL)
        assert connector.steps == ["start", "failed", "start", "started", "connect", "close"]

    async def test_a_connector_is_not_entered(self) -> None:
        """It is closed."""
        connector = Application(LookupError("no database"))
        with pytest.raises(LookupError, match="no database"):
            async with connector:
                raise AssertionError
        assert connector.steps == ["start", "failed", "close"]

    @pytest.mark.parametrize("error", [LookupError("later"), OSError(5, "later")])
    async def test_a_first_connection_fails(self, error: Exception) -> None:
        """The error comes out of the request as it is; the next request tries again."""
        connector = Application(error)
        session = ClientSession(connector=connector)
        with pytest.raises(type(error), match="later") as caught:
            await get(session, URL)
        assert caught.value is error
        assert_no_tokens(connector, idle=0)
        await get(session, URL)
        await session.close()
        assert connector.steps == ["start", "failed", "start", "started", "connect", "close"]

    async def test_a_closed_connector(self) -> None:
        """Nothing is started for it."""
        connector = Application()
        await connector.close()
        with pytest.raises(ClientConnectionError, match="Connector is closed"):
            async with connector:
                raise AssertionError
        with pytest.raises(RuntimeError, match="Session is closed"):
            async with ClientSession(connector=connector):
                raise AssertionError
        assert connector.steps == ["close", "close"]

    async def test_the_time_limits_of_a_request(self) -> None:
        """They hold if the request has to start the connector; it is started by the next."""
        connector = Application()
        connector.gate = anyio.Event()
        session = ClientSession(connector=connector)
        with pytest.raises(TimeoutError):
            await get(session, URL, timeout=ClientTimeout(sock_connect=0.01))
        with pytest.raises(TimeoutError):
            await get(session, URL, timeout=ClientTimeout(total=0.01))
        assert_no_tokens(connector, idle=0)
        connector.gate.set()
        await get(session, URL)
        await session.close()
        assert connector.steps[:4] == ["start", "failed"] * 2


class TestCancellation:
    @pytest.mark.parametrize("how", ["scope", "native"])
    async def test_entering_a_session(self, how: Any) -> None:
        """Nothing is left of a session whose entering was cancelled."""
        made: list[Application] = []

        async def enter() -> None:
            made.append(Application())
            async with ClientSession(connector=made[-1]):
                pass

        async def check() -> None:
            assert made[-1].closed
            assert made[-1].steps[-1] == "close"
            assert made[-1].steps[1] in {"failed", "started"}

        assert await cancel_at_every_checkpoint(enter, after=check, how=how) >= 2

    async def test_a_first_request(self) -> None:
        """The next request starts the connector again, and no slot is taken."""
        made: list[tuple[Application, ClientSession]] = []

        async def ask() -> None:
            connector = Application(limit=1)
            made.append((connector, ClientSession(connector=connector)))
            await get(made[-1][1], URL)

        async def check() -> None:
            connector, session = made[-1]
            assert_no_tokens(connector, idle=0)
            await get(session, URL)
            await session.close()
            assert connector.steps.count("started") == 1

        assert await cancel_at_every_checkpoint(ask, after=check) >= 3

    @pytest.mark.parametrize("entered", [True, False])
    async def test_the_connector_is_closed_meanwhile(self, entered: bool) -> None:
        """The start is cancelled before ``close()`` goes on."""
        connector = Application()
        connector.gate = anyio.Event()
        session = ClientSession(connector=connector)

        async def enter() -> None:
            async with session:
                raise AssertionError

        async def use() -> None:
            with pytest.raises(ClientConnectionError, match="Connector is closed"):
                await (enter() if entered else get(session, URL))

        async with anyio.create_task_group() as group:
            group.start_soon(use)
            await anyio.wait_all_tasks_blocked()
            await connector.close()
            assert connector.steps[:3] == ["start", "failed", "close"]
        await session.close()

    async def test_one_who_waits_is_cancelled(self) -> None:
        """Others are not disturbed."""
        connector = Application()
        connector.gate = anyio.Event()
        impatient = anyio.CancelScope()

        async def enter(scope: anyio.CancelScope) -> None:
            with scope:
                async with ClientSession(connector=connector, connector_owner=False):
                    pass

        async with anyio.create_task_group() as group:
            group.start_soon(enter, anyio.CancelScope())
            await anyio.wait_all_tasks_blocked()
            group.start_soon(enter, impatient)
            await anyio.wait_all_tasks_blocked()
            impatient.cancel()
            await anyio.wait_all_tasks_blocked()
            connector.gate.set()
        assert impatient.cancelled_caught
        assert connector.steps == ["start", "started"]
        await connector.close()

    async def test_the_coroutine_is_closed(self) -> None:
        """A coroutine that is being closed cannot wait."""
        connector = Application()
        connector.gate = anyio.Event()
        coroutine = connector.__aenter__()
        coroutine.send(None)
        coroutine.close()
        assert connector.steps == ["start", "failed"]
        await connector.close()
