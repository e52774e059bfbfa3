"""Streams that a program makes, in a connector of its own: what they may do, and how they end."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from anyhttp import (
    BaseConnector,
    ClientConnectionError,
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientOSError,
    ClientPayloadError,
    ClientSession,
    ConnectionTimeoutError,
    ServerDisconnectedError,
    TCPConnector,
)
from anyhttp.abc import AbstractStreamWriter
from anyhttp.payload import Payload
from tests.support.cancel import cancel_when
from tests.support.canned import Canned, CannedConnector
from tests.support.census import assert_no_tokens
from tests.support.client import get
from tests.support.peer import STALL, Script
from tests.support.responses import OK
from tests.support.tls import Authority

URL = "http://host.test/"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"


class Silent(Canned):
    """Receives *answer*, and then waits until it is aborted or closed."""

    def __init__(self, *answer: bytes, raised: Exception | None = None) -> None:
        super().__init__(*answer, error=raised)
        self.ended = anyio.Event()
        self.waiting = anyio.Event()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._pieces:
            self.waiting.set()
            await self.ended.wait()
        return await super().receive(max_bytes)

    def abort(self) -> None:
        super().abort()
        self.ended.set()


class Shielded(ByteStream):
    """A stream that always ends in its own time, as one with a connection below has to."""

    def __init__(self, below: ByteStream) -> None:
        self._below = below
        self.closed = False

    async def send(self, item: bytes) -> None:
        await self._below.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._below.receive(max_bytes)

    async def send_eof(self) -> None:
        await self._below.send_eof()

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._below.aclose()
        self.closed = True


class Torn(Silent):
    """Fails to send what comes after the first *count* bytes."""

    def __init__(self, count: int, error: BaseException) -> None:
        super().__init__()
        self._count = count
        self._send_error = error

    async def send(self, item: bytes) -> None:
        await super().send(item)
        if len(self.sent) > self._count:
            raise self._send_error


def silent_connector(
    *answer: bytes, raised: Exception | None = None
) -> tuple[CannedConnector, list[Silent]]:
    """Return a connector with slots for one connection, and the streams that it has made."""
    made: list[Silent] = []

    def make() -> Silent:
        made.append(Silent(*answer, raised=raised))
        return made[-1]

    return CannedConnector(make, limit=1), made


class TestAbort:
    """``abort()`` of a stream is called at once; ``aclose()`` follows."""

    @pytest.mark.parametrize("how", ["close", "release"])
    async def test_a_response_is_left(self, how: str) -> None:
        connector, made = silent_connector(HALF)
        async with ClientSession(connector=connector) as session:
            response = await session.get(URL)
            getattr(response, how)()
            assert (made[0].aborts, made[0].closed) == (1, False)
            assert_no_tokens(connector, idle=0)
        assert (made[0].aborts, made[0].closed) == (1, True)

    @pytest.mark.parametrize("answer", [b"", HALF], ids=["head", "body"])
    async def test_a_request_is_cancelled(self, answer: bytes) -> None:
        connector, made = silent_connector(*([answer] if answer else []))

        async def waits() -> None:
            while not made:
                await anyio.lowlevel.checkpoint()
            await made[0].waiting.wait()

        async with ClientSession(connector=connector) as session:
            assert await cancel_when(lambda: get(session, URL), waits)
            assert (made[0].aborts, made[0].closed) == (1, answer == b"")
            assert_no_tokens(connector, idle=0)
        assert made[0].closed

    @pytest.mark.parametrize("raised", [None, LookupError("aborted"), OSError(5, "aborted")])
    async def test_a_session_is_closed(self, raised: Exception | None) -> None:
        """Requests that wait for their response end, too, whatever the stream raises then."""
        connector, made = silent_connector(raised=raised)

        async def ask() -> None:
            with pytest.raises(ClientConnectionResetError, match="has been closed"):
                await get(session, URL)

        session = ClientSession(connector=connector)
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            await session.close()
        assert (made[0].aborts, made[0].closed) == (1, True)

    async def test_a_connection_that_is_kept(self) -> None:
        """It is not told of anything between two requests."""
        connector = CannedConnector(lambda: Kept(OK, OK, OK))
        async with ClientSession(connector=connector) as session:
            for _ in range(3):
                await get(session, URL)
            (stream,) = connector.source.streams
            assert (stream.aborts, stream.closed) == (0, False)
        assert (stream.aborts, stream.closed) == (1, True)

    async def test_a_stream_without_it(self) -> None:
        """It is closed by ``aclose()`` alone, before the next connection is made."""
        connector = CannedConnector(Plain)
        async with ClientSession(connector=connector) as session:
            assert await get(session, URL) == b"ok"
            assert await get(session, URL) == b"ok"
            assert [stream.closed for stream in connector.source.streams] == [True, False]
        assert all(stream.closed for stream in connector.source.streams)

    async def test_its_errors_are_raised_once(self) -> None:
        """Those of ``aclose()`` as well: they are faults of the program."""

        class Faulty(Canned):
            async def aclose(self) -> None:
                raise LookupError("aclose")

        connector = CannedConnector(lambda: Faulty(OK))
        session = ClientSession(connector=connector)
        assert await get(session, URL) == b"ok"
        with pytest.raises(LookupError, match="aclose"):
            await session.close()
        await session.close()

    async def test_tls_that_has_not_been_read_to_its_end(
        self, script: Script, tls_ca: Authority
    ) -> None:
        """TLS complains of what nobody has read; that is no fault of the program."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        peer = await script([(b"GET ", [head + bytes(100_000), STALL])], tls=tls_ca.server)
        made: list[Shielded] = []

        class Connector(BaseConnector):
            async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> TLSStream:
                below = Shielded(await anyio.connect_tcp("localhost", peer.port))
                made.append(below)
                return await TLSStream.wrap(below, hostname="localhost", ssl_context=tls_ca.client)

        async with ClientSession(connector=Connector()) as session:
            response = await session.get(f"http://localhost:{peer.port}/")
            assert await response.content.readexactly(1) == b"\0"
            response.close()
        assert made[0].closed
        await peer.wait_closed()

    @pytest.mark.parametrize("method", ["abort", "aclose"])
    async def test_its_errors_keep_nothing_open(self, method: str) -> None:
        """Others are closed all the same, and no place for a connection is lost."""

        class Faulty(Canned):
            def abort(self) -> None:
                super().abort()
                if method == "abort":
                    raise LookupError(method)

            async def aclose(self) -> None:
                self.closed = True
                if method == "aclose":
                    raise LookupError(method)

        connector = CannedConnector(lambda: Faulty(HALF), limit=3)
        session = ClientSession(connector=connector)
        responses = [await session.get(URL) for _ in range(3)]
        responses[0].close()
        assert connector.statistics().in_use == 2
        with pytest.raises(LookupError, match=method):
            await session.close()
        streams = connector.source.streams
        assert [(stream.aborts, stream.closed) for stream in streams] == [(1, True)] * 3


