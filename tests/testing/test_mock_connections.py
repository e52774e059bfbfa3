"""How the connections to a mock are made: at once, or like those to a network."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from anyhttp import ClientConnectorError, ClientSession, TCPConnector, TraceConfig
from anyhttp.testing import Answer, MockConnector, mock_requests
from tests.support.census import assert_no_tokens
from tests.support.client import get

URL = "http://api.test/a"


@pytest.fixture
def scopes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The deadlines of the cancel scopes that are made in the meantime."""
    made: list[float] = []
    scope = anyio.CancelScope

    def make(**options: Any) -> anyio.CancelScope:
        made.append(options.get("deadline", 0))
        return scope(**options)

    monkeypatch.setattr(anyio, "CancelScope", make)
    return made


async def test_what_is_known_at_once_needs_no_scope(scopes: list[float]) -> None:
    """Nothing can end what takes no time, so nothing is paid for that."""
    mock = MockConnector()
    mock.get(URL, text="a")
    async with ClientSession(connector=mock) as session:
        scopes.clear()
        assert [await get(session, URL) for _ in range(3)] == [b"a"] * 3
        assert not scopes
        assert_no_tokens(mock, idle=0)


async def test_nor_does_it_in_the_place_of_the_network(scopes: list[float]) -> None:
    """A connector to the network asks what replaces it in the same way."""
    with mock_requests() as mock:
        mock.get(URL, text="a")
        async with ClientSession() as session:
            scopes.clear()
            assert await get(session, URL) == b"a"
            assert not scopes


@pytest.mark.parametrize("delay", [0, 0.001])
async def test_a_failure_to_connect_counts_once(delay: float) -> None:
    """It is looked at twice, as it may take time: it uses up one answer, and is one call."""
    mock = MockConnector()
    refused = Answer(exception=ConnectionRefusedError, delay=delay)
    mock.get(URL, answers=[refused, "second"])
    async with ClientSession(connector=mock) as session:
        with pytest.raises(ClientConnectorError):
            await get(session, URL)
        assert await get(session, URL) == b"second"
        assert_no_tokens(mock, idle=0)
    assert [call.method for call in mock.calls] == ["GET", "GET"]


async def test_a_subclass_makes_its_connections_itself() -> None:
    """The shorter way does not pass over the method of a program."""
    asked = []

    class Asking(MockConnector):
        async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
            asked.append(str(req.url))
            return await super()._create_connection(req, traces, timeout)

    mock = Asking()
    mock.get(URL, text="a")
    async with ClientSession(connector=mock) as session:
        assert await get(session, URL) == b"a"
    assert asked == [URL]


async def test_a_subclass_for_the_network_does_too() -> None:
    """A connector with a method of its own is not replaced."""

    class Refusing(TCPConnector):
        async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
            raise ConnectionRefusedError("mine")

    with mock_requests(assert_all_called=False) as mock:
        mock.get(URL, text="a")
        async with ClientSession(connector=Refusing()) as session:
            with pytest.raises(ClientConnectorError, match="mine"):
                await get(session, URL)


async def test_an_outer_mock_is_asked_where_the_inner_one_passes() -> None:
    """The inner one does not know at once, so both are asked in turn."""
    with mock_requests() as outer:
        outer.get(URL, text="outer")
        with mock_requests() as inner:
            inner.pass_through("api.test")
            async with ClientSession() as session:
                assert await get(session, URL) == b"outer"


async def test_traces_are_told_of_each_connection() -> None:
    """Handlers are awaited before a connection is made and after it."""
    told = []

    async def created(*_: object) -> None:
        told.append(len(mock.calls))

    trace = TraceConfig()
    trace.on_connection_create_start.append(created)
    trace.on_connection_create_end.append(created)
    mock = MockConnector()
    mock.get(URL, text="a")
    async with ClientSession(connector=mock, trace_configs=[trace]) as session:
        assert await get(session, URL) == b"a"
    assert told == [0, 0]
