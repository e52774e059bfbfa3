"""Connectors: who gets a connection, how many there are, which are kept, and how they end."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import anyhttp
from anyhttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    Fingerprint,
    ServerDisconnectedError,
    TCPConnector,
    UnixConnector,
)
from anyhttp.abc import ResolveResult
from anyhttp.connector import (
    AddrInfoType,
    BaseConnector,
    Connection,
    ConnectorStatistics,
    forget_warning,
)
from anyhttp.connector._slots import Slot
from tests.support import census
from tests.support.cancel import cancel_when
from tests.support.census import ROUNDS_OF_GRACE, assert_no_tokens
from tests.support.client import assert_free, get
from tests.support.names import Names
from tests.support.peer import (
    CLOSE,
    CUT,
    RESET,
    STALL,
    Action,
    Flag,
    Script,
    SendUnasked,
    Tell,
    Wait,
)
from tests.support.responses import OK
from tests.support.server import Server
from tests.support.sockets import Sockets
from tests.support.tls import Authority


async def rounds() -> None:
    """Let the event loop finish what was closed by a plain call."""
    for _ in range(ROUNDS_OF_GRACE):
        await anyio.lowlevel.checkpoint()


async def blocked() -> None:
    """Wait until the other tasks wait too."""
    await anyio.wait_all_tasks_blocked()


class TestLimit:
    async def test_no_more_requests_than_slots(self, server: Server) -> None:
        """``limit`` requests are on their way, the others wait."""
        sockets = Sockets()
        connector = TCPConnector(limit=2, socket_factory=sockets)
        order: list[int] = []

        async def ask(number: int) -> None:
            async with session.get("/json") as response:
                order.append(number)
                await response.read()

        async with ClientSession(server.url, connector=connector) as session:
            async with AsyncExitStack() as held, anyio.create_task_group() as group:
                for _ in range(2):
                    await held.enter_async_context(session.get("/bytes/1000000"))
                for number in range(5):
                    group.start_soon(ask, number)
                    await blocked()
                assert connector.statistics() == ConnectorStatistics(2, 0, 5)
                assert order == []
                await held.aclose()
            assert sorted(order) == [0, 1, 2, 3, 4]
            assert_no_tokens(connector)
        assert sockets.peak == 2

    async def test_one_who_leaves_the_queue_does_not_stop_it(self, server: Server) -> None:
        """The slot goes to the next in line."""
        connector = TCPConnector(limit=1)
        order: list[int] = []
        impatient = anyio.CancelScope()

        async def ask(number: int) -> None:
            async with session.get("/bytes/1000000"):
                order.append(number)

        async def give_up() -> None:
            with impatient:
                await ask(-1)

        async with ClientSession(server.url, connector=connector) as session:
            async with anyio.create_task_group() as group:
                async with session.get("/bytes/1000000"):
                    group.start_soon(give_up)
                    await blocked()
                    for number in (1, 2):
                        group.start_soon(ask, number)
                        await blocked()
                    assert connector.statistics().waiting == 3
                    impatient.cancel()
                    await blocked()
                    assert connector.statistics().waiting == 2
            assert order == [1, 2]
            assert_no_tokens(connector)

    async def test_nobody_jumps_the_queue(self, server: Server) -> None:
        """One who comes while others wait goes to the end, even if a slot is free just then."""
        connector = TCPConnector(limit=1)
        order: list[str] = []

        async def ask(name: str) -> None:
            async with session.get("/bytes/1000000"):
                order.append(name)

        async with ClientSession(server.url, connector=connector) as session:
            async with anyio.create_task_group() as group:
                response = await session.get("/bytes/1000000")
                group.start_soon(ask, "waited")
                await blocked()
                response.close()  # the slot is free, the one who waited has not run yet
                await ask("came late")
            assert order == ["waited", "came late"]

    @pytest.mark.uvloop
    async def test_idle_connections_count(self, server: Server) -> None:
        """Open sockets never exceed ``limit``: the least recently used idle one makes room."""
        sockets = Sockets()
        connector = TCPConnector(limit=3, resolver=Names(), socket_factory=sockets)
        async with ClientSession(connector=connector) as session:
            for name in "abcabcdabcd":
                await get(session, server.url.with_host(f"{name}.test") / "json")
                assert sockets.open == connector.statistics().idle <= 3
            assert sockets.peak == 3
            # a, b, c dialled, reused; d evicts a, a evicts b, b evicts c, c evicts d, d a
            assert len(sockets.made) == 8

    async def test_an_idle_connection_of_the_same_host_needs_no_room(self, server: Server) -> None:
        """A full pool is no reason to close what is about to be used."""
        sockets = Sockets()
        connector = TCPConnector(limit=2, resolver=Names(), socket_factory=sockets)
        async with ClientSession(connector=connector) as session:
            for name in "abbaab":
                await get(session, server.url.with_host(f"{name}.test") / "json")
        assert len(sockets.made) == 2

    @pytest.mark.parametrize("limit", [0, None])
    async def test_no_limit(self, server: Server, limit: int | None) -> None:
        """0 and ``None`` let everybody through."""
        connector = TCPConnector(limit=limit)
        assert connector.limit == 0
        async with ClientSession(server.url, connector=connector) as session:
            async with AsyncExitStack() as held:
                for _ in range(120):
                    await held.enter_async_context(session.get("/bytes/300000"))
                assert connector.statistics().in_use == 120

    def test_bad_limits(self) -> None:
        """A limit is a count."""
        for name in ("limit", "limit_per_host"):
            negative: dict[str, Any] = {name: -1}
            with pytest.raises(ValueError, match=name):
                TCPConnector(**negative)
            broken: dict[str, Any] = {name: 1.5}
            with pytest.raises(TypeError, match=name):
                TCPConnector(**broken)


class TestLimitPerHost:
    async def test_each_endpoint_has_its_own(self, server: Server) -> None:
        """A full endpoint does not hold up another one."""
        connector = TCPConnector(limit_per_host=1, resolver=Names())
        assert connector.limit_per_host == 1
        a, b = (server.url.with_host(f"{name}.test") for name in "ab")
        async with ClientSession(connector=connector) as session:
            async with anyio.create_task_group() as group:
                async with session.get(a / "bytes/1000000"):
                    group.start_soon(get, session, a / "json")
                    await blocked()
                    assert connector.statistics().waiting == 1
                    await get(session, b / "json")
                    assert connector.statistics().waiting == 1
            assert_no_tokens(connector)

    async def test_options_do_not_make_another_endpoint(
        self, tls_ca: Authority, script: Script
    ) -> None:
        """Host, port and TLS do; an idle connection with other options is not in the way."""
        asked = Flag()
        peer = await script(
            *[[(b"GET ", OK)]] * 2, [(b"GET ", [Tell(asked), STALL])],
            [(b"GET ", OK)], tls=tls_ca.server,
        )  # fmt: skip
        connector = TCPConnector(limit_per_host=1, ssl=tls_ca.client)
        options: list[dict[str, Any]] = [
            {"ssl": False},
            {"server_hostname": "localhost"},
            {"ssl": Fingerprint(tls_ca.fingerprint)},
        ]
        async with ClientSession(connector=connector) as session:
            for option in options[:2]:
                with anyio.fail_after(5):
                    assert await get(session, peer.url, **option) == b"ok"
            assert connector.statistics().idle == 2
            async with anyio.create_task_group() as group:
                async with anyio.create_task_group() as holding:
                    holding.start_soon(partial(get, session, peer.url, **options[2]))
                    await asked.until_set()
                    group.start_soon(get, session, peer.url)
                    await blocked()
                    assert connector.statistics().waiting == 1
                    holding.cancel_scope.cancel()
            assert_no_tokens(connector)
        assert peer.connections == 4

    async def test_those_who_wait_do_not_keep_others_from_an_idle_connection(
        self, server: Server
    ) -> None:
        """A full endpoint does not hold up one whose only slot is that of its idle connection."""
        connector = TCPConnector(limit_per_host=1, resolver=Names())
        a, b = (server.url.with_host(f"{name}.test") for name in "ab")
        async with ClientSession(connector=connector) as session:
            await get(session, b / "json")
            async with anyio.create_task_group() as group:
                async with session.get(a / "bytes/1000000"):
                    group.start_soon(get, session, a / "json")
                    await blocked()
                    assert connector.statistics().waiting == 1
                    with anyio.fail_after(5):
                        await get(session, b / "json")
                    assert connector.statistics() == ConnectorStatistics(1, 1, waiting=1)
            assert server.connections <= 3
        assert_no_tokens(connector)

    async def test_one_who_waits_for_his_host_takes_no_other_slot(self, server: Server) -> None:
        """The endpoint's slot comes first, so that its queue cannot use up ``limit``."""
        connector = TCPConnector(limit=2, limit_per_host=1, resolver=Names())
        a, b = (server.url.with_host(f"{name}.test") for name in "ab")
        async with ClientSession(connector=connector) as session:
            async with anyio.create_task_group() as group:
                async with session.get(a / "bytes/1000000"):
                    for _ in range(5):
                        group.start_soon(get, session, a / "json")
                    await blocked()
                    with anyio.fail_after(5):
                        await get(session, b / "json")

    async def test_idle_connections_make_room_for_one_who_waited_for_his_host(
        self, server: Server
    ) -> None:
        """Who gets the slot of an endpoint late still finds the others taken by idle ones only."""
        connector = TCPConnector(limit=2, limit_per_host=1, resolver=Names())
        a, b, c = (server.url.with_host(f"{name}.test") for name in "abc")
        got: list[bytes] = []

        async def wait_for_a() -> None:
            got.append(await get(session, a / "json"))

        async with ClientSession(connector=connector) as session:
            await get(session, b / "json")
            assert connector.statistics().idle == 1
            async with anyio.create_task_group() as group, AsyncExitStack() as stack:
                holds_a = await stack.enter_async_context(session.get(a / "bytes/1000000"))
                group.start_soon(wait_for_a)
                await blocked()
                assert connector.statistics().waiting == 1
                holds_a.close()
                # c takes the slot that is free now; the one of the idle b goes to who waits
                await stack.enter_async_context(session.get(c / "bytes/1000000"))
                with anyio.fail_after(5):
                    while not got:
                        await anyio.lowlevel.checkpoint()

    async def test_limiters_go_with_their_last_user(self, server: Server) -> None:
        """A crawler of a million hosts does not keep a million limiters."""
        connector = TCPConnector(limit=1, limit_per_host=1, resolver=Names())
        async with ClientSession(connector=connector) as session:
            for name in "abc":
                await get(session, server.url.with_host(f"{name}.test") / "json")
            with pytest.raises(ClientConnectorError):
                await get(session, "http://unknown.test/")
            async with session.get(server.url.with_host("d.test") / "bytes/1000000"):
                queued = partial(get, session, server.url.with_host("e.test") / "json")
                assert await cancel_when(queued, blocked)
            assert connector._pool.slots._hosts == {}


