"""Delays of a mock, on clocks that jump: no test here waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from time import monotonic
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from anyhttp import (
    ClientConnectorError,
    ClientSession,
    ClientTimeout,
    ServerTimeoutError,
    SocketTimeoutError,
)
from anyhttp.testing import (
    Answer,
    AutojumpEventLoop,
    MockConnector,
    ReceivedRequest,
    WebSocketPeer,
    drip,
    serve,
    stall,
)

API = "http://api.test"

Main = Callable[[], Coroutine[Any, Any, float]]
Run = Callable[[Main], float]


def on_asyncio(main: Main) -> float:
    """Run *main* on asyncio."""
    with asyncio.Runner(loop_factory=AutojumpEventLoop) as runner:
        return runner.run(main())


def on_trio(main: Main) -> float:
    """Run *main* on trio."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.fixture(params=[on_asyncio, on_trio])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine function while time jumps, and return what it returns.

    It must not take long, whatever that clock says.
    """

    def measured(main: Main) -> float:
        begin = monotonic()
        result: float = request.param(main)
        assert monotonic() - begin < 30  # all tests here are about hours
        return result

    return measured


async def seconds_of(session: ClientSession, path: str, **options: Any) -> tuple[float, bytes]:
    """Make a request, and return how long it has taken, and its body."""
    begin = anyio.current_time()
    async with session.get(API + path, **options) as response:
        body = await response.read()
    return anyio.current_time() - begin, body


async def slowly(request: ReceivedRequest) -> Answer:
    """Answer after an hour."""
    await anyio.sleep(3600)
    return Answer(text="slow")


async def pieces() -> AsyncIterator[bytes]:
    """Make a body in two hours."""
    for piece in (b"slow", b"ly"):
        await anyio.sleep(3600)
        yield piece


@pytest.mark.parametrize(
    ("options", "hours", "body"),
    [
        (lambda: {"text": "late", "delay": 3600}, 1, b"late"),
        (lambda: {"body": drip(b"abcd", size=1, seconds=3600)}, 4, b"abcd"),
        (lambda: {"body": drip(b"abcd", size=2, seconds=3600), "delay": 7200}, 4, b"abcd"),
        (lambda: {"answer": slowly}, 1, b"slow"),
        (lambda: {"body": pieces()}, 2, b"slowly"),
        (lambda: {"body": pieces(), "delay": 3600}, 3, b"slowly"),
        (lambda: {"raw": b"HTTP/1.0 200 OK\r\n\r\nraw", "delay": 3600}, 1, b"raw"),
    ],
    ids=["delay", "drip", "drip-late", "function", "iterated", "iterated-late", "raw"],
)
def test_an_answer_takes_its_time(
    options: Callable[[], Any], hours: int, body: bytes, run: Run
) -> None:
    """As long as it says, on the clock of the event loop."""

    async def main() -> float:
        mock = MockConnector()
        mock.get("/a", **options())
        async with ClientSession(connector=mock, timeout=ClientTimeout()) as session:
            taken, got = await seconds_of(session, "/a")
        assert got == body
        return taken

    assert run(main) == pytest.approx(3600 * hours, abs=60)


def test_a_failure_to_connect_takes_its_time(run: Run) -> None:
    """``delay=`` comes before it."""

    async def main() -> float:
        mock = MockConnector()
        mock.get("/a", exception=ConnectionRefusedError(), delay=3600)
        async with ClientSession(connector=mock, timeout=ClientTimeout()) as session:
            begin = anyio.current_time()
            with pytest.raises(ClientConnectorError):
                await session.get(f"{API}/a")
            return anyio.current_time() - begin

    assert run(main) == pytest.approx(3600, abs=60)


@pytest.mark.parametrize(
    ("options", "timeout", "error", "seconds"),
    [
        ({"answer": stall()}, ClientTimeout(sock_read=600), SocketTimeoutError, 600),
        ({"answer": stall()}, ClientTimeout(total=600), TimeoutError, 600),
        ({"answer": stall(b"half")}, ClientTimeout(sock_read=600), SocketTimeoutError, 600),
        ({"answer": stall(b"half")}, ClientTimeout(total=600), TimeoutError, 600),
        ({"delay": 3600}, ClientTimeout(sock_read=600), SocketTimeoutError, 600),
        ({"delay": 3600}, ClientTimeout(total=600), TimeoutError, 600),
        (
            {"body": drip(b"abcdef", seconds=500)},
            ClientTimeout(total=1250, sock_read=600),
            TimeoutError,
            1250,
        ),
        ({"answer": slowly}, ClientTimeout(sock_read=600), SocketTimeoutError, 600),
        ({"answer": slowly}, ClientTimeout(total=600), TimeoutError, 600),
        ({"exception": TimeoutError()}, ClientTimeout(total=600), TimeoutError, 0),
        ({"exception": TimeoutError()}, ClientTimeout(sock_read=600), SocketTimeoutError, 0),
    ],
)
@pytest.mark.parametrize("entered", [True, False])
def test_the_time_limits_are_those_of_the_client(
    options: Any,
    timeout: ClientTimeout,
    error: type[Exception],
    seconds: float,
    entered: bool,
    run: Run,
) -> None:
    """An entered session has a watchdog for them, another one has a timer for each wait."""

    async def main() -> float:
        mock = MockConnector()
        mock.get("/a", **options)
        session = ClientSession(connector=mock, timeout=timeout)
        if entered:
            await session.__aenter__()
        begin = anyio.current_time()
        try:
            with pytest.raises(error):
                await seconds_of(session, "/a")
            return anyio.current_time() - begin
        finally:
            await session.close()

    assert run(main) == pytest.approx(seconds, abs=60)


def test_a_time_limit_that_does_not_run_out_changes_nothing(run: Run) -> None:
    """Each piece starts ``sock_read`` anew."""

    async def main() -> float:
        mock = MockConnector()
        mock.get("/a", body=drip(b"abc", seconds=500))
        async with ClientSession(connector=mock, timeout=ClientTimeout(sock_read=600)) as session:
            taken, got = await seconds_of(session, "/a")
        assert got == b"abc"
        return taken

    assert run(main) == pytest.approx(1500, abs=60)


def test_a_websocket_takes_its_time(run: Run) -> None:
    """Its script sleeps on the same clock."""

    async def script(peer: WebSocketPeer) -> None:
        await anyio.sleep(3600)
        await peer.send("late")

    async def main() -> float:
        mock = MockConnector()
        mock.ws("ws://api.test/feed", script)
        async with ClientSession(connector=mock, timeout=ClientTimeout()) as session:
            async with session.ws_connect("ws://api.test/feed") as websocket:
                begin = anyio.current_time()
                assert await websocket.receive_str() == "late"
                return anyio.current_time() - begin

    assert run(main) == pytest.approx(3600, abs=60)


@pytest.mark.parametrize("entered", [True, False])
def test_the_heartbeat_of_a_websocket_goes_by_the_same_clock(entered: bool, run: Run) -> None:
    """A peer that does not answer is given up in time, though hardly any real time has passed.

    After a bare await in a session that was not entered, the task that receives keeps the time.
    """

    async def script(peer: WebSocketPeer) -> None:
        await anyio.sleep(24 * 3600)  # so nobody answers the PING

    async def main() -> float:
        mock = MockConnector()
        mock.ws("ws://api.test/feed", script)
        session = ClientSession(connector=mock, timeout=ClientTimeout())
        if entered:
            await session.__aenter__()
        try:
            websocket = await session.ws_connect("ws://api.test/feed", heartbeat=3600)
            begin = anyio.current_time()
            message = await websocket.receive()
            assert isinstance(message.data, ServerTimeoutError)
            return anyio.current_time() - begin
        finally:
            await session.close()

    assert run(main) == pytest.approx(1.5 * 3600, abs=60)


def test_an_idle_connection_expires_on_the_same_clock(run: Run) -> None:
    """The alarm for it does not come again and again until real time has passed."""

    async def main() -> float:
        async with serve({}) as server, ClientSession(server.url) as session:
            async with session.get("/") as response:
                await response.read()
            begin = anyio.current_time()
            while server.open_connections:  # noqa: ASYNC110  (nothing tells of it)
                await anyio.sleep(1)
            return anyio.current_time() - begin

    assert run(main) < 60  # twice the time that a connection may be idle, and some more
