"""TLS over any stream: one task that receives, one that sends, and what TLS itself has to say."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute

from anyhttp._common import ConnectionKey
from anyhttp._network import connect_tcp, start_tls
from anyhttp._network.tls_sessions import TlsSessions
from anyhttp._network.tls_stream import RECORD, TlsStream
from tests.support.cancel import cancel_when
from tests.support.programs import free_port, program
from tests.support.streams import FakeStream
from tests.support.tls import Authority
from tests.support.waiting import block_until_arrived


class Below(ByteStream):
    """The stream below TLS, with a server at its other end.

    :ivar received: what the server has decrypted
    :ivar receives: how often it was asked for bytes
    :ivar gate: lets bytes go out, when it is set
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._step: Callable[[], object] = self.tls.do_handshake
        self._news = anyio.Event()
        self._ended = False
        self._tampers = False
        self.received = b""
        self.receives = 0
        self.gate = anyio.Event()
        self.gate.set()

    async def send(self, item: bytes) -> None:
        """Let the server see *item*."""
        await self.gate.wait()
        self.take(item)

    def take(self, item: bytes | memoryview) -> None:
        """Let the server see *item*, at once."""
        self._incoming.write(item)
        with suppress(ssl.SSLWantReadError):
            if self._step == self.tls.do_handshake:
                self._step()
                self._step = self.tls.read
            while True:
                self.received += self.tls.read()
        self._wake()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what the server says."""
        self.receives += 1
        await anyio.lowlevel.checkpoint()
        while not self._outgoing.pending:
            if self._ended:
                raise anyio.EndOfStream
            await self._news.wait()
        data = bytearray(self._outgoing.read(max_bytes))
        if self._tampers:
            data[-5] ^= 1
        return bytes(data)

    async def send_eof(self) -> None:
        """Do nothing."""

    async def aclose(self) -> None:
        """Do nothing."""

    def write(self, *records: bytes) -> None:
        """Have the server send one record after the other."""
        for record in records:
            self.tls.write(record)
        self._wake()

    def tamper(self) -> None:
        """Change a byte in the last record of what is received from now on."""
        self._tampers = True

    def end(self, *, properly: bool) -> None:
        """Send no more; *properly* is to say so before."""
        if properly:
            with suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
        self._ended = True
        self._wake()

    def refuse(self) -> None:
        """Have the server end the connection by an alert."""
        self._incoming.write(b"\x17\x03\x03\x00\x05wrong")
        with pytest.raises(ssl.SSLError):
            self.tls.read()
        self._wake()

    def ask_for_certificate(self) -> None:
        """Have the client authenticate itself, which makes it send in order to receive."""
        self.tls.verify_client_post_handshake()
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()


class SocketBelow(FakeStream):
    """A :class:`Below` as a socket, which can be sent to without waiting.

    :ivar lost: whether the peer is gone
    """

    def __init__(self, below: Below) -> None:
        self.below = below
        self._unsent: bytes | memoryview = b""
        self.lost = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return what the server says."""
        return await self.below.receive(max_bytes)

    def send_nowait(self, item: bytes | memoryview) -> bool:
        """Let the server see *item*, unless the gate is closed."""
        if self.lost:
            raise anyio.BrokenResourceError
        assert not self._unsent
        self._unsent = item
        if self.below.gate.is_set():
            self._pass_on()
        return not self._unsent

    @property
    def has_unsent(self) -> bool:
        """Whether something waits for the gate."""
        return bool(self._unsent)

    async def drain(self) -> None:
        """Wait for the gate."""
        await self.below.gate.wait()
        if self.lost:
            raise anyio.BrokenResourceError
        self._pass_on()

    def _pass_on(self) -> None:
        item, self._unsent = self._unsent, b""
        self.below.take(item)


@pytest.fixture
async def sockets(tls_ca: Authority) -> tuple[TlsStream, SocketBelow]:
    """A client on top of a socket, and that socket."""
    server, client = _contexts(tls_ca)
    below = SocketBelow(Below(server))
    return await TlsStream.wrap(below, client, "localhost"), below


@pytest.fixture
async def pair(tls_ca: Authority) -> tuple[TlsStream, Below]:
    """A client, and the stream below it with its server."""
    server, client = _contexts(tls_ca)
    below = Below(server)
    return await TlsStream.wrap(below, client, "localhost"), below


