"""The stream on an asyncio transport: what anyio's own promises, and what a pool needs."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute

from anyhttp._network.asyncio_stream import READ_AHEAD, AsyncioStream
from anyhttp._tasks.timeouts import Expired
from tests.support.census import ROUNDS_OF_GRACE
from tests.support.waiting import (
    DEADLINE,
    block_until_arrived,
    until,
    until_arrived,
    until_full,
)

ASYNCIO = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
]
pytestmark = pytest.mark.parametrize("anyio_backend", ASYNCIO, indirect=True, scope="module")

FLOOD = b"x" * 65536


@pytest.fixture
async def link() -> AsyncIterator[tuple[AsyncioStream, socket.socket]]:
    """A stream, and the plain non-blocking socket of its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    ours.setblocking(False)
    peer.setblocking(False)
    stream = await AsyncioStream.wrap(ours)
    yield stream, peer
    await stream.aclose()
    peer.close()


Pair = tuple[AsyncioStream, socket.socket]


def flood(peer: socket.socket) -> int:
    """Send as much as the peer's kernel takes."""
    sent = 0
    try:
        while True:
            sent += peer.send(FLOOD)
    except BlockingIOError:
        return sent


def reset(peer: socket.socket) -> None:
    """Close with RST."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


async def rounds(count: int = 20) -> None:
    """Let the event loop do what it has to do by itself."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def until_news(stream: AsyncioStream) -> None:
    """Wait until the event loop has received something for *stream*."""
    await until(stream.has_unread, "news")


async def until_end(stream: AsyncioStream) -> None:
    """Wait until the event loop has received the end, or an error, for *stream*."""
    await until(lambda: stream._at_eof or stream._lost, "the end")


async def send_on(stream: AsyncioStream, data: bytes = FLOOD * 16) -> None:
    """Send until that fails."""
    while True:
        await stream.send(data)


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

    def recv(self, *args: object) -> bytes:
        """Return the bytes once, or fail."""
        if isinstance(self.to_receive, OSError):
            raise self.to_receive
        received, self.to_receive = self.to_receive, b""
        return received


class TestReceiving:
    async def test_bytes_come_in_order(self, link: Pair) -> None:
        """Pieces larger than asked for are split, and nothing is lost."""
        stream, peer = link
        peer.send(b"hello world")
        await until_news(stream)
        assert await stream.receive(5) == b"hello"
        assert await stream.receive(100) == b" world"
        peer.send(b"more")
        assert await stream.receive() == b"more"
        with pytest.raises(ValueError, match="positive"):
            await stream.receive(0)

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

    async def test_the_end(self, link: Pair) -> None:
        """What came before it can be read, then every receive says so."""
        stream, peer = link
        peer.send(b"last words")
        peer.shutdown(socket.SHUT_WR)
        await until_end(stream)
        assert await stream.receive() == b"last words"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()

    async def test_the_end_of_receiving_is_not_that_of_sending(self, link: Pair) -> None:
        """A peer that has nothing more to say still listens."""
        stream, peer = link
        peer.shutdown(socket.SHUT_WR)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.send(b"still there?")
        assert peer.recv(100) == b"still there?"

    async def test_a_reset_while_waiting(self, link: Pair) -> None:
        """It is an error, not an end."""
        stream, peer = link
        async with anyio.create_task_group() as group:

            async def receive() -> None:
                with pytest.raises(anyio.BrokenResourceError) as caught:
                    await stream.receive()
                assert isinstance(caught.value.__cause__, ConnectionResetError)

            group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            reset(peer)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"x")

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

    async def test_one_reader_at_a_time(self, link: Pair) -> None:
        """Two would steal each other's bytes."""
        stream, peer = link
        async with anyio.create_task_group() as group:
            group.start_soon(stream.receive)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError, match="reading"):
                await stream.receive()
            peer.send(b"x")

    async def test_cancelling_loses_no_bytes(self, link: Pair) -> None:
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
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                await receive()
        assert received == b"".join(b"%d," % number for number in range(20))

    async def test_a_cancelled_scope_takes_nothing(self, link: Pair) -> None:
        """A receive in a cancelled scope leaves the bytes where they are."""
        stream, peer = link
        peer.send(b"x")
        await until_news(stream)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.receive()
        assert scope.cancelled_caught
        assert await stream.receive() == b"x"


