"""A well-behaved HTTP/2 server on loopback, on the library h2, which checks what clients send.

It answers what the general server answers (:mod:`tests.support.routes`), unless it is given a
handler.  A handler runs in a thread of its own for each request::

    def handler(exchange: Http2Exchange) -> None:
        exchange.inform(103, ("link", "</style.css>"))
        body = b"".join(exchange.body())
        exchange.send_head(200, ("content-type", "text/plain"))
        exchange.send(body)
        exchange.end(("x-checksum", "12"))

The server speaks HTTP/2 to whoever chose it by ALPN or, without TLS, began with its preface; to
all others it speaks HTTP/1.1.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from . import routes
from .http2_peer import PREFACE
from .links import Gone, Head, Link
from .server import Server

#: The most bytes of responses that wait for the client to read the previous ones.
BUFFERED = 1_000_000


class Http2Exchange(routes.Exchange):
    """A received request, and methods to respond to it; each may raise ``Gone``."""

    def __init__(self, connection: _Connection, stream_id: int, head: Head) -> None:
        super().__init__(head)
        self.stream_id = stream_id
        self.trailers: list[tuple[str, str]] = []
        """Those of the request, after its body has been read."""
        self.pieces: deque[tuple[bytes, int]] = deque()
        self.complete = False
        """Whether the whole request has come."""
        self.reset_code: int | None = None
        """Why the client has reset the stream, if it has."""
        self.responded = False
        """Whether the response is complete."""
        self.protocol: str | None = None
        """The protocol that an extended CONNECT asks for (:rfc:`8441`)."""
        self._connection = connection

    def body(self) -> Iterator[bytes]:
        """Yield the body as it arrives; the client's windows follow what is taken."""
        while piece := self._connection.next_piece(self):
            yield piece

    def inform(self, status: int, *headers: tuple[str, str]) -> None:
        """Send an interim response."""
        self._connection.send_fields(self, [(":status", str(status)), *headers])

    def send_head(self, status: int, *headers: tuple[str, str], end: bool = False) -> None:
        """Send the head of the response, which is all of it if *end*."""
        self._connection.send_fields(self, [(":status", str(status)), *headers], end=end)

    def send(self, data: bytes, *, end: bool = False) -> None:
        """Send *data* as the client's windows allow."""
        self._connection.send_data(self, data, end=end)

    def end(self, *trailers: tuple[str, str]) -> None:
        """End the response."""
        if trailers:
            self._connection.send_fields(self, list(trailers), end=True)
        else:
            self._connection.send_data(self, b"", end=True)

    def respond(self, body: bytes = b"", *headers: tuple[str, str], status: str = "200 OK") -> None:
        """Send a whole response."""
        code = int(status.split()[0])
        if code not in {204, 304}:
            headers = (*headers, ("content-length", str(len(body))))
        empty = not body or self.head.method == "HEAD" or code in {204, 304}
        self.send_head(code, *headers, end=empty)
        if not empty:
            self.send(body, end=True)

    def stream(self, pieces: Iterator[bytes], content_type: str) -> None:
        """Send a response of unknown length, each piece as soon as it is there."""
        self.send_head(200, ("content-type", content_type), end=self.head.method == "HEAD")
        if self.head.method != "HEAD":
            for piece in pieces:
                self.send(piece)
            self.end()

    def drip(self, count: int, delay: float) -> None:
        """Send *count* pieces of one byte, *delay* seconds apart."""

        def drops() -> Iterator[bytes]:
            for number in range(count):
                if number:
                    self._connection.wait_gone(self, delay)
                yield b"*"

        self.stream(drops(), "application/octet-stream")

    def hang(self) -> None:
        """Send nothing until the client resets the stream or leaves."""
        self._connection.wait_gone(self, None)

    def close(self) -> None:
        """Send nothing, and close the connection."""
        self._connection.abort()

    def reset(self, code: ErrorCodes) -> None:
        """Reset the stream; ``REFUSED_STREAM`` tells that nothing was done for the request."""
        self._connection.reset(self, code)


Handler = Callable[[Http2Exchange], object]


