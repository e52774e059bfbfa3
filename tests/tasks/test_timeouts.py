"""Time limits: what may be asked for, who ends a wait, and what the caller is told."""

from __future__ import annotations

import math
import pickle
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import ClientSession, ClientTimeout, TCPConnector
from anyhttp._network.stream import NetworkStream
from anyhttp._tasks.task_owner import TaskOwner
from anyhttp._tasks.timeouts import (
    DEFAULT_TIMEOUT,
    Expired,
    Watchdog,
    WatchedScope,
    deadline_after,
)
from tests.support.client import opened
from tests.support.peer import DEAF, STALL, Head, Script
from tests.support.server import Server
from tests.support.streams import FakeStream, watch
from tests.support.waiting import DEADLINE

SHORT = 0.2  # seconds


class TestClientTimeout:
    def test_the_default(self) -> None:
        """Five minutes for all, thirty seconds for a new connection, as aiohttp has it."""
        assert ClientTimeout(total=300, sock_connect=30) == DEFAULT_TIMEOUT
        assert ClientTimeout() == ClientTimeout(None, None, None, None)

    @pytest.mark.parametrize("name", ["total", "connect", "sock_read", "sock_connect"])
    def test_values(self, name: str) -> None:
        """Seconds, 0 or ``None``; what cannot be a time is refused at once."""
        limits: dict[str, Any]
        for good in (None, 0, 1, 0.5, math.inf):
            limits = {name: good}
            assert getattr(ClientTimeout(**limits), name) == good
        for bad in (-1, -0.001, math.nan):
            with pytest.raises(ValueError, match=name):
                ClientTimeout(**{name: bad})
        others: list[object] = ["1", True, [], b""]
        for other in others:
            limits = {name: other}
            with pytest.raises(TypeError, match=name):
                ClientTimeout(**limits)

    def test_it_is_a_value(self) -> None:
        """Frozen, hashable, comparable, picklable."""
        timeout = ClientTimeout(total=3)
        with pytest.raises(AttributeError):
            timeout.total = 4  # type: ignore[misc]  # on purpose
        assert hash(timeout) == hash(ClientTimeout(total=3))
        assert pickle.loads(pickle.dumps(timeout)) == timeout

    async def test_deadlines(self) -> None:
        """``None`` and 0 are no limit; else the deadline is on the event loop's clock."""
        await anyio.lowlevel.checkpoint()
        assert deadline_after(None) == math.inf
        assert deadline_after(0) == math.inf
        assert 0 < deadline_after(9) - anyio.current_time() <= 9