class TestSending:
    async def test_the_sender_waits_for_the_peer(self, link: Pair) -> None:
        """``send`` returns when the bytes are with the operating system, not before."""
        stream, _ = link
        task = await fill(stream)
        assert not task.done()
        with pytest.raises(anyio.BusyResourceError, match="writing"):
            await stream.send(b"x")
        task.cancel()
        await asyncio.wait({task})

    async def test_the_sender_goes_on_when_the_peer_reads(self, link: Pair) -> None:
        """What it sent arrives whole."""
        stream, peer = link
        data = bytes(range(256)) * 40_000
        received = bytearray()
        async with anyio.create_task_group() as group:
            group.start_soon(stream.send, data)
            while len(received) < len(data):
                await anyio.lowlevel.checkpoint()
                try:
                    received += peer.recv(1 << 20)
                except BlockingIOError:
                    continue
        assert received == data

    async def test_a_peer_that_leaves_wakes_the_sender(self, link: Pair) -> None:
        """A send that waits ends with an error."""
        stream, peer = link
        task = await fill(stream)
        reset(peer)
        await asyncio.wait({task}, timeout=5)
        assert isinstance(task.exception(), anyio.BrokenResourceError)

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
    async def test_what_came_before_a_send_failed(
        self, anyio_backend: tuple[str, dict[str, bool]], received: bytes | OSError, error: type
    ) -> None:
        """It can be read, and then comes the reason."""
        if anyio_backend[1]["use_uvloop"]:
            pytest.skip("uvloop uses the descriptor, not the socket object")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = Broken()
            ours.connect(listener.getsockname())
            peer, _ = listener.accept()
        ours.setblocking(False)
        ours.to_receive = received
        stream = await AsyncioStream.wrap(ours)
        await stream.send(b"x")
        if isinstance(received, bytes):
            assert await stream.receive(len(received)) == received
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.receive()
        assert isinstance(caught.value.__cause__, error)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"x")
        await stream.aclose()
        peer.close()

    async def test_half_close(self, link: Pair) -> None:
        """After ``send_eof`` the peer sees the end, and can still answer."""
        stream, peer = link
        await stream.send(b"request")
        await stream.send_eof()
        await until_arrived(peer)
        assert peer.recv(100) == b"request"
        await until_arrived(peer)
        assert peer.recv(100) == b""
        peer.send(b"response")
        assert await stream.receive() == b"response"

    @pytest.mark.parametrize("size", [10, 1_000_000], ids=["small", "large"])
    async def test_an_answer_before_the_upload_is_over_is_kept(self, link: Pair, size: int) -> None:
        """A server that refuses an upload answers and closes; sending then fails, but the
        answer can be read, also if the failed send came before it was.
        """
        stream, peer = link
        peer.send(b"413")
        peer.close()
        block_until_arrived(stream._raw_socket)  # and the event loop has not looked
        with pytest.raises(anyio.BrokenResourceError):
            await send_on(stream, b"x" * size)
        assert await stream.receive() == b"413"
        with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            await stream.receive()


class TestClosing:
    async def test_the_descriptor_is_gone(self, link: Pair) -> None:
        """When ``aclose`` returns; what is called later says that it is closed."""
        stream, _ = link
        raw = stream._raw_socket
        await stream.aclose()
        assert raw.fileno() == -1
        for operation in (stream.receive(), stream.send(b"x")):
            with pytest.raises(anyio.ClosedResourceError):
                await operation
        await stream.aclose()

    async def test_even_if_it_is_cancelled(self, link: Pair) -> None:
        """Closing cannot be interrupted half-way."""
        stream, _ = link
        raw = stream._raw_socket
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.aclose()
        assert raw.fileno() == -1

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

    async def test_closing_wakes_who_waits(self, link: Pair) -> None:
        """Reader and writer learn that the stream was closed under them."""
        stream, _ = link
        sender = await fill(stream)
        reader = asyncio.ensure_future(stream.receive())
        await anyio.wait_all_tasks_blocked()
        stream.abort()
        await asyncio.wait({sender, reader}, timeout=5)
        assert isinstance(sender.exception(), anyio.ClosedResourceError)
        assert isinstance(reader.exception(), anyio.ClosedResourceError)

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


class TestDeadline:
    async def test_receiving(self, link: Pair) -> None:
        """Waiting ends at the deadline, and the stream can still be used."""
        stream, peer = link
        stream.deadline = anyio.current_time() + 0.01
        with pytest.raises(Expired):
            await stream.receive()
        stream.deadline = anyio.current_time() + 5
        peer.send(b"x")
        assert await stream.receive() == b"x"

    async def test_a_peer_that_is_fast_cannot_outlast_it(self, link: Pair) -> None:
        """After the deadline even bytes that are there are not handed out; nor are they lost."""
        stream, peer = link
        peer.send(b"x")
        await until_news(stream)
        stream.deadline = anyio.current_time() - 1
        with pytest.raises(Expired):
            await stream.receive()
        stream.deadline = math.inf
        assert await stream.receive() == b"x"

    async def test_sending(self, link: Pair) -> None:
        """A peer that does not read is not waited for any longer."""
        stream, _ = link
        stream.deadline = anyio.current_time() + 0.05
        with pytest.raises(Expired):
            await send_on(stream)

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


class TestWrapping:
    async def test_typed_attributes(self, link: Pair) -> None:
        """Those of anyio's own socket streams."""
        stream, peer = link
        assert stream.extra(SocketAttribute.family) == socket.AF_INET
        assert stream.extra(SocketAttribute.remote_address) == peer.getsockname()
        assert stream.extra(SocketAttribute.local_address) == peer.getpeername()
        assert stream.extra(SocketAttribute.remote_port) == peer.getsockname()[1]
        raw = stream.extra(SocketAttribute.raw_socket)
        assert raw.getpeername() == peer.getsockname()

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
        await until(lambda sock=ours: sock.fileno() == -1, "the socket to be closed")
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


class TestInterrupting:
    async def test_it_ends_the_wait_of_the_reader_only(self, link: Pair) -> None:
        """Whoever sends goes on, no byte is lost, and the next receive() waits again."""
        stream, peer = link
        ended: list[str] = []

        async def read() -> None:
            with pytest.raises(Expired):
                await stream.receive()
            ended.append("reader")

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(send_on, stream)
            await anyio.wait_all_tasks_blocked()
            for _ in range(2):  # the second finds nobody
                stream.interrupt()
                await rounds(3)
            assert ended == ["reader"]
            peer.send(b"x")
            assert await stream.receive() == b"x"
            group.cancel_scope.cancel()
        stream.abort()
        stream.interrupt()
