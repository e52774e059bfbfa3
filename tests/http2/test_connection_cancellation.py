"""Cancelling one exchange at each of its suspension points, while ten others use the connection.

None of the others notices, the connection goes on, and its windows are as the server sees them.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import get_args

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from anyhttp import ClientSession
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.http2_client import OneConnection, one_connection
from tests.support.http2_server import Http2Exchange, Http2Server
from tests.support.tls import Authority
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop

LARGE = bytes(range(256)) * 1200  # more than the window that the server gives


class Held:
    """A server some of whose answers the test can hold back.

    ``/held`` waits before the head, ``/half`` in the middle of the body; ``/echo`` answers with
    the body of the request as it comes, ``/large`` with a large one, and ``/small`` with a small.
    """

    def __init__(self, tls_ca: Authority) -> None:
        self.release = threading.Event()
        self.waiting = 0
        self._lock = threading.Lock()
        self.server = Http2Server(tls_ca.server_with("h2"), self._answer)
        self.port = self.server.url.port or 0

    def _hold(self, exchange: Http2Exchange) -> None:
        with self._lock:
            self.waiting += 1
        self.release.wait()

    def _answer(self, exchange: Http2Exchange) -> None:
        path = exchange.head.target
        if path == "/held":
            self._hold(exchange)
            exchange.respond(b"held")
        elif path == "/half":
            exchange.send_head(200)
            exchange.send(b"one ")
            self._hold(exchange)
            exchange.send(b"half", end=True)
        elif path == "/echo":
            if ("expect", "100-continue") in exchange.head.headers:
                exchange.inform(100)
            exchange.send_head(200)
            for piece in exchange.body():
                exchange.send(piece)
            exchange.end()
        elif path == "/large":
            exchange.respond(LARGE)
        else:
            exchange.respond(b"small")


@pytest.fixture
def held(tls_ca: Authority) -> Iterator[Held]:
    """Start the server."""
    held = Held(tls_ca)
    yield held
    held.release.set()
    held.server.stop()


@pytest.fixture(params=get_args(How))
def how(request: pytest.FixtureRequest, anyio_backend: tuple[str, object]) -> How:
    """Each way of cancelling that the backend has."""
    way: How = request.param
    if way == "native" and anyio_backend[0] == "trio":
        pytest.skip("trio has no cancellation but scopes")
    return way


async def pieces(count: int, size: int = 700) -> AsyncIterator[bytes]:
    """A body that is written piece by piece."""
    for number in range(count):
        yield bytes([number % 256]) * size
        await anyio.lowlevel.checkpoint()


async def get(session: ClientSession) -> None:
    """Receive a small response."""
    async with session.get("/small") as response:
        assert await response.read() == b"small"


async def download(session: ClientSession) -> None:
    """Receive a body piece by piece."""
    received = 0
    async with session.get("/large") as response:
        async for piece in response.content.iter_any():
            received += len(piece)
    assert received == len(LARGE)


async def stream(session: ClientSession) -> None:
    """Send a body of unknown length, which comes back meanwhile."""
    async with session.post("/echo", data=pieces(20), expect100=True) as response:
        assert len(await response.read()) == 14_000


async def upload(session: ClientSession) -> None:
    """Send more than the windows allow at once."""
    async with session.post("/echo", data=LARGE) as response:
        assert await response.read() == LARGE


async def leave(session: ClientSession) -> None:
    """Leave a response before its end."""
    async with session.get("/large") as response:
        await response.content.readany()


class Others:
    """Ten exchanges, each of which waits for something else."""

    def __init__(self, session: ClientSession, held: Held) -> None:
        self._session = session
        self._held = held
        self._go_on = anyio.Event()
        self.ended = 0

    async def _receive(self, path: str, expected: bytes) -> None:
        async with self._session.get(path) as response:
            assert await response.read() == expected
        self.ended += 1

    async def _send(self) -> None:
        async def body() -> AsyncIterator[bytes]:
            yield b"one "
            await self._go_on.wait()
            for _ in range(10):
                yield LARGE[:20_000]

        async with self._session.post("/echo", data=body()) as response:
            assert await response.read() == b"one " + 10 * LARGE[:20_000]
        self.ended += 1

    async def start(self, group: anyio.abc.TaskGroup) -> None:
        """Start them, and wait until each waits."""
        for _ in range(4):
            group.start_soon(self._receive, "/held", b"held")
            group.start_soon(self._receive, "/half", b"one half")
        group.start_soon(self._send)
        group.start_soon(self._send)
        await until(lambda: self._held.waiting == 8, "all to wait")
        await anyio.wait_all_tasks_blocked()

    def go_on(self) -> None:
        """Let them end."""
        self._held.release.set()
        self._go_on.set()


Operation = Callable[[ClientSession], Awaitable[None]]


@pytest.mark.parametrize("operation", [get, download, stream, upload, leave])
async def test_no_other_exchange_notices(held: Held, how: How, operation: Operation) -> None:
    """Whoever reads for all, waits for a window, or has been chosen to read."""
    async with one_connection(held.port, base_url=held.server.url) as (session, connector):
        http2 = await connector.open()

        async def run() -> None:
            await operation(session)

        async def after() -> None:
            await get(session)
            assert http2.exchanges == 10 - others.ended
            assert connector.lent == http2.exchanges

        others = Others(session, held)
        async with anyio.create_task_group() as group:
            await others.start(group)
            with anyio.fail_after(30):
                assert await cancel_at_every_checkpoint(run, after=after, how=how)
            others.go_on()
        assert others.ended == 10
        await get(session)
        assert_quiet(connector)


def assert_quiet(connector: OneConnection) -> None:
    """Nobody waits or sends, and no exchange is open."""
    http2 = connector.http2
    assert http2 is not None
    assert http2.phase.name == "IDLE"
    assert http2.exchanges == connector.lent == 0
    assert not [*http2._sleepers, *http2._senders, *http2._streams, *http2._pings]
    assert http2._reader is None
    assert http2._drainer is None
