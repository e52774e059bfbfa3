"""The stream on an asyncio transport: what anyio's own promises, and what a pool needs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from anyhttp._network.asyncio_stream import READ_AHEAD, RECEIVE_SIZE, AsyncioStream
from anyhttp._tasks.timeouts import Expired, TimedStream
from tests.support import stream_contract
from tests.support.census import ROUNDS_OF_GRACE
from tests.support.stream_contract import FLOOD, receive_all, reset, send_on
from tests.support.waiting import (
    DEADLINE,
    block_until_arrived,
    until,
    until_full,
)

ASYNCIO = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
]
pytestmark = pytest.mark.parametrize("anyio_backend", ASYNCIO, indirect=True, scope="module")

Pair = tuple[AsyncioStream, socket.socket]


@pytest.fixture
async def link() -> AsyncIterator[Pair]:
    """A stream, and the plain non-blocking socket of its peer."""
    async for pair in stream_contract.connected(AsyncioStream.wrap):
        yield pair


def flood(peer: socket.socket) -> int:
    """Send as much as the peer's kernel takes."""
    sent = 0
    try:
        while True:
            sent += peer.send(FLOOD)
    except BlockingIOError:
        return sent


async def rounds(count: int = 20) -> None:
    """Let the event loop do what it has to do by itself."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def until_news(stream: TimedStream) -> None:
    """Wait until the event loop has received something for *stream*."""
    await until(stream.has_unread, "news")


async def until_end(stream: TimedStream) -> None:
    """Wait until the event loop has received the end, or an error, for *stream*."""
    assert isinstance(stream, AsyncioStream)
    await until(lambda: stream._at_eof or stream._lost, "the end")


def is_closed(sock: socket.socket) -> bool:
    """Tell whether a socket is."""
    return sock.fileno() == -1


async def fill(stream: AsyncioStream) -> asyncio.Task[None]:
    """Start a send that the peer does not take, and wait until it is stuck."""
    task = asyncio.ensure_future(send_on(stream))
    await until_full(stream._raw_socket)
    await anyio.wait_all_tasks_blocked()
    return task


class Broken(socket.socket):
    """Refuses to send, as after a reset, and has received what the test says."""

    to_receive: bytes | OSError = b""

    def send(self, *args: object) -> int:
        """Fail."""
        raise BrokenPipeError

    def sendmsg(self, *args: object) -> int:
        """Fail."""
        raise BrokenPipeError

    def recv(self, *args: object) -> bytes:
        """Return the bytes once, or fail."""
        if isinstance(self.to_receive, OSError):
            raise self.to_receive
        received, self.to_receive = self.to_receive, b""
        return received


class ReadsAhead(stream_contract.Contract):
    async def until_there(self, stream: TimedStream) -> None:
        """Wait until the event loop has received something."""
        await until_news(stream)

    async def until_end(self, stream: TimedStream) -> None:
        """Wait until the event loop has received the end."""
        await until_end(stream)


class TestReceiving(ReadsAhead, stream_contract.Receiving):
    async def test_a_peer_that_floods_has_to_wait(self, link: Pair) -> None:
        """While nobody reads, no more than a bounded number of bytes is kept."""
        stream, peer = link
        sent = 0
        with anyio.fail_after(DEADLINE):
            while stream._buffered < READ_AHEAD:
                sent += flood(peer)
                await anyio.lowlevel.checkpoint()
        for _ in range(50):
            sent += flood(peer)
            await anyio.lowlevel.checkpoint()
        assert READ_AHEAD <= stream._buffered <= 2 * READ_AHEAD
        received = 0
        while received < sent:
            received += len(await stream.receive(65536))
        assert stream._buffered == 0
        peer.send(b"after")
        assert await stream.receive() == b"after"

    @pytest.mark.parametrize("end", ["none", "end", "reset"])
    async def test_more_than_the_loop_receives_at_a_time(self, link: Pair, end: str) -> None:
        """It is asked for, so it comes in larger pieces; no byte is lost, nor what comes after."""
        stream, peer = link
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**22)
        sizes = []
        received = sent = 0
        for _ in range(4):
            sent += flood(peer)
            while received < sent:
                piece = await stream.receive(2**20)
                assert len(piece) <= 2**20
                sizes.append(len(piece))
                received += len(piece)
        assert max(sizes) > 256 * 1024
        assert stream._buffered == 0
        if end == "end":
            peer.shutdown(socket.SHUT_WR)
            with pytest.raises(anyio.EndOfStream):
                await stream.receive(2**20)
        elif end == "reset":
            reset(peer)
            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive(2**20)
        else:
            peer.send(b"after")
            assert await stream.receive(2**20) == b"after"

    async def test_a_reset_before_more_is_received(self) -> None:
        """Who finds it out says so; the event loop cannot, any more."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = Broken()
            ours.connect(listener.getsockname())
            peer, _ = listener.accept()
        ours.setblocking(False)
        stream = await AsyncioStream.wrap(ours)
        stream.data_received(bytes(RECEIVE_SIZE))
        ours.to_receive = ConnectionResetError()
        assert len(await stream.receive(2**20)) == RECEIVE_SIZE
        for _ in range(2):
            with pytest.raises(anyio.BrokenResourceError) as caught:
                await stream.receive(2**20)
            assert caught.value.__cause__ is ours.to_receive
        await stream.aclose()
        peer.close()

    async def test_bytes_before_a_reset_are_not_lost(self, link: Pair) -> None:
        """They are read first."""
        stream, peer = link
        peer.send(b"last words")
        await until_news(stream)
        reset(peer)
        await until_end(stream)
        assert await stream.receive() == b"last words"
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()

    async def test_cancelling_natively_loses_no_bytes(self, link: Pair) -> None:
        """Not even those that arrive at the very moment."""
        stream, peer = link
        received = b""

        async def receive() -> None:
            nonlocal received
            received += await stream.receive()

        for number in range(20):
            task = asyncio.ensure_future(receive())
            await anyio.lowlevel.checkpoint()
            peer.send(b"%d," % number)
            if number % 3:
                block_until_arrived(stream._raw_socket)
            if number % 2:
                await anyio.lowlevel.checkpoint()
            task.cancel()
            await asyncio.wait({task})
        peer.shutdown(socket.SHUT_WR)
        received += await receive_all(stream)
        assert received == b"".join(b"%d," % number for number in range(20))