class Http2Server(Server):
    """Listens like :class:`Server`, and speaks HTTP/2 too.

    :param tls: the context, with ALPN
    :param handler: answers each HTTP/2 request
    :param settings: of the server, such as ``{SettingCodes.MAX_CONCURRENT_STREAMS: 3}``
    :param window: what the client may send on each connection before it must wait
    :param go_away_after: how many requests a connection takes before GOAWAY; later ones of the
        client are not looked at
    :param ports: as of a :class:`Server`
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        handler: Handler = routes.answer,
        *,
        settings: dict[SettingCodes | int, int] | None = None,
        window: int = 65_535,
        go_away_after: int | None = None,
        ports: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(tls, ports=ports)
        self.handler = handler
        self.settings = settings or {}
        self.window = window
        self.go_away_after = go_away_after
        self.exchanges: list[Http2Exchange] = []
        """Each HTTP/2 request that came, in order."""
        self.errors: list[str] = []
        """What the clients and handlers did wrong."""
        self.http2_connections = 0

    def reset(self) -> None:
        """Reset the counters, after the connections of the previous test have been closed."""
        super().reset()
        self.exchanges = []
        self.errors = []
        self.http2_connections = 0

    def stop(self) -> None:
        """Close everything.

        :raises AssertionError: a client broke the protocol, or a handler failed
        """
        super().stop()
        assert not self.errors, "\n".join(self.errors)

    def note(self, exchange: Http2Exchange) -> None:
        """Keep a request that has come."""
        with self._lock:
            self.requests.append(f"{exchange.head.method} {exchange.head.target}")
            self.exchanges.append(exchange)

    def _serve(self, link: Link) -> None:
        try:
            link.handshake()
            is_http2 = _chooses_http2(link)
        except Gone:
            return
        if is_http2:
            with self._lock:
                self.http2_connections += 1
            _Connection(self, link).run()
        else:
            super()._serve(link)


def _chooses_http2(link: Link) -> bool:
    """Tell by ALPN, or without TLS by the first bytes, whether a client speaks HTTP/2."""
    if isinstance(link.sock, ssl.SSLSocket):
        return link.sock.selected_alpn_protocol() == "h2"
    while len(link.inbox) < len(PREFACE) and PREFACE.startswith(link.inbox):
        if not link.fill():
            raise Gone("the client closed the connection")
    return link.inbox.startswith(PREFACE)


class _Connection:
    """One HTTP/2 connection: a thread that moves bytes, and one for each request."""

    def __init__(self, server: Http2Server, link: Link) -> None:
        self._server = server
        self._link = link
        self._changed = threading.Condition()  # holds the lock of everything below
        config = H2Configuration(client_side=False, header_encoding="latin-1")
        self._h2 = H2Connection(config)
        self._output = bytearray()
        self._exchanges: dict[int, Http2Exchange] = {}  # those that are not over
        self._threads: list[threading.Thread] = []
        self._gone = self._aborted = self._going_away = False
        self._taken = 0
        self._wake_reader, self._wake_writer = os.pipe()

    # -- the thread that moves bytes -------------------------------------------------------

    def run(self) -> None:
        """Serve the connection to its end."""
        self._link.sock.setblocking(False)
        with self._changed:
            # Those of h2 that are set later are announced later.
            initial: Any = {SettingCodes.MAX_CONCURRENT_STREAMS: 100} | self._server.settings
            settings = Settings(client=False, initial_values=initial)
            self._h2.local_settings = settings
            self._h2.max_inbound_frame_size = settings.max_frame_size
            self._h2.initiate_connection()
            if self._server.window > 65_535:
                self._h2.increment_flow_control_window(self._server.window - 65_535)
            self._collect()
            received: bytes | None = bytes(self._link.inbox)
        try:
            while self._take(received) and self._flush():
                self._wait()
                received = self._read()
            self._linger()
        finally:
            with self._changed:
                self._gone = True
                self._changed.notify_all()
            for thread in self._threads:
                thread.join()
            os.close(self._wake_reader)
            os.close(self._wake_writer)
            with suppress(OSError):
                self._link.sock.setblocking(True)

    def _linger(self) -> None:
        """End the server's bytes, and wait until the client has read them and closed.

        Closing with bytes of the client unread would take away what it has not read.
        """
        if self._aborted or not self._going_away:
            return
        self._link.half_close()
        sock = self._link.sock
        sock.setblocking(True)
        self._link.waiting = True
        with suppress(OSError):
            # Below TLS, which may take no more bytes of the client after that.
            while socket.socket.recv(sock, 65_536):
                pass
        self._link.waiting = False

    def _wait(self) -> None:
        """Wait until there is something to read, or something to write and room for it."""
        poll = select.poll()
        sock = self._link.sock
        poll.register(sock, select.POLLIN | (select.POLLOUT if self._output else 0))
        poll.register(self._wake_reader, select.POLLIN)
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return
        self._link.waiting = True
        ready = poll.poll()
        self._link.waiting = False
        if self._wake_reader in dict(ready):
            os.read(self._wake_reader, 65_536)

    def _read(self) -> bytes | None:
        """Return what has come: nothing, or ``None`` if the client has left."""
        try:
            return self._link.sock.recv(65_536) or None
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        except OSError:
            return None

    def _flush(self) -> bool:
        """Send what the socket takes; return whether the connection goes on."""
        with self._changed:
            try:
                while self._output:
                    sent = self._link.sock.send(self._output[:65_536])
                    del self._output[:sent]
                    self._changed.notify_all()
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return not self._aborted
            except OSError:
                return False
            finished = self._going_away and not self._exchanges
            return not (self._aborted or finished)

    def _take(self, received: bytes | None) -> bool:
        """Handle what has come; return whether the connection goes on."""
        if received is None:
            return False
        with self._changed:
            try:
                for event in self._h2.receive_data(received) if received else ():
                    self._handle(event)
            except ProtocolError as exc:
                self._server.errors.append(f"the client broke the protocol: {exc!r}")
                self._going_away = True
                self._exchanges.clear()
            self._collect()
            self._changed.notify_all()
        return True

    def _collect(self) -> None:
        self._output += self._h2.data_to_send()

    def _wake(self) -> None:
        """Have the thread of the connection send what was made; the lock is held."""
        self._collect()
        with suppress(OSError):
            os.write(self._wake_writer, b"x")

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._start(event.stream_id, [_text(pair) for pair in event.headers])
            case h2.events.DataReceived():
                exchange = self._exchanges.get(event.stream_id)
                if exchange is None or exchange.responded:
                    self._credit(event.stream_id, event.flow_controlled_length)
                else:
                    exchange.pieces.append((event.data, event.flow_controlled_length))
            case h2.events.TrailersReceived() if event.stream_id in self._exchanges:
                exchange = self._exchanges[event.stream_id]
                exchange.trailers = [_text(pair) for pair in event.headers]
            case h2.events.StreamEnded() if event.stream_id in self._exchanges:
                self._exchanges[event.stream_id].complete = True
                self._forget_if_over(self._exchanges[event.stream_id])
            case h2.events.ConnectionTerminated():
                self._gone = True  # h2 sends nothing more
            case h2.events.StreamReset() if event.stream_id in self._exchanges:
                exchange = self._exchanges.pop(event.stream_id)
                exchange.reset_code = int(event.error_code)
                # What came before is still read, as it is from a connection of HTTP/1.1.
                pieces = [(piece, 0) for piece, _ in exchange.pieces]
                self._credit_all(exchange)
                exchange.pieces.extend(pieces)

    def _start(self, stream_id: int, fields: list[tuple[str, str]]) -> None:
        """Start a thread for a request, unless the client was told that no more is taken."""
        if self._going_away:
            return
        pseudo = {name: value for name, value in fields if name.startswith(":")}
        head = Head(pseudo[":method"], pseudo.get(":path", ""), "HTTP/2.0")
        head.headers = [(name, value) for name, value in fields if not name.startswith(":")]
        if ":authority" in pseudo:
            head.headers.insert(0, ("host", pseudo[":authority"]))
        exchange = Http2Exchange(self, stream_id, head)
        exchange.protocol = pseudo.get(":protocol")
        self._exchanges[stream_id] = exchange
        self._server.note(exchange)
        self._taken += 1
        if self._taken == self._server.go_away_after:
            # h2 would send nothing more after a GOAWAY of its own.
            self._collect()
            self._output += GoAwayFrame(0, last_stream_id=stream_id).serialize()
            self._going_away = True
        thread = threading.Thread(target=self._answer, args=[exchange], daemon=True)
        self._threads.append(thread)
        thread.start()

    # -- the threads of the requests -------------------------------------------------------

    def _answer(self, exchange: Http2Exchange) -> None:
        try:
            self._server.handler(exchange)
        except Gone:
            pass
        except Exception as exc:  # noqa: BLE001 (the test reports it)
            self._server.errors.append(f"the handler failed: {exc!r}")
            with suppress(Gone):
                self.reset(exchange, ErrorCodes.INTERNAL_ERROR)
        with self._changed:
            self._credit_all(exchange)
            if self._is_open(exchange) and not exchange.complete:
                # The rest of the request is not wanted (RFC 9113 §8.1).
                self._h2.reset_stream(exchange.stream_id, ErrorCodes.NO_ERROR)
            self._exchanges.pop(exchange.stream_id, None)
            self._wake()

    def next_piece(self, exchange: Http2Exchange) -> bytes:
        """Return the next bytes of a body that are not empty, or nothing at its end."""
        with self._changed:
            while True:
                while exchange.pieces:
                    piece, credit = exchange.pieces.popleft()
                    self._credit(exchange.stream_id, credit)
                    self._wake()
                    if piece:
                        return piece
                if exchange.complete:
                    return b""
                self._check(exchange)
                self._changed.wait()

    def send_fields(
        self, exchange: Http2Exchange, fields: list[tuple[str, str]], *, end: bool = False
    ) -> None:
        """Send a header section."""
        with self._changed:
            self._check(exchange)
            self._h2.send_headers(exchange.stream_id, fields, end_stream=end)
            self._sent(exchange, end=end)

    def send_data(self, exchange: Http2Exchange, data: bytes, *, end: bool) -> None:
        """Send *data* as the windows allow."""
        view = memoryview(data)
        with self._changed:
            while True:
                self._check(exchange)
                window = self._h2.local_flow_control_window(exchange.stream_id)
                size = min(len(view), window, self._h2.max_outbound_frame_size)
                if len(self._output) > BUFFERED or (view and size <= 0):
                    self._changed.wait()
                    continue
                piece, view = bytes(view[: max(size, 0)]), view[max(size, 0) :]
                self._h2.send_data(exchange.stream_id, piece, end_stream=end and not view)
                self._sent(exchange, end=end and not view)
                if not view:
                    return

    def reset(self, exchange: Http2Exchange, code: ErrorCodes) -> None:
        """Reset the stream of an exchange."""
        with self._changed:
            self._check(exchange)
            self._h2.reset_stream(exchange.stream_id, code)
            self._exchanges.pop(exchange.stream_id)
            self._wake()

    def abort(self) -> None:
        """Close the connection without a word."""
        with self._changed:
            self._aborted = True
            self._wake()

    def wait_gone(self, exchange: Http2Exchange, seconds: float | None) -> None:
        """Wait for some time.

        :raises Gone: the client has reset the stream or left
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._is_open(exchange), seconds)
            self._check(exchange)

    def _sent(self, exchange: Http2Exchange, *, end: bool) -> None:
        exchange.responded |= end
        self._forget_if_over(exchange)
        self._wake()

    def _check(self, exchange: Http2Exchange) -> None:
        if not self._is_open(exchange):
            raise Gone("the client has reset the stream or left")

    def _is_open(self, exchange: Http2Exchange) -> bool:
        return exchange.stream_id in self._exchanges and not (self._gone or self._aborted)

    def _forget_if_over(self, exchange: Http2Exchange) -> None:
        if exchange.responded and exchange.complete:
            self._exchanges.pop(exchange.stream_id, None)

    def _credit(self, stream_id: int, count: int) -> None:
        """Give back the windows of *count* bytes of DATA."""
        if count:
            with suppress(ProtocolError):  # the connection is over
                self._h2.acknowledge_received_data(count, stream_id)

    def _credit_all(self, exchange: Http2Exchange) -> None:
        while exchange.pieces:
            self._credit(exchange.stream_id, exchange.pieces.popleft()[1])


def _text(pair: Any) -> tuple[str, str]:
    """Return a field that h2 has decoded."""
    name, value = pair
    return str(name), str(value)
