"""The stream on a trio socket: what anyio's own promises, and what a pool needs."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute

from anyhttp._network.trio_stream import TrioStream
from anyhttp._tasks.timeouts import Expired
from tests.support import stream_contract
from tests.support.cancel import cancel_when
from tests.support.stream_contract import send_on
from tests.support.waiting import until_arrived, until_full

pytestmark = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("trio", {}), id="trio")], indirect=True, scope="module"
)

Pair = tuple[TrioStream, socket.socket]


@pytest.fixture
async def link() -> AsyncIterator[Pair]:
    """A stream, and the plain non-blocking socket of its peer."""

    async def wrap(sock: socket.socket) -> TrioStream:
        return TrioStream(sock)

    async for pair in stream_contract.connected(wrap):
        yield pair


class TestReceiving(stream_contract.Receiving):
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

    async def test_after_it_was_closed_between_a_request_and_its_answer(self, link: Pair) -> None:
        """Each attempt tells so, and trio is not asked to wait for a socket without a number."""
        stream, _ = link
        await stream.send(b"request")
        stream.abort()
        for _ in range(2):
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()
            with pytest.raises(anyio.ClosedResourceError):
                await stream.send(b"request")


class TestSending(stream_contract.Sending):
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


class TestClosing(stream_contract.Closing):
    async def test_a_send_that_need_not_wait(self, link: Pair) -> None:
        """When its time is over nothing more goes out, however fast the peer reads."""
        stream, peer = link
        stream.expire()
        with pytest.raises(Expired):
            stream.send_nowait(b"a")
        with pytest.raises(Expired):
            stream.send_left_nowait()
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


class TestDeadline(stream_contract.Deadlines):
    async def test_a_scope_around_it_is_not_the_deadline(self, link: Pair) -> None:
        """Cancelling is not expiring."""
        stream, _ = link
        stream.deadline = anyio.current_time() + 100
        assert await cancel_when(stream.receive, anyio.wait_all_tasks_blocked)


class TestWaitingForEither(stream_contract.WaitingForEither):
    pass


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


class TestWrapping(stream_contract.Wrapping):
    pass


class TestInterrupting(stream_contract.Interrupting):
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
