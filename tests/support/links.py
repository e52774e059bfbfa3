"""Blocking sockets that the test's own peers and servers speak HTTP/1.1 over, in threads.

The framing here is written for these peers alone: a client tested against its own parser would
prove little.
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
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import census
from .waiting import comes_true_in_thread

# How long a peer waits until the client has read one piece before it sends the next all the
# same: the client may not be reading at all.
PATIENCE = 1.0  # seconds


class Gone(Exception):
    """The client closed or reset the connection, or the test is over."""


class BadRequest(Exception):
    """The client's bytes are not HTTP/1.1."""


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
        """Tell whether *token* is in the list that the fields called *name* make."""
        return token in [item.strip().lower() for v in self.all(name) for item in v.split(",")]


def parse_head(raw: bytes) -> Head:
    """Parse the head of a request, its last empty line included."""
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


class Link:
    """One accepted connection: what came in, and ways to answer and to end it."""

    def __init__(self, sock: socket.socket, client: object, tls: ssl.SSLContext | None) -> None:
        self._client: int | None = None  # the client's descriptor, once it was found
        self._client_address = client
        self.received = bytearray()
        self.inbox = bytearray()  # those of them that nobody took yet
        self.waiting = False  # for the client, with nothing left to do
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
        """Receive some bytes; false at the end of what the client sends."""
        data = None
        while data is None:
            self._wait_readable()
            data = self._receive()
        self.received += data
        self.inbox += data
        return bool(data)

    def _wait_readable(self) -> None:
        """Wait until there is something to receive, and leave it there.

        A thread that has received bytes may have to wait for its turn before it can say so: as
        long as it is said to wait, whoever looks finds them in the kernel.
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
        """Return some bytes, none at the end, and ``None`` if less than a TLS record has come."""
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

    def take(self, count: int) -> bytes:
        """Return the next *count* bytes."""
        while len(self.inbox) < count:
            self._fill_or_raise()
        data = bytes(self.inbox[:count])
        del self.inbox[:count]
        return data

    def take_until(self, marker: bytes) -> bytes:
        """Return the next bytes up to and with *marker*."""
        while (at := self.inbox.find(marker)) < 0:
            self._fill_or_raise()
        return self.take(at + len(marker))

    def take_body(self, head: Head) -> Iterator[bytes]:
        """Yield the body that belongs to *head* as it comes in."""
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

    def send(self, data: bytes) -> None:
        """Send all of *data*."""
        try:
            self.sock.sendall(data)
        except OSError as exc:
            raise Gone(f"sending: {exc}") from exc

    def wait_read(self) -> None:
        """Wait until the client has taken what was sent from the kernel.

        So the next piece reaches it by another ``recv()``.  Client and peer are one process:
        the client's descriptor tells how much is unread.
        """
        comes_true_in_thread(lambda: not self._unread(), seconds=PATIENCE, pause=0.0002)

    def half_close(self, *, notify: bool = True) -> None:
        """Send the end of our bytes, after TLS's own unless *notify* is false."""
        if notify and isinstance(self.sock, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self.sock.setblocking(False)  # else it waits for the client's answer
                self.sock.unwrap()
        with suppress(OSError):
            # SSLSocket.shutdown() would also forget the TLS state that reading needs
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
        with suppress(OSError):
            self.sock.setblocking(True)

    def reset(self) -> None:
        """Close with RST: the client's next call fails."""
        if self.sock.family != socket.AF_UNIX:
            linger = struct.pack("ii", 1, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        census.close(self.sock)

    def wait_hangup(self) -> None:
        """Wait until the client closes, without reading a byte.

        Its FIN can't pass the bytes that nobody reads, so its descriptor is watched as well.
        """
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        known = self._find_client() is not None
        self.waiting = True
        while not poll.poll(10) and not (known and self._find_client() is None):
            pass
        self.waiting = False

    def hangs_up_within(self, seconds: float) -> bool:
        """Wait for the client to close, and tell whether it did, without reading a byte."""
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
        """Whether the client has said nothing that was not received yet."""
        try:
            # in this order: what it takes out of the kernel it takes when it waits no more
            return not select.select([self.sock], [], [], 0)[0] and self.waiting
        except (OSError, ValueError):  # closed
            return True

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

    def _unread(self) -> bool:
        """Whether the client has bytes in its kernel buffer."""
        with census.lock, suppress(OSError):
            if self.sock.family == socket.AF_UNIX:
                return _pending(self.sock.fileno(), termios.TIOCOUTQ) > 0
            client = self._find_client()
            return client is not None and _pending(client, termios.FIONREAD) > 0
        return False

    def _find_client(self) -> int | None:
        """Return the client's descriptor, if it is open and of this process."""
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
    """Serves each link in a thread of its own, and knows how many are open.

    :param serve: called in that thread; when it returns, the link is closed
    """

    def __init__(self, serve: Callable[[Link], None]) -> None:
        self._serve = serve
        self._lock = threading.Lock()
        self._open: dict[Link, threading.Thread] = {}
        self.opened = 0
        """How many links there were."""
        self.peak = 0
        """The most that were open at once."""

    @property
    def open(self) -> int:
        """How many are open now."""
        with self._lock:
            return len(self._open)

    def forget(self) -> None:
        """Begin to count anew, with those that are open."""
        with self._lock:
            self.opened = self.peak = len(self._open)

    def start(self, link: Link) -> None:
        """Begin to serve *link*."""
        thread = threading.Thread(target=self._run, args=[link], daemon=True)
        with self._lock:
            self._open[link] = thread
            self.opened += 1
            self.peak = max(self.peak, len(self._open))
        thread.start()

    def stop(self) -> None:
        """End all links, and wait for their threads."""
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


class Listener:
    """A listening socket on loopback, and the thread that accepts.

    :param on_link: called in that thread with each connection
    :param tls: speak TLS with this server context
    :param unix: listen on a Unix socket in a directory of its own
    """

    def __init__(
        self,
        on_link: Callable[[Link], None],
        *,
        tls: ssl.SSLContext | None = None,
        unix: bool = False,
    ) -> None:
        self._on_link = on_link
        self._tls = tls
        self.unix_path: Path | None = None
        with census.lock:
            self._sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
            census.adopt(self._sock)
        if unix:
            # not pytest's tmp_path: such a path may have 107 bytes at most
            self.unix_path = Path(tempfile.mkdtemp(prefix="anyhttp-")) / "socket"
            self._sock.bind(str(self.unix_path))
        else:
            self._sock.bind(("127.0.0.1", 0))
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
        """Whether each connection that a client has made was accepted, and given to *on_link*."""
        return not select.select([self._sock], [], [], 0)[0] and not self._accepting

    def stop(self) -> None:
        """Accept what is still queued, then stop listening."""
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
                except OSError:  # it was reset while it waited to be accepted
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
