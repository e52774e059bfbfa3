"""Another HTTP/2 connection that cannot be opened, while one is in use."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from h2.settings import SettingCodes

from anyhttp import (
    ClientConnectionError,
    ClientConnectorDNSError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
)
from anyhttp.abc import AbstractResolver
from tests.support.census import assert_no_tokens
from tests.support.http2_peer import Http2Connection, Http2Peer, Http2Script
from tests.support.peer import Flag
from tests.support.waiting import until

Held = Callable[[Flag], Awaitable[Http2Peer]]


class OnceResolver(AbstractResolver):
    """Knows the address of a host only the first time."""

    def __init__(self) -> None:
        self.calls = 0

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        self.calls += 1
        if self.calls > 1:
            raise OSError("no such host any more")
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
def resolver() -> OnceResolver:
    """What knows the host of the tests only once."""
    return OnceResolver()


@pytest.fixture
async def connector(resolver: OnceResolver) -> TCPConnector:
    """A connector that can open only one connection."""
    return TCPConnector(http2="prior-knowledge", resolver=resolver, use_dns_cache=False)


@pytest.fixture
def held(http2_script: Http2Script) -> Held:
    """A server that answers one request at a time, and the first when the flag is set."""

    async def start(flag: Flag) -> Http2Peer:
        def play(peer: Http2Connection) -> None:
            request = peer.request()
            peer.pause(flag)
            peer.respond(request, body=b"first")
            peer.respond(peer.request(), body=b"next")

        settings = {int(SettingCodes.MAX_CONCURRENT_STREAMS): 1}
        return await http2_script(play, settings=settings, partial=True)

    return start


async def get(session: ClientSession, peer: Http2Peer, **options: Any) -> bytes:
    """Make a request to a host that only the resolver knows."""
    async with session.get(peer.url.with_host("held.test"), **options) as response:
        return await response.read()


async def use(session: ClientSession, *, entered: bool) -> ClientSession:
    """Return *session*, entered or not."""
    return await session.__aenter__() if entered else session


@pytest.mark.uvloop
@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("connect", [None, 20.0])
async def test_the_request_waits_for_a_stream(
    held: Held, connector: TCPConnector, resolver: OnceResolver, connect: Any, *, entered: bool
) -> None:
    """It was the first in the queue, and so it is the first to get one."""
    flag = Flag()
    peer = await held(flag)
    session = await use(ClientSession(connector=connector), entered=entered)
    async with session, anyio.create_task_group() as group:
        group.start_soon(get, session, peer)
        await until(lambda: peer.connections and peer.connections[0].paused, "the first request")

        async def ask() -> None:
            assert await get(session, peer, timeout=ClientTimeout(connect=connect)) == b"next"

        group.start_soon(ask)
        await until(lambda: resolver.calls >= 3, "two failures")
        assert connector.statistics().streams == 1
        flag.set()
    assert_no_tokens(connector)


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("reason", ["connect", "total", "session", "connector", "cancelled"])
async def test_what_ends_the_wait(
    held: Held, connector: TCPConnector, resolver: OnceResolver, reason: str, *, entered: bool
) -> None:
    """The same as ends any wait for a connection, and with the same exceptions."""
    expected: Any = {"connect": ConnectionTimeoutError, "total": TimeoutError}
    timeout = {"connect": ClientTimeout(connect=0.3), "total": ClientTimeout(total=0.3)}
    flag = Flag()
    peer = await held(flag)
    session = await use(ClientSession(connector=connector), entered=entered)
    waiting = anyio.CancelScope()

    async def hold() -> None:
        try:
            await get(session, peer)
        except ClientConnectionError:
            assert reason in {"session", "connector"}

    async def ask() -> None:
        with waiting, pytest.raises(expected.get(reason, ClientConnectionError)):
            await get(session, peer, timeout=timeout.get(reason, ClientTimeout()))

    async with anyio.create_task_group() as group:
        group.start_soon(hold)
        await until(lambda: peer.connections and peer.connections[0].paused, "the first request")
        async with anyio.create_task_group() as asking:
            asking.start_soon(ask)
            await until(lambda: resolver.calls >= 2, "a failure")
            await until(lambda: connector.statistics().waiting == 1, "the second to wait again")
            if reason == "session":
                await session.close()
            elif reason == "connector":
                await connector.close()
            elif reason == "cancelled":
                waiting.cancel()
        assert connector.statistics().waiting == 0
        flag.set()
    await session.close()
    assert_no_tokens(connector)


async def test_a_connection_that_ends_meanwhile(
    http2_script: Http2Script, connector: TCPConnector, resolver: OnceResolver
) -> None:
    """Then there is nothing left to wait for."""
    flag = Flag()

    def play(peer: Http2Connection) -> None:
        peer.request()
        peer.pause(flag)
        peer.close()

    settings = {int(SettingCodes.MAX_CONCURRENT_STREAMS): 1}
    peer = await http2_script(play, settings=settings, partial=True)

    async def fail(session: ClientSession, error: type[Exception]) -> None:
        with pytest.raises(error):
            await get(session, peer)

    async with ClientSession(connector=connector) as session, anyio.create_task_group() as group:
        group.start_soon(fail, session, ClientConnectionError)
        await until(lambda: peer.connections and peer.connections[0].paused, "the first request")
        group.start_soon(fail, session, ClientConnectorDNSError)
        await until(lambda: resolver.calls >= 2, "a failure")
        flag.set()
    assert_no_tokens(connector)
