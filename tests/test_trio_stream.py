"""The stream on a trio socket: what anyio's own promises, and what a pool needs."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from collections.abc import AsyncIterator
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute

from anyhttp._network.trio_stream import TrioStream
from anyhttp._tasks.timeouts import Expired
from tests.support.cancel import cancel_when
from tests.support.waiting import block_until_arrived, until_arrived, until_full

pytestmark = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("trio", {}), id="trio")], indirect=True, scope="module"
)

FLOOD = b"x" * 65536

Pair = tuple[TrioStream, socket.socket]


@pytest.fixture
async def link() -> AsyncIterator[Pair]:
    """A stream, and the plain non-blocking socket of its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    ours.setblocking(False)
    peer.setblocking(False)
    stream = TrioStream(ours)
    yield stream, peer
    await stream.aclose()
    peer.close()


def reset(peer: socket.socket) -> None:
    """Close with RST."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


async def send_on(stream: TrioStream, data: bytes = FLOOD * 16) -> None:
    """Send until that fails."""
    while True:
        await stream.send(data)


class TestReceiving:
    async def test_bytes_come_in_order(self, link: Pair) -> None:
        """No more than asked for at a time, and nothing is lost."""
        stream, peer = link
        peer.send(b"hello world")
        await until_arrived(stream._raw_socket)
        assert await stream.receive(5) == b"hello"
        assert await stream.receive(100) == b" world"
        peer.send(b"more")
        assert await stream.receive() == b"more"
        with pytest.raises(ValueError, match="positive"):
            await stream.receive(0)

    async def test_the_end(self, link: Pair) -> None:
        """What came before it can be read, then every receive says so."""
        stream, peer = link
        peer.send(b"last words")
        peer.shutdown(socket.SHUT_WR)
        await until_arrived(stream._raw_socket)
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
        await until_arrived(peer)
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
            await stream.send(b"x")

    async def test_a_request_and_its_answer(self, link: Pair) -> None:
        """After sending, the answer is waited for, also if it is there already."""
        stream, peer = link
        for late in (True, False):
            await stream.send(b"request")
            await until_arrived(peer)
            assert peer.recv(100) == b"request"
            async with anyio.create_task_group() as group:

                async def receive() -> None:
                    assert await stream.receive() == b"response"

                if late:
                    group.start_soon(receive)
                    await anyio.wait_all_tasks_blocked()
                    peer.send(b"response")
                else:
                    peer.send(b"response")
                    await until_arrived(stream._raw_socket)
                    group.start_soon(receive)

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
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                await receive()
        assert received == b"".join(b"%d," % number for number in range(20))

    async def test_a_cancelled_scope_takes_nothing(self, link: Pair) -> None:
        """A receive in a cancelled scope leaves the bytes where they are."""
        stream, peer = link
        peer.send(b"x")
        await until_arrived(stream._raw_socket)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.receive()
        assert scope.cancelled_caught
        assert await stream.receive() == b"x"


class TestSending:
    async def test_the_sender_waits_for_the_peer(self, link: Pair) -> None:
        """``send`` returns when the bytes are with the operating system, not before."""
        stream, _ = link
        async with anyio.create_task_group() as group:
            group.start_soon(send_on, stream)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError, match="writing"):
                await stream.send(b"x")
            group.cancel_scope.cancel()

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

    async def test_a_sender_may_begin_when_nothing_can_be_sent(self, link: Pair) -> None:
        """It waits until the peer has taken what an earlier one, cut short, has left."""
        stream, peer = link
        full = partial(until_full, stream._raw_socket)
        assert await cancel_when(partial(send_on, stream), full)
        async with anyio.create_task_group() as group:
            group.start_soon(stream.send, b"end")
            await anyio.wait_all_tasks_blocked()
            received = b""
            with anyio.fail_after(5):
                while not received.endswith(b"end"):
                    await anyio.lowlevel.checkpoint()
                    try:
                        received = received[-3:] + peer.recv(1 << 20)
                    except BlockingIOError:
                        continue

    async def test_a_peer_that_leaves_wakes_the_sender(self, link: Pair) -> None:
        """A send that waits ends with an error."""
        stream, peer = link
        async with anyio.create_task_group() as group:

            async def send() -> None:
                with pytest.raises(anyio.BrokenResourceError):
                    await send_on(stream)

            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            reset(peer)

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

    async def test_a_send_that_need_not_wait(self, link: Pair) -> None:
        """When its time is over nothing more goes out, however fast the peer reads."""
        stream, peer = link
        stream.expire()
        with pytest.raises(Expired):
            stream.send_nowait(b"a")
        with pytest.raises(Expired):
            await stream.send(b"b")
        stream.expired = False
        await stream.send(b"c")
        await until_arrived(peer)
        assert peer.recv(10) == b"c"

    async def test_abort_needs_no_await(self, link: Pair) -> None:
        """The descriptor is gone when it returns; a stream that is closed cannot expire."""
        stream, _ = link
        raw = stream._raw_socket
        stream.abort()
        assert raw.fileno() == -1
        stream.abort()
        stream.expire()
        assert not stream.expired

    async def test_closing_wakes_who_waits(self, link: Pair) -> None:
        """Reader and writer learn that the stream was closed under them."""
        stream, _ = link

        async def read() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()

        async def write() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await send_on(stream)

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            stream.abort()


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
        await until_arrived(stream._raw_socket)
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

    async def test_a_scope_around_it_is_not_the_deadline(self, link: Pair) -> None:
        """Cancelling is not expiring."""
        stream, _ = link
        stream.deadline = anyio.current_time() + 100
        assert await cancel_when(stream.receive, anyio.wait_all_tasks_blocked)


class TestWatched:
    async def test_expiring_wakes_who_waits(self, link: Pair) -> None:
        """A watched stream sets no timer of its own: both its waits end when it is told so,
        and so do later ones, until that is taken back.
        """
        stream, peer = link
        stream.watched = True

        async def read() -> None:
            with pytest.raises(Expired):
                await stream.receive()

        async def write() -> None:
            with pytest.raises(Expired):
                await send_on(stream)

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            group.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            stream.expire()
        with pytest.raises(Expired):
            await stream.receive()
        with pytest.raises(Expired):
            await send_on(stream)
        assert stream._raw_socket.fileno() >= 0
        stream.expired = False
        peer.send(b"x")
        assert await stream.receive() == b"x"


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


class TestInterrupting:
    async def test_a_sender_is_not_told_that_the_reader_was_interrupted(self, link: Pair) -> None:
        """What the socket says about sending is what the sender gets."""
        stream, _ = link
        ends: list[type[BaseException]] = []

        async def receive() -> None:
            try:
                await stream.receive()
            except Expired as exc:
                ends.append(type(exc))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            stream.extra(SocketAttribute.raw_socket).shutdown(socket.SHUT_WR)
            stream.interrupt()
            with pytest.raises(anyio.BrokenResourceError):
                await stream.send(b"x")
        assert ends == [Expired]

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
                await anyio.wait_all_tasks_blocked()
            assert ended == ["reader"]
            peer.send(b"x")
            assert await stream.receive() == b"x"
            group.cancel_scope.cancel()
        stream.abort()
        stream.interrupt()