def _contexts(tls_ca: Authority) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server that may ask for a certificate, and of a client with one."""
    server, client = tls_ca.server_for("localhost"), ssl.create_default_context()
    for context in (server, client):
        context.load_verify_locations(cadata=tls_ca.ca_pem.decode())
        context.post_handshake_auth = True
    server.verify_mode = ssl.CERT_REQUIRED
    tls_ca.issue("client.test").configure_cert(client)
    return server, client


@pytest.mark.usefixtures("resumption")
class TestResumption:
    """What other connections may resume is tested beside ``tls_sessions``."""

    async def test_a_certificate_that_is_asked_for_later(
        self, pair: tuple[TlsStream, Below], tls_ca: Authority
    ) -> None:
        """A session in which the client has shown one is not left to others."""
        stream, below = pair
        sessions = TlsSessions()
        key = ConnectionKey("localhost", 443, True, True, None, None, None)
        sessions.resumption(key, "localhost", tls_ca.client)
        # Sessions are kept from the second connection on.
        stream.resumption = sessions.resumption(key, "localhost", tls_ca.client)
        below.ask_for_certificate()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.receive)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        stream.keep_session()
        assert len(sessions) == 0

    @pytest.mark.parametrize("fails", [True, False])
    async def test_after_a_failure(
        self, pair: tuple[TlsStream, Below], tls_ca: Authority, fails: bool
    ) -> None:
        """The session of a connection that ended by a fatal alert is not resumed."""
        stream, below = pair
        sessions = TlsSessions()
        key = ConnectionKey("localhost", 443, True, True, None, None, None)
        sessions.resumption(key, "localhost", tls_ca.client)
        stream.resumption = sessions.resumption(key, "localhost", tls_ca.client)
        below.write(b"good")
        assert await stream.receive() == b"good"
        if fails:
            below.refuse()
            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
        stream.keep_session()
        assert len(sessions) == (0 if fails else 1)


class TestReceiving:
    async def test_all_that_has_arrived_comes_at_once(self, pair: tuple[TlsStream, Below]) -> None:
        """As much as is asked for; the rest is there for the next one."""
        stream, below = pair
        below.write(b"ab", b"c" * RECORD, b"d")
        whole = b"ab" + b"c" * RECORD + b"d"
        asked = below.receives
        assert await stream.receive() == whole
        below.write(b"ab", b"c" * RECORD, b"d")
        assert await stream.receive(1) == b"a"
        assert await stream.receive(RECORD) == whole[1 : RECORD + 1]
        assert await stream.receive(9) == whole[RECORD + 1 :]
        # three more for the session tickets, at most
        assert below.receives - asked <= 3

    async def test_a_record_that_comes_in_pieces(self, pair: tuple[TlsStream, Below]) -> None:
        """It is decrypted when its last byte is there."""
        stream, below = pair
        below.write(b"x" * RECORD)
        bytewise = below.receive

        async def receive(max_bytes: int = 65536) -> bytes:
            return await bytewise(1000)

        below.receive = receive  # type: ignore[method-assign]
        assert await stream.receive() == b"x" * RECORD

    async def test_what_is_there_is_not_taken_by_who_is_cancelled(
        self, pair: tuple[TlsStream, Below]
    ) -> None:
        """Every call is a place to be cancelled at, also one that would not wait."""
        stream, below = pair
        below.write(b"ab")
        assert await stream.receive(1) == b"a"
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.receive()
        assert scope.cancelled_caught
        assert await stream.receive() == b"b"

    async def test_bad_arguments(self, pair: tuple[TlsStream, Below]) -> None:
        """As with anyio's own streams."""
        with pytest.raises(ValueError, match="max_bytes must be a positive integer"):
            await pair[0].receive(0)

    @pytest.mark.parametrize("properly", [True, False])
    async def test_the_end(self, pair: tuple[TlsStream, Below], properly: bool) -> None:
        """It comes after all data, with or without close-notify, and again when asked again."""
        stream, below = pair
        below.write(b"last")
        below.end(properly=properly)
        assert await stream.receive() == b"last"
        for _ in range(2):
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()

    @pytest.mark.parametrize("properly", [True, False])
    async def test_sending_after_the_end(
        self, pair: tuple[TlsStream, Below], properly: bool
    ) -> None:
        """A peer that has said goodbye may still receive; one that was cut off has failed."""
        stream, below = pair
        below.end(properly=properly)
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        if properly:
            await stream.send(b"x")
        else:
            with pytest.raises(anyio.BrokenResourceError) as caught:
                await stream.send(b"x")
            assert isinstance(caught.value.__cause__, ssl.SSLError)
        assert below.received == (b"x" if properly else b"")

    async def test_a_record_that_was_tampered_with(self, pair: tuple[TlsStream, Below]) -> None:
        """What came before it counts; from there on all is an error, and nothing ever an end."""
        stream, below = pair
        below.write(b"good", b"bad")
        below.tamper()
        assert await stream.receive() == b"good"
        for _ in range(2):
            with pytest.raises(anyio.BrokenResourceError) as caught:
                await stream.receive()
            assert isinstance(caught.value.__cause__, ssl.SSLError)
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"x")


