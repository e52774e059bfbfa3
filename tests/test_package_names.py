"""Names that packages written for aiohttp use: what there is nothing in aiohttp to compare with.

The others are in ``tests/compat/test_package_names.py``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import inspect
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from yarl import URL

import anyhttp
from anyhttp import (
    ClientConnectionError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    TCPConnector,
    TraceRequestStartParams,
)
from anyhttp._tasks import on_asyncio
from anyhttp.abc import AbstractStreamWriter
from anyhttp.client._options import PLAIN_OPTIONS
from anyhttp.client_proto import ResponseHandler
from anyhttp.payload import Payload
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


def test_attrs_is_not_imported() -> None:
    """Its fields are made for whoever has imported it, so it need not be installed."""
    code = """
import sys
import anyhttp
print(hasattr(anyhttp.ClientTimeout, "__attrs_attrs__"), "attr" in sys.modules)
import attr
print(hasattr(anyhttp.ClientTimeout, "__attrs_attrs__"))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False", "True"]


def test_values_are_dataclasses_too() -> None:
    """Aiohttp has none of its own; here the functions of the standard library work."""
    assert dataclasses.replace(ClientTimeout(total=5), total=1) == ClientTimeout(total=1)
    assert dataclasses.asdict(ClientWSTimeout(ws_close=5)) == {"ws_receive": None, "ws_close": 5}
    assert [field.name for field in dataclasses.fields(TraceRequestStartParams)] == [
        "method", "url", "headers",
    ]  # fmt: skip


async def test_a_payload_is_given_a_writer(server: Server) -> None:
    """A class of a library can say what its payload writes to."""

    class Twice(Payload):
        async def write(self, writer: AbstractStreamWriter) -> None:
            await writer.write(self._value)
            await writer.write(self._value)

    async with ClientSession(server.url) as session:
        async with session.post("/echo-body", data=Twice(b"ab")) as response:
            assert await response.read() == b"abab"


def test_a_protocol_for_a_reader() -> None:
    """It takes a loop, as aiohttp's does, and needs none."""
    assert ResponseHandler() is not ResponseHandler(loop=object())
    assert not hasattr(anyhttp, "ResponseHandler")


# -- sessions and connectors


async def test_the_event_loop_of_a_session(server: Server) -> None:
    """With a connection or a block it has one on asyncio; there is none on trio."""
    here = asyncio.get_running_loop() if on_asyncio() else None
    session = ClientSession(server.url)
    assert session._loop is here
    async with session.get("/") as response:
        await response.read()
        assert session._loop is here
    assert session.connector is not None
    assert session._loop is session.connector._loop is here
    await session.close()
    assert session._loop is here
    async with ClientSession() as session:
        assert session._loop is here
        session.detach()
        assert session._loop is here


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # the loop has ended
@pytest.mark.parametrize("entered", [False, True])
def test_the_event_loop_of_a_session_has_ended(server: Server, entered: bool) -> None:
    """A library sees that, and makes another session; what is left is closed by a plain call."""

    async def use(session: ClientSession) -> asyncio.AbstractEventLoop:
        if entered:
            await session.__aenter__()
        await (await session.get("/json")).read()
        return asyncio.get_running_loop()

    session = ClientSession(server.url)
    loop = asyncio.run(use(session))
    assert loop.is_closed()
    assert session._loop is loop
    connector = session._connector
    assert connector is not None
    assert connector._loop is loop
    assert connector._conns
    connector._close()
    assert session.closed
    assert connector._closed
    assert not connector._conns
    assert connector._loop is None
    del session, connector
    gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # the first loop has ended
def test_a_session_that_goes_on_in_another_event_loop(server: Server) -> None:
    """Its connections there say which loop it is used in."""
    session = ClientSession(server.url)

    async def use(session: ClientSession, *, connections: int) -> bool:
        async with AsyncExitStack() as stack:
            for _ in range(connections):
                response = await stack.enter_async_context(session.get("/bytes/1000000"))
                stack.push_async_callback(response.read)
        return session._loop is asyncio.get_running_loop()

    assert asyncio.run(use(session, connections=2))
    assert asyncio.run(use(session, connections=1))
    asyncio.run(session.close())
    del session
    gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # the loop has ended
