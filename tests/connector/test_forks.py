from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar

import anyio
import pytest
from anyio.abc import ByteStream

import anyhttp
from anyhttp import (
    BaseConnector,
    ClientRequest,
    ClientSession,
    ClientTimeout,
    ClientWSTimeout,
    TCPConnector,
)
from anyhttp.tracing import Trace
from tests.support import websocket
from tests.support.client import assert_free, get
from tests.support.forks import fork, in_child
from tests.support.peer import STALL, Exact, Flag, Script, Tell, Until, Wait
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import DEADLINE
from tests.support.websocket import Accept

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the operating system cannot fork"),
    pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning"),
]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_a_child_opens_connections_of_its_own(
    server: Server, anyio_backend: Any, *, entered: bool
) -> None:
    """It would read the answers to its parent's requests, and the parent those to its own."""

    async def ask() -> bytes:
        return await get(session, "anything?who=child")

    session = ClientSession(server.url)
    if entered:
        await session.__aenter__()
    await get(session)
    told = await in_child(anyio_backend, ask)
    assert "child" in told
    assert server.connections == 2
    assert b"parent" in await get(session, "anything?who=parent")
    assert server.connections == 2  # that of the parent has not come to harm
    await session.close()


def test_a_child_that_is_forked_between_two_runs_of_the_event_loop(server: Server) -> None:
    """Each of the two has its own connection then, and closing it is no concern of the other."""

    def run(target: str) -> str:
        return str(runner.run(get(session, target)))

    session = ClientSession(server.url)
    with asyncio.Runner() as runner:
        run("anything")
        assert "child" in fork(lambda: run("anything?who=child"))
        assert "parent" in run("anything?who=parent")
        assert server.connections == 2
        runner.run(session.close())


@pytest.mark.parametrize("what", ["close", "collect", "shut down"])
@pytest.mark.parametrize("tls", [False, True])
async def test_a_child_does_no_harm_to_its_parents_connections(
    script: Script, tls_ca: Authority, anyio_backend: Any, what: str, *, tls: bool
) -> None:
    """It closes what it has inherited without a word to the peer, whatever its state."""

    async def end() -> str:
        if what == "close":
            await session.close()
        elif what == "collect":
            kept.clear()
            gc.collect()
        return "done"  # else the end of the program is all that comes

    go_on = Flag()
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"
    peer = await script(
        [(b"GET /lent ", [half, Wait(go_on), b"lf"])],
        [(b"GET /socket ", [Accept(), Wait(go_on), websocket.frame(websocket.TEXT), STALL])],
        [(b"GET /idle ", [OK]), (b"GET /idle ", [OK])],
        tls=tls_ca.server if tls else None,
    )
    session = ClientSession(connector=TCPConnector(ssl=tls_ca.client))
    timeout = ClientWSTimeout(ws_close=0.05)
    # Only this list refers to them.
    kept: list[Any] = [
        await session.get(peer.url / "lent"),
        await session.ws_connect(peer.url / "socket", timeout=timeout),
    ]
    await get(session, peer.url / "idle")
    assert await in_child(anyio_backend, end) == "done"
    await get(session, peer.url / "idle")
    go_on.set()
    assert await kept[0].read() == b"half"
    assert await kept[1].receive_str() == ""
    await kept[1].close()
    await session.close()


async def test_a_child_cannot_read_the_rest_of_a_response(
    script: Script, anyio_backend: Any
) -> None:
    """Its parent will."""

    async def read() -> str:
        with pytest.raises(anyhttp.ClientError) as caught:
            await response.read()
        return type(caught.value).__name__

    go_on = Flag()
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha"
    peer = await script([(b"GET / ", [half, Wait(go_on), b"lf"])])
    async with ClientSession() as session, session.get(peer.url) as response:
        assert await in_child(anyio_backend, read) in {
            "ClientConnectionError",
            "ClientPayloadError",
        }
        go_on.set()
        assert await response.read() == b"half"


