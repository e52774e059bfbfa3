"""A small HTTP/1.1 server on loopback, for tests that do not look at exact bytes.

What it answers is in :mod:`tests.support.routes`.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress

from yarl import URL

from . import routes
from .links import BadRequest, Gone, Head, Link, LinkThreads, Listener, parse_head
from .waiting import comes_true_in_thread, until

# This side sees a connection closed a moment after the client has closed it.
SETTLING = 2.0  # seconds


class Server:
    """Listens for http, for https, and for http on a Unix socket, until it is stopped.

    :param ports: for http and for https; 0 for any that is free
    """

    def __init__(self, tls: ssl.SSLContext, *, ports: tuple[int, int] = (0, 0)) -> None:
        self._lock = threading.Lock()
        self._links = LinkThreads(self._serve)
        self.requests: list[str] = []
        """The first two words of each request."""
        self._plain = Listener(self._links.start, port=ports[0])
        self._tls = Listener(self._links.start, tls=tls, port=ports[1])
        self._unix = Listener(self._links.start, unix=True)

    @property
    def url(self) -> URL:
        """The root URL for http."""
        return URL(f"http://127.0.0.1:{self._plain.port}/")

    @property
    def https_url(self) -> URL:
        """The root URL for https."""
        return URL(f"https://localhost:{self._tls.port}/")

    @property
    def unix_path(self) -> str:
        """The path of the Unix socket."""
        return str(self._unix.unix_path)

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return self._links.open

    @property
    def connections(self) -> int:
        """How many connections were opened."""
        return self._links.opened

    @property
    def peak_connections(self) -> int:
        """The largest number of connections that were open at once."""
        return self._links.peak

    async def until_asked(self, target: str) -> None:
        """Wait until a GET request for *target* has arrived."""
        await until(lambda: f"GET {target}" in self.requests, f"a request for {target}")

    def reset(self) -> None:
        """Reset the counters, after the connections of the previous test have been closed."""
        listeners = (self._plain, self._tls, self._unix)
        comes_true_in_thread(
            lambda: all(each.quiet for each in listeners) and not self.open_connections,
            seconds=SETTLING,
        )
        self._links.forget()
        with self._lock:
            self.requests = []

    def stop(self) -> None:
        """Close everything."""
        for listener in (self._plain, self._tls, self._unix):
            listener.stop()
        self._links.stop()

    def _serve(self, link: Link) -> None:
        try:
            link.handshake()
            while self._answer(link):
                link.received.clear()  # no test reads them, and uploads are large
        except Gone:
            pass
        except BadRequest as exc:
            with suppress(Gone):
                link.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n%a" % str(exc))

    def _answer(self, link: Link) -> bool:
        """Serve one request; return whether another one may follow."""
        head = parse_head(link.take_until(b"\r\n\r\n"))
        with self._lock:
            self.requests.append(f"{head.method} {head.target}")
        exchange = Exchange(link, head)
        self.answer(exchange)
        return exchange.finish()

    def answer(self, exchange: routes.Exchange) -> None:
        """Respond to a request."""
        routes.answer(exchange)


class Exchange(routes.Exchange):
    """A request that came over a connection, and methods to respond to it."""

    def __init__(self, link: Link, head: Head) -> None:
        super().__init__(head)
        self.link = link
        old = head.version == "HTTP/1.0"
        self._close = old or head.has("connection", "close")
        self._chunked = not old
        self._continue = head.has("expect", "100-continue")
        self._body = self._take_body()

    def body(self) -> Iterator[bytes]:
        """Yield the body as it arrives."""
        return self._body

    def respond(self, body: bytes = b"", *headers: tuple[str, str], status: str = "200 OK") -> None:
        """Send a whole response."""
        if status[:3] not in ("204", "304"):
            headers = (*headers, ("Content-Length", str(len(body))))
        self._start(status, headers, body)

    def stream(self, pieces: Iterator[bytes], content_type: str) -> None:
        """Send a chunked response; each piece is sent as soon as *pieces* yields it."""
        headers = [("Content-Type", content_type)]
        if self._chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        self._start("200 OK", tuple(headers), b"")
        if self.head.method == "HEAD":
            return
        for piece in pieces:
            self.link.send(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)
        if self._chunked:
            self.link.send(b"0\r\n\r\n")

    def drip(self, count: int, delay: float) -> None:
        """Send *count* chunks of one byte, *delay* seconds apart."""

        def drops() -> Iterator[bytes]:
            for number in range(count):
                if number and self.link.hangs_up_within(delay):
                    raise Gone("the client had enough")
                yield b"*"

        self.stream(drops(), "application/octet-stream")

    def hang(self) -> None:
        """Send nothing until the client closes."""
        self.link.wait_hangup()
        raise Gone("the client had enough")

    def close(self) -> None:
        """Send nothing, and close."""
        raise Gone("as was asked for")

    def finish(self) -> bool:
        """Read the rest of the body; return whether another request may follow."""
        if self._close or self._continue:  # without 100 Continue, the body may come or not
            return False
        for _ in self._body:
            pass
        return True

    def _take_body(self) -> Iterator[bytes]:
        if self._continue:
            self._continue = False
            self.link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        yield from self.link.take_body(self.head)

    def _start(self, status: str, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        if self._close or self._continue:
            headers = (*headers, ("Connection", "close"))
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
        if self.head.method == "HEAD" or status[:3] in ("204", "304"):
            body = b""
        self.link.send("\r\n".join(lines).encode("latin-1") + body)
