"""Blocking sockets, in threads, on which the tests' own peers and servers speak HTTP/1.1.

These peers have their own parser of framing: testing a client against its own parser would prove
little.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import socket
import ssl
import struct
import tempfile
import termios
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import census
from .waiting import comes_true_in_thread

# The client may never read a piece.  After this time, the peer sends the next piece anyway.
PATIENCE = 1.0  # seconds


class Gone(Exception):
    """The client closed or reset the connection, or the test is over."""


class BadRequest(Exception):
    """The client sent bytes that are not HTTP/1.1."""


@dataclass
class Head:
    """The first line and the fields of a request."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Return the values of every field called *name*."""
        return [value for key, value in self.headers if key.lower() == name]

    def has(self, name: str, token: str) -> bool:
        """Whether the list in the fields called *name* contains *token*."""
        return token in [item.strip().lower() for v in self.all(name) for item in v.split(",")]


def parse_head(raw: bytes) -> Head:
    """Parse the head of a request, including the empty line at its end."""
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise BadRequest(f"not a request line: {first!r}")
    head = Head(words[0], words[1], words[2])
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(f"not a header line: {line!r}")
        head.headers.append((name, value.strip(" \t")))
    return head


class Inbox(ABC):
    """The bytes that come from a client."""

    def __init__(self) -> None:
        self.received: bytearray = bytearray()
        self.inbox: bytearray = bytearray()  # the received bytes that have not been taken
        self.waiting = False  # whether the thread waits for the client and has nothing else to do

    @abstractmethod
    def fill(self) -> bool:
        """Receive some bytes; return false when the client sends no more."""

    def take(self, count: int) -> bytes:
        """Return the next *count* bytes."""
        while len(self.inbox) < count:
            self._fill_or_raise()
        data = bytes(self.inbox[:count])
        del self.inbox[:count]
        return data

    def take_until(self, marker: bytes) -> bytes:
        """Return the next bytes up to and including *marker*."""
        while (at := self.inbox.find(marker)) < 0:
            self._fill_or_raise()
        return self.take(at + len(marker))

    def take_body(self, head: Head) -> Iterator[bytes]:
        """Yield the body of *head* as it arrives."""
        if head.has("transfer-encoding", "chunked"):
            yield from self._take_chunks()
        elif lengths := head.all("content-length"):
            left = int(lengths[0])
            while left:
                if not self.inbox:
                    self._fill_or_raise()
                piece = self.take(min(left, len(self.inbox)))
                left -= len(piece)
                yield piece

    def _fill_or_raise(self) -> None:
        if not self.fill():
            raise Gone("the client closed the connection")

    def _take_chunks(self) -> Iterator[bytes]:
        while True:
            line = self.take_until(b"\r\n")[:-2]
            try:
                size = int(line, 16)
            except ValueError:
                raise BadRequest(f"not a chunk size: {line!r}") from None
            if not size:
                break
            yield self.take(size)
            if self.take(2) != b"\r\n":
                raise BadRequest("no line end after a chunk")
        while self.take_until(b"\r\n") != b"\r\n":  # trailer fields
            pass


