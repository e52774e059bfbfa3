"""HTTP/2 in the place of HTTP/1.1, so that scripts of :mod:`tests.support.peer` play over both.

What a client sends on a stream becomes the bytes of the same request in HTTP/1.1, and the bytes of
a response become frames, as in a gateway (RFC 9113 §8).  So the scripts and what tests assert of
requests stay the same; what is only a matter of HTTP/1.1 (the case of names, broken framing,
upgrades) is not translated, and its tests do not run here.

The scripts are about connections, which HTTP/2 has one of.  Streams are given to as many
``TranslatedLink``s as HTTP/1.1 would have needed connections: a link has one exchange at a time,
and takes the next one if the previous one is complete on both sides.

==========================================  ===============================================
on such a link                              is here
==========================================  ===============================================
the client closes during an exchange        RST_STREAM by the client
a chunk                                     one frame of DATA
the end of a body without a length          END_STREAM
any other end by the script                 the end of the real connection, in the same way
``Connection: close`` in a response         left out; the link takes no other exchange
==========================================  ===============================================
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame

from .http2_peer import FRAME_SIZE, PREFACE, Fields, Http2Connection, Request
from .links import BadRequest, Gone, Inbox, Link

#: Fields that speak of a connection (RFC 9113 §8.2.2).
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}

SETTINGS = {SettingsFrame.MAX_CONCURRENT_STREAMS: 100}


def begins_http2(link: Link) -> bool:
    """Tell by its first bytes whether a client speaks HTTP/2; they stay to be taken."""
    while len(link.inbox) < len(PREFACE) and PREFACE.startswith(link.inbox):
        if not link.fill():
            return False
    return link.inbox.startswith(PREFACE)


class TranslatedConnection:
    """A connection of HTTP/2: hands out its streams, one exchange after the other, to links.

    :param start: called with each new link, in the thread that runs the connection
    """

    def __init__(
        self, link: Link, start: Callable[[TranslatedLink], None], stopping: threading.Event
    ) -> None:
        self.link = link
        self.changed = threading.Condition()  # holds the lock of what the links look at
        self.http2 = Http2Connection(link, stopping, settings=SETTINGS)
        self.http2.credits = False  # the windows follow what the scripts take
        self.over = False
        self._start = start
        self._links: list[TranslatedLink] = []
        self._given = 0
        self._ended = self._resetting = False

    def run(self) -> None:
        """Read until the client closes."""
        try:
            self.http2.greet(early=False)
            while True:
                self._receive()
        except Gone:
            pass
        finally:
            with self.changed:
                self.over = True
                self.changed.notify_all()
            if self._resetting:
                self.link.reset()
            self.link.half_close()
            self.link.close()

    def _receive(self) -> None:
        frame, length = self.http2.read_frame()
        with self.changed:
            self.http2.handle(frame, length)
            if not self._ended:  # else the client has yet to find out
                for request in list(self.http2.requests.values())[self._given :]:
                    self._give(request)
            self.changed.notify_all()

    def _give(self, request: Request) -> None:
        self._given += 1
        for link in reversed(self._links):
            if link.takes_another:
                link.add(request)
                return
        link = TranslatedLink(self)
        link.add(request)
        self._links.append(link)
        self._start(link)

    def prefer(self, link: TranslatedLink) -> None:
        """Give the next exchange to the link that was the last to be used, as pools do."""
        self._links.remove(link)
        self._links.append(link)

    def half_close(self, *, notify: bool) -> None:
        """End the server's bytes; a request that comes later is not looked at."""
        self._ended = True
        self.link.half_close(notify=notify)

    def reset(self) -> None:
        """Have the thread that reads close with RST."""
        self._ended = self._resetting = True
        with suppress(OSError):
            socket.socket.shutdown(self.link.sock, socket.SHUT_RD)