async def test_a_peer_that_leaves_during_the_handshake(tls_ca: Authority) -> None:
    """That is an end and no fault of TLS."""

    class Gone(Below):
        async def receive(self, max_bytes: int = 65536) -> bytes:
            raise anyio.EndOfStream

    below = Gone(tls_ca.server)
    with pytest.raises(anyio.EndOfStream):
        await TlsStream.wrap(below, tls_ca.client, "localhost")


class TestSending:
    async def test_it_is_encrypted_whole(self, pair: tuple[TlsStream, Below]) -> None:
        """Any number of records, and none for nothing."""
        stream, below = pair
        below.gate = anyio.Event()
        await stream.send(b"")
        below.gate.set()
        await stream.send(b"x" * 3 * RECORD)
        await stream.send(b"y")
        assert below.received == b"x" * 3 * RECORD + b"y"

    async def test_cancelled_before_it_began(self, pair: tuple[TlsStream, Below]) -> None:
        """Nothing has been encrypted, and the stream can be used."""
        stream, below = pair
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.send(b"x")
        assert scope.cancelled_caught
        await stream.send(b"y")
        assert below.received == b"y"

    async def test_what_tls_has_to_say_is_not_lost(self, pair: tuple[TlsStream, Below]) -> None:
        """When who would send it is cancelled before."""
        stream, below = pair
        below.ask_for_certificate()
        below.write(b"x")
        assert await stream.receive() == b"x"
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.receive()
        assert scope.cancelled_caught
        await stream.send(b"y")
        assert below.received == b"y"
        assert below.tls.getpeercert()

    async def test_cancelled_in_the_middle(self, pair: tuple[TlsStream, Below]) -> None:
        """The peer counts records: no more can be sent, but what it says can be received."""
        stream, below = pair
        below.gate = anyio.Event()
        assert await cancel_when(partial(stream.send, b"x"), anyio.wait_all_tasks_blocked)
        below.gate.set()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"y")
        below.ask_for_certificate()
        below.write(b"answer")
        assert await stream.receive() == b"answer"
        # The server would complain if it were given what TLS has to say to that.
        assert await cancel_when(stream.receive, anyio.wait_all_tasks_blocked)
        assert below.received == b""

    async def test_no_half_close(self, pair: tuple[TlsStream, Below]) -> None:
        """As with anyio's own stream."""
        with pytest.raises(NotImplementedError, match="both directions"):
            await pair[0].send_eof()


class TestSendingWithoutWaiting:
    async def test_all_at_once(self, sockets: tuple[TlsStream, SocketBelow]) -> None:
        """If there is room for all of it."""
        stream, socket = sockets
        assert stream.send_nowait(memoryview(b"x" * 3 * RECORD))
        assert stream.send_nowait(b"y")
        assert socket.below.received == b"x" * 3 * RECORD + b"y"
        await stream.send(b"z")
        assert socket.below.received.endswith(b"yz")

    async def test_the_rest_later(self, sockets: tuple[TlsStream, SocketBelow]) -> None:
        """Until then who receives sends nothing; what TLS has to say follows the rest."""
        stream, socket = sockets
        below = socket.below
        below.gate = anyio.Event()
        assert not stream.send_nowait(b"x")
        below.ask_for_certificate()
        below.write(b"one")
        assert await stream.receive() == b"one"
        async with anyio.create_task_group() as group:
            group.start_soon(_expect, stream, b"two")
            group.start_soon(stream.drain)
            await anyio.wait_all_tasks_blocked()
            assert below.received == b""
            with pytest.raises(anyio.BusyResourceError, match="writing to"):
                stream.send_nowait(b"y")
            below.gate.set()
            await anyio.wait_all_tasks_blocked()
            below.write(b"two")
        assert below.received == b"x"
        assert below.tls.getpeercert()
        assert stream.send_nowait(b"y")
        assert below.received == b"xy"

    async def test_while_tls_sends(self, sockets: tuple[TlsStream, SocketBelow]) -> None:
        """All of it waits until TLS has said what it has to say."""
        stream, socket = sockets
        below = socket.below
        below.ask_for_certificate()
        below.gate = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(_expect, stream, b"one")
            await anyio.wait_all_tasks_blocked()
            assert not stream.send_nowait(b"x")
            group.start_soon(stream.drain)
            await anyio.wait_all_tasks_blocked()
            assert below.received == b""
            below.gate.set()
            await anyio.wait_all_tasks_blocked()
            below.write(b"one")
        assert below.received == b"x"

    async def test_on_a_stream_that_cannot(self, pair: tuple[TlsStream, Below]) -> None:
        """It has to be awaited."""
        stream, below = pair
        assert stream.receive_nowait(10) is None
        assert not stream.send_nowait(b"x")
        assert below.received == b""
        assert stream.has_unsent
        await stream.drain()
        assert below.received == b"x"

    async def test_last_words(self, sockets: tuple[TlsStream, SocketBelow]) -> None:
        """They go out at once, or never: nothing is put in the middle of what is being sent."""
        stream, below = sockets[0], sockets[1].below
        below.gate = anyio.Event()
        assert not stream.send_nowait(b"x")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.drain)
            await anyio.wait_all_tasks_blocked()
            stream.send_last(b"bye")
            below.gate.set()
        assert not stream.has_unsent
        assert below.received == b"x"
        stream.send_last(b"bye")
        assert below.received == b"xbye"

    @pytest.mark.parametrize("when", ["at once", "later"])
    async def test_a_lost_peer(self, sockets: tuple[TlsStream, SocketBelow], when: str) -> None:
        """No more can be sent afterwards."""
        stream, socket = sockets
        if when == "at once":
            socket.lost = True
            with pytest.raises(anyio.BrokenResourceError):
                stream.send_nowait(b"x")
        else:
            socket.below.gate = anyio.Event()
            assert not stream.send_nowait(b"x")
            socket.lost = True
            socket.below.gate.set()
            with pytest.raises(anyio.BrokenResourceError):
                await stream.drain()
        socket.lost = False
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"y")
        with pytest.raises(anyio.BrokenResourceError):
            stream.send_nowait(b"y")