class TestWatchdog:
    @asynccontextmanager
    async def running(self) -> AsyncIterator[Watchdog]:
        """Run a watchdog."""
        async with anyio.create_task_group() as group:
            watchdog = Watchdog(lambda run, end: group.start_soon(run))
            try:
                yield watchdog
            finally:
                watchdog.stop()

    async def test_each_stream_ends_at_its_own_time(self) -> None:
        """Whatever the order in which they were announced."""
        async with self.running() as watchdog:
            begin = anyio.current_time()
            streams = {seconds: FakeStream() for seconds in (0.06, 0.02, 0.04, 0.02001)}
            for seconds, stream in streams.items():
                watch(watchdog, stream, begin + seconds)
                await anyio.lowlevel.checkpoint()
            for seconds, stream in streams.items():
                assert await stream.until_expired() - begin >= seconds

    async def test_a_later_deadline_takes_the_place_of_the_earlier(self) -> None:
        """Each piece received may begin the time anew."""
        async with self.running() as watchdog:
            stream = FakeStream()
            watch(watchdog, stream, anyio.current_time() + 0.05)
            watch(watchdog, stream, deadline := anyio.current_time() + 0.2)
            assert await stream.until_expired() >= deadline

    async def test_a_forgotten_stream_is_left_alone(self) -> None:
        """Its connection may serve another request by then."""
        async with self.running() as watchdog:
            stream, later = FakeStream(), FakeStream()
            watch(watchdog, stream, deadline := anyio.current_time() + 0.01)
            watch(watchdog, later, deadline + 0.01)
            NetworkStream(stream).end_deadline(watchdog)
            NetworkStream(stream).end_deadline(watchdog)
            await later.until_expired()
            assert stream.expired_at is None

    async def test_a_deadline_that_has_passed(self) -> None:
        """It ends the wait at once."""
        async with self.running() as watchdog:
            stream = FakeStream()
            watch(watchdog, stream, anyio.current_time() - 1)
            await stream.until_expired()

    async def test_a_wait_that_the_end_of_another_has_ended(self) -> None:
        """It is not told that it is late, though it was."""

        class First(FakeStream):
            def expire(self) -> None:
                super().expire()
                watchdog.forget(second)

        async with self.running() as watchdog:
            first, second, third = First(), FakeStream(), FakeStream()
            for stream in (first, second, third):
                watch(watchdog, stream, anyio.current_time() - 1)
            await third.until_expired()
            assert first.expired_at is not None
            assert second.expired_at is None

    @pytest.mark.parametrize("elsewhere", [True, False])
    async def test_a_block_outlives_it(self, elsewhere: bool) -> None:
        """Its time limit holds, also if another thread has stopped the watchdog."""
        owner = TaskOwner()
        watchdog, scope = Watchdog(owner.start), owner.tasks.make_scope()
        with anyio.fail_after(DEADLINE):
            with WatchedScope(scope, watchdog, deadline := anyio.current_time() + 0.02):
                if elsewhere:
                    thread = threading.Thread(target=watchdog.stop)
                    thread.start()
                    thread.join()
                else:
                    watchdog.stop()
                await anyio.sleep_forever()
        assert scope.cancel_called
        assert anyio.current_time() >= deadline
        await owner.leave(None)

    async def test_once_stopped_it_never_starts(self) -> None:
        """The group whose task it would be is over then."""
        started: list[object] = []
        watchdog = Watchdog(lambda run, end: started.append(run))
        watchdog.stop()
        watch(watchdog, FakeStream(), anyio.current_time() + 1)
        await anyio.lowlevel.checkpoint()
        assert started == []

    async def test_a_cancellation_around_it_does_not_stop_it(self) -> None:
        """A request that is shielded from that has its time limit all the same."""
        with anyio.CancelScope() as scope:
            owner = TaskOwner()
            watchdog, stream = Watchdog(owner.start), FakeStream()
            scope.cancel()
            with anyio.CancelScope(shield=True):
                watch(watchdog, stream, anyio.current_time() + 0.01)
                await stream.until_expired()
            watchdog.stop()
            await owner.leave(None)


def session_for(
    url: object, timeout: ClientTimeout, *, entered: bool, **options: Any
) -> AbstractAsyncContextManager[ClientSession]:
    """Give a session with these limits and this connector.

    An entered one has a watchdog; in one that is not each wait ends itself.
    """
    session = ClientSession(str(url), connector=TCPConnector(**options), timeout=timeout)
    return opened(session, entered=entered)


async def slow_body() -> AsyncIterator[bytes]:
    """Yield a body that takes longer than anybody waits."""
    for _ in range(200):
        yield b"x"
        await anyio.sleep(0.01)


async def flood() -> AsyncIterator[bytes]:
    """Yield more than any buffer on the way takes."""
    for _ in range(50):
        yield b"x" * 1_000_000


