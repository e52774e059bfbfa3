"""The contract of anyio's socket streams, which our own streams keep on every backend.

A test module defines the fixture ``link``, made by :func:`connected`, and a test class derived
from each class here.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute

from anyhttp._tasks.timeouts import Expired, TimedStream

from .waiting import DEADLINE, block_until_arrived, until_arrived, until_full

Stream = TypeVar("Stream", bound=TimedStream)
Pair = tuple[TimedStream, socket.socket]

FLOOD = b"x" * 65536


class FickleSocket(socket.socket):
    """A socket that says for a while that it has no room, or has received nothing."""

    is_full = False
    #: how many calls find nothing
    found_empty = 0

    def send(self, *args: Any) -> int:
        """Send, unless there is no room."""
        self._check_room()
        return super().send(*args)

    def sendmsg(self, *args: Any) -> int:
        """Send, unless there is no room."""
        self._check_room()
        return super().sendmsg(*args)

    def recv(self, *args: Any) -> bytes:
        """Receive, unless nothing is found."""
        if self.found_empty:
            self.found_empty -= 1
            raise BlockingIOError
        return super().recv(*args)

    def _check_room(self) -> None:
        if self.is_full:
            raise BlockingIOError


def fickle(stream: TimedStream) -> FickleSocket:
    """Return the socket of *stream*, which :func:`connected` has made."""
    assert isinstance(stream._raw_socket, FickleSocket)
    return stream._raw_socket


async def connected(
    wrap: Callable[[socket.socket], Awaitable[Stream]],
) -> AsyncIterator[tuple[Stream, socket.socket]]:
    """Yield a stream, and the plain non-blocking socket of its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = FickleSocket()
        ours.connect(listener.getsockname())
        peer, _ = listener.accept()
    ours.setblocking(False)
    peer.setblocking(False)
    stream = await wrap(ours)
    yield stream, peer
    await stream.aclose()
    peer.close()


def reset(peer: socket.socket) -> None:
    """Close with RST."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


async def send_on(stream: TimedStream, data: bytes = FLOOD * 16) -> None:
    """Send repeatedly until a send fails."""
    while True:
        await stream.send(data)


async def receive_all(stream: TimedStream) -> bytes:
    """Receive until the end of the stream."""
    received = b""
    with contextlib.suppress(anyio.EndOfStream):
        while True:
            received += await stream.receive()
    return received


class Contract:
    """Waits until bytes have arrived in the kernel; a subclass may wait for another place."""

    async def until_there(self, stream: TimedStream) -> None:
        """Wait until the peer's bytes have arrived where they are without a call of receive()."""
        await until_arrived(stream._raw_socket)

    async def until_end(self, stream: TimedStream) -> None:
        """Wait until the end of the peer's bytes has arrived there too."""
        await until_arrived(stream._raw_socket)