def _kept(value: bytes) -> bytes:
    """Return a response with ``Keep-Alive``."""
    head = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: "
    return head + value + b"\r\nContent-Length: 2\r\n\r\nok"


class TestKeepAlive:
    async def test_a_connection_is_used_again(self, server: Server) -> None:
        """One after the other, requests share a connection; so do sessions with a connector."""
        async with ClientSession(server.url) as session:
            for _ in range(3):
                await get(session)
            connector = session.connector
            assert connector is not None
            assert connector.statistics() == ConnectorStatistics(in_use=0, idle=1, waiting=0)
        assert server.connections == 1
        assert connector.statistics() == ConnectorStatistics(in_use=0, idle=0, waiting=0)

    async def test_the_newest_idle_connection_is_used(self, server: Server) -> None:
        """The others can expire."""
        sockets = Sockets()
        connector = TCPConnector(socket_factory=sockets)
        async with ClientSession(server.url, connector=connector) as session:
            async with session.get("/bytes/1000000") as first:
                async with session.get("/bytes/1000000") as second:
                    await first.read()
                    await second.read()
            response = await session.get("/bytes/1000000")
            used = response.connection
            assert isinstance(used, Connection)
            assert used.reused
            assert used.transport is not None
            raw = used.transport.extra(anyio.abc.SocketAttribute.raw_socket)
            assert raw is sockets.made[1]
            response.close()

    @pytest.mark.parametrize("options", [{"keepalive_timeout": 0}, {"force_close": True}])
    async def test_not_at_all(self, server: Server, options: dict[str, Any]) -> None:
        """``force_close``, or a keep-alive time of 0, closes after each request."""
        sockets = Sockets()
        connector = TCPConnector(socket_factory=sockets, **options)
        async with ClientSession(server.url, connector=connector) as session:
            for _ in range(2):
                await get(session)
                await rounds()
                assert sockets.open == 0
            assert connector.statistics().idle == 0
        assert server.connections == 2

    @pytest.mark.parametrize(
        "headers",
        [
            {"Connection": "close"},
            {"connection": "Close"},
            {"Connection": "keep-alive,\tCLOSE , x"},
            [("Connection", "x"), ("connection", "close")],
        ],
    )
    @pytest.mark.parametrize("of_session", [True, False])
    async def test_a_request_that_asks_to_close(
        self, script: Script, http1: str, headers: Any, of_session: bool
    ) -> None:
        """RFC 9112 §9.6: nothing more is sent on the connection, whatever the server says."""
        peer = await script([(b"GET ", OK)], [(b"GET ", OK)])
        async with ClientSession(
            connector=TCPConnector(http1=http1), headers=headers if of_session else None
        ) as session:
            for _ in range(2):
                assert await get(session, peer.url, headers=headers) == b"ok"
                assert_free(session, idle=0)

    @pytest.mark.parametrize("value", ["closed", "keep-alive", "x-close", "close-not"])
    async def test_other_options_do_not_close(self, script: Script, http1: str, value: str) -> None:
        """Options are compared as a whole."""
        peer = await script([(b"GET ", OK), (b"GET ", OK)])
        async with ClientSession(connector=TCPConnector(http1=http1)) as session:
            for _ in range(2):
                assert await get(session, peer.url, headers={"Connection": value}) == b"ok"

    @pytest.mark.parametrize("value", [b"timeout=0", b"timeout=5, max=0"])
    async def test_a_server_that_reads_no_further_request(
        self, script: Script, http1: str, value: bytes
    ) -> None:
        """``Keep-Alive`` can say so."""
        peer = await script([(b"GET ", _kept(value))])
        async with ClientSession(connector=TCPConnector(http1=http1)) as session:
            assert await get(session, peer.url) == b"ok"
            assert_free(session, idle=0)

    @pytest.mark.parametrize("http10", [True, False])
    async def test_a_server_that_waits_for_a_limited_time(
        self, script: Script, http1: str, http10: bool
    ) -> None:
        """A connection that the server may be closing is not used for the next request."""
        reply = _kept(b"timeout=5, max=9")
        if http10:
            reply = reply.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        pieces = [reply[:-2], reply[-2:]]
        peer = await script([(b"GET ", pieces), (b"GET ", pieces)], [(b"GET ", reply)])
        used: Any = None
        async with ClientSession(connector=TCPConnector(http1=http1)) as session:
            for _ in range(2):
                before = monotonic()
                async with session.get(peer.url) as response:
                    assert isinstance(response.connection, Connection)
                    used = response.connection.protocol
                    assert await response.read() == b"ok"
                assert before + 4 <= used.usable_until <= monotonic() + 4
            used.usable_until = monotonic()  # as when the time is over
            assert await get(session, peer.url) == b"ok"
            assert peer.connections == 2

    async def test_force_close_is_announced(self, script: Script) -> None:
        """RFC 9112 §9.6: a client that closes after the response says so."""
        peer = await script([(b"GET ", OK)])
        connector = TCPConnector(force_close=True)
        assert connector.force_close
        async with ClientSession(connector=connector) as session:
            assert await get(session, peer.url) == b"ok"
        assert b"Connection: close" in peer.requests[0]

    def test_force_close_contradicts_a_time(self) -> None:
        """Both cannot be meant."""
        with pytest.raises(ValueError, match="keepalive_timeout"):
            TCPConnector(force_close=True, keepalive_timeout=10)
        TCPConnector(force_close=True, keepalive_timeout=None)

    @pytest.mark.parametrize("entered", [True, False])
    async def test_a_connection_expires(self, server: Server, entered: bool) -> None:
        """An entered session closes it in time; otherwise the next request does."""
        sockets = Sockets()
        connector = TCPConnector(keepalive_timeout=0.2, socket_factory=sockets)
        session = ClientSession(server.url, connector=connector)
        async with AsyncExitStack() as stack:
            if entered:
                await stack.enter_async_context(session)
            else:
                stack.push_async_callback(session.close)
            await get(session)
            assert sockets.open == 1
            if entered:
                await sockets.until_closed()
            else:
                await anyio.sleep(0.21)
            assert sockets.open == (0 if entered else 1)
            await get(session)
            await rounds()
            assert sockets.open == 1
        assert len(sockets.made) == 2

    @pytest.mark.parametrize("keepalive", [0, None])
    async def test_the_sweeper_sleeps(
        self, server: Server, keepalive: float | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where nothing can expire, nothing wakes up again and again."""
        connector = TCPConnector(keepalive_timeout=keepalive)
        looked = 0
        expire = connector._pool.idle.expire

        def counted(now: float) -> list[Any]:
            nonlocal looked
            looked += 1
            return expire(now)

        monkeypatch.setattr(connector._pool.idle, "expire", counted)
        async with ClientSession(server.url, connector=connector) as session:
            await get(session)
            looked = 0
            for _ in range(100):
                await anyio.lowlevel.checkpoint()
        assert looked <= 1

    @pytest.mark.parametrize("first", ["entered", "used"])
    async def test_a_shared_connector_is_swept(self, server: Server, first: str) -> None:
        """By the entered session, if another one has made the connection: before or after."""
        sockets = Sockets()
        connector = TCPConnector(keepalive_timeout=0.2, socket_factory=sockets)
        entered = ClientSession(connector=connector, connector_owner=False)
        used = ClientSession(server.url, connector=connector)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(used.close)
            if first == "used":
                await get(used)
                await stack.enter_async_context(entered)
            else:
                await stack.enter_async_context(entered)
                await get(used)
            assert sockets.open == 1
            await sockets.until_closed()

    @pytest.mark.parametrize("how", ["left", "detached"])
    async def test_a_session_that_is_gone_sweeps_no_more(self, server: Server, how: str) -> None:
        """What it had no reason to start while it was there is not started afterwards."""
        connector = TCPConnector()
        gone = ClientSession(connector=connector, connector_owner=False)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(gone)
            if how == "left":
                await stack.aclose()
            else:
                gone.detach()
            before = census.running_tasks()
            async with ClientSession(server.url, connector=connector) as session:
                await get(session)
            assert census.running_tasks() == before

    @pytest.mark.uvloop
    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    @pytest.mark.parametrize("how", [CLOSE, CUT, SendUnasked(OK)], ids=["close", "cut", "unasked"])
    async def test_a_connection_that_did_something_is_not_used(
        self, script: Script, tls_ca: Authority, how: Action, tls: bool
    ) -> None:
        """A peer that left, or spoke unasked, is noticed before a byte of the next request:
        wherever its bytes are, in the kernel, in the event loop or in the TLS layer.
        """
        peer = await script(
            [(b"GET /a ", [OK, how])], [(b"GET /b ", OK)], tls=tls_ca.server if tls else None
        )
        connector = TCPConnector(ssl=tls_ca.client)
        async with ClientSession(peer.url, connector=connector, retry_connections=False) as session:
            await get(session, "/a")
            assert connector.statistics().idle == 1
            await peer.settled()
            assert await get(session, "/b") == b"ok"

    @pytest.mark.uvloop
    async def test_a_connection_that_was_reset_is_not_used(self, script: Script) -> None:
        """A reset is noticed as well."""
        go = Flag()
        peer = await script([(b"GET /a ", OK), Wait(go), RESET], [(b"GET /b ", OK)])
        async with ClientSession(peer.url, retry_connections=False) as session:
            await get(session, "/a")
            go.set()
            await peer.wait_closed()
            assert await get(session, "/b") == b"ok"

    @pytest.mark.uvloop
    async def test_tls_connections_are_used_again(self, server: Server, tls_ca: Authority) -> None:
        """Session tickets that come after the handshake are not taken for unasked bytes."""
        connector = TCPConnector(ssl=tls_ca.client)
        async with ClientSession(server.https_url, connector=connector) as session:
            for _ in range(3):
                await get(session)
        assert server.connections == 1

    async def test_bytes_after_a_response_end_the_connection(self, script: Script) -> None:
        """They never become the answer to the next request."""
        peer = await script([(b"GET /a ", OK + OK)], [(b"GET /b ", OK)])
        async with ClientSession(peer.url) as session:
            assert await get(session, "/a") == b"ok"
            assert session.connector is not None
            assert session.connector.statistics().idle == 0
            assert await get(session, "/b") == b"ok"


class TestClosing:
    async def test_connections_in_use_are_closed_too(self, server: Server) -> None:
        """Whoever reads from one gets an error, and nothing is left."""
        sockets = Sockets()
        connector = TCPConnector(socket_factory=sockets)
        session = ClientSession(server.url, connector=connector)
        await get(session)
        response = await session.get("/bytes/3000000")
        errors: list[Exception] = []

        async def read() -> None:
            try:
                await get(session, "/hang")
            except ClientConnectionError as exc:
                errors.append(exc)

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await blocked()
            await connector.close()
            assert sockets.open == 0
        assert connector.closed
        assert len(errors) == 1
        with pytest.raises(anyhttp.ClientError):
            await response.read()
        assert connector.statistics() == ConnectorStatistics(0, 0, 0)
        await connector.close()
        await session.close()

    @pytest.mark.parametrize("entered", [True, False])
    @pytest.mark.parametrize("limits", [{"limit": 1}, {"limit": 2, "limit_per_host": 1}], ids=str)
    async def test_nobody_waits_for_a_closed_connector(
        self, server: Server, entered: bool, limits: dict[str, int]
    ) -> None:
        """All who are in line are told at once, and none of them connects."""
        sockets = Sockets()
        connector = TCPConnector(socket_factory=sockets, **limits)  # type: ignore[arg-type]
        errors: list[str] = []

        async def ask() -> None:
            with pytest.raises(ClientConnectionError) as caught:
                await get(session, "/json")
            errors.append(str(caught.value))

        async with AsyncExitStack() as stack:
            session = ClientSession(server.url, connector=connector)
            if entered:
                await stack.enter_async_context(session)
            else:
                stack.push_async_callback(session.close)
            response = await session.get("/bytes/1000000")
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(ask)
                await blocked()
                assert connector.statistics().waiting == 3
                await connector.close()
            assert errors == ["Connector is closed."] * 3
            assert_no_tokens(connector)
            response.close()
        assert len(sockets.made) == 1

    async def test_whoever_waits_is_told_before_the_slot_is_free(self, server: Server) -> None:
        """A connection that is made in spite of the closing holds up nobody but ``close()``."""
        go = anyio.Event()
        errors: list[str] = []

        class Slow(BaseConnector):
            async def _create_connection(
                self, req: object, traces: object, timeout: ClientTimeout
            ) -> anyio.abc.ByteStream:
                with anyio.CancelScope(shield=True):
                    await go.wait()
                return await anyio.connect_tcp("127.0.0.1", server.url.port or 0)

        async def ask() -> None:
            with pytest.raises(ClientConnectionError) as caught:
                await get(session)
            errors.append(str(caught.value))

        connector = Slow(limit=1)
        async with ClientSession(server.url, connector=connector) as session:
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(ask)
                await blocked()
                group.start_soon(connector.close)
                await blocked()
                assert errors == ["Connector is closed."] * 2
                go.set()
        assert_no_tokens(connector)

    async def test_a_slot_that_comes_as_the_connector_is_closed(self, server: Server) -> None:
        """It is given back."""
        connector = TCPConnector(limit=1)

        async def ask() -> None:
            with pytest.raises(ClientConnectionError, match="Connector is closed"):
                await get(session)

        async with ClientSession(server.url, connector=connector) as session:
            response = await session.get("/bytes/1000000")
            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                await blocked()
                response.close()
                await connector.close()
            assert_no_tokens(connector)

    async def test_those_who_wait_are_told(self, server: Server) -> None:
        """The queue ends with an error, not with a connection."""
        connector = TCPConnector(limit=1)
        session = ClientSession(server.url, connector=connector)
        response = await session.get("/bytes/3000000")
        errors: list[Exception] = []

        async def ask() -> None:
            try:
                await get(session)
            except ClientConnectionError as exc:
                errors.append(exc)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
            await blocked()
            await connector.close()
        assert [str(error) for error in errors] == ["Connector is closed."] * 3
        assert_no_tokens(connector)
        with pytest.raises(RuntimeError, match="Session is closed"):
            await get(session)
        response.close()
        await session.close()

    async def test_connections_that_are_being_made_are_given_up(self, script: Script) -> None:
        """After ``close()`` no socket is open, not even one in the middle of its handshake."""
        sockets = Sockets()
        peer = await script([STALL])  # a peer that says nothing to a TLS greeting
        connector = TCPConnector(ssl=False, socket_factory=sockets)
        session = ClientSession(peer.url.with_scheme("https"), connector=connector)
        errors: list[Exception] = []

        async def ask() -> None:
            try:
                await get(session, "/")
            except ClientConnectionError as exc:
                errors.append(exc)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await peer.wait_connections(1)
            await blocked()
            with anyio.fail_after(4):
                await connector.close()
            assert sockets.open == 0
            group.cancel_scope.cancel()
        await session.close()

    @pytest.mark.parametrize("host", ["b.test", "127.0.0.1"])
    async def test_a_request_that_makes_room_meanwhile(self, server: Server, host: str) -> None:
        """It is told that the connector is closed and opens nothing more."""
        sockets = Sockets()
        connector = TCPConnector(limit=1, resolver=Names(), socket_factory=sockets)
        session = ClientSession(connector=connector)
        await get(session, server.url.with_host("a.test") / "json")
        errors: list[str] = []
        made = 0

        async def ask() -> None:
            # the latter if it has not even begun
            with pytest.raises((ClientConnectionError, RuntimeError), match="is closed") as caught:
                await get(session, server.url.with_host(host) / "json")
            errors.append(str(caught.value))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.lowlevel.checkpoint()
            made = len(sockets.made)  # on trio, the request does not wait for the first to close
            await connector.close()
        assert errors in (["Connector is closed."], ["Session is closed"])
        assert len(sockets.made) == made
        assert all(each.fileno() == -1 for each in sockets.made)
        await session.close()

    async def test_as_a_block(self, server: Server) -> None:
        """``async with connector`` closes it."""
        async with TCPConnector() as connector:
            async with ClientSession(
                server.url, connector=connector, connector_owner=False
            ) as session:
                await get(session)
            assert not connector.closed
            assert connector.statistics().idle == 1
        assert connector.closed
        assert connector.statistics().idle == 0

    async def test_sessions_can_share_one(self, server: Server) -> None:
        """A session that does not own the connector leaves it open, and closes its responses."""
        async with TCPConnector(limit=2) as connector:
            options: dict[str, Any] = {"connector": connector, "connector_owner": False}
            async with ClientSession(server.url, **options) as first:
                await get(first)
                async with ClientSession(server.url, **options) as second:
                    await get(second)
                    unread = await second.get("/bytes/3000000")
                assert unread.closed
                assert_no_tokens(connector)
                assert not first.connector_owner
                await get(first)
        assert server.connections == 2

    @pytest.mark.parametrize("entered", [True, False])
    async def test_a_session_that_shares_one_takes_its_requests_along(
        self, script: Script, entered: bool
    ) -> None:
        """What still queues, or makes a connection, holds no slot of the others any more."""
        peer = await script([STALL], partial=True)
        async with TCPConnector(limit=1) as connector:
            session = ClientSession(connector=connector, connector_owner=False)

            async def ask() -> None:
                with pytest.raises(ClientConnectionError, match="Session is closed"):
                    await session.get(peer.url.with_scheme("https"))

            async with anyio.create_task_group() as group:
                async with AsyncExitStack() as stack:
                    if entered:
                        await stack.enter_async_context(session)
                    else:
                        stack.push_async_callback(session.close)
                    group.start_soon(ask)
                    group.start_soon(ask)
                    await peer.wait_connections(1)
                    await anyio.wait_all_tasks_blocked()  # also the one that queues
                    assert connector.statistics() == ConnectorStatistics(1, 0, 1)
                assert_no_tokens(connector)

    @pytest.mark.parametrize("keep", [False, True])
    async def test_a_slot_that_comes_as_the_session_is_closed(
        self, server: Server, keep: bool
    ) -> None:
        """It is given back, and no connection is made any more."""
        sockets = Sockets()
        connector = TCPConnector(limit=1, socket_factory=sockets, force_close=not keep)
        options: dict[str, Any] = {"connector": connector, "connector_owner": False}
        async with connector, ClientSession(server.url, **options) as first:

            async def ask() -> None:
                with pytest.raises(ClientConnectionError, match="Session is closed"):
                    await get(second)

            async with (
                anyio.create_task_group() as group,
                ClientSession(server.url, **options) as second,
            ):
                response = await first.get("/bytes/1000000")
                group.start_soon(ask)
                await blocked()
                assert connector.statistics() == ConnectorStatistics(1, 0, 1)
                await response.read()
                await second.close()
                assert_no_tokens(connector, idle=0)
                assert sockets.open == 0
            assert len(sockets.made) == 1

    @pytest.mark.parametrize("limit", [1, 2])
    async def test_a_request_that_comes_after_its_session_was_closed(
        self, server: Server, limit: int
    ) -> None:
        """A middleware held it up: it neither waits nor makes a connection."""
        connector = TCPConnector(limit=limit)
        options: dict[str, Any] = {"connector": connector, "connector_owner": False}
        gate = anyio.Event()

        async def hold_up(req: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await gate.wait()
            return await handler(req)

        async def ask() -> None:
            with anyio.fail_after(5), pytest.raises(ClientConnectionError, match="is closed"):
                await get(second)

        async with connector, ClientSession(server.url, **options) as first:
            second = ClientSession(server.url, middlewares=[hold_up], **options)
            async with first.get("/bytes/1000000"), anyio.create_task_group() as group:
                group.start_soon(ask)
                await blocked()
                await second.close()
                gate.set()
        assert server.connections == 1

    @pytest.mark.parametrize("known", [False, True])
    async def test_forgetting_it_is_warned_about(self, server: Server, known: bool) -> None:
        """A connector with open connections that is dropped says so, unless its owner has."""
        connector = TCPConnector()
        session = ClientSession(server.url, connector=connector, connector_owner=False)
        await get(session)
        await session.close()
        idle = connector._pool.idle
        if known:
            forget_warning(connector)
        del session
        gc.collect()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del connector
            gc.collect()
        assert [(warning.category, str(warning.message)[:18]) for warning in caught] == (
            [] if known else [(ResourceWarning, "Unclosed connector")]
        )
        for slot in idle.clear():
            assert slot.http1 is not None
            await slot.http1.stream.aclose()

    async def test_a_resolver_is_closed_by_who_made_it(self) -> None:
        """The connector's own, not one that was given."""
        resolver = Names()
        await TCPConnector(resolver=resolver).close()
        assert not resolver.closed


@contextmanager
def silent_door(port: int) -> Iterator[str]:
    """Yield an address at which nobody answers on *port*: its queue of connections is full."""
    made: list[socket.socket] = []

    def new() -> socket.socket:
        with census.lock:
            made.append(socket.socket())
            census.adopt(made[-1])
        return made[-1]

    listening = new()
    listening.bind(("127.0.0.5", port))
    listening.listen(0)
    try:
        for _ in range(2):
            filler = new()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.5", port))
        yield "127.0.0.5"
    finally:
        for sock in made:
            census.close(sock)


class TestTimeouts:
    @pytest.mark.parametrize("name", ["connect", "sock_connect"])
    async def test_a_handshake_that_takes_too_long(self, script: Script, name: str) -> None:
        """TLS counts as a part of connecting; no socket is left, and the slot is free."""
        sockets = Sockets()
        peer = await script([STALL], partial=True)
        connector = TCPConnector(ssl=False, limit=1, socket_factory=sockets)
        async with ClientSession(connector=connector) as session:
            timeout = ClientTimeout(**{name: 0.02})
            with pytest.raises(anyhttp.ConnectionTimeoutError, match="Connection timeout to host"):
                await session.get(peer.url.with_scheme("https"), timeout=timeout)
            assert sockets.open == 0
            assert_no_tokens(connector)

    @pytest.mark.parametrize("delay", [0.25, None])
    async def test_sock_connect_counts_anew_for_each_address(
        self, server: Server, delay: float | None
    ) -> None:
        """``connect`` bounds all of them together."""
        with silent_door(server.url.port or 0) as silent:
            names = Names(silent, silent, "127.0.0.1")
            connector = TCPConnector(
                resolver=names, happy_eyeballs_delay=delay, use_dns_cache=False
            )
            url = server.url.with_host("many.test") / "json"
            each = ClientTimeout(sock_connect=0.2)
            async with ClientSession(connector=connector, timeout=each) as session:
                with pytest.raises(anyhttp.ConnectionTimeoutError):
                    await get(session, url, timeout=ClientTimeout(connect=0.05, sock_connect=0.2))
                assert_free(session, idle=0)
                assert await get(session, url)

    async def test_no_address_answers_in_time(self, server: Server) -> None:
        """That is a timeout of ``sock_connect``, also for a subclass with steps of its own."""

        class Own(TCPConnector):
            async def _create_connection(
                self, req: ClientRequest, traces: Any, timeout: ClientTimeout
            ) -> Any:
                return await super()._create_connection(req, traces, timeout)

        class Patient(TCPConnector):
            async def _create_connection(
                self, req: ClientRequest, traces: Any, timeout: ClientTimeout
            ) -> Any:
                with anyio.CancelScope(shield=True):
                    return await super()._create_connection(req, traces, timeout)

        with silent_door(server.url.port or 0) as silent:
            url = server.url.with_host("many.test") / "json"
            limit = ClientTimeout(sock_connect=0.05)
            for kind in (TCPConnector, Own, Patient):
                connector = kind(resolver=Names(silent, silent))
                async with ClientSession(connector=connector, timeout=limit) as session:
                    with pytest.raises(anyhttp.ConnectionTimeoutError, match=r"many\.test"):
                        await get(session, url)
                    assert_free(session, idle=0)
            async with ClientSession(
                connector=Own(resolver=Names("127.0.0.1")), timeout=limit
            ) as session:
                assert await get(session, url)

    async def test_a_limit_that_is_kept(self, server: Server) -> None:
        """Nothing happens then."""
        async with ClientSession(server.url, timeout=ClientTimeout(connect=30)) as session:
            assert await get(session)

    async def test_a_queue_is_watched_no_longer_than_it_lasts(self, server: Server) -> None:
        """``total`` ends the wait; who has waited in vain or not is not kept until then."""
        connector = TCPConnector(limit=1)
        async with ClientSession(server.url, connector=connector) as session:
            assert session._scope.watchdog is not None
            async with anyio.create_task_group() as group:
                async with session.get("/bytes/1000000"):
                    watched = len(session._scope.watchdog._deadlines)
                    group.start_soon(get, session)
                    await blocked()
                    assert len(session._scope.watchdog._deadlines) == watched + 1
                    with pytest.raises(TimeoutError, match="waiting for a connection"):
                        await session.get("/json", timeout=ClientTimeout(total=0.1))
                    assert connector.statistics().waiting == 1
            waits = session._scope.watchdog._deadlines
            assert not any(isinstance(wait, Slot) for wait in waits)
        assert_no_tokens(connector)

    async def test_a_queue_that_is_too_long(self, server: Server) -> None:
        """``connect`` counts it."""
        connector = TCPConnector(limit=0, limit_per_host=1)
        async with ClientSession(server.url, connector=connector) as session:
            async with session.get("/bytes/1000000"):
                with pytest.raises(anyhttp.ConnectionTimeoutError):
                    await session.get("/json", timeout=ClientTimeout(connect=0.02))
            async with anyio.create_task_group() as group:
                async with session.get("/bytes/1000000"):
                    group.start_soon(get, session)
                    await blocked()
            assert_no_tokens(connector)


class TestConnection:
    """What :meth:`BaseConnector.connect` lends."""

    @pytest.mark.parametrize("way", ["release", "close", "detach"])
    async def test_only_the_first_way_out_counts(self, server: Server, way: str) -> None:
        """A response that was given back can be given back again, to no effect."""
        sockets = Sockets()
        connector = TCPConnector(socket_factory=sockets)
        called: list[int] = []
        async with ClientSession(server.url, connector=connector) as session:
            response = await session.get("/bytes/1000000")
            connection = response.connection
            assert isinstance(connection, Connection)
            assert connection
            assert not connection.closed
            assert connection.protocol is not None
            assert "127.0.0.1" in repr(connection)
            connection.add_callback(lambda: called.append(1))
            connection.add_callback(lambda: called.append(2))
            stream = getattr(connection, way)()
            for other in ("release", "close", "detach"):
                assert getattr(connection, other)() is None
            assert called == [1, 2]
            assert connection.closed
            assert connection.transport is None
            assert_no_tokens(connector)
            await rounds()
            assert sockets.open == (1 if way == "detach" else 0)
            if stream is not None:
                await stream.aclose()
            response.close()


class TestDns:
    async def test_answers_are_kept(self, server: Server) -> None:
        """The resolver is asked once for as long as the answer lives."""
        resolver = Names()
        connector = TCPConnector(resolver=resolver, force_close=True)
        url = server.url.with_host("a.test")
        assert connector.use_dns_cache
        assert connector.dns_cache
        async with ClientSession(url, connector=connector) as session:
            for _ in range(3):
                await get(session)
            assert resolver.asked == ["a.test"]
            assert set(connector.cached_hosts) == {("a.test", url.port)}
            assert connector.cached_hosts["a.test", url.port or 0][0]["host"] == "127.0.0.1"
            connector.clear_dns_cache("a.test", url.port)
            await get(session)
            connector.clear_dns_cache()
            assert connector.cached_hosts == {}
            await get(session)
            assert len(resolver.asked) == 3
            with pytest.raises(ValueError, match="together"):
                connector.clear_dns_cache("a.test")
            with pytest.raises(ValueError, match="together"):
                connector.clear_dns_cache(port=80)

    async def test_an_outdated_answer_is_asked_for_again(self, server: Server) -> None:
        """``ttl_dns_cache`` counts seconds."""
        resolver = Names()
        connector = TCPConnector(resolver=resolver, force_close=True, ttl_dns_cache=0)
        async with ClientSession(server.url.with_host("a.test"), connector=connector) as session:
            for _ in range(2):
                await get(session)
        assert resolver.asked == ["a.test"] * 2

    async def test_the_number_of_answers_is_bounded(self, server: Server) -> None:
        """``dns_cache_max_size`` of them, the last used ones."""
        connector = TCPConnector(resolver=Names(), dns_cache_max_size=2)
        async with ClientSession(connector=connector) as session:
            for name in "abc":
                await get(session, server.url.with_host(f"{name}.test") / "json")
        assert {host for host, _ in connector.cached_hosts} == {"b.test", "c.test"}

    @pytest.mark.parametrize(
        ("url_host", "asked", "sent"),
        [
            ("A.Test", "a.test", "a.test"),
            ("a.test.", "a.test.", "a.test"),
            ("bücher.test", "xn--bcher-kva.test", "xn--bcher-kva.test"),
        ],
    )
    async def test_forms_of_a_name(
        self, script: Script, url_host: str, asked: str, sent: str
    ) -> None:
        """The resolver is asked for a name in ASCII, dot and all; ``Host`` has no last dot."""
        peer = await script([(b"GET / ", OK)])
        resolver = Names()
        async with ClientSession(connector=TCPConnector(resolver=resolver)) as session:
            await get(session, f"http://{url_host}:{peer.port}/")
        assert resolver.asked == [asked]
        assert f"\r\nHost: {sent}:{peer.port}\r\n".encode() in peer.requests[0]

    @pytest.mark.parametrize("zone", ["%lo", "%25lo", ""])
    async def test_a_zone_leaves_the_machine_by_no_header(self, script: Script, zone: str) -> None:
        """RFC 6874 §4: it is used to connect, and not sent."""
        peer = await script([(b"GET / ", OK)])
        connected: list[Any] = []

        def elsewhere(info: AddrInfoType) -> socket.socket:
            connected.append(info[4])
            return Elsewhere(peer.port)

        class Elsewhere(socket.socket):
            """Goes to the peer, as not every machine has IPv6."""

            def __init__(self, port: int) -> None:
                super().__init__(socket.AF_INET)
                self._port = port

            def connect_ex(self, address: Any) -> int:
                return super().connect_ex(("127.0.0.1", self._port))

        async with ClientSession(connector=TCPConnector(socket_factory=elsewhere)) as session:
            await get(session, f"http://[fe80::1{zone}]:81/")
        assert connected == [("fe80::1", 81, 0, socket.if_nametoindex("lo") if zone else 0)]
        assert b"\r\nHost: [fe80::1]:81\r\n" in peer.requests[0]

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, ["127.0.0.2", "::1", "127.0.0.3"]),
            ({"happy_eyeballs_delay": None}, ["127.0.0.2", "127.0.0.3", "::1"]),
            ({"interleave": 2}, ["127.0.0.2", "127.0.0.3", "::1"]),
            ({"happy_eyeballs_delay": None, "interleave": 1}, ["127.0.0.2", "::1", "127.0.0.3"]),
        ],
    )
    async def test_the_order_of_attempts(
        self, options: dict[str, Any], expected: list[str]
    ) -> None:
        """RFC 8305 §4: the families alternate where addresses are raced, or if that is asked."""
        tried: list[str] = []

        class Several(Names):
            async def resolve(self, *args: Any, **options: Any) -> list[ResolveResult]:
                (found,) = await super().resolve(*args, **options)
                return [
                    {**found, "host": "127.0.0.2"},
                    {**found, "host": "127.0.0.3"},
                    {**found, "host": "::1", "family": socket.AF_INET6},
                ]

        def sockets(info: AddrInfoType) -> socket.socket:
            tried.append(info[4][0])
            raise OSError(errno.EMFILE, "Too many open files")

        connector = TCPConnector(resolver=Several(), socket_factory=sockets, **options)
        async with ClientSession(connector=connector) as session:
            with pytest.raises(ClientConnectorError):
                await get(session, "http://a.test/")
        assert tried == expected

    async def test_where_from(self, server: Server) -> None:
        """``local_addr`` is what the server sees."""
        connector = TCPConnector(local_addr=("127.0.0.9", 0))
        async with ClientSession(server.url, connector=connector) as session:
            async with session.get("/bytes/1000000") as response:
                assert isinstance(response.connection, Connection)
                stream = response.connection.transport
                assert stream is not None
                address = stream.extra(anyio.abc.SocketAttribute.local_address)
                assert address[0] == "127.0.0.9"

    async def test_family(self, server: Server) -> None:
        """The resolver is told which addresses are wanted."""
        families: list[int] = []

        class Noting(Names):
            async def resolve(
                self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
            ) -> list[ResolveResult]:
                families.append(family)
                return await super().resolve(host, port, family)

        for family in (socket.AF_UNSPEC, socket.AF_INET):
            connector = TCPConnector(resolver=Noting(), family=family)
            assert connector.family is family
            async with ClientSession(connector=connector) as session:
                await get(session, server.url.with_host("a.test") / "json")
        assert families == [socket.AF_UNSPEC, socket.AF_INET]

    async def test_without_a_cache(self, server: Server) -> None:
        """Every new connection asks."""
        resolver = Names()
        connector = TCPConnector(resolver=resolver, force_close=True, use_dns_cache=False)
        async with ClientSession(server.url.with_host("a.test"), connector=connector) as session:
            for _ in range(2):
                await get(session)
        assert resolver.asked == ["a.test"] * 2

    async def test_addresses_are_not_asked_for(self, server: Server) -> None:
        """An IP literal is its own answer."""
        resolver = Names()
        connector = TCPConnector(resolver=resolver)
        async with ClientSession(server.url, connector=connector) as session:
            await get(session)
        assert resolver.asked == []

    async def test_unknown_names(self) -> None:
        """The error says which host, and that it was its name."""
        connector = TCPConnector(resolver=Names())
        async with ClientSession(connector=connector) as session:
            with pytest.raises(
                anyhttp.ClientConnectorDNSError, match=r"unknown\.test:80"
            ) as caught:
                await get(session, "http://unknown.test/")
            assert isinstance(caught.value.os_error, socket.gaierror)
            assert_no_tokens(connector)

    async def test_an_empty_answer_is_an_error(self) -> None:
        """A resolver that returns nothing has not found the host."""

        class Nothing(Names):
            async def resolve(self, *args: object, **options: object) -> list[ResolveResult]:
                await anyio.lowlevel.checkpoint()
                return []

        async with ClientSession(connector=TCPConnector(resolver=Nothing())) as session:
            with pytest.raises(anyhttp.ClientConnectorDNSError, match="no address"):
                await get(session, "http://a.test/")