def test_closing_by_a_plain_call_when_a_request_waits_in_a_loop_that_has_ended() -> None:
    """Nobody can be told, and nothing fails."""
    connector = TCPConnector()

    async def wait() -> None:
        connector._dialing.add(anyio.CancelScope())

    asyncio.run(wait())
    connector._close()
    assert connector.closed


async def test_closing_by_a_plain_call(server: Server) -> None:
    """Connections in use are closed too, and requests that wait for one fail."""
    async with ClientSession(server.url, connector=TCPConnector(limit=1)) as session:
        connector = session.connector
        assert isinstance(connector, TCPConnector)
        async with anyio.create_task_group() as tasks:
            response = await session.get("/bytes/1000000")
            assert connector._acquired == {response.connection}
            assert not connector._conns

            @tasks.start_soon
            async def wait() -> None:
                with pytest.raises(ClientConnectionError):
                    await session.get("/")

            await anyio.wait_all_tasks_blocked()
            connector._close()
        assert not connector._acquired
        with pytest.raises(RuntimeError, match="Session is closed"):
            await session.get("/")


async def test_idle_connections_are_shown(server: Server) -> None:
    """By the key of each, the one that expires first at first."""
    async with ClientSession(server.url) as session:
        connector = session.connector
        assert connector is not None
        assert connector._conns == {}
        async with session.get("/bytes/1000000") as one, session.get("/bytes/1000000") as other:
            assert connector._acquired == {one.connection, other.connection}
            await one.read()
            await other.read()
        ((key, found),) = connector._conns.items()
        assert (key.host, key.port, len(found)) == (server.url.host, server.url.port, 2)
        expiries = [expiry for _, expiry in found]
        assert expiries == sorted(expiries)
        assert expiries[0] > time.monotonic()
        assert not connector._acquired


async def test_what_a_subclass_sets_is_its_own(server: Server) -> None:
    """Names that can only be read can be set as well, as in aiohttp, where they are attributes."""
    mine: Any = object()

    class Session(ClientSession):
        def __init__(self) -> None:
            super().__init__(server.url)
            self._loop = mine

    async with Session() as session:
        assert session._loop is mine
        async with session.get("/json") as response:
            assert response.ok


# -- a session that is changed


async def test_another_connector(server: Server) -> None:
    """The session uses it from now on, and its helper tasks look after it."""
    first, second = TCPConnector(), TCPConnector(keepalive_timeout=0.1)
    async with ClientSession(server.url, connector=first) as session:
        await (await session.get("/")).read()
        session._connector = second
        assert session.connector is second
        await (await session.get("/")).read()
        assert len(first._conns) == len(second._conns) == 1
        await until(lambda: not second._conns, "the idle connection to expire")
        await first.close()
        session._connector = None
        assert session.closed
    await second.close()


async def test_no_connector_in_the_place_of_one() -> None:
    """The session is closed then; a proxy of its own stays, and one of the connector goes."""
    async with ClientSession(proxy="http://me:secret@proxy.test:1") as session:
        connector = session.connector
        assert connector is not None
        session._connector = None
        assert session.closed
        assert session._default_proxy == URL("http://proxy.test:1")
        await connector.close()
    async with ClientSession() as session:
        assert session._default_proxy_auth is None


async def test_what_cannot_be_is_refused(server: Server) -> None:
    """As the argument of the session would be; the session is as it was."""
    async with ClientSession(proxy="http://proxy.test:1") as session:
        for name, value in {
            "_connector": 1, "_cookie_jar": {}, "_default_auth": "me", "_request_class": str,
            "_response_class": str, "_timeout": "1", "_raise_for_status": 1, "_trust_env": "no",
            "_middlewares": [1], "_retry_connection": "no", "_default_headers": [1],
        }.items():  # fmt: skip
            with pytest.raises((TypeError, ValueError)):
                setattr(session, name, value)
        with pytest.raises(anyhttp.InvalidURL):
            session._default_proxy = "ftp://proxy.test"
        with pytest.raises(ValueError, match="proxy_auth must be"):
            session._default_proxy_auth = "me"  # type: ignore[assignment]  # is refused
        assert session._default_proxy == URL("http://proxy.test:1")