class TranslatedLink(Inbox):
    """What a player takes for a connection of HTTP/1.1."""

    def __init__(self, connection: TranslatedConnection) -> None:
        super().__init__()
        self._connection = connection
        self._changed = connection.changed
        self._requests: deque[Request] = deque()  # those whose head was not given yet
        self._request: Request | None = None  # the one whose response is next
        self._response = ResponseReader("")
        self._chunked = False
        self._pieces_given = 0
        self._request_given = True
        self._deaf = False
        self._over = False  # on the side of the client, or by what the response said

    # -- for the connection, which holds the lock ------------------------------------------

    @property
    def takes_another(self) -> bool:
        """Whether the previous exchange is complete, and another may follow."""
        request = self._request
        return (
            not self._over
            and not self._requests
            and request is not None
            and request.ended
            and request.reset_code is None
            and self._response.complete
        )

    def add(self, request: Request) -> None:
        """Let *request* be the next one."""
        self._requests.append(request)

    # -- what a player asks for ------------------------------------------------------------

    @property
    def quiet(self) -> bool:
        """Whether all that the client has sent has been received and handled."""
        if not self._changed.acquire(blocking=False):
            return False  # somebody is handling something
        try:
            if self._is_over:
                return True
            at_rest = self._deaf or not self._has_bytes
            return self._connection.link.quiet and self.waiting and at_rest
        finally:
            self._changed.release()

    def handshake(self) -> None:
        """Do nothing: the connection has done it."""

    def fill(self) -> bool:
        """Receive some bytes; return false when the client sends no more."""
        with self._changed:
            while not (data := self._next_bytes()):
                if self._is_over:
                    return False
                self.waiting = True
                self._changed.wait()
                self.waiting = False
            self.received += data
            self.inbox += data
            return True

    def send(self, data: bytes) -> None:
        """Send the bytes of a response as frames, in one piece as far as the windows allow."""
        with self._changed:
            request = self._request
            if self._is_over:
                raise Gone("the client has reset the stream or left")
            if request is None or self._response.complete:
                raise BadRequest(f"no request that {data!r} could respond to")
            frames: list[Frame] = []
            for item in self._response.receive(data):
                if isinstance(item, bytes):
                    frames = self._add_data(request, frames, item)
                else:
                    frames += self._connection.http2.headers(request, item)
            if self._response.complete:
                _end_stream(frames, request)
                self._over |= self._response.closes
                self._connection.prefer(self)
            self._send(frames)

    def wait_read(self) -> None:
        """Wait until the client has read the sent bytes from the kernel."""
        self._connection.link.wait_read()

    def half_close(self, *, notify: bool = True) -> None:
        """End the stream if that ends the body, or else the connection."""
        with self._changed:
            if self._is_over:
                return
            if self._request is not None and self._response.ends_with_connection:
                self._response.end()
                self._over = True
                self._send([DataFrame(self._request.stream_id, flags=["END_STREAM"])])
                return
            self._connection.half_close(notify=notify)

    def reset(self) -> None:
        """Close the connection with RST."""
        self._connection.reset()

    def wait_hangup(self) -> None:
        """Wait until the client resets the stream or closes; give back no window."""
        with self._changed:
            self.waiting = self._deaf = True
            self._changed.wait_for(lambda: self._is_over)
            self.waiting = self._deaf = False

    def interrupt(self) -> None:
        """Make every call on this link return at once, from another thread."""
        self._connection.link.interrupt()

    def close(self) -> None:
        """Take no other exchange; one that is not complete breaks off with the connection."""
        with self._changed:
            if not (self._is_over or self.takes_another or self._response.complete):
                self._connection.reset()
            self._over = True

    # -- inside ----------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """Whether the client has left, as far as this link goes."""
        request = self._request
        was_reset = request is not None and request.reset_code is not None
        return self._over or self._connection.over or was_reset

    @property
    def _has_bytes(self) -> bool:
        """Whether the client has sent something that was not taken."""
        request = self._request
        if self._request_given or request is None:
            return bool(self._requests)
        return request.ended or self._pieces_given < len(request.pieces)

    def _next_bytes(self) -> bytes:
        """Return what the client has sent since, in HTTP/1.1."""
        if self._request_given:
            if not self._requests:
                return b""
            return self._begin(self._requests.popleft())
        request = self._request
        assert request is not None
        if self._pieces_given < len(request.pieces):
            piece = request.pieces[self._pieces_given]
            self._pieces_given += 1
            self._credit(request, len(piece))
            if not piece:
                return self._next_bytes()
            return b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece
        if not request.ended:
            return b""
        self._request_given = True
        if not self._chunked:
            return self._next_bytes()
        trailers = "".join(f"{name}: {value}\r\n" for name, value in request.trailers)
        return b"0\r\n" + trailers.encode("latin-1") + b"\r\n"

    def _begin(self, request: Request) -> bytes:
        """Return the head of a request."""
        self._request = request
        self._response = ResponseReader(request["method"])
        self._pieces_given = 0
        self._request_given = False
        fields = {name: value for name, value in request.fields if name.startswith(":")}
        lines = [f"{fields[':method']} {fields[':path']} HTTP/1.1"]
        if ":authority" in fields:
            lines.append(f"Host: {fields[':authority']}")
        plain = [(name, value) for name, value in request.fields if not name.startswith(":")]
        cookies = [value for name, value in plain if name == "cookie"]
        for name, value in plain:
            if name != "cookie":
                lines.append(f"{_capitals(name)}: {value}")
            elif cookies:
                lines.append(f"Cookie: {'; '.join(cookies)}")
                cookies.clear()
        has_length = any(name == "content-length" for name, _ in plain)
        self._chunked = not has_length and not (request.ended and not request.pieces)
        if self._chunked:
            lines.append("Transfer-Encoding: chunked")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _credit(self, request: Request, count: int) -> None:
        if count:
            with suppress(Gone):
                self._connection.http2.give_window(count)
                if not request.ended:
                    self._connection.http2.give_window(count, request)

    def _add_data(self, request: Request, frames: list[Frame], data: bytes) -> list[Frame]:
        """Add frames of DATA, and return them all; what the windows do not allow waits."""
        http2 = self._connection.http2
        view = memoryview(data)
        while view:
            if min(http2.window, request.window) <= 0:
                self._send(frames)
                frames = []
                self._changed.wait_for(
                    lambda: self._is_over or min(http2.window, request.window) > 0
                )
                if self._is_over:
                    raise Gone("the client has reset the stream or left")
            size = min(http2.window, request.window, FRAME_SIZE, len(view))
            frames.append(DataFrame(request.stream_id, bytes(view[:size])))
            view = view[size:]
            http2.window -= size
            request.window -= size
        return frames

    def _send(self, frames: list[Frame]) -> None:
        if self._request is not None and self._request.reset_code is not None:
            raise Gone("the client has reset the stream")
        if frames:
            self._connection.http2.send(*frames)


