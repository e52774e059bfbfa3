"""What is left when the operating system does not take all bytes: it is sent, and none is lost.

The streams speak over real sockets with small buffers, without TLS, with it, and with TLS inside
of TLS.  What holds for all of them is what a connection that several tasks share needs.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from functools import partial
from itertools import count

import anyio
import anyio.lowlevel
import pytest

from anyhttp import ClientConnectionError, ClientConnectionResetError, ClientOSError
from anyhttp._network import NetworkStream
from anyhttp._tasks import Expired
from tests.support.cancel import How, cancel_at_every_checkpoint, cancel_when
from tests.support.layers import Layers, connected
from tests.support.tls import Authority
from tests.support.waiting import DEADLINE, block_until_arrived, until

pytestmark = pytest.mark.uvloop

Link = tuple[NetworkStream, Layers]

#: More than the operating system takes at once, in both directions.
MUCH = 40_000


@pytest.fixture(params=[0, 1, 2], ids=["plain", "tls", "tls-in-tls"])
async def link(request: pytest.FixtureRequest, tls_ca: Authority) -> AsyncIterator[Link]:
    """A stream and its peer."""
    servers = [tls_ca.server_for("localhost") for _ in range(request.param)]
    async with connected(tls_ca.client, servers) as pair:
        yield pair


def numbered(size: int = MUCH, start: int = 0) -> bytes:
    """Return about *size* bytes, of which no two parts are equal."""
    return b"".join(struct.pack("!I", number) for number in range(start, start + size // 4))


async def read_all(peer: Layers, size: int) -> None:
    """Let the peer receive until it has *size* bytes."""
    with anyio.fail_after(DEADLINE):
        while len(peer.received) < size:
            if not peer.read():
                await anyio.lowlevel.checkpoint()


async def read_slowly(peer: Layers) -> None:
    """Let the peer receive a little at a time, for ever."""
    while True:
        peer.read(3000)
        await anyio.lowlevel.checkpoint()


async def drain(stream: NetworkStream) -> None:
    """Do nothing else until everything is sent."""
    await stream.drain()
    assert not stream.has_unsent


async def test_nothing_is_left(link: Link) -> None:
    """As long as the operating system takes all of it."""
    stream, peer = link
    assert stream.send_nowait(b"some")
    assert not stream.has_unsent
    await stream.drain()
    assert await stream.receive_draining() is None
    await read_all(peer, 4)
    assert peer.received == b"some"


class TestCancelling:
    @pytest.mark.parametrize("how", ["scope", "native"])
    async def test_at_every_point(self, link: Link, how: How) -> None:
        """Whoever drains next goes on where the other one was cut off."""
        stream, peer = link
        sent = bytearray()
        numbers = count(0, MUCH)

        async def send() -> None:
            data = numbered(MUCH, next(numbers))
            sent.extend(data)
            half = len(data) // 2
            stream.send_nowait(data[:half])
            assert not stream.send_nowait(memoryview(data)[half:])
            assert stream.has_unsent
            await drain(stream)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_slowly, peer)
            points = await cancel_at_every_checkpoint(
                send, after=anyio.lowlevel.checkpoint, how=how
            )
            assert points >= 1
            await drain(stream)
            await until(lambda: len(peer.received) >= len(sent), "the bytes")
            tasks.cancel_scope.cancel()
        assert peer.received == sent

    @pytest.mark.parametrize("how", ["scope", "every-task", "native"])
    async def test_while_receiving(self, link: Link, how: How) -> None:
        """In both directions every byte comes once, and in order."""
        stream, peer = link
        sent, answered, received = bytearray(), bytearray(), bytearray()
        numbers = count(0, MUCH)

        async def answer() -> None:
            while True:
                seen = len(peer.received)
                peer.read(3000)
                if more := peer.received[seen:]:
                    answered.extend(more)
                    peer.send(more)
                peer.write()
                await anyio.lowlevel.checkpoint()

        async def send() -> None:
            if not stream.has_unsent:
                data = numbered(MUCH, next(numbers))
                sent.extend(data)
                stream.send_nowait(data)
            while stream.has_unsent:
                data_or_none = await stream.receive_draining(10_000)
                if data_or_none is not None:
                    received.extend(data_or_none)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            await cancel_at_every_checkpoint(send, after=anyio.lowlevel.checkpoint, how=how)
            while len(received) < len(sent):
                received += await stream.receive()
            tasks.cancel_scope.cancel()
        assert received == answered == sent

    async def test_another_task_goes_on(self, link: Link) -> None:
        """One is cancelled, and another one, which waits for its turn, sends the rest."""
        stream, peer = link
        data = numbered()
        assert not stream.send_nowait(data)
        assert await cancel_when(stream.drain, anyio.wait_all_tasks_blocked)
        assert stream.has_unsent
        assert await cancel_when(stream.receive_draining, anyio.wait_all_tasks_blocked)
        assert not stream.send_nowait(b"more")
        assert not stream.send_together_nowait(b" and", b" more")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.send, b", again")
            await read_all(peer, len(data) + 20)
        assert peer.received == data + b"more and more, again"


class TestBothDirections:
    async def test_a_peer_that_reads_only_when_it_has_been_read(self, link: Link) -> None:
        """A reader that would only drain, or only receive, would wait for ever."""
        stream, peer = link
        assert not stream.send_nowait(numbered())
        answer = numbered(MUCH, 10**6)
        peer.send(answer)
        received = bytearray()

        async def serve() -> None:
            while not peer.write():
                await anyio.lowlevel.checkpoint()
            await read_all(peer, MUCH)

        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve)
                while (data := await stream.receive_draining()) is not None:
                    received += data
        assert not stream.has_unsent
        while len(received) < len(answer):
            received += await stream.receive()
        assert received == answer
        assert peer.received == numbered()

    async def test_the_end_comes_before_all_is_sent(self, link: Link) -> None:
        """What came before it comes first."""
        stream, peer = link
        assert not stream.send_nowait(numbered())
        peer.send(b"go away")
        peer.socket.shutdown(socket.SHUT_WR)
        assert await stream.receive_draining() == b"go away"
        assert await stream.receive_draining() == b""

    async def test_a_reset(self, link: Link) -> None:
        """It is an error of the operating system."""
        stream, peer = link
        assert not stream.send_nowait(numbered())
        async with anyio.create_task_group() as tasks:

            async def receive() -> None:
                with pytest.raises(ClientOSError):
                    await stream.receive_draining()

            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            reset(peer)
        with pytest.raises(ClientOSError):
            await stream.send(b"more")

    async def test_closed_by_another_task(self, link: Link) -> None:
        """The wait ends."""
        stream, _ = link
        assert not stream.send_nowait(numbered())
        async with anyio.create_task_group() as tasks:

            async def receive() -> None:
                with pytest.raises(ClientConnectionResetError, match="has been closed"):
                    await stream.receive_draining()

            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            stream.abort()

    async def test_one_task_at_a_time(self, link: Link) -> None:
        """Neither two that drain, nor one that drains and another one that also receives."""
        stream, _ = link
        assert not stream.send_nowait(numbered())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.drain)
            await anyio.wait_all_tasks_blocked()
            for call in (stream.drain, partial(stream.send, b"x"), stream.receive_draining):
                with pytest.raises(ClientConnectionError, match="another task"):
                    await call()
            for send in (stream.send_nowait, stream.send_together_nowait):
                with pytest.raises(ClientConnectionError, match="another task"):
                    send(b"x")
            tasks.cancel_scope.cancel()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.receive_draining)
            await anyio.wait_all_tasks_blocked()
            for other in (stream.receive, stream.receive_draining, stream.drain):
                with pytest.raises(ClientConnectionError, match="another task"):
                    await other()
            assert not stream.send_nowait(b"behind")
            with pytest.raises(ClientConnectionError, match="another task"):
                stream.receive_nowait()
            tasks.cancel_scope.cancel()


class TestEnds:
    """Of the wait, by others than the peer."""

    async def test_an_interruption(self, link: Link) -> None:
        """It ends the wait once, and nothing is lost."""
        stream, peer = link
        data = numbered()
        assert not stream.send_nowait(data)
        ends: list[bytes | None] = []

        async def receive() -> None:
            with pytest.raises(Expired):
                await stream.receive_draining()
            ends.append(await stream.receive_draining())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            stream.interrupt()
            await anyio.wait_all_tasks_blocked()
            assert not ends
            await read_all(peer, len(data))
        assert ends == [None]
        assert peer.received == data

    async def test_a_deadline(self, link: Link) -> None:
        """With one, and after it, neither receives or sends."""
        stream, peer = link
        data = numbered()
        assert not stream.send_nowait(data)
        stream.set_deadline(anyio.current_time() + 0.02, None)
        with pytest.raises(Expired):
            await stream.receive_draining()
        peer.read()
        with pytest.raises(Expired):
            await stream.receive_draining()
        stream.set_deadline(anyio.current_time() + DEADLINE, None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.receive_draining)
            await read_all(peer, len(data))
        assert peer.received == data


class TestWithoutWaiting:
    """``receive_nowait()``."""

    async def test_what_has_arrived(self, link: Link) -> None:
        """At most as much as asked for; nothing, if nothing has."""
        stream, peer = link
        assert stream.receive_nowait() is None
        peer.send(b"hello world")
        block_until_arrived(socket_of(stream))
        assert stream.receive_nowait(5) == b"hello"
        assert stream.receive_nowait() == b" world"
        assert stream.receive_nowait() is None

    async def test_much(self, link: Link) -> None:
        """More than one call receives; what the event loop has received meanwhile comes too."""
        stream, peer = link
        data = numbered()
        peer.send(data)
        received = bytearray()
        for number in count():
            piece = stream.receive_nowait()
            if piece is not None:
                assert piece
                received += piece
            if len(received) >= len(data):
                break
            peer.write()
            if number % 3 == 0:
                await anyio.lowlevel.checkpoint()
        assert received == data

    @pytest.mark.parametrize("waits", [True, False])
    async def test_the_end(self, link: Link, waits: bool) -> None:
        """It is told as often as somebody asks."""
        stream, peer = link
        peer.send(b"bye")
        peer.socket.shutdown(socket.SHUT_WR)
        await arrival(stream, waits)
        assert stream.receive_nowait() == b"bye"
        for _ in range(3):
            assert stream.receive_nowait() == b""
        assert await stream.receive() == b""

    @pytest.mark.parametrize("waits", [True, False])
    async def test_a_reset(self, link: Link, waits: bool) -> None:
        """A broken connection has ended."""
        stream, peer = link
        reset(peer)
        await arrival(stream, waits)
        for _ in range(3):
            assert stream.receive_nowait() == b""

    async def test_a_closed_stream(self, link: Link) -> None:
        """It has ended too."""
        stream, peer = link
        peer.send(b"unread")
        stream.abort()
        await anyio.lowlevel.checkpoint()
        assert stream.receive_nowait() in {b"", b"unread"}
        assert stream.receive_nowait() == b""

    async def test_while_a_task_receives(self, link: Link) -> None:
        """They would take each other's bytes."""
        stream, peer = link
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.receive)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ClientConnectionError, match="another task"):
                stream.receive_nowait()
            peer.send(b"x")


