"""Sockets and TLS: streams as the pool wants them, and errors under our names."""

from __future__ import annotations

import errno
import math
import os
import shutil
import socket
import ssl
import struct
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.stapled import StapledByteStream
from anyio.streams.tls import TLSAttribute, TLSStream

from anyhttp._common.values import ConnectionKey
from anyhttp._network.errors import dial_errors, socket_errors
from anyhttp._network.sockets import AddrInfoType, connect_tcp, connect_unix
from anyhttp._network.stream import NetworkStream
from anyhttp._network.tls import start_tls
from anyhttp._tasks.timeouts import Expired
from anyhttp.client_exceptions import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientOSError,
    ServerFingerprintMismatch,
)
from anyhttp.client_reqrep import Fingerprint
from tests.support.cancel import cancel_when
from tests.support.census import ROUNDS_OF_GRACE
from tests.support.peer import (
    CLOSE,
    CUT,
    DEAF,
    HELLO,
    RESET,
    STALL,
    Exact,
    Flag,
    Peer,
    Script,
    SendUnasked,
    Tell,
)
from tests.support.streams import FakeStream
from tests.support.tls import Authority
from tests.support.waiting import until, until_full

pytestmark = pytest.mark.uvloop


KEY = ConnectionKey("name.test", 443, True, True, None, None, None, None)


def key_for(peer: Peer, tls: Any = True) -> ConnectionKey:
    """Return the key of a connection to *peer*."""
    return ConnectionKey("localhost", peer.port, True, tls, None, None, None, None)