class TestSending(ReadsAhead, stream_contract.Sending):
    async def test_one_writer_at_a_time(self, link: Pair) -> None:
        """As the other streams of anyio."""
        stream, _ = link
        task = await fill(stream)
        with pytest.raises(anyio.BusyResourceError, match="writing"):
            await stream.send(b"x")
        stream.abort()
        with pytest.raises(anyio.ClosedResourceError):
            await task

    async def test_nothing_to_wait_for(self, link: Pair) -> None:
        """Draining a stream that sent all of it returns at once."""
        stream, _ = link
        await stream.drain()

    @pytest.mark.parametrize(
        ("received", "error"),
        [
            (b"refused", BrokenPipeError),
            (b"x" * (READ_AHEAD + 1), BrokenPipeError),
            (BlockingIOError(), BrokenPipeError),
            (ConnectionResetError(), ConnectionResetError),
        ],
        ids=["some", "more than is kept", "nothing", "reset"],
    )
    @pytest.mark.parametrize("send", ["send_nowait", "send_together_nowait"])
    async def test_what_came_before_a_send_failed(
        self, received: bytes | OSError, error: type, send: str
    ) -> None:
        """It can be read, and then comes the reason."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = Broken()
            ours.connect(listener.getsockname())
            peer, _ = listener.accept()
        ours.setblocking(False)
        ours.to_receive = received
        stream = await AsyncioStream.wrap(ours)
        assert getattr(stream, send)(b"x")
        if isinstance(received, bytes):
            assert await stream.receive(len(received)) == received
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.receive()
        assert isinstance(caught.value.__cause__, error)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"x")
        await stream.aclose()
        peer.close()


class TestClosing(ReadsAhead, stream_contract.Closing):
    async def test_abort_needs_no_await(self, link: Pair) -> None:
        """The descriptor goes within a few rounds of the event loop; no bytes go out any more."""
        stream, _ = link
        raw = stream._raw_socket
        stream.abort()
        assert stream.has_unread()
        for _ in range(ROUNDS_OF_GRACE):
            await anyio.lowlevel.checkpoint()
        assert raw.fileno() == -1
        stream.abort()

    async def test_bytes_that_were_there_can_still_be_read(self, link: Pair) -> None:
        """What had arrived before the end of the connection is delivered first."""
        stream, peer = link
        peer.send(b"x")
        await until_news(stream)
        peer.close()
        await until_end(stream)
        assert await stream.receive() == b"x"


class TestQuiet:
    async def test_no_end_can_be_sent_any_more(self, link: Pair) -> None:
        """The stream says what it is."""
        stream, _ = link
        stream.abort()
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send_eof()

    async def test_what_is_no_stream_socket_is_closed(
        self, anyio_backend: tuple[str, dict[str, bool]]
    ) -> None:
        """Whoever gives a socket away has not to close it."""
        if anyio_backend[1]["use_uvloop"]:
            pytest.skip("uvloop looks at the kind of a socket when it has taken it over")
        datagrams = socket.socket(type=socket.SOCK_DGRAM)
        datagrams.setblocking(False)
        with pytest.raises(ValueError, match=r"(?i)stream"):
            await AsyncioStream.wrap(datagrams)
        assert datagrams.fileno() == -1

    async def test_news(self, link: Pair) -> None:
        """The pool asks whether anything came that nobody took."""
        stream, peer = link
        assert not stream.has_unread()
        peer.send(b"x")
        await until_news(stream)
        assert stream.has_unread()
        await stream.receive()
        assert not stream.has_unread()
        peer.shutdown(socket.SHUT_WR)
        await until_news(stream)
        assert stream.has_unread()


class TestDeadline(ReadsAhead, stream_contract.Deadlines):
    @pytest.mark.parametrize("way", ["receive", "send"])
    async def test_somebody_else_may_end_the_wait(self, link: Pair, way: str) -> None:
        """A watchdog, for many streams; until the deadline is set anew nothing works."""
        stream, _ = link
        stream.watched = True
        task = await fill(stream) if way == "send" else asyncio.ensure_future(self._receive(stream))
        await anyio.wait_all_tasks_blocked()
        stream.expire()
        with pytest.raises(Expired):
            await task
        with pytest.raises(Expired):
            await stream.receive()
        with pytest.raises(Expired):
            await stream.send(b"x")
        stream.expired = False
        if way == "receive":
            await stream.send(b"x")

    async def _receive(self, stream: AsyncioStream) -> None:
        await stream.receive()

    async def test_no_timer_is_left(self, link: Pair) -> None:
        """A deadline far away that was not needed is forgotten at once."""
        stream, _ = link
        stream.deadline = anyio.current_time() + 1000
        task = asyncio.ensure_future(stream.receive())
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        await asyncio.wait({task})
        loop: Any = asyncio.get_running_loop()
        scheduled = getattr(loop, "_scheduled", [])  # uvloop keeps its timers to itself
        assert all(handle.cancelled() for handle in scheduled)


class TestWaitingForEither(ReadsAhead, stream_contract.WaitingForEither):
    pass


class TestWrapping(ReadsAhead, stream_contract.Wrapping):
    @pytest.mark.parametrize("rounds_before", range(1, 6))
    async def test_a_native_cancellation_closes_the_socket_once(self, rounds_before: int) -> None:
        """Whether stream or caller owns the descriptor at that moment, it is closed, and not
        closed again later, when the number may belong to someone else.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            peer, _ = listener.accept()
        ours.setblocking(False)
        number = ours.fileno()
        task = asyncio.ensure_future(AsyncioStream.wrap(ours))
        for _ in range(rounds_before):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            await task.result().aclose()
        await until(partial(is_closed, ours), "the socket to be closed")
        peer.setblocking(True)
        peer.settimeout(5)
        try:
            assert peer.recv(1) == b""
        except ConnectionResetError:
            pass
        peer.close()
        # Whoever gets the number next keeps it.
        others = [socket.socket() for _ in range(3)]
        del ours, task
        await rounds()
        assert number in {other.fileno() for other in others}
        for other in others:
            other.getsockname()
            other.close()


class TestInterrupting(ReadsAhead, stream_contract.Interrupting):
    pass


class TestTakingOver:
    @pytest.mark.parametrize("rounds", [0, 1])
    async def test_cancelling_closes_the_socket(self, rounds: int) -> None:
        """Also after the event loop has made its transport; nothing is left to be closed later."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            peer, _ = listener.accept()
        ours.setblocking(False)
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def take_over() -> None:
                    try:
                        await AsyncioStream.wrap(ours)
                    finally:
                        assert ours.fileno() == -1

                group.start_soon(take_over)
                for _ in range(rounds):
                    await asyncio.sleep(0)
                scope.cancel()
        with peer:
            if ours.fileno() != -1:  # it had not begun
                ours.close()
            peer.setblocking(True)
            assert peer.recv(1) == b""