class Receiving(Contract):
    async def test_bytes_come_in_order(self, link: Pair) -> None:
        """A receive returns at most as many bytes as asked for, and no byte is lost."""
        stream, peer = link
        peer.send(b"hello world")
        await self.until_there(stream)
        assert await stream.receive(5) == b"hello"
        assert await stream.receive(100) == b" world"
        peer.send(b"more")
        assert await stream.receive() == b"more"
        with pytest.raises(ValueError, match="positive"):
            await stream.receive(0)

    async def test_the_end(self, link: Pair) -> None:
        """The bytes before the end can be read; after that, every receive reports the end."""
        stream, peer = link
        peer.send(b"last words")
        peer.shutdown(socket.SHUT_WR)
        await self.until_end(stream)
        assert await stream.receive() == b"last words"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()

    async def test_the_end_of_receiving_is_not_that_of_sending(self, link: Pair) -> None:
        """A peer that sends no more can still receive."""
        stream, peer = link
        peer.shutdown(socket.SHUT_WR)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        await stream.send(b"still there?")
        await until_arrived(peer)
        assert peer.recv(100) == b"still there?"

    async def test_a_reset_while_waiting(self, link: Pair) -> None:
        """A reset is an error, not an end."""
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
            await stream.send(b"x")

    @pytest.mark.parametrize("sends_first", [False, True], ids=["receives", "sends first"])
    async def test_a_reset_is_remembered(self, link: Pair, sends_first: bool) -> None:
        """Every receive says so from then on, though the system says it once, as to a send."""
        stream, peer = link
        reset(peer)
        block_until_arrived(stream._raw_socket)
        if sends_first:
            with contextlib.suppress(anyio.BrokenResourceError):  # asyncio tells it later
                await stream.send(b"x")
        for _ in range(2):
            with pytest.raises(anyio.BrokenResourceError) as caught:
                await stream.receive()
            assert isinstance(caught.value.__cause__, ConnectionResetError)
            if sends_first:  # the frames of a traceback would keep the stream
                assert caught.value.__cause__.__traceback__ is None
        with pytest.raises(anyio.BrokenResourceError):
            stream.receive_nowait(1)

    async def test_one_reader_at_a_time(self, link: Pair) -> None:
        """Two readers would take each other's bytes."""
        stream, peer = link
        async with anyio.create_task_group() as group:
            group.start_soon(stream.receive)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError, match="reading"):
                await stream.receive()
            peer.send(b"x")

    async def test_woken_for_nothing(self, link: Pair) -> None:
        """Linux may discard a packet after it has reported it: the reader waits on."""
        stream, peer = link
        peer.send(b"x")
        block_until_arrived(stream._raw_socket)  # the event loop has not received it yet
        fickle(stream).found_empty = 2
        assert await stream.receive() == b"x"

    async def test_cancelling_loses_no_bytes(self, link: Pair) -> None:
        """Cancellation loses no bytes, not even those that arrive at that moment."""
        stream, peer = link
        received = b""

        async def receive() -> None:
            nonlocal received
            received += await stream.receive()

        for number in range(20):
            async with anyio.create_task_group() as group:
                group.start_soon(receive)
                await anyio.lowlevel.checkpoint()
                peer.send(b"%d," % number)
                if number % 3:
                    block_until_arrived(stream._raw_socket)
                if number % 2:
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
        peer.shutdown(socket.SHUT_WR)
        received += await receive_all(stream)
        assert received == b"".join(b"%d," % number for number in range(20))

    async def test_a_cancelled_scope_takes_nothing(self, link: Pair) -> None:
        """A receive in a cancelled scope leaves the bytes where they are."""
        stream, peer = link
        peer.send(b"x")
        await self.until_there(stream)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.receive()
        assert scope.cancelled_caught
        assert await stream.receive() == b"x"


class Sending(Contract):
    async def test_the_sender_waits_for_the_peer(self, link: Pair) -> None:
        """``send`` returns when the operating system has taken the bytes, not before."""
        stream, _ = link
        async with anyio.create_task_group() as group:
            group.start_soon(send_on, stream)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError, match="writing"):
                await stream.send(b"x")
            group.cancel_scope.cancel()

    async def test_the_sender_goes_on_when_the_peer_reads(self, link: Pair) -> None:
        """All sent bytes arrive."""
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

    @pytest.mark.parametrize("first", ["send_nowait", "send_together_nowait"])
    async def test_pieces_for_which_there_is_no_room(self, link: Pair, first: str) -> None:
        """They are kept, and arrive in order."""
        stream, peer = link
        fickle(stream).is_full = True
        getattr(stream, first)(memoryview(b"abc"))  # uvloop has a way past this object
        stream.send_together_nowait(b"d", b"ef")
        fickle(stream).is_full = False
        with anyio.fail_after(DEADLINE):
            await stream.drain()
        assert not stream.has_unsent
        await until_arrived(peer)
        assert peer.recv(100) == b"abcdef"

    async def test_a_peer_that_leaves_wakes_the_sender(self, link: Pair) -> None:
        """A send that waits fails when the peer closes."""
        stream, peer = link
        async with anyio.create_task_group() as group:

            async def send() -> None:
                with pytest.raises(anyio.BrokenResourceError):
                    await send_on(stream)

            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            reset(peer)

    async def test_half_close(self, link: Pair) -> None:
        """After ``send_eof`` the peer sees the end, and can still send."""
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
        """A server that refuses an upload responds and closes; sending then fails, but the
        response can still be read, even if the send failed before a read.
        """
        stream, peer = link
        peer.send(b"413")
        peer.close()
        block_until_arrived(stream._raw_socket)  # the event loop has not received it yet
        with pytest.raises(anyio.BrokenResourceError):
            await send_on(stream, b"x" * size)
        assert await stream.receive() == b"413"
        with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            await stream.receive()