async def connect(peer: Peer) -> NetworkStream:
    """Open a plain connection to *peer*."""
    return await connect_tcp((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", peer.port)))


async def secure(peer: Peer, tls: Any) -> NetworkStream:
    """Open a TLS connection to *peer*."""
    return await start_tls(await connect(peer), "localhost", key_for(peer, tls))


async def send_on(stream: NetworkStream) -> None:
    """Send until that fails."""
    while True:
        await stream.send(b"x" * 1_000_000)


class TestStream:
    async def test_a_conversation(self, script: Script) -> None:
        """What is sent arrives, what comes is returned, the end is ``b""``."""
        peer = await script([(Exact(b"ping"), b"pong"), (Exact(b"bye"), CLOSE)])
        stream = await connect(peer)
        await stream.send(b"ping")
        assert await stream.receive() == b"pong"
        await stream.send(b"bye")
        for _ in range(2):
            assert await stream.receive() == b""
        await stream.aclose()

    async def test_pieces_that_are_sent_together(self) -> None:
        """They arrive whole and in order, also those that the socket does not take at once."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            place = ("127.0.0.1", server.getsockname()[1])
            stream = await connect_tcp((socket.AF_INET, socket.SOCK_STREAM, 0, "", place))
            peer = server.accept()[0]

        def read(size: int) -> bytes:
            with peer:
                received = bytearray()
                while len(received) < size and (piece := peer.recv(1_000_000)):
                    received += piece
                return bytes(received)

        sent = bytearray()
        for number in range(1000):
            pieces = (b"%d<" % number, memoryview(bytes([number % 256]) * 200_000), b">")
            sent += b"".join(pieces)
            if not stream.send_together_nowait(*pieces):
                break
        else:
            pytest.fail("the socket took everything")
        received = b""

        async def receive() -> None:
            nonlocal received
            received = await anyio.to_thread.run_sync(read, len(sent) + 4)

        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            await stream.drain()
            assert stream.send_together_nowait(b"l", b"", b"ast")
        assert received == sent + b"last"
        await stream.aclose()

    async def test_what_is_left_is_sent_first(self) -> None:
        """No later bytes take its place if a caller forgets to drain the stream."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            place = ("127.0.0.1", server.getsockname()[1])
            stream = await connect_tcp((socket.AF_INET, socket.SOCK_STREAM, 0, "", place))
            peer = server.accept()[0]
        peer.settimeout(10)  # if bytes are missing
        sent = bytes(range(256)) * 100_000
        assert not stream.send_nowait(sent)
        more = b""
        for send in (stream.send_nowait, stream.send_together_nowait):
            try:
                send(b"more")
            except ClientConnectionError:  # on trio
                continue
            more += b"more"  # asyncio's transport keeps it

        def read() -> bytes:
            with peer, peer.makefile("rb") as file:
                return file.read(len(sent + more))

        received = b""
        async with anyio.create_task_group() as group:
            group.start_soon(stream.drain)
            received = await anyio.to_thread.run_sync(read)
        assert received == sent + more
        await stream.aclose()

    async def test_small_pieces_go_out_at_once(self, script: Script) -> None:
        """Nagle's algorithm is off: it would wait for the peer's acknowledgement."""
        peer = await script([])
        stream = await connect(peer)
        raw = stream.stream.extra(SocketAttribute.raw_socket)
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await stream.aclose()

    async def test_a_peer_that_vanished_is_noticed(self, script: Script) -> None:
        """The operating system asks after a minute of silence; a NAT forgets after a few."""
        peer = await script([])
        stream = await connect(peer)
        raw = stream.stream.extra(SocketAttribute.raw_socket)
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 15
        await stream.aclose()

    async def test_a_socket_of_ones_own_keeps_its_settings(self, script: Script) -> None:
        """A factory knows what it wants."""
        peer = await script([])
        address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", peer.port))
        stream = await connect_tcp(address, None, lambda info: socket.socket(*info[:3]))
        raw = stream.stream.extra(SocketAttribute.raw_socket)
        assert not raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await stream.aclose()

    async def test_a_refusal_that_comes_at_once(self) -> None:
        """Some are known without asking anybody, as when there is no route."""

        class Unreachable(socket.socket):
            def connect_ex(self, address: Any) -> int:
                return errno.ENETUNREACH

        made: list[socket.socket] = []

        def sockets(info: AddrInfoType) -> socket.socket:
            made.append(Unreachable(*info[:3]))
            return made[0]

        address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("192.0.2.1", 80))
        with pytest.raises(OSError, match="unreachable"):
            await connect_tcp(address, None, sockets)
        assert made[0].fileno() == -1

    async def test_a_reset(self, script: Script) -> None:
        """It is a ``ClientOSError`` with the operating system's number."""
        peer = await script([(Exact(b"x"), RESET)])
        stream = await connect(peer)
        await stream.send(b"x")
        with pytest.raises(ClientOSError) as caught:
            await stream.receive()
        assert caught.value.errno == errno.ECONNRESET
        with pytest.raises(ClientOSError):
            await send_on(stream)
        await stream.aclose()

    async def test_the_deadline(self, script: Script) -> None:
        """Without a watchdog each wait ends by itself."""
        peer = await script([STALL])
        stream = await connect(peer)
        stream.set_deadline(anyio.current_time() + 0.01, None)
        with pytest.raises(Expired):
            await stream.receive()
        await stream.aclose()

    async def test_the_deadline_of_a_send(self, script: Script) -> None:
        """The peer does not read."""
        peer = await script([DEAF])
        stream = await connect(peer)
        stream.set_deadline(anyio.current_time() + 0.05, None)
        with pytest.raises(Expired):
            await send_on(stream)
        await stream.aclose()


class TestQuiet:
    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    @pytest.mark.parametrize(
        "action", [CLOSE, CUT, RESET, SendUnasked(b"x")], ids=["close", "cut", "reset", "bytes"]
    )
    async def test_a_peer_that_did_something(
        self, script: Script, tls_ca: Authority, tls: bool, action: Any
    ) -> None:
        """Before it does the stream is quiet, as soon as that arrives it is not."""
        peer = await script(
            [(Exact(b"x"), b"y"), (Exact(b"go"), action)], tls=tls_ca.server if tls else None
        )
        stream = await (secure(peer, tls_ca.client) if tls else connect(peer))
        await stream.send(b"x")
        assert await stream.receive() == b"y"
        assert stream.is_quiet()
        assert stream.is_quiet()
        await stream.send(b"go")
        await until(lambda: not stream.is_quiet(), "news of the peer")
        assert not stream.is_quiet()
        await stream.aclose()

    @pytest.mark.parametrize("news", ["bytes", "end", "rubbish", "nothing"])
    async def test_news_that_came_with_the_answer(self, tls_ca: Authority, news: str) -> None:
        """What TLS has received, but nobody has read, ends a connection as well."""
        server = TlsInMemory(tls_ca.server)
        stream = await start_tls(NetworkStream(server), "localhost", KEY._replace(ssl=False))
        server.answer(b"y", news)
        assert await stream.receive(1) == b"y"
        assert stream.is_quiet() == (news == "nothing")
        await stream.aclose()

    async def test_a_closed_stream_is_not_quiet(self, script: Script) -> None:
        """Nobody can use it."""
        peer = await script([])
        stream = await connect(peer)
        stream.abort()
        assert not stream.is_quiet()
        await stream.aclose()
        assert not stream.is_quiet()


class TestClosing:
    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    async def test_abort_closes_without_awaiting(
        self, script: Script, tls_ca: Authority, tls: bool
    ) -> None:
        """Whoever waits learns of it, and the descriptor goes within a few rounds."""
        peer = await script([], tls=tls_ca.server if tls else None)
        stream = await (secure(peer, tls_ca.client) if tls else connect(peer))
        raw = stream.stream.extra(SocketAttribute.raw_socket)
        async with anyio.create_task_group() as group:

            async def receive() -> None:
                with pytest.raises(ClientConnectionResetError):
                    await stream.receive()

            group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            stream.abort()
            stream.abort()
        for _ in range(ROUNDS_OF_GRACE):
            await anyio.lowlevel.checkpoint()
        assert raw.fileno() == -1
        with pytest.raises(ClientConnectionResetError):
            await stream.send(b"x")
        await stream.aclose()

    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    async def test_closing_does_not_wait_for_the_peer(
        self, script: Script, tls_ca: Authority, tls: bool
    ) -> None:
        """Not for its TLS goodbye, and not when bytes are stuck on their way out."""
        peer = await script([DEAF], tls=tls_ca.server if tls else None, partial=True)
        stream = await (secure(peer, tls_ca.client) if tls else connect(peer))
        raw = stream.stream.extra(SocketAttribute.raw_socket)
        assert await cancel_when(partial(send_on, stream), partial(until_full, raw))
        with anyio.fail_after(3):
            await stream.aclose()
        assert raw.fileno() == -1

    async def test_closing_in_a_cancelled_scope(self, script: Script) -> None:
        """The socket is gone all the same."""
        peer = await script([])
        stream = await connect(peer)
        raw = stream.stream.extra(SocketAttribute.raw_socket)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.aclose()
        assert raw.fileno() == -1


class TlsInMemory(ByteStream):
    """A stream to a TLS server that answers whenever it is asked."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._server = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._surplus = b""

    def answer(self, data: bytes, then: str) -> None:
        """Have *data* received together with other bytes, the end, rubbish, or nothing."""
        self._server.write(data)
        if then == "bytes":
            self._server.write(b"z")
        elif then == "end":
            with suppress(ssl.SSLWantReadError):
                self._server.unwrap()
        elif then == "rubbish":
            self._surplus = b"no TLS record\r\n"

    async def send(self, item: bytes) -> None:
        """Let the server see *item*."""
        await anyio.lowlevel.checkpoint()
        self._incoming.write(item)
        with suppress(ssl.SSLWantReadError):
            self._server.do_handshake()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what the server says."""
        await anyio.lowlevel.checkpoint()
        return self._outgoing.read() + self._surplus

    async def send_eof(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


class Stuck(ByteStream):
    """A stream whose peer never takes anything."""

    async def send(self, item: bytes) -> None:
        """Wait."""
        await anyio.sleep_forever()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait."""
        await anyio.sleep_forever()
        return b""

    async def send_eof(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""


class TestForeign:
    """Streams that a caller's own connector made."""

    @pytest.fixture
    async def pair(self) -> AsyncIterator[tuple[NetworkStream, Any]]:
        """A stream without a socket, and the other end."""
        ours_in, theirs_in = _memory()
        stream = NetworkStream(ours_in)
        yield stream, theirs_in
        await stream.aclose()
        await theirs_in.aclose()

    async def test_a_conversation(self, pair: tuple[NetworkStream, Any]) -> None:
        """Any byte stream will do."""
        stream, other = pair
        await stream.send(b"ping")
        assert await other.receive() == b"ping"
        await other.send(b"pong")
        assert stream.is_quiet()
        assert await stream.receive() == b"pong"
        await stream.stream.send_eof()
        with pytest.raises(anyio.EndOfStream):
            await other.receive()
        assert stream.stream.extra(SocketAttribute.remote_port, None) is None
        await other.send_eof()
        assert await stream.receive() == b""

    async def test_sending_is_awaited(self, pair: tuple[NetworkStream, Any]) -> None:
        """No such stream can send without waiting."""
        stream, other = pair
        assert not stream.send_nowait(memoryview(b"ping"))
        await stream.drain()
        assert await other.receive() == b"ping"
        assert not stream.send_together_nowait(b"p", memoryview(b"ing"))
        await stream.drain()
        assert await other.receive() == b"ping"
        await other.aclose()
        stream.send_nowait(b"ping")
        with pytest.raises(ClientOSError):
            await stream.drain()

    async def test_what_is_left(self, pair: tuple[NetworkStream, Any]) -> None:
        """It is sent together, in order; nobody can tell what has arrived."""
        stream, other = pair
        for piece in (b"on", b"e, ", b"two"):
            assert not stream.send_nowait(piece)
        assert stream.has_unsent
        assert stream.receive_nowait() is None
        await other.send(b"three")
        assert await stream.receive_draining() is None
        assert not stream.has_unsent
        assert await other.receive() == b"one, two"
        assert await stream.receive() == b"three"
        await stream.drain()

    async def test_cancelled_in_the_middle(self) -> None:
        """Nobody can tell how much of it was sent, so no more can be."""
        stream = NetworkStream(Stuck())
        stream.send_nowait(b"x")
        assert await cancel_when(stream.drain, anyio.wait_all_tasks_blocked)
        for call in (stream.drain, stream.receive_draining):
            with pytest.raises(ClientConnectionResetError, match="has been cancelled"):
                await call()
        await stream.aclose()

    async def test_last_words(self, pair: tuple[NetworkStream, Any]) -> None:
        """There are none, as sending them could take long."""
        stream, other = pair
        stream.send_last(b"bye")
        await stream.send(b"ping")
        assert await other.receive() == b"ping"

    async def test_an_interruption(self, pair: tuple[NetworkStream, Any]) -> None:
        """It ends the wait of a reader, if there is one."""
        stream, other = pair
        stream.interrupt()
        await other.send(b"pong")
        assert await stream.receive() == b"pong"
        async with anyio.create_task_group() as group:

            async def receive() -> None:
                with pytest.raises(Expired):
                    await stream.receive()

            group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            stream.interrupt()
        stream.interrupt()
        await other.send(b"more")
        assert await stream.receive() == b"more"

    async def test_a_call_in_its_event_loop(self, pair: tuple[NetworkStream, Any]) -> None:
        """Nobody knows which one that is, so the call is made at once."""
        called: list[str] = []
        pair[0].call_in_loop(lambda: called.append("called"))
        assert called == ["called"]

    async def test_a_forked_child(self, pair: tuple[NetworkStream, Any]) -> None:
        """Without a socket there is nothing that it would share with its parent."""
        stream, other = pair
        stream.leave_to_parent()
        await other.send(b"pong")
        assert await stream.receive() == b"pong"

    async def test_a_closed_socket_is_not_quiet(self, script: Script) -> None:
        """Nobody can use it, whoever closed it."""
        peer = await script([])
        theirs = await anyio.connect_tcp("127.0.0.1", peer.port)
        stream = NetworkStream(theirs)
        assert stream.is_quiet()
        await theirs.aclose()
        assert not stream.is_quiet()
        await stream.aclose()

    async def test_the_deadline(self, pair: tuple[NetworkStream, Any]) -> None:
        """Both directions observe it."""
        stream, _ = pair
        stream.set_deadline(anyio.current_time() + 0.01, None)
        with pytest.raises(Expired):
            await stream.receive()
        with pytest.raises(Expired):
            await send_on(stream)

    async def test_abort_wakes_who_waits_on_a_socket(self, script: Script) -> None:
        """Anyio's own stream, closed without awaiting."""
        peer = await script([])
        stream = NetworkStream(await anyio.connect_tcp("127.0.0.1", peer.port))
        async with anyio.create_task_group() as group:

            async def receive() -> None:
                assert await stream.receive() == b""

            group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            stream.abort()
        await stream.aclose()
        stream.abort()


def _memory() -> tuple[ByteStream, ByteStream]:
    """Return the two ends of a byte stream in memory."""
    from anyio.abc import ByteReceiveStream, ByteSendStream

    class Send(ByteSendStream):
        def __init__(self, channel: Any) -> None:
            self._channel = channel

        async def send(self, item: bytes) -> None:
            await self._channel.send(item)

        async def aclose(self) -> None:
            self._channel.close()

    class Receive(ByteReceiveStream):
        def __init__(self, channel: Any) -> None:
            self._channel = channel

        async def receive(self, max_bytes: int = 65536) -> bytes:
            data: bytes = await self._channel.receive()
            return data

        async def aclose(self) -> None:
            self._channel.close()

    to_us = anyio.create_memory_object_stream[bytes](4)
    to_them = anyio.create_memory_object_stream[bytes](4)
    return (
        StapledByteStream(Send(to_them[0]), Receive(to_us[1])),
        StapledByteStream(Send(to_us[0]), Receive(to_them[1])),
    )


class Held(ByteStream):
    """A stream that keeps what is sent until it is told to let go."""

    def __init__(self, below: ByteStream) -> None:
        self._below = below
        self._kept = b""
        self.keeps = False

    async def send(self, item: bytes) -> None:
        self._kept += item
        if not self.keeps:
            kept, self._kept = self._kept, b""
            await self._below.send(kept)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._below.receive(max_bytes)

    async def send_eof(self) -> None:
        await self._below.send_eof()

    async def aclose(self) -> None:
        await self._below.aclose()


class Wrapper(ByteStream):
    """What a connector of somebody else may put around TLS."""

    def __init__(self, below: ByteStream) -> None:
        self._below = below

    async def send(self, item: bytes) -> None:
        await self._below.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._below.receive(max_bytes)

    async def send_eof(self) -> None:
        await self._below.send_eof()

    async def aclose(self) -> None:
        await self._below.aclose()

    @property
    def extra_attributes(self) -> Any:
        return self._below.extra_attributes


async def test_tls_under_a_wrapper_is_looked_into(script: Script, tls_ca: Authority) -> None:
    """What it has decrypted already counts, and its session tickets do not."""
    peer = await script([(Exact(b"ping"), [b"pong" + b"more"])], tls=tls_ca.server)
    below = (await secure(peer, tls_ca.client)).stream
    stream = NetworkStream(Wrapper(below))
    await stream.send(b"ping")
    assert await stream.receive(4) == b"pong"
    assert not stream.is_quiet()
    await stream.aclose()


class TestForeignTls:
    """TLS of anyio that a caller's own connector made, on a stream that nobody knows."""

    @pytest.fixture(params=[1, 2], ids=["tls", "tls-in-tls"])
    async def pair(
        self, request: pytest.FixtureRequest, tls_ca: Authority
    ) -> AsyncIterator[tuple[NetworkStream, Any]]:
        """A stream that has received an answer, and its other end."""
        ends = _memory()
        layers: list[ByteStream] = [*ends]

        async def wrap(side: int, **options: Any) -> None:
            for _ in range(request.param):
                layers[side] = await TLSStream.wrap(
                    layers[side], standard_compatible=False, **options
                )

        async with anyio.create_task_group() as group:
            group.start_soon(partial(wrap, 0, hostname="localhost", ssl_context=tls_ca.client))
            group.start_soon(partial(wrap, 1, server_side=True, ssl_context=tls_ca.server))
        stream, other = NetworkStream(layers[0]), layers[1]
        await other.send(b"pong")
        assert await stream.receive() == b"pong"
        yield stream, other
        await stream.aclose()
        for end in ends:
            await end.aclose()

    async def test_news(self, pair: tuple[NetworkStream, Any]) -> None:
        """What its TLS has decrypted, and nobody has read, ends a connection."""
        stream, other = pair
        assert stream.is_quiet()
        await other.send(b"surplus")
        assert await stream.receive(4) == b"surp"
        assert not stream.is_quiet()

    async def test_the_deadline(self, pair: tuple[NetworkStream, Any]) -> None:
        """It holds below TLS, and nothing is lost by it."""
        stream, other = pair
        stream.set_deadline(anyio.current_time() + 0.01, None)
        with pytest.raises(Expired):
            await stream.receive()
        stream.set_deadline(math.inf, None)
        await other.send(b"late")
        assert await stream.receive() == b"late"


async def test_our_tls_on_a_foreign_stream(tls_ca: Authority) -> None:
    """What has been decrypted is there without waiting; what is below nobody can tell."""
    server = TlsInMemory(tls_ca.server)
    stream = await start_tls(NetworkStream(server), "localhost", KEY._replace(ssl=False))
    assert stream.receive_nowait() is None
    server.answer(b"pong", "bytes")
    assert stream.receive_nowait() is None
    assert await stream.receive(1) == b"p"
    assert stream.receive_nowait() == b"ongz"
    await stream.aclose()


class Bare(FakeStream):
    """A stream with a deadline that can only do what every such stream can."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent: list[bytes | memoryview] = []

    def send_nowait(self, item: bytes | memoryview) -> bool:
        """Keep all of it."""
        self.unsent.append(item)
        return False

    @property
    def has_unsent(self) -> bool:
        """Whether something was kept."""
        return bool(self.unsent)

    async def drain(self) -> None:
        """Send it."""
        await anyio.lowlevel.checkpoint()
        self.unsent.clear()


async def test_a_stream_that_cannot_tell_what_has_arrived() -> None:
    """It is not asked for it: who receives in between only sends what is left."""
    below = Bare()
    stream = NetworkStream(below)
    assert stream.receive_nowait() is None
    assert not stream.send_together_nowait(b"a", b"b")
    assert below.unsent == [b"ab"]
    assert await stream.receive_draining() is None
    assert not stream.has_unsent


class TestTlsInsideTls:
    @pytest.mark.parametrize("sent_too", [False, True])
    async def test_bytes_between_the_layers_are_news(
        self, tls_ca: Authority, sent_too: bool
    ) -> None:
        """A proxy that sends more than it passes on, in the same packet, ends the tunnel."""
        ours, theirs = _memory()
        key = ConnectionKey("localhost", 443, True, tls_ca.client, None, None, None, None)
        held = Held(theirs)
        layers: list[TLSStream] = []

        async def serve() -> None:
            below: ByteStream = held
            for _ in range(2):
                below = await TLSStream.wrap(
                    below, server_side=True, ssl_context=tls_ca.server, standard_compatible=False
                )
                layers.append(below)

        stream = NetworkStream(ours)
        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            for _ in range(2):
                stream = await start_tls(stream, "localhost", key)
        inner, outer = layers
        await stream.send(b"ping")
        assert await outer.receive() == b"ping"
        await outer.send(b"pong")
        assert await stream.receive() == b"pong"
        assert stream.is_quiet()
        held.keeps = True
        await outer.send(b"last")
        if sent_too:
            await inner.send(b"surplus")
        held.keeps = False
        await held.send(b"")
        assert await stream.receive() == b"last"
        assert stream.is_quiet() is not sent_too
        stream.set_deadline(anyio.current_time() + 0.01, None)
        if not sent_too:
            with pytest.raises(Expired):
                await stream.receive()
        await stream.aclose()
        await theirs.aclose()


class TestTls:
    async def test_a_conversation(self, script: Script, tls_ca: Authority) -> None:
        """TLS 1.2 at least, ALPN says HTTP/1.1 in our own contexts."""
        peer = await script([(Exact(b"ping"), b"pong")], tls=tls_ca.server)
        stream = await secure(peer, False)
        assert stream.stream.extra(TLSAttribute.tls_version) in {"TLSv1.2", "TLSv1.3"}
        await stream.send(b"ping")
        assert await stream.receive() == b"pong"
        await stream.aclose()

    async def test_an_untrusted_certificate(self, script: Script, tls_ca: Authority) -> None:
        """Verification is the default, and the error says what is wrong with what."""
        peer = await script([], tls=tls_ca.server)
        stream = await connect(peer)
        raw = stream.stream.extra(SocketAttribute.raw_socket)
        with pytest.raises(ClientConnectorCertificateError, match="localhost") as caught:
            await start_tls(stream, "localhost", key_for(peer, True))
        assert isinstance(caught.value.certificate_error, ssl.SSLCertVerificationError)
        assert raw.fileno() == -1

    async def test_a_certificate_for_another_name(self, script: Script, tls_ca: Authority) -> None:
        """It is trusted, but not for this host."""
        peer = await script([], tls=tls_ca.server_for("other.test"))
        with pytest.raises(ClientConnectorCertificateError):
            await secure(peer, tls_ca.client)

    async def test_not_tls_at_all(self, script: Script) -> None:
        """A server that answers in plain text."""
        peer = await script([b"HTTP/1.1 400 Bad Request\r\n\r\n", STALL])
        with pytest.raises(ClientConnectorSSLError, match="localhost"):
            await secure(peer, False)

    @pytest.mark.parametrize("way", ["end", "reset"])
    async def test_a_peer_that_leaves_during_the_handshake(self, way: str) -> None:
        """That is a failure to connect."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
            stream = await connect_tcp((socket.AF_INET, socket.SOCK_STREAM, 0, "", address))
            peer, _ = listener.accept()
        if way == "reset":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        else:
            peer.shutdown(socket.SHUT_WR)
        with pytest.raises(ClientConnectorError, match=r"name\.test:443"):
            await start_tls(stream, "name.test", KEY._replace(ssl=False))
        peer.close()

    async def test_cancelling_the_handshake_closes_the_socket(self, script: Script) -> None:
        """A peer that says nothing is left."""
        greeted = Flag()
        peer = await script([(HELLO, [Tell(greeted), STALL])])
        stream = await connect(peer)
        raw = stream.stream.extra(SocketAttribute.raw_socket)
        start = partial(start_tls, stream, "localhost", key_for(peer, False))
        assert await cancel_when(start, greeted.until_set)
        assert raw.fileno() == -1

    async def test_a_pinned_certificate(self, script: Script, tls_ca: Authority) -> None:
        """The right one is accepted whoever signed it; another one never."""
        peer = await script([], [], tls=tls_ca.server)
        stream = await secure(peer, Fingerprint(tls_ca.fingerprint))
        await stream.aclose()
        wrong = bytes(32)
        stream = await connect(peer)
        raw = stream.stream.extra(SocketAttribute.raw_socket)
        with pytest.raises(ServerFingerprintMismatch) as caught:
            await start_tls(stream, "localhost", key_for(peer, Fingerprint(wrong)))
        assert (caught.value.expected, caught.value.got) == (wrong, tls_ca.fingerprint)
        assert (caught.value.host, caught.value.port) == ("localhost", peer.port)
        assert raw.fileno() == -1

    async def test_the_last_dot_of_a_name_is_not_verified(
        self, script: Script, tls_ca: Authority
    ) -> None:
        """Certificates name hosts without it."""
        peer = await script([], tls=tls_ca.server)
        stream = await start_tls(await connect(peer), "localhost.", key_for(peer, tls_ca.client))
        await stream.aclose()

    @pytest.mark.parametrize("name", ["::1%25lo", "::1%lo", "::1"])
    async def test_a_zone_is_not_verified(
        self, script: Script, tls_ca: Authority, name: str
    ) -> None:
        """It names an interface of this machine, which no certificate can know."""
        peer = await script([], tls=tls_ca.server)
        stream = await start_tls(await connect(peer), name, key_for(peer, tls_ca.client))
        await stream.aclose()

    async def test_tls_inside_tls(self, script: Script, tls_ca: Authority) -> None:
        """An https proxy carries an https connection: the second greeting goes inside."""
        greeted = Flag()
        peer = await script([(HELLO, [Tell(greeted), STALL])], tls=tls_ca.server)
        outer = await secure(peer, tls_ca.client)
        raw = outer.stream.extra(SocketAttribute.raw_socket)
        start = partial(start_tls, outer, "localhost", key_for(peer, tls_ca.client))
        assert await cancel_when(start, greeted.until_set)
        await peer.wait_closed()
        assert peer.requests[0].startswith(b"\x16\x03")
        assert raw.fileno() == -1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")
class TestUnix:
    async def test_a_conversation(self, script: Script) -> None:
        """As over TCP."""
        peer = await script([(Exact(b"ping"), b"pong")], unix=True)
        stream = await connect_unix(peer.unix_path)
        await stream.send(b"ping")
        assert await stream.receive() == b"pong"
        await stream.aclose()

    async def test_nobody_there(self, tmp_path: Path) -> None:
        """The operating system's error."""
        with pytest.raises(FileNotFoundError):
            await connect_unix(os.fspath(tmp_path / "nobody"))

    async def test_a_full_queue_is_waited_for(self, script: Script) -> None:
        """A busy server is no missing one; waiting for it can be cancelled."""
        # not tmp_path: such a path may have 107 bytes at most
        directory = tempfile.mkdtemp(prefix="anyhttp-")
        path = os.path.join(directory, "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(0)
            first = await connect_unix(path)
            with anyio.move_on_after(0.03) as scope:
                await connect_unix(path)
            assert scope.cancelled_caught
            async with anyio.create_task_group() as group:

                async def accept() -> None:
                    listener.accept()[0].close()
                    await anyio.lowlevel.checkpoint()

                group.start_soon(accept)
                second = await connect_unix(path)
                await second.aclose()
        await first.aclose()
        shutil.rmtree(directory)


class TestErrors:
    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            (lambda: ssl.SSLCertVerificationError("bad"), ClientConnectorCertificateError),
            (lambda: ssl.SSLError(1, "bad"), ClientConnectorSSLError),
            (lambda: ConnectionRefusedError(111, "refused"), ClientConnectorError),
            (lambda: TimeoutError(110, "timed out"), ClientConnectorError),
            (lambda: OSError("plain"), ClientConnectorError),
            (lambda: anyio.EndOfStream(), ClientConnectorError),
            (lambda: anyio.BrokenResourceError(), ClientConnectorError),
        ],
    )
    def test_while_connecting(self, theirs: Callable[[], Exception], ours: type[Exception]) -> None:
        """The most specific of ours, which names the endpoint and keeps the cause."""
        exc = theirs()
        with pytest.raises(ours, match=r"name\.test:443") as caught, dial_errors(KEY):
            raise exc
        assert type(caught.value) is ours
        assert caught.value.__cause__ is exc

    def test_ours_pass(self) -> None:
        """What has its name already keeps it, and so does what is none of ours."""
        for exc in (ClientConnectorError(KEY, OSError(1, "x")), ZeroDivisionError()):
            with pytest.raises(type(exc)) as caught, dial_errors(KEY):
                raise exc
            assert caught.value is exc

    def test_in_use(self) -> None:
        """A closed stream is a reset of our own; a broken one has the number below it."""
        assert isinstance(socket_errors(anyio.ClosedResourceError()), ClientConnectionResetError)
        broken = anyio.BrokenResourceError()
        found = socket_errors(broken)
        assert isinstance(found, ClientOSError)
        assert found.errno == errno.ECONNRESET
        broken.__cause__ = BrokenPipeError(errno.EPIPE, "gone")
        found = socket_errors(broken)
        assert isinstance(found, ClientOSError)
        assert (found.errno, found.strerror) == (errno.EPIPE, "gone")