class TestRecords:
    """What is no data of the peer, although bytes have come."""

    @pytest.fixture(params=[1, 2], ids=["tls", "tls-in-tls"])
    async def link(self, request: pytest.FixtureRequest, tls_ca: Authority) -> AsyncIterator[Link]:
        """A stream with TLS, and its peer."""
        servers = [tls_ca.server_for("localhost") for _ in range(request.param)]
        async with connected(tls_ca.client, servers) as pair:
            yield pair

    async def test_tickets_only(self, link: Link) -> None:
        """They come behind the handshake."""
        stream, _ = link
        assert stream.receive_nowait() is None

    async def test_half_a_record(self, link: Link) -> None:
        """The other half completes it, whoever receives that."""
        stream, peer = link
        stream.receive_nowait()  # tickets
        for by_waiting in (False, True):
            sealed = peer.seal(b"0123456789")
            peer.socket.sendall(sealed[:20])
            await arrival(stream, waits=False)
            assert stream.receive_nowait() is None
            peer.socket.sendall(sealed[20:])
            await arrival(stream, waits=False)
            if by_waiting:
                assert await stream.receive() == b"0123456789"
            else:
                assert stream.receive_nowait() == b"0123456789"

    async def test_a_tampered_record(self, link: Link) -> None:
        """The connection is broken, and nothing can be sent any more."""
        stream, peer = link
        sealed = bytearray(peer.seal(b"0123456789"))
        sealed[-1] ^= 1
        stream.receive_nowait()  # tickets
        peer.socket.sendall(sealed)
        await arrival(stream, waits=False)
        assert stream.receive_nowait() == b""
        with pytest.raises(ClientOSError):
            stream.send_nowait(b"x")

    async def test_half_a_record_while_sending(self, link: Link) -> None:
        """The rest of what was sent goes out meanwhile."""
        stream, peer = link
        data = numbered()
        assert not stream.send_nowait(data)
        sealed = peer.seal(b"0123456789")
        peer.socket.sendall(sealed[:20])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.receive_draining)
            await read_all(peer, len(data))
        peer.socket.sendall(sealed[20:])
        assert await stream.receive() == b"0123456789"


def socket_of(stream: NetworkStream) -> socket.socket:
    """Return the socket below *stream*."""
    found: socket.socket = stream.extra_info("socket")
    return found


async def arrival(stream: NetworkStream, waits: bool) -> None:
    """Wait until something has arrived; *waits*: and until the event loop has received it."""
    block_until_arrived(socket_of(stream))
    if waits:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()


def reset(peer: Layers) -> None:
    """Close with RST."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.socket.close()