class Closing(Contract):
    async def test_the_descriptor_is_gone(self, link: Pair) -> None:
        """When ``aclose`` returns, the descriptor is closed; later calls report a closed stream."""
        stream, _ = link
        raw = stream._raw_socket
        await stream.aclose()
        assert raw.fileno() == -1
        for operation in (stream.receive(), stream.send(b"x")):
            with pytest.raises(anyio.ClosedResourceError):
                await operation
        await stream.aclose()

    async def test_even_if_it_is_cancelled(self, link: Pair) -> None:
        """Cancellation does not stop ``aclose`` half-way."""
        stream, _ = link
        raw = stream._raw_socket
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.aclose()
        assert raw.fileno() == -1

    async def test_closing_wakes_who_waits(self, link: Pair) -> None:
        """A waiting reader and a waiting writer get an error when the stream is closed."""
        stream, _ = link

        async def read() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()

        async def write() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await send_on(stream)

        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                group.start_soon(write)
                await anyio.wait_all_tasks_blocked()
                stream.abort()


class Deadlines(Contract):
    async def test_receiving(self, link: Pair) -> None:
        """A wait ends at the deadline, and the stream can still be used."""
        stream, peer = link
        stream.deadline = anyio.current_time() + 0.01
        with pytest.raises(Expired):
            await stream.receive()
        stream.deadline = anyio.current_time() + DEADLINE
        peer.send(b"x")
        assert await stream.receive() == b"x"

    async def test_a_peer_that_is_fast_cannot_outlast_it(self, link: Pair) -> None:
        """After the deadline, receive() returns no bytes, not even arrived ones; none is lost."""
        stream, peer = link
        peer.send(b"x")
        await self.until_there(stream)
        stream.deadline = anyio.current_time() - 1
        with pytest.raises(Expired):
            await stream.receive()
        stream.deadline = math.inf
        assert await stream.receive() == b"x"

    async def test_sending(self, link: Pair) -> None:
        """A send that waits for the peer to read ends at the deadline."""
        stream, _ = link
        stream.deadline = anyio.current_time() + 0.05
        with pytest.raises(Expired):
            await send_on(stream)

    async def test_nothing_is_done_after_it(self, link: Pair) -> None:
        """Whoever asks is told that the time is over, and no byte is lost."""
        stream, peer = link
        stream.watched = True
        sent = len(FLOOD)
        while stream.send_nowait(FLOOD):
            sent += len(FLOOD)
        stream.expire()
        for send in (stream.send_nowait, stream.send_together_nowait):
            with pytest.raises(Expired):
                send(b"x")
        for wait in (stream.drain, stream.wait_for_either, stream.receive):
            with anyio.fail_after(DEADLINE), pytest.raises(Expired):
                await wait()
        stream.expired = False
        received = 0
        async with anyio.create_task_group() as group:
            group.start_soon(stream.drain)
            while received < sent:
                await until_arrived(peer)
                received += len(peer.recv(1 << 20))
        assert received == sent
        assert not stream.has_unsent


class WaitingForEither(Contract):
    async def test_what_has_arrived_already(self, link: Pair) -> None:
        """There is nothing to wait for, and it is still there."""
        stream, peer = link
        peer.send(b"x")
        await self.until_there(stream)
        with anyio.fail_after(DEADLINE):
            await stream.wait_for_either()
        assert await stream.receive() == b"x"

    async def test_while_another_task_waits(self, link: Pair) -> None:
        """Neither the one that receives nor the one that drains is woken in its place."""
        stream, peer = link
        async with anyio.create_task_group() as group:
            group.start_soon(stream.receive)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError, match="reading"):
                await stream.wait_for_either()
            peer.send(b"x")
        async with anyio.create_task_group() as group:
            group.start_soon(send_on, stream)
            await until_full(stream._raw_socket)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError, match="writing"):
                await stream.wait_for_either()
            group.cancel_scope.cancel()


class Wrapping(Contract):
    async def test_typed_attributes(self, link: Pair) -> None:
        """The stream has the typed attributes of anyio's own socket streams."""
        stream, peer = link
        assert stream.extra(SocketAttribute.family) == socket.AF_INET
        assert stream.extra(SocketAttribute.remote_address) == peer.getsockname()
        assert stream.extra(SocketAttribute.local_address) == peer.getpeername()
        assert stream.extra(SocketAttribute.remote_port) == peer.getsockname()[1]
        raw = stream.extra(SocketAttribute.raw_socket)
        assert raw.getpeername() == peer.getsockname()


class Interrupting(Contract):
    async def test_it_ends_the_wait_of_the_reader_only(self, link: Pair) -> None:
        """A waiting send goes on, no byte is lost, and the next receive() waits again."""
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
            for _ in range(2):  # the second call finds no reader
                stream.interrupt()
                await anyio.wait_all_tasks_blocked()
            assert ended == ["reader"]
            peer.send(b"x")
            assert await stream.receive() == b"x"
            group.cancel_scope.cancel()
        stream.abort()
        stream.interrupt()