class TestErrors:
    async def test_refused(self) -> None:
        """Nobody listens: the error names host, port and reason, and the slot is free."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            connector = TCPConnector(limit=1)
            async with ClientSession(connector=connector) as session:
                for _ in range(3):
                    with pytest.raises(ClientConnectorError, match=f"127.0.0.1:{port} ssl:"):
                        await get(session, f"http://127.0.0.1:{port}/")
                assert_no_tokens(connector)

    async def test_every_address_is_named(self) -> None:
        """Each with its own reason."""

        class Several(Names):
            async def resolve(self, *args: Any, **options: Any) -> list[ResolveResult]:
                (found,) = await super().resolve(*args, **options)
                return [{**found, "host": f"127.0.0.{number}"} for number in (2, 3)]

        def sockets(info: AddrInfoType) -> socket.socket:
            if info[4][0] == "127.0.0.3":
                raise OSError(errno.EMFILE, "Too many open files")
            return socket.socket(*info[:3])

        connector = TCPConnector(resolver=Several(), socket_factory=sockets)
        async with ClientSession(connector=connector) as session:
            with pytest.raises(ClientConnectorError) as caught:
                await get(session, "http://a.test:1/")
        assert str(caught.value) == (
            "Cannot connect to host a.test:1 ssl:default [all 2 addresses failed "
            "(127.0.0.2: Connection refused, 127.0.0.3: Too many open files)]"
        )

    async def test_a_bug_in_a_callback_frees_the_slot(self, server: Server) -> None:
        """An exception that is none of ours passes, and leaves nothing behind."""

        def broken(address: AddrInfoType) -> socket.socket:
            raise ZeroDivisionError

        connector = TCPConnector(limit=1, socket_factory=broken)
        async with ClientSession(server.url, connector=connector) as session:
            for _ in range(2):
                with pytest.raises(ZeroDivisionError):
                    await get(session)
            assert_no_tokens(connector)

    async def test_the_base_makes_no_streams(self, server: Server) -> None:
        """A subclass says how to connect."""
        async with ClientSession(server.url, connector=BaseConnector()) as session:
            with pytest.raises(NotImplementedError):
                await get(session)

    async def test_no_retry_on_a_new_connection(self, script: Script) -> None:
        """A connection that was not used before is not stale; its failure is the answer."""
        peer = await script([(b"GET ", CLOSE)])
        async with ClientSession(peer.url) as session:
            with pytest.raises(ServerDisconnectedError):
                await get(session, "/")
            assert session.connector is not None
            assert_no_tokens(session.connector)


def wrapped(connector: TCPConnector) -> Any:
    """Return an object that looks like *connector*, as proxies of monitoring tools do."""
    shown = {
        "__class__": property(lambda self: type(connector)),
        "__getattr__": lambda self, name: getattr(connector, name),
    }
    return type("Proxy", (), shown)()


class TestSubclasses:
    async def test_one_that_makes_its_own_streams(self, server: Server) -> None:
        """``_create_connection`` may return any anyio stream."""

        class Mine(BaseConnector):
            async def _create_connection(
                self, req: object, traces: object, timeout: ClientTimeout
            ) -> anyio.abc.ByteStream:
                return await anyio.connect_tcp("127.0.0.1", server.url.port or 0)

        connector = Mine(limit=1)
        async with ClientSession(server.url, connector=connector) as session:
            for _ in range(2):
                await get(session)
            hanging = partial(server.until_asked, "/hang")
            assert await cancel_when(partial(get, session, "/hang"), hanging)
            assert_no_tokens(connector, idle=0)
            await get(session)
        assert server.connections == 2

    async def test_one_that_makes_no_stream(self) -> None:
        """Subclasses for aiohttp return a protocol; the error says what is expected."""

        class Mine(TCPConnector):
            async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
                return object(), object()

        connector = Mine()
        async with ClientSession(connector=connector) as session:
            with pytest.raises(TypeError, match="must return an anyio ByteStream, not tuple"):
                await get(session, "http://any.test/")
            assert_no_tokens(connector)

    async def test_one_that_takes_the_request_alone(self, server: Server) -> None:
        """As in the first versions of aiohttp; later ones added ``traces`` and ``timeout``."""
        port = server.url.port or 0

        class First(BaseConnector):
            async def _create_connection(self, req: Any) -> anyio.abc.ByteStream:  # type: ignore[override]  # on purpose
                return await anyio.connect_tcp(req.url.host, port)

        class Second(BaseConnector):
            async def _create_connection(  # type: ignore[override]  # on purpose
                self, req: Any, traces: Any = None
            ) -> anyio.abc.ByteStream:
                assert traces == ()
                return await anyio.connect_tcp(req.url.host, port)

        class Third(BaseConnector):
            async def _create_connection(  # pyright: ignore[reportIncompatibleMethodOverride]
                self, *args: Any
            ) -> anyio.abc.ByteStream:
                assert len(args) == 3
                return await anyio.connect_tcp(args[0].url.host, port)

        class Inherited(First):
            pass

        for connector in (First(), Second(), Third(), Inherited()):
            async with ClientSession(server.url, connector=connector) as session:
                await get(session)

    @pytest.mark.parametrize(
        ("name", "instead"),
        [
            ("_wrap_create_connection", r"sent directly.*_create_connection\(\).*socks5://"),
            ("_wrap_existing_connection", "sent directly"),
            ("_create_direct_connection", "sent directly"),
            ("_create_proxy_connection", "sent directly"),
            ("_start_tls_connection", "Give ssl"),
            ("_get_fingerprint", "Give ssl"),
            ("_convert_hosts_to_addr_infos", "_resolve_host"),
            ("_resolve_host_with_throttle", "_resolve_host"),
            ("_cached_hosts", "_resolve_host"),
            ("_socket_factory", "to the constructor"),
            ("_local_addr_infos", "to the constructor"),
        ],
    )
    def test_one_that_overrides_a_step_of_aiohttp(self, name: str, instead: str) -> None:
        """Nothing calls it, so a proxy that it connects to would be passed over."""
        match = rf"Mine\.{name} would be passed over.*{instead}"
        with pytest.raises(TypeError, match=match):
            type("Mine", (TCPConnector,), {name: lambda self: None})
        mixin = type("Mixin", (), {name: lambda self: None})
        with pytest.raises(TypeError, match=match):
            type("Mine", (mixin, TCPConnector), {})
        type("Mine", (TCPConnector, mixin), {})  # aiohttp would call its own, too
        connector = TCPConnector()
        with pytest.raises(TypeError, match=rf"TCPConnector\.{name} would be passed over"):
            setattr(connector, name, None)
        assert not hasattr(connector, name)

    async def test_a_step_of_aiohttp_that_is_put_onto_the_class(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is seen when a session takes the connector."""
        connector = TCPConnector()
        monkeypatch.setattr(TCPConnector, "_get_fingerprint", lambda self: None, raising=False)
        for given in (None, connector, wrapped(connector)):
            with pytest.raises(TypeError, match=r"TCPConnector\._get_fingerprint would be"):
                ClientSession(connector=given)

    async def test_a_step_of_aiohttp_that_is_put_onto_the_class_later(
        self, monkeypatch: pytest.MonkeyPatch, server: Server
    ) -> None:
        """It is seen when a connection is made."""
        async with ClientSession(server.url) as session:
            name = "_wrap_create_connection"
            monkeypatch.setattr(TCPConnector, name, lambda self: None, raising=False)
            with pytest.raises(TypeError, match=r"TCPConnector\._wrap_create_connection would be"):
                await get(session)
        assert not server.requests

    async def test_a_step_of_aiohttp_in_a_base_behind_it(self, server: Server) -> None:
        """In aiohttp the connector's own comes before it, so nothing is passed over."""
        mixin = type("Mixin", (), {"_get_fingerprint": lambda self: None})
        mine = type("Mine", (TCPConnector, mixin), {})
        async with ClientSession(server.url, connector=mine()) as session:
            await get(session)

    @pytest.mark.parametrize(
        "name",
        ["_factory", "_cleanup", "_get", "_release", "_available_connections", "_interleave"],
    )
    def test_one_that_overrides_what_has_no_effect(self, name: str) -> None:
        """No harm is done, so there is a warning; once, and not for subclasses of the subclass."""
        parent = BaseConnector if name != "_interleave" else TCPConnector
        match = rf"Mine\.{name} would be passed over"
        with pytest.warns(RuntimeWarning, match=match) as caught:
            mine = type("Mine", (parent,), {name: lambda self: None})
        assert caught[0].filename == __file__
        type("Derived", (mine,), {})
        connector = parent()
        with pytest.warns(RuntimeWarning, match=rf"{parent.__name__}\.{name} would be"):
            setattr(connector, name, 5)
        assert getattr(connector, name) == 5
        delattr(connector, name)
        for access in (getattr, delattr):
            with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
                access(connector, name)

    async def test_a_method_that_is_put_onto_a_connector_and_has_no_effect(self) -> None:
        """Programs may call it, so it is there before and afterwards."""
        connector = TCPConnector()
        with pytest.warns(RuntimeWarning, match=r"TCPConnector\._close would be passed over"):
            connector._close = lambda: None  # type: ignore[method-assign]
        connector._close()
        assert not connector.closed
        del connector._close
        connector._close()
        assert connector.closed

    async def test_what_a_refusal_advises(self, server: Server) -> None:
        """Overriding ``_create_connection()`` and ``_resolve_host()`` is what works."""
        steps: list[str] = []

        class Mine(TCPConnector):
            async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
                steps.append("_create_connection")
                return await super()._create_connection(req, traces, timeout)

            async def _resolve_host(self, *args: Any, **options: Any) -> Any:
                steps.append("_resolve_host")
                return await super()._resolve_host(*args, **options)

        async with ClientSession(server.url, connector=Mine()) as session:
            for _ in range(2):
                await get(session)
        assert steps == ["_create_connection", "_resolve_host"]

    async def test_one_that_connects_in_its_own_way(self, server: Server) -> None:
        """``connect`` of a subclass is called for each request, idle connections or not."""
        asked: list[object] = []

        class Mine(TCPConnector):
            async def connect(self, req: Any, *args: Any, **options: Any) -> Connection:
                asked.append(req.url.path)
                return await super().connect(req, *args, **options)

        async with ClientSession(server.url, connector=Mine()) as session:
            for _ in range(2):
                await get(session)
        assert asked == ["/json"] * 2

    @pytest.mark.parametrize("of_the_class", [False, True])
    async def test_one_whose_connect_is_replaced(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, of_the_class: bool
    ) -> None:
        """Tests of programs do that, to one connector or to all."""
        connector = TCPConnector()
        refuse = mock.AsyncMock(side_effect=ClientConnectionError("no network"))
        monkeypatch.setattr(BaseConnector if of_the_class else connector, "connect", refuse)
        async with ClientSession(server.url, connector=connector) as session:
            with pytest.raises(ClientConnectionError, match="no network"):
                await get(session)
        assert server.connections == 0

    async def test_one_that_is_closed_before_its_connection_is_used(self, server: Server) -> None:
        """``connect`` of a subclass may go on after that of its base, and the world with it."""

        class Mine(TCPConnector):
            async def connect(self, req: Any, *args: Any, **options: Any) -> Connection:
                connection = await super().connect(req, *args, **options)
                await self.close()
                return connection

        async with ClientSession(server.url, connector=Mine()) as session:
            with pytest.raises(ClientConnectionError, match=r"^Session is closed$"):
                await get(session)

    @pytest.mark.parametrize("shielded", [False, True])
    async def test_closing_while_a_connection_is_made(self, server: Server, shielded: bool) -> None:
        """It is given up, or closed when its making does not let itself be cancelled."""
        made: list[anyio.abc.SocketStream] = []
        go = anyio.Event()

        class Mine(BaseConnector):
            async def _create_connection(
                self, req: object, traces: object, timeout: ClientTimeout
            ) -> anyio.abc.ByteStream:
                with anyio.CancelScope(shield=shielded):
                    await go.wait()
                    made.append(await anyio.connect_tcp("127.0.0.1", server.url.port or 0))
                return made[0]

        connector = Mine()
        errors: list[str] = []

        async def ask() -> None:
            with pytest.raises(ClientConnectionError) as caught:
                await get(session)
            errors.append(str(caught.value))

        async with ClientSession(server.url, connector=connector) as session:
            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                await blocked()
                group.start_soon(connector.close)
                await blocked()
                go.set()
        assert errors == ["Connector is closed."]
        assert len(made) == int(shielded)
        for stream in made:
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()