async def test_the_limits_of_a_connector(server: Server) -> None:
    """They may be changed as long as no request uses it; idle connections are closed then."""
    connector = TCPConnector()
    connector._limit, connector._limit_per_host = 1, None
    assert (connector.limit, connector.limit_per_host) == (1, 0)
    async with ClientSession(server.url, connector=connector) as session:
        async with session.get("/bytes/5000000") as response:
            with pytest.raises(TimeoutError):
                await session.get("/json", timeout=ClientTimeout(0.05))
            with pytest.raises(RuntimeError, match="give limit and limit_per_host"):
                connector._limit = 2
            assert connector.limit == connector._limit == 1
            await response.read()
        assert connector.statistics().idle == 1
        connector._limit, connector._limit_per_host = None, 1
        assert (connector._limit, connector._limit_per_host) == (0, 1)
        assert connector.statistics().idle == 0
        async with session.get("/bytes/5000000"):
            with pytest.raises(TimeoutError):
                await session.get("/json", timeout=ClientTimeout(0.05))
            async with session.get(server.url.with_host("localhost") / "json") as response:
                await response.read()
    with pytest.raises(ClientConnectionError, match="Connector is closed"):
        connector._limit = 2


async def test_how_long_a_connector_keeps_connections(server: Server) -> None:
    """It counts for those that are idle already, too, unless they would be closed earlier."""
    connector = TCPConnector(keepalive_timeout=None)
    assert connector._keepalive_timeout is None
    async with ClientSession(server.url, connector=connector) as session:
        await (await session.get("/json")).read()
        connector._keepalive_timeout = 1000
        connector._keepalive_timeout = 2000
        ((_, expiry),) = next(iter(connector._conns.values()))
        assert expiry < time.monotonic() + 1001
        connector._force_close = True
        assert connector.force_close
        await (await session.get("/json")).read()
        assert not connector._conns
        connector._force_close = False
        assert connector._keepalive_timeout == 2000
        await (await session.get("/json")).read()
        assert connector._conns
    assert server.connections == 3


async def test_what_a_connector_cannot_be_is_refused() -> None:
    """As the argument of its constructor would be."""
    connector = TCPConnector()
    for name, value in {
        "_limit": -1, "_limit_per_host": "1", "_keepalive_timeout": -1, "_force_close": 1,
    }.items():  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=name[1:]):
            setattr(connector, name, value)
    assert (connector.limit, connector.limit_per_host) == (100, 0)
    assert (connector._keepalive_timeout, connector._force_close) == (15, False)
    with pytest.warns(RuntimeWarning, match="TLS is never closed by a handshake"):
        connector._ssl_shutdown_timeout = 1  # type: ignore[attr-defined]


async def test_a_subclass_that_sets_names_before_the_constructor_runs() -> None:
    """That sets them anew."""

    class Mine(TCPConnector):
        def __init__(self) -> None:
            self._limit = self._limit_per_host = 5
            self._keepalive_timeout, self._force_close = 5, True
            super().__init__()

    async with Mine() as connector:
        assert (connector.limit, connector.limit_per_host, connector.force_close) == (100, 0, False)
        assert connector._keepalive_timeout == 15


async def test_the_options_of_a_request_are_known() -> None:
    """Libraries ask the signature which of a user's options they may pass on."""
    own = inspect.signature(ClientSession._request).parameters
    assert list(own)[:3] == ["self", "method", "str_or_url"]
    assert own.keys() > PLAIN_OPTIONS
    async with ClientSession() as session:
        assert "self" not in inspect.signature(session._request).parameters


# -- WebSockets


def test_a_websocket_shows_no_connection() -> None:
    """A package that wants its buffer does without."""
    assert ClientWebSocketResponse._conn is None