class Kept(Canned):
    for_one_exchange = False


class Plain(Kept):
    abort: Any = None  # hidden below

    def __init__(self) -> None:
        super().__init__(OK)

    def __getattribute__(self, name: str) -> Any:
        if name in {"abort", "for_one_exchange"}:
            raise AttributeError(name)
        return super().__getattribute__(name)


REFUSED = ConnectionRefusedError(111, "refused")
CONNECT_ERRORS: dict[str, tuple[BaseException, type[BaseException]]] = {
    "refused": (REFUSED, ClientConnectorError),
    "name": (socket.gaierror(socket.EAI_NONAME, "no name"), ClientConnectorDNSError),
    "certificate": (ssl.SSLCertVerificationError(1, "bad"), ClientConnectorCertificateError),
    "tls": (ssl.SSLError(1, "bad"), ClientConnectorSSLError),
    "timeout": (TimeoutError(), ConnectionTimeoutError),
    "timeout with a number": (TimeoutError(110, "timed out"), ClientConnectorError),
    "ours": (ServerDisconnectedError(), ServerDisconnectedError),
    "odd": (LookupError("odd"), LookupError),
}


@pytest.mark.parametrize("base", [BaseConnector, TCPConnector])
@pytest.mark.parametrize("name", CONNECT_ERRORS)
async def test_errors_of_making_a_connection(name: str, base: type[BaseConnector]) -> None:
    """They become those of a connector to the network, whatever class they are raised in."""
    error, expected = CONNECT_ERRORS[name]

    class Mine(base):  # type: ignore[misc, valid-type]  # a parameter
        async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
            raise error

    connector = Mine(limit=1)
    async with ClientSession(connector=connector) as session:
        with pytest.raises(expected) as caught:
            await get(session, URL)
        assert type(caught.value) is expected
        assert error in (caught.value, caught.value.__cause__)
        assert_no_tokens(connector, idle=0)


async def in_pieces(size: int, *, waits: bool) -> AsyncIterator[bytes]:
    """A body of five pieces, which waits between them."""
    for _ in range(5):
        yield bytes(size)
        if waits:
            await anyio.sleep(0.001)


ODD = LookupError("odd")