class TestTwoTasks:
    """One may receive and one may send."""

    async def test_no_two_do_the_same(self, pair: tuple[TlsStream, Below]) -> None:
        """The error is anyio's."""
        stream, below = pair
        below.gate = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(stream.receive)
            group.start_soon(stream.send, b"x")
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(anyio.BusyResourceError, match="reading from"):
                await stream.receive()
            with pytest.raises(anyio.BusyResourceError, match="writing to"):
                await stream.send(b"x")
            group.cancel_scope.cancel()

    async def test_tls_answers_behind_a_send_that_waits(
        self, pair: tuple[TlsStream, Below]
    ) -> None:
        """Who receives does not wait for it, and whoever sends takes the answer along."""
        stream, below = pair
        below.gate = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(stream.send, b"x")
            await anyio.wait_all_tasks_blocked()
            below.ask_for_certificate()
            below.write(b"one")
            assert await stream.receive() == b"one"
            group.start_soon(_expect, stream, b"two")
            await anyio.wait_all_tasks_blocked()
            assert not below.tls.getpeercert()
            below.write(b"two")
            await anyio.wait_all_tasks_blocked()
            below.gate.set()
        assert below.received == b"x"
        assert below.tls.getpeercert()

    @pytest.mark.parametrize("cancelled", [False, True])
    async def test_a_send_behind_the_answer_of_tls(
        self, pair: tuple[TlsStream, Below], cancelled: bool
    ) -> None:
        """It returns when its bytes are out, and fails when the answer was cut."""
        stream, below = pair
        sent = []

        async def send() -> None:
            try:
                await stream.send(b"x")
            except anyio.BrokenResourceError:
                sent.append(False)
            else:
                sent.append(True)

        async with anyio.create_task_group() as group:
            receiving = anyio.CancelScope()

            async def receive() -> None:
                with receiving:
                    assert await stream.receive() == b"done"

            group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            below.gate = anyio.Event()
            below.ask_for_certificate()
            await anyio.wait_all_tasks_blocked()
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            assert not sent
            if cancelled:
                receiving.cancel()
                await anyio.wait_all_tasks_blocked()
            below.gate.set()
            await anyio.wait_all_tasks_blocked()
            below.write(b"done")
        assert sent == [not cancelled]
        assert below.received == (b"" if cancelled else b"x")
        assert bool(below.tls.getpeercert()) is not cancelled


async def _expect(stream: TlsStream, data: bytes) -> None:
    assert await stream.receive() == data