async def test_the_limits_of_a_child_are_its_own(server: Server, anyio_backend: Any) -> None:
    """Requests of its parent take none of its slots, nor does their end give it any."""

    async def ask() -> object:
        answer = await get(session)
        del kept[0]
        gc.collect()
        assert_free(session, idle=1)
        assert session.connector.statistics().in_use == 0  # type: ignore[union-attr]
        await session.close()
        return len(answer)

    timeout = ClientTimeout(total=5)
    session = ClientSession(server.url, connector=TCPConnector(limit=1), timeout=timeout)
    kept = [await session.get("bytes/1000000")]
    size = len(await _in_own(server))
    assert await in_child(anyio_backend, ask) == str(size)
    kept[0].close()
    assert len(await get(session)) == size
    await session.close()


async def _in_own(server: Server) -> bytes:
    async with ClientSession(server.url) as session:
        return await get(session)


async def test_the_cookies_of_a_child_are_its_own(server: Server, anyio_backend: Any) -> None:
    """It has those that its parent had when it was forked."""

    async def change() -> list[str]:
        session.cookie_jar.update_cookies({"child": "1"})
        return sorted(morsel.key for morsel in session.cookie_jar)

    async with ClientSession(server.url, cookies={"parent": "1"}) as session:
        assert await in_child(anyio_backend, change) == "['child', 'parent']"
        assert [morsel.key for morsel in session.cookie_jar] == ["parent"]


async def test_an_upload_in_a_child_that_was_forked_in_the_middle_of_another(
    script: Script, anyio_backend: Any
) -> None:
    """Closing the session there waits for no task of the parent, and does not end one."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        await going.wait()
        yield b"b"

    async def post() -> None:
        async with session.post(peer.url, data=pieces()) as response:
            assert await response.read() == b"ok"

    async def close() -> str:
        with anyio.fail_after(DEADLINE):
            await session.close()
        return "done"

    begun, going = Flag(), anyio.Event()
    peer = await script([(Until(b"1\r\na\r\n"), [Tell(begun)]), (Until(b"0\r\n\r\n"), [OK])])
    async with ClientSession() as session, anyio.create_task_group() as group:
        group.start_soon(post)
        await begun.until_set()
        assert await in_child(anyio_backend, close) == "done"
        going.set()


class Foreign(ByteStream):
    """A stream of the application's own over a socket."""

    def __init__(self, below: ByteStream) -> None:
        self._below = below

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream below, and so its socket."""
        return self._below.extra_attributes

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Receive."""
        return await self._below.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        """Send."""
        await self._below.send(item)

    async def send_eof(self) -> None:
        """Not used here."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close."""
        await self._below.aclose()


class ForeignConnector(BaseConnector):
    """Connects by a stream of its own."""

    port: ClassVar[int]

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> ByteStream:
        return Foreign(await anyio.connect_tcp("127.0.0.1", self.port))


async def test_a_stream_of_another_library_is_left_to_the_parent(
    server: Server, anyio_backend: Any
) -> None:
    """Closing it would shut down the connection for both."""

    async def ask() -> bytes:
        answer = await get(session)
        await session.close()
        return answer

    ForeignConnector.port = server.url.port or 0
    async with ClientSession(server.url, connector=ForeignConnector()) as session:
        answer = await get(session)
        assert await in_child(anyio_backend, ask) == str(answer)
        assert await get(session) == answer
        assert server.connections == 2


async def test_a_socket_that_was_handed_to_a_child_is_not_touched(
    script: Script, anyio_backend: Any
) -> None:
    """Who has detached a connection has it to itself, and may give it to a child."""

    async def talk() -> str:
        with socket.socket(fileno=os.dup(descriptor)) as raw_socket:
            return str(raw_socket.send(b"hello"))

    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    peer = await script([(b"GET / ", [switch]), (Exact(b"hello"), [b"hi"])])
    headers = {"Upgrade": "x", "Connection": "upgrade"}
    async with ClientSession() as session:
        async with session.get(peer.url, headers=headers) as response:
            stream = response.connection.detach()  # type: ignore[attr-defined]
        descriptor = stream.extra(anyio.abc.SocketAttribute.raw_socket).fileno()
        assert await in_child(anyio_backend, talk) == "5"
        assert await stream.receive() == b"hi"
        await stream.aclose()