class Link(Inbox):
    """One accepted connection: the received bytes, and methods to respond and to end it."""

    def __init__(self, sock: socket.socket, client: object, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self._client: int | None = None  # the client's descriptor, when it has been found
        self._client_address = client
        if tls is not None:
            sock = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self.sock = sock

    def handshake(self) -> None:
        """Do the TLS handshake, if there is one to do."""
        if isinstance(self.sock, ssl.SSLSocket):
            try:
                self.sock.do_handshake()
            except OSError as exc:
                raise Gone(f"TLS handshake: {exc}") from exc

    def fill(self) -> bool:
        """Receive some bytes; return false when the client sends no more."""
        data = None
        while data is None:
            self._wait_readable()
            data = self._receive()
        self.received += data
        self.inbox += data
        return bool(data)

    def _wait_readable(self) -> None:
        """Wait until there are bytes in the kernel, without taking them.

        The bytes stay in the kernel until ``waiting`` is cleared.  So ``quiet``, which another
        thread may call at any moment, never misses bytes that this thread is about to take.
        """
        closed = self.sock.fileno() == -1
        if closed or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()):
            return
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        self.waiting = True
        poll.poll()
        self.waiting = False

    def _receive(self) -> bytes | None:
        """Return some bytes, ``b""`` at the end, and ``None`` if a TLS record is incomplete."""
        try:
            if not isinstance(self.sock, ssl.SSLSocket):
                return self.sock.recv(65536)
            self.sock.setblocking(False)
            try:
                return self.sock.recv(65536)
            finally:
                self.sock.setblocking(True)
        except ssl.SSLWantReadError:
            return None
        except OSError:
            return b""

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        try:
            self.sock.sendall(data)
        except OSError as exc:
            raise Gone(f"sending: {exc}") from exc

    def wait_read(self) -> None:
        """Wait until the client has read the sent bytes from the kernel.

        The client then needs another ``recv()`` for the next piece.  Client and peer are in one
        process, so the client's descriptor tells how many bytes are unread.
        """
        comes_true_in_thread(lambda: not self._unread(), seconds=PATIENCE, pause=0.0002)

    def half_close(self, *, notify: bool = True) -> None:
        """Send FIN; over TLS, send close-notify before it if *notify* is true."""
        if notify and isinstance(self.sock, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self.sock.setblocking(False)  # otherwise unwrap() waits for the client's reply
                self.sock.unwrap()
        with suppress(OSError):
            # SSLSocket.shutdown() would also discard the TLS state that reading needs.
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
        with suppress(OSError):
            self.sock.setblocking(True)

    def reset(self) -> None:
        """Close with RST: the client's next system call fails."""
        if self.sock.family != socket.AF_UNIX:
            linger = struct.pack("ii", 1, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        census.close(self.sock)

    def wait_hangup(self) -> None:
        """Wait until the client closes, without reading a byte.

        The client's FIN comes after its unread bytes, so this watches the client's descriptor too.
        One that has been closed before is missed, unless :meth:`wait_read` had seen it.
        """
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        known = self._client is not None or self._find_client() is not None
        self.waiting = True
        while not poll.poll(10) and not (known and self._find_client() is None):
            pass
        self.waiting = False

    def hangs_up_within(self, seconds: float) -> bool:
        """Return whether the client closes within the given time, without reading a byte."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        return bool(poll.poll(seconds * 1000))

    def interrupt(self) -> None:
        """Make every call on this link return at once, from another thread."""
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        census.close(self.sock)

    @property
    def quiet(self) -> bool:
        """Whether all bytes that the client has sent have been received and handled."""
        try:
            # Check the kernel first: the thread takes bytes from it only after clearing `waiting`.
            return not select.select([self.sock], [], [], 0)[0] and self.waiting
        except (OSError, ValueError):  # closed
            return True

    def _unread(self) -> bool:
        """Whether the client has unread bytes in its kernel buffer."""
        with census.lock, suppress(OSError):
            if self.sock.family == socket.AF_UNIX:
                return _pending(self.sock.fileno(), termios.TIOCOUTQ) > 0
            client = self._find_client()
            return client is not None and _pending(client, termios.FIONREAD) > 0
        return False

    def _find_client(self) -> int | None:
        """Return the client's descriptor, if the client is in this process and still open."""
        if self._client is None or census.ends(self._client)[1] != self._client_address:
            with census.lock:
                self._client = next(
                    (
                        fd
                        for fd in census.open_sockets().values()
                        if census.ends(fd)[1] == self._client_address
                    ),
                    None,
                )
        return self._client


def _pending(fd: int, question: int) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(fd, question, bytes(4)))[0]
    return count


class LinkThreads:
    """Serves each link in its own thread, and counts the open ones.

    :param serve: called in that thread; the link is closed when it returns
    """

    def __init__(self, serve: Callable[[Link], None]) -> None:
        self._serve = serve
        self._lock = threading.Lock()
        self._open: dict[Link, threading.Thread] = {}
        self._earlier: set[Link] = set()  # of these, those that count no more
        self.opened = 0
        """How many links there were."""
        self.peak = 0
        """The most that were open at once."""

    @property
    def open(self) -> int:
        """How many links are open now."""
        with self._lock:
            return self._count()

    def _count(self) -> int:
        return len(self._open) - len(self._earlier)

    def forget(self) -> None:
        """Reset the counters.

        Links of an earlier test may be open for a while, as a server that sends nothing does not
        notice that its client has left: they do not count any more.
        """
        with self._lock:
            self._earlier = set(self._open)
            self.opened = self.peak = 0

    def start(self, link: Link) -> None:
        """Start to serve *link*."""
        thread = threading.Thread(target=self._run, args=[link], daemon=True)
        with self._lock:
            self._open[link] = thread
            self.opened += 1
            self.peak = max(self.peak, self._count())
        thread.start()

    def stop(self) -> None:
        """End all links and wait for their threads."""
        with self._lock:
            links = dict(self._open)
        for link, thread in links.items():
            link.interrupt()
            thread.join()

    def _run(self, link: Link) -> None:
        try:
            self._serve(link)
        finally:
            link.half_close()
            link.close()
            with self._lock:
                del self._open[link]
                self._earlier.discard(link)


class Listener:
    """A listening socket on loopback, and the thread that accepts connections.

    :param on_link: called in that thread with each connection
    :param tls: speak TLS with this server context
    :param unix: listen on a Unix socket in a directory of its own
    :param port: the TCP port, which an earlier listener may have had; 0 for any that is free
    """

    def __init__(
        self,
        on_link: Callable[[Link], None],
        *,
        tls: ssl.SSLContext | None = None,
        unix: bool = False,
        port: int = 0,
    ) -> None:
        self._on_link = on_link
        self._tls = tls
        self.unix_path: Path | None = None
        with census.lock:
            self._sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
            census.adopt(self._sock)
        if unix:
            # Not pytest's tmp_path: the path of a Unix socket may have at most 107 bytes.
            self.unix_path = Path(tempfile.mkdtemp(prefix="anyhttp-")) / "socket"
            self._sock.bind(str(self.unix_path))
        else:
            if port:  # connections of the earlier listener may linger
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._sock.bind(("127.0.0.1", port))
        self._sock.listen(128)
        self._sock.setblocking(False)
        self._accepting = False
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._accept_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port, 0 on a Unix socket."""
        return 0 if self.unix_path else int(self._sock.getsockname()[1])

    @property
    def quiet(self) -> bool:
        """Whether every connection of a client was accepted and passed to *on_link*."""
        return not select.select([self._sock], [], [], 0)[0] and not self._accepting

    def stop(self) -> None:
        """Accept the connections in the queue, then stop listening."""
        os.write(self._wake_writer, b"x")
        self._thread.join()
        census.close(self._sock)
        os.close(self._wake_reader)
        os.close(self._wake_writer)
        if self.unix_path:
            shutil.rmtree(self.unix_path.parent, ignore_errors=True)

    def _accept_forever(self) -> None:
        stopping = False
        while not stopping:
            ready, _, _ = select.select([self._sock.fileno(), self._wake_reader], [], [])
            stopping = self._wake_reader in ready
            self._accepting = True
            while (accepted := self._accept()) is not None:
                sock, client = accepted
                try:
                    link = Link(sock, client, self._tls)
                except OSError:  # the client reset it before it was accepted
                    census.close(sock)
                else:
                    self._on_link(link)
            self._accepting = False

    def _accept(self) -> tuple[socket.socket, object] | None:
        with census.lock:
            try:
                sock, client = self._sock.accept()
            except BlockingIOError:
                return None
            census.adopt(sock)
        sock.setblocking(True)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock, client