@pytest.mark.uvloop
class TestPhases:
    """Which limit ran out decides which exception it is; all of them are ``TimeoutError``."""

    async def test_total_before_the_head(self, server: Server, entered: bool) -> None:
        """A peer that never answers."""
        async with session_for(server.url, ClientTimeout(total=SHORT), entered=entered) as session:
            with pytest.raises(TimeoutError, match=r"total timeout of 0\.2 s") as caught:
                await session.get("/hang")
            assert type(caught.value) is TimeoutError
            async with session.get("/json", timeout=DEADLINE) as response:
                await response.read()

    @pytest.mark.parametrize("path", ["/drip?n=2000&delay=0.01", "/drip?n=2&delay=20"])
    async def test_total_in_the_body(self, server: Server, path: str, entered: bool) -> None:
        """A peer that always has one more byte does not outlast it, nor does one that pauses."""
        async with session_for(server.url, ClientTimeout(total=SHORT), entered=entered) as session:
            begin = anyio.current_time()
            with pytest.raises(TimeoutError) as caught:
                async with session.get(path) as response:
                    await response.read()
            assert type(caught.value) is TimeoutError
            assert anyio.current_time() - begin < 10
            async with session.get("/json", timeout=DEADLINE) as response:
                await response.read()

    async def test_total_over_a_redirect_chain(self, server: Server, entered: bool) -> None:
        """The time is that of the whole call, not of each hop."""
        async with session_for(server.url, ClientTimeout(total=SHORT), entered=entered) as session:
            with pytest.raises(TimeoutError):
                await session.get("/redirect-to", params={"url": "/hang"})

    async def test_total_in_the_body_of_a_redirect(self, script: Script, entered: bool) -> None:
        """It is read to keep the connection, and may end no sooner than the time."""
        moved = b"HTTP/1.1 307 Moved\r\nLocation: /\r\nContent-Length: 6\r\n\r\nabc"
        peer = await script([(b"GET / ", moved), STALL])
        async with session_for(peer.url, ClientTimeout(total=SHORT), entered=entered) as session:
            with pytest.raises(TimeoutError, match="ran out while waiting for the response"):
                await session.get("")

    @pytest.mark.parametrize("bare", [False, True])
    async def test_total_while_sending(self, server: Server, entered: bool, bare: bool) -> None:
        """A slow upload is cut off."""
        async with session_for(server.url, ClientTimeout(total=SHORT), entered=entered) as session:
            async with AsyncExitStack() as stack:
                request = session.post("/upload", data=slow_body())
                with pytest.raises(TimeoutError) as caught:
                    await (request if bare else stack.enter_async_context(request))
                assert type(caught.value) is TimeoutError

    async def test_total_while_a_callback_judges(self, server: Server, entered: bool) -> None:
        """The message says whose time it was."""

        async def judge(response: anyhttp.ClientResponse) -> None:
            await anyio.sleep_forever()

        async with session_for(server.url, ClientTimeout(total=SHORT), entered=entered) as session:
            with pytest.raises(TimeoutError, match="running the raise_for_status callback"):
                await session.get("/json", raise_for_status=judge)

    async def test_total_against_a_peer_that_does_not_read(
        self, script: Script, entered: bool
    ) -> None:
        """A send that waits for the peer ends, too."""
        peer = await script([(Head(b"POST "), DEAF)])
        async with session_for(peer.url, ClientTimeout(total=SHORT), entered=entered) as session:
            with pytest.raises(TimeoutError):
                await session.post("/", data=flood())

    async def test_total_in_the_queue(self, server: Server, entered: bool) -> None:
        """Waiting for a slot counts."""
        timeout = ClientTimeout(total=SHORT)
        async with session_for(server.url, timeout, entered=entered, limit=1) as session:
            async with session.get("/bytes/3000000", timeout=None):
                with pytest.raises(TimeoutError, match="waiting for a connection"):
                    await session.get("/json")

    async def test_connect_in_the_queue(self, server: Server, entered: bool) -> None:
        """``connect`` covers the wait for a slot."""
        timeout = ClientTimeout(connect=SHORT)
        async with session_for(server.url, timeout, entered=entered, limit=1) as session:
            async with session.get("/bytes/3000000"):
                with pytest.raises(anyhttp.ConnectionTimeoutError, match=r"127\.0\.0\.1"):
                    await session.get("/json")

    @pytest.mark.parametrize("name", ["connect", "sock_connect"])
    async def test_a_handshake_that_does_not_come(
        self, script: Script, entered: bool, name: str
    ) -> None:
        """Both limits cover TLS."""
        peer = await script([STALL])
        timeout = ClientTimeout(**{name: SHORT})
        url = peer.url.with_scheme("https")
        async with session_for(url, timeout, entered=entered, ssl=False) as session:
            with pytest.raises(anyhttp.ConnectionTimeoutError) as caught:
                await session.get("/")
            assert isinstance(caught.value, anyhttp.ServerTimeoutError)
            assert isinstance(caught.value, TimeoutError)

    async def test_sock_connect_does_not_count_the_queue(
        self, server: Server, entered: bool
    ) -> None:
        """Only the making of a connection."""
        timeout = ClientTimeout(sock_connect=SHORT)
        async with session_for(server.url, timeout, entered=entered, limit=1) as session:
            async with anyio.create_task_group() as group:
                async with session.get("/bytes/3000000"):

                    async def ask() -> None:
                        async with session.get("/json") as response:
                            await response.read()

                    group.start_soon(ask)
                    await anyio.sleep(2 * SHORT)

    async def test_sock_read_before_the_head(self, server: Server, entered: bool) -> None:
        """Nothing came for that long."""
        timeout = ClientTimeout(sock_read=SHORT)
        async with session_for(server.url, timeout, entered=entered) as session:
            with pytest.raises(anyhttp.SocketTimeoutError):
                await session.get("/hang")

    async def test_sock_read_in_the_body(self, server: Server, entered: bool) -> None:
        """The gap between two pieces counts, not the time of all."""
        timeout = ClientTimeout(sock_read=2 * SHORT)
        async with session_for(server.url, timeout, entered=entered) as session:
            async with session.get("/drip?n=15&delay=0.01") as response:
                assert await response.read() == b"*" * 15
            async with session.get("/drip?n=2&delay=1") as response:
                with pytest.raises(anyhttp.SocketTimeoutError):
                    await response.read()

    async def test_sock_read_counts_from_the_end_of_sending(
        self, server: Server, entered: bool
    ) -> None:
        """A server cannot answer an upload that it does not have."""

        async def body() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield b"x"
                await anyio.sleep(SHORT / 2)

        timeout = ClientTimeout(sock_read=2 * SHORT)
        async with session_for(server.url, timeout, entered=entered) as session:
            async with session.post("/upload", data=body()) as response:
                assert (await response.json())["length"] == 5

    async def test_a_limit_of_one_request_does_not_meet_the_next(
        self, server: Server, entered: bool
    ) -> None:
        """A kept connection forgets the deadline of the exchange before."""
        timeout = ClientTimeout()
        async with session_for(server.url, timeout, entered=entered) as session:
            async with session.get("/json", timeout=ClientTimeout(total=1)) as response:
                await response.read()
            async with session.get("/drip?n=2&delay=1.1") as response:
                assert await response.read() == b"**"
        assert server.connections == 1

    async def test_an_outer_limit_is_not_ours(self, server: Server, entered: bool) -> None:
        """A scope around the call ends as itself, whatever limits the request has."""
        timeout = ClientTimeout(total=9, connect=9, sock_connect=9, sock_read=9)
        async with session_for(server.url, timeout, entered=entered) as session:
            with anyio.move_on_after(SHORT) as scope:
                await session.get("/hang")
            assert scope.cancelled_caught
            async with session.get("/drip?n=2&delay=9") as response:
                with anyio.move_on_after(SHORT) as scope:
                    await response.read()
                assert scope.cancelled_caught

    @pytest.mark.parametrize("timeout", [None, 0, ClientTimeout()])
    async def test_no_limit(self, server: Server, entered: bool, timeout: Any) -> None:
        """``None`` and 0 leave all the time."""
        short = ClientTimeout(total=0.01)
        async with session_for(server.url, short, entered=entered) as session:
            async with session.get("/drip?n=2&delay=0.05", timeout=timeout) as response:
                assert await response.read() == b"**"


def test_expired_is_internal() -> None:
    """Callers never see it: it is no ``TimeoutError``, so a leak of it would show."""
    assert not issubclass(Expired, TimeoutError)
    assert not hasattr(anyhttp, "Expired")