#: The stream, and the body of the request if it is sent by a task.
STREAMS: dict[str, tuple[Callable[[], Canned], Callable[[], object]]] = {
    "before the head": (lambda: Canned(error=ODD), lambda: None),
    "before the body": (lambda: Canned(HALF, error=ODD), lambda: None),
    "beside a body that is sent": (
        lambda: Canned(error=ODD),
        lambda: in_pieces(9, waits=True),
    ),
    "sending the head": (lambda: Torn(0, ODD), lambda: None),
    "sending large pieces": (lambda: Torn(300_000, ODD), lambda: in_pieces(100_000, waits=False)),
    "sending while the body waits": (lambda: Torn(1500, ODD), lambda: in_pieces(999, waits=True)),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("entered", [True, False])
async def test_any_other_error_of_a_stream(name: str, entered: bool) -> None:
    """It comes out of the request, or of the reading of the body, as it is."""
    make, body = STREAMS[name]
    connector = CannedConnector(make, limit=1)
    session = ClientSession(connector=connector)
    if entered:
        await session.__aenter__()
    with pytest.raises(LookupError) as caught:
        await (await session.post(URL, data=body())).read()
    assert caught.value is ODD
    assert_no_tokens(connector, idle=0)
    assert connector.source.streams[0].aborts == 1
    await session.close()


class Failing(Canned):
    """Its other end is a program, which fails after *answer*."""

    def __init__(self, *answer: bytes, failure: BaseException) -> None:
        super().__init__(*answer, error=failure)
        self.failure = failure


@pytest.mark.parametrize(
    "failure",
    [
        FileNotFoundError(2, "no such file"),
        ConnectionResetError(104, "reset"),
        ClientOSError(104, "reset"),
        ServerDisconnectedError(),
        anyio.EndOfStream(),
    ],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("answer", [(), (HALF,)])
async def test_the_failure_of_a_program(failure: BaseException, answer: tuple[bytes, ...]) -> None:
    """It comes out as it is, also if it looks like an error of the network."""
    connector = CannedConnector(lambda: Failing(*answer, failure=failure))
    async with ClientSession(connector=connector) as session:
        with pytest.raises(type(failure)) as caught:
            await get(session, URL)
        assert caught.value is failure


async def test_a_body_that_fails_because_of_an_error_of_a_stream() -> None:
    """It is the body that failed in the end."""

    class Mine(Payload):
        async def write(self, writer: AbstractStreamWriter) -> None:
            with suppress(LookupError):
                await writer.write(bytes(100_000))
            raise ZeroDivisionError

        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
            raise NotImplementedError

    async with ClientSession(connector=CannedConnector(lambda: Torn(1000, ODD))) as session:
        with pytest.raises(ClientConnectionError, match="ZeroDivisionError"):
            await session.post(URL, data=Mine(None))


async def test_errors_of_a_connection_that_breaks() -> None:
    """They are what the network's would be."""
    for error in (ConnectionResetError(104, "reset"), anyio.BrokenResourceError()):
        connector = CannedConnector(lambda error=error: Canned(HALF, error=error))  # type: ignore[misc]
        async with ClientSession(connector=connector) as session:
            with pytest.raises(ClientPayloadError, match="reset"):
                await get(session, URL)
        connector = CannedConnector(lambda error=error: Canned(error=error))  # type: ignore[misc]
        async with ClientSession(connector=connector) as session:
            with pytest.raises(ClientOSError, match="reset"):
                await get(session, URL)
    connector = CannedConnector(Canned)
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ServerDisconnectedError):
            await get(session, URL)


class TestWebSockets:
    """A WebSocket on a stream that fails with an error of its own."""

    @pytest.mark.parametrize("call", ["receive", "send_str", "close"])
    async def test_the_error_comes_out(self, call: str) -> None:
        connector = CannedConnector(lambda: Shaken(), limit=1)
        async with ClientSession(connector=connector) as session:
            ws = await session.ws_connect("ws://host.test/")
            arguments = ("text",) if call == "send_str" else ()
            with pytest.raises(LookupError, match="odd"):
                await getattr(ws, call)(*arguments)
            with anyio.CancelScope():
                await _closed(ws)
            assert_no_tokens(connector, idle=0)
        assert connector.source.streams[0].aborts == 1


async def _closed(ws: Any) -> None:
    if not ws.closed:
        with pytest.raises(LookupError, match="odd"):
            await ws.close()


class Shaken(Silent):
    """Answers the handshake of a WebSocket; then everything fails."""

    def __init__(self) -> None:
        super().__init__()
        self._is_shaken = False

    async def send(self, item: bytes) -> None:
        await super().send(item)
        if self._is_shaken:
            raise LookupError("odd")
        lines = dict(line.split(b": ", 1) for line in self.sent.split(b"\r\n")[1:-2])
        key = lines[b"Sec-WebSocket-Key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key, usedforsecurity=False).digest())
        self._is_shaken = True
        self._pieces.append(
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self._pieces and self._is_shaken:
            raise LookupError("odd")
        return await super().receive(max_bytes)