@contextmanager
def somebody() -> Iterator[None]:
    """Act as a user who is not root, for whom no permission counts."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class TestUnix:
    async def test_a_socket_that_may_not_be_opened(self, script: Script) -> None:
        """The error says which, and why."""
        peer = await script([], unix=True, partial=True)
        os.chmod(peer.unix_path, 0)
        os.chmod(Path(peer.unix_path).parent, 0o755)
        async with ClientSession(connector=UnixConnector(peer.unix_path, limit=1)) as session:
            with somebody(), pytest.raises(anyhttp.UnixClientConnectorError) as caught:
                await get(session, "http://any.test/")
            assert caught.value.path == peer.unix_path
            assert caught.value.errno == errno.EACCES
            assert str(caught.value) == (
                f"Cannot connect to unix socket {peer.unix_path} ssl:default [Permission denied]"
            )
            assert session.connector is not None
            assert_no_tokens(session.connector)

    @pytest.mark.parametrize("form", [os.fsencode, Path], ids=["bytes", "path"])
    async def test_forms_of_a_path(self, server: Server, form: Callable[[str], Any]) -> None:
        """Bytes and path objects, as :func:`open` takes them."""
        connector = UnixConnector(form(server.unix_path))
        assert connector.path == server.unix_path
        async with ClientSession("http://any.test/", connector=connector) as session:
            assert await get(session)

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux has them")
    @pytest.mark.parametrize("as_bytes", [False, True], ids=["str", "bytes"])
    async def test_a_name_without_a_file(self, as_bytes: bool) -> None:
        """Linux's abstract names begin with NUL; messages show that as "@"."""
        name = f"\0anyhttp-{os.getpid()}-{as_bytes}"
        path = name.encode() if as_bytes else name
        async with ClientSession("http://any.test/", connector=UnixConnector(path)) as session:
            with pytest.raises(
                anyhttp.UnixClientConnectorError,
                match=f"unix socket @{name[1:]} ssl:default .Connection refused",
            ):
                await get(session)
            with census.lock:
                listener = socket.socket(socket.AF_UNIX)
                census.adopt(listener)
            listener.bind(name)
            listener.listen()

            def answer() -> None:
                with census.lock:
                    link, _ = listener.accept()
                    census.adopt(link)
                link.recv(4096)
                link.sendall(OK)
                census.close(link)
                census.close(listener)

            async with anyio.create_task_group() as group:
                group.start_soon(anyio.to_thread.run_sync, answer)
                assert await get(session) == b"ok"

    @pytest.mark.parametrize("path", ["", "/tmp/a\0b", b"\0a\0"])
    def test_what_is_no_path(self, path: Any) -> None:
        """The operating system would stop reading at NUL and open another socket."""
        with pytest.raises(ValueError, match="path must be that of a Unix socket"):
            UnixConnector(path)
        with pytest.raises(TypeError):
            UnixConnector(7)  # type: ignore[arg-type]  # that is the test

    async def test_a_path_that_is_too_long(self) -> None:
        """About a hundred bytes is what a system allows; the error says which path it was."""
        path = "/tmp/" + "a" * 200
        async with ClientSession("http://any.test/", connector=UnixConnector(path)) as session:
            with pytest.raises(anyhttp.UnixClientConnectorError, match=r"a{200}.*too long"):
                await get(session)

    def test_where_there_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is said when the connector is made, and not by its first request."""
        monkeypatch.delattr(socket, "AF_UNIX")
        with pytest.raises(RuntimeError, match="no Unix sockets"):
            UnixConnector("/tmp/socket")

    async def test_requests_go_to_the_socket(self, server: Server) -> None:
        """The host of the URL is only a header."""
        connector = UnixConnector(server.unix_path)
        assert connector.path == server.unix_path
        async with ClientSession("http://any.test/", connector=connector) as session:
            for _ in range(2):
                await get(session)
        assert server.connections == 1

    async def test_a_missing_socket(self) -> None:
        """The error names the path."""
        connector = UnixConnector("/no/such/socket", limit=1)
        async with ClientSession("http://any.test/", connector=connector) as session:
            with pytest.raises(anyhttp.UnixClientConnectorError, match="/no/such/socket"):
                await get(session)
            assert_no_tokens(connector)


@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1", "socks5://127.0.0.1:1"])
async def test_a_url_without_a_port(proxy: str | None) -> None:
    """``tcp`` has no default one, so that there is nothing to connect to."""
    async with ClientSession(connector=TCPConnector(limit=1)) as session:
        for _ in range(2):
            with pytest.raises(anyhttp.InvalidUrlClientError, match="the URL has no port"):
                await session.get("tcp://127.0.0.1/", proxy=proxy)
            assert_free(session)


def test_a_connector_needs_no_event_loop() -> None:
    """SDKs build clients before there is one."""
    assert TCPConnector(limit=5).limit == 5
    with pytest.warns(DeprecationWarning, match="loop"):
        TCPConnector(loop=object())