class ResponseReader:
    """Reads the bytes of responses to one request: heads as fields, and the pieces of the body."""

    def __init__(self, method: str) -> None:
        self.complete = False
        self.closes = False
        """Whether the connection of HTTP/1.1 would be closed after it."""
        self._has_body = method != "HEAD"
        self._input = bytearray()
        self._step: Callable[[], Fields | bytes | None] = self._head
        self._left = 0

    @property
    def ends_with_connection(self) -> bool:
        """Whether the body ends where the connection ends."""
        return self._step == self._rest

    def receive(self, data: bytes) -> list[Fields | bytes]:
        """Return the header sections, and pieces of bodies, that *data* completes."""
        self._input += data
        items: list[Fields | bytes] = []
        while not self.complete:
            before = len(self._input), self._step
            try:
                item = self._step()
            except ValueError as exc:  # not a number
                raise BadRequest(str(exc)) from exc
            if item is not None:
                items.append(item)
            elif before == (len(self._input), self._step):
                break
        if self.complete and self._input:
            raise BadRequest(f"{bytes(self._input)!r} follows a response")
        return items

    def end(self) -> None:
        """Take what came for all of the body."""
        self.complete = True

    def _line(self) -> bytes | None:
        """Return the next line without its end, if it has come."""
        end = self._input.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self._input[:end])
        del self._input[: end + 2]
        return line

    def _head(self) -> Fields | None:
        end = self._input.find(b"\r\n\r\n")
        if end < 0:
            return None
        status_line, *lines = bytes(self._input[:end]).decode("latin-1").split("\r\n")
        del self._input[: end + 4]
        version, _, status = status_line[:12].partition(" ")
        fields = _fields(lines)
        if not version.startswith("HTTP/1.") or not status.isdigit():
            raise BadRequest(f"not the start of a response: {status_line!r}")
        if status >= "200":
            self._begin_body(int(status), dict(fields), version)
        return [(":status", status), *(pair for pair in fields if pair[0] not in HOP_BY_HOP)]

    def _begin_body(self, status: int, fields: Mapping[str, str], version: str) -> None:
        connection = fields.get("connection", "").lower()
        self.closes = connection == "close" or (version == "HTTP/1.0" and not connection)
        if not self._has_body or status in {204, 304}:
            self.complete = True
        elif fields.get("transfer-encoding") == "chunked":
            self._step = self._size
        elif "content-length" in fields:
            self._left = int(fields["content-length"])
            self._step = self._counted
            self.complete = not self._left
        else:
            self._step = self._rest

    def _counted(self) -> bytes | None:
        piece = self._take(self._left)
        self._left -= len(piece)
        self.complete = not self._left
        return piece or None

    def _rest(self) -> bytes | None:
        return self._take(len(self._input)) or None

    def _size(self) -> None:
        line = self._line()
        if line is not None:
            self._left = int(line.partition(b";")[0], 16)
            self._step = self._chunk if self._left else self._trailers

    def _chunk(self) -> bytes | None:
        piece = self._take(self._left)
        self._left -= len(piece)
        if not self._left:
            self._step = self._chunk_end
        return piece or None

    def _chunk_end(self) -> None:
        line = self._line()
        if line is not None:
            if line:
                raise BadRequest(f"{line!r} follows a chunk")
            self._step = self._size

    def _trailers(self) -> Fields | None:
        if self._input.startswith(b"\r\n"):
            del self._input[:2]
            self.complete = True
            return None
        end = self._input.find(b"\r\n\r\n")
        if end < 0:
            return None
        lines = bytes(self._input[:end]).decode("latin-1").split("\r\n")
        del self._input[: end + 4]
        self.complete = True
        return _fields(lines)

    def _take(self, count: int) -> bytes:
        piece = bytes(self._input[:count])
        del self._input[:count]
        return piece


def _end_stream(frames: list[Frame], request: Request) -> None:
    """Let the last of *frames* end the stream, or one more."""
    for frame in reversed(frames):
        if isinstance(frame, (DataFrame, HeadersFrame)):
            frame.flags.add("END_STREAM")
            return
    frames.append(DataFrame(request.stream_id, flags=["END_STREAM"]))


def _fields(lines: list[str]) -> list[tuple[str, str]]:
    """Return the fields of a header section, as HTTP/2 has them."""
    pairs = (line.partition(":") for line in lines)
    return [(name.lower(), value.strip()) for name, _, value in pairs]


def _capitals(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))