def test_it_has_the_attributes_of_anyios(tls_ca: Authority) -> None:
    """Whoever was given a connection looks into TLS by them."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = tls_ca.client.wrap_bio(incoming, outgoing, server_hostname="localhost")
    stream = TlsStream(Below(tls_ca.server), tls, incoming, outgoing)
    attributes = {value for name, value in vars(TLSAttribute).items() if not name.startswith("_")}
    assert attributes <= set(stream.extra_attributes)
    assert stream.extra(TLSAttribute.ssl_object) is tls
    assert stream.extra(TLSAttribute.server_side) is False
    assert stream.extra(TLSAttribute.shared_ciphers) is None
    assert stream.extra(TLSAttribute.standard_compatible) is False


class Held(ByteStream):
    """A stream that can be held before it receives for the second time from now."""

    def __init__(self, below: ByteStream) -> None:
        self._below = below
        self._holds = False
        self._gate = anyio.Event()
        self._gate.set()
        self.waits = anyio.Event()

    def hold(self) -> None:
        """Let one more receive pass."""
        self._holds = True

    def let_go(self) -> None:
        """Let all pass."""
        self._gate.set()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._gate.is_set():
            self.waits.set()
        await self._gate.wait()
        data = await self._below.receive(max_bytes)
        if self._holds:
            self._holds = False
            self._gate = anyio.Event()
        return data

    async def send(self, item: bytes) -> None:
        await self._below.send(item)

    async def send_eof(self) -> None:
        await self._below.send_eof()

    async def aclose(self) -> None:
        await self._below.aclose()


@pytest.fixture
def tls_1_2(tls_ca: Authority, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """OpenSSL's own server, which is told by its input what to do, and its port."""
    port, pem = free_port(), tmp_path / "server.pem"
    pem.write_bytes(tls_ca.server_pem)
    command = [program("openssl", "openssl"), "s_server", "-tls1_2"]
    command += ["-accept", str(port), "-cert", str(pem)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        yield server, port
        server.kill()


@pytest.mark.parametrize("nowait", [False, True])
@pytest.mark.parametrize("cancelled", [False, True])
async def test_another_handshake_in_the_middle(
    tls_ca: Authority, tls_1_2: tuple[subprocess.Popen[bytes], int], cancelled: bool, nowait: bool
) -> None:
    """TLS 1.2 lets a server ask for one: a send waits for it, whoever receives meanwhile."""
    server, port = tls_1_2
    assert server.stdin is not None
    await _until(server, b"ACCEPT")
    held = Held(await anyio.connect_tcp("127.0.0.1", port))
    stream = await TlsStream.wrap(held, tls_ca.client, "localhost")
    await stream.send(b"before\n")
    await _until(server, b"before")
    receiving = anyio.CancelScope()
    async with anyio.create_task_group() as group:

        async def receive() -> None:
            with receiving:
                assert await stream.receive() == b"hello\n"

        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        held.hold()
        server.stdin.write(b"r\n")
        server.stdin.flush()
        with anyio.fail_after(20):
            await held.waits.wait()
        if nowait:
            assert not stream.send_nowait(b"during\n")
            group.start_soon(stream.drain)
        else:
            group.start_soon(stream.send, b"during\n")
        await anyio.wait_all_tasks_blocked()
        if cancelled:
            receiving.cancel()
            await anyio.wait_all_tasks_blocked()
        held.let_go()
        await _until(server, b"during")
        if not cancelled:
            server.stdin.write(b"hello\n")
            server.stdin.flush()
    await stream.aclose()


@pytest.mark.parametrize("drains", [False, True])
async def test_another_handshake_without_waiting(
    tls_ca: Authority, tls_1_2: tuple[subprocess.Popen[bytes], int], drains: bool
) -> None:
    """What is sent meanwhile is left, and whoever drains does the handshake."""
    server, port = tls_1_2
    assert server.stdin is not None
    await _until(server, b"ACCEPT")
    key = ConnectionKey("localhost", port, True, tls_ca.client, None, None, None)
    address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))
    stream = await start_tls(await connect_tcp(address), "localhost", key)
    await stream.send(b"before\n")
    await _until(server, b"before")
    server.stdin.write(b"r\n")
    server.stdin.flush()
    block_until_arrived(stream.extra_info("socket"))
    assert stream.receive_nowait() is None
    for text in (b"dur", b"ing\n"):
        assert not stream.send_nowait(text)
    with anyio.fail_after(20):
        if drains:
            await stream.drain()
        else:
            assert await stream.receive_draining() is None
    await _until(server, b"during")
    await stream.aclose()


async def _until(server: subprocess.Popen[bytes], text: bytes) -> None:
    """Wait until *server* has printed *text*."""
    assert server.stdout is not None
    with anyio.fail_after(20):
        while text not in (line := await anyio.to_thread.run_sync(server.stdout.readline)):
            assert line, "the server has ended"
