r"""A scripted HTTP/2 peer on loopback: it sends any frames, and keeps those that it is sent.

A test writes a function for each connection, which runs in a thread of its own and says what the
peer does, one step after the other.  The ``http2_script`` fixture starts such a peer::

    def play(peer: Http2Connection) -> None:
        request = peer.request()
        assert request["path"] == "/a"
        peer.respond(request, 200, body=b"ok")
        peer.send(PingFrame(0, opaque_data=b"12345678"))
        peer.frame(PingFrame)

    peer = await http2_script(play)

The function starts when both sides have said hello: the client's preface was right, and the
peer's SETTINGS have been sent.  After it, the peer reads on until the client closes.  Each step
that waits reads what the client sends meanwhile; a client that leaves during a step fails the
test at its end, as does an exception in the function.

By itself, the peer only acknowledges SETTINGS and PING, and gives back the windows of the DATA it
is sent.  ``acknowledges`` and ``credits`` switch that off.  Nothing else is automatic: whatever
the protocol forbids can be sent, as frames of :mod:`hyperframe.frame` or as bytes.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import anyio.lowlevel
from hpack import Decoder, Encoder
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from yarl import URL

from .links import Gone, Link, Listener
from .peer import PeerFailed
from .waiting import until

#: What a client sends first (RFC 9113 §3.4).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: The largest frame that every client accepts, and the first window of streams and connections.
FRAME_SIZE, FIRST_WINDOW = 16_384, 65_535

AnyFrame = TypeVar("AnyFrame", bound=Frame)
Fields = Iterable[tuple[str, str]]


@dataclass
class Request:
    """What the client has sent on one stream up to now."""

    stream_id: int
    fields: list[tuple[str, str]]
    window: int
    """How many bytes of DATA the peer may send."""
    pieces: list[bytes] = field(default_factory=list)
    """The DATA, frame by frame."""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    reset_code: int | None = None

    @property
    def body(self) -> bytes:
        """The DATA as a whole."""
        return b"".join(self.pieces)

    def __getitem__(self, name: str) -> str:
        """Return the value of a field; ``"path"`` is the pseudo-header field ``:path``."""
        values = [value for key, value in self.fields if key in {name, f":{name}"}]
        if len(values) != 1:
            raise PeerFailed(f"{len(values)} fields called {name} in {self.fields}")
        return values[0]


class Http2Connection:
    """The peer's side of one connection, for the function that plays it."""

    def __init__(
        self, link: Link, stopping: threading.Event, *, settings: Mapping[int, int]
    ) -> None:
        self.link = link
        self.acknowledges = True
        """Whether to acknowledge SETTINGS and PING when they come."""
        self.credits = True
        """Whether to give back the windows of DATA when it comes."""
        self.frames: list[Frame] = []
        """Every frame of the client; the fragments of a header block stay apart."""
        self.requests: dict[int, Request] = {}
        """By the number of their stream, in their order."""
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.window = FIRST_WINDOW
        """How many bytes of DATA the peer may send on all streams."""
        self.over = False
        self.paused = False
        self._stopping = stopping
        self._settings = settings
        self._first_window = FIRST_WINDOW
        self._frames_taken = self._requests_taken = 0
        self._block = bytearray()  # of header fields that have not all come
        self._block_ends_stream = False

    # -- what the client sends -------------------------------------------------------------

    def request(self) -> Request:
        """Return the next request as soon as its header fields have come."""
        self.until(lambda: len(self.requests) > self._requests_taken)
        request = list(self.requests.values())[self._requests_taken]
        self._requests_taken += 1
        return request

    def whole_request(self) -> Request:
        """Return the next request when all of it has come."""
        request = self.request()
        self.until(lambda: request.ended)
        return request

    def frame(self, kind: type[AnyFrame], stream_id: int | None = None) -> AnyFrame:
        """Return the next frame of a *kind* and perhaps of a stream.

        What came before it is passed over, and is not returned later.
        """
        while True:
            while self._frames_taken < len(self.frames):
                frame = self.frames[self._frames_taken]
                self._frames_taken += 1
                if isinstance(frame, kind) and stream_id in {None, frame.stream_id}:
                    return frame
            self.receive()

    def all(self, kind: type[AnyFrame], stream_id: int | None = None) -> list[AnyFrame]:
        """Return every frame of a *kind* that has come, and perhaps of a stream."""
        return [
            frame
            for frame in list(self.frames)
            if isinstance(frame, kind) and stream_id in {None, frame.stream_id}
        ]

    def until(self, condition: Callable[[], object]) -> None:
        """Read what comes until *condition* holds."""
        while not condition():
            self.receive()

    def pause(self, flag: threading.Event) -> None:
        """Wait until the test has set *flag*, and read nothing meanwhile."""
        self.paused = True
        while not flag.wait(0.01):
            if self._stopping.is_set():
                raise Gone("the test is over")
        self.paused = False

    # -- what the peer sends ---------------------------------------------------------------

    def send(self, *items: Frame | bytes) -> None:
        """Send frames and bytes in one piece."""
        pieces = [item if isinstance(item, bytes) else item.serialize() for item in items]
        self.link.send(b"".join(pieces))

    def send_apart(self, *items: Frame | bytes) -> None:
        """Send each of the *items* when the client has read the previous one."""
        for item in items:
            self.link.wait_read()
            self.send(item)

    def headers(
        self, stream: Request | int, fields: Fields, *, end: bool = False
    ) -> list[HeadersFrame | ContinuationFrame]:
        """Return the frames of a header section, compressed in the state of this connection."""
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        block = self.encoder.encode(raw)
        number = _number(stream)
        first = HeadersFrame(number, block[:FRAME_SIZE], flags=["END_STREAM"] if end else [])
        frames: list[HeadersFrame | ContinuationFrame] = [first]
        frames += [
            ContinuationFrame(number, block[at : at + FRAME_SIZE])
            for at in range(FRAME_SIZE, len(block), FRAME_SIZE)
        ]
        frames[-1].flags.add("END_HEADERS")
        return frames

    def head(
        self, stream: Request | int, status: int = 200, fields: Fields = (), *, end: bool = False
    ) -> list[HeadersFrame | ContinuationFrame]:
        """Return the frames of the head of a response."""
        return self.headers(stream, [(":status", str(status)), *fields], end=end)

    @staticmethod
    def data(
        stream: Request | int, data: bytes = b"", *, end: bool = False, padding: int | None = None
    ) -> DataFrame:
        """Return a frame of DATA, whatever its size and the windows."""
        frame = DataFrame(_number(stream), data)
        if end:
            frame.flags.add("END_STREAM")
        if padding is not None:
            frame.flags.add("PADDED")
            frame.pad_length = padding
        return frame

    def respond(
        self,
        request: Request,
        status: int = 200,
        fields: Fields = (),
        *,
        body: bytes = b"",
        trailers: Fields = (),
    ) -> None:
        """Send a whole response, as the windows allow."""
        last = list(trailers)
        self.send(*self.head(request, status, fields, end=not body and not last))
        if body:
            self.send_body(request, body, end=not last)
        if last:
            self.send(*self.headers(request, last, end=True))

    def send_body(self, request: Request, data: bytes, *, end: bool = True) -> None:
        """Send *data* as the windows allow."""
        view = memoryview(data)
        while view:
            self.until(lambda: min(self.window, request.window) > 0)
            size = min(self.window, request.window, FRAME_SIZE)
            piece, view = bytes(view[:size]), view[size:]
            self.window -= len(piece)
            request.window -= len(piece)
            self.send(self.data(request, piece, end=end and not view))

    def reset_stream(self, stream: Request | int, code: int) -> None:
        """Send RST_STREAM."""
        self.send(RstStreamFrame(_number(stream), error_code=code))

    def go_away(self, last: int = 0, code: int = 0, data: bytes = b"") -> None:
        """Send GOAWAY."""
        self.send(GoAwayFrame(0, last_stream_id=last, error_code=code, additional_data=data))

    def settings(self, values: Mapping[int, int]) -> None:
        """Send SETTINGS."""
        self.send(SettingsFrame(0, settings=dict(values)))

    def give_window(self, increment: int, stream: Request | int = 0) -> None:
        """Send WINDOW_UPDATE."""
        self.send(WindowUpdateFrame(_number(stream), window_increment=increment))

    # -- how the connection ends -----------------------------------------------------------

    def close(self) -> None:
        """End the peer's bytes in an orderly way (TLS close-notify, FIN)."""
        self.link.half_close()

    def cut(self) -> None:
        """End them with FIN alone, also under TLS."""
        self.link.half_close(notify=False)

    def reset(self) -> None:
        """Close with RST."""
        self.link.reset()

    def wait_closed(self) -> None:
        """Read until the client has closed."""
        try:
            while True:
                self.receive()
        except Gone:
            pass

    def wait_closed_deaf(self) -> None:
        """Wait until the client has closed, and read nothing."""
        self.link.wait_hangup()

    # -- inside ----------------------------------------------------------------------------

    def greet(self, *, early: bool) -> None:
        """Receive the client's preface, and send SETTINGS; before it, if *early*."""
        self.link.handshake()
        hello = SettingsFrame(0, settings=dict(self._settings))
        if early:
            self.send(hello)
        preface = self.link.take(len(PREFACE))
        if preface != PREFACE:
            raise PeerFailed(f"not the preface of HTTP/2: {preface!r}")
        if not early:
            self.send(hello)

    def receive(self) -> None:
        """Receive one frame."""
        self.handle(*self.read_frame())

    def read_frame(self) -> tuple[Frame, int]:
        """Return the next frame and the length of its payload."""
        try:
            frame, length = Frame.parse_frame_header(memoryview(self.link.take(9)))
            frame.parse_body(memoryview(self.link.take(length)))
        except (HyperframeError, ValueError) as exc:
            raise PeerFailed(f"not a frame: {exc!r}") from exc
        return frame, length

    def handle(self, frame: Frame, length: int) -> None:
        """Do what belongs to a frame that has come."""
        self._handle(frame, length)
        self.frames.append(frame)

    def _handle(self, frame: Frame, length: int) -> None:
        request = self.requests.get(frame.stream_id)
        match frame:
            case HeadersFrame() | ContinuationFrame():
                self._handle_fields(frame)
            case DataFrame() if request is not None:
                request.pieces.append(frame.data)
                request.ended |= "END_STREAM" in frame.flags
                if self.credits and length:
                    self.give_window(length)
                    if not request.ended:
                        self.give_window(length, frame.stream_id)
            case RstStreamFrame() if request is not None:
                request.reset_code = frame.error_code
            case WindowUpdateFrame() if not frame.stream_id:
                self.window += frame.window_increment
            case WindowUpdateFrame() if request is not None:
                request.window += frame.window_increment
            case SettingsFrame() if "ACK" not in frame.flags:
                self._handle_settings(frame)
            case PingFrame() if self.acknowledges and "ACK" not in frame.flags:
                self.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))

    def _handle_fields(self, frame: HeadersFrame | ContinuationFrame) -> None:
        if isinstance(frame, HeadersFrame):
            self._block.clear()
            self._block_ends_stream = "END_STREAM" in frame.flags
        self._block += frame.data
        if "END_HEADERS" not in frame.flags:
            return
        decoded = self.decoder.decode(bytes(self._block), raw=True)
        fields = [(bytes(n).decode("latin-1"), bytes(v).decode("latin-1")) for n, v in decoded]
        request = self.requests.get(frame.stream_id)
        if request is None:
            request = Request(frame.stream_id, fields, self._first_window)
            self.requests[frame.stream_id] = request
        else:
            request.trailers = fields
        request.ended |= self._block_ends_stream

    def _handle_settings(self, frame: SettingsFrame) -> None:
        if (size := frame.settings.get(SettingsFrame.HEADER_TABLE_SIZE)) is not None:
            self.encoder.header_table_size = size
        if (window := frame.settings.get(SettingsFrame.INITIAL_WINDOW_SIZE)) is not None:
            for request in self.requests.values():
                request.window += window - self._first_window
            self._first_window = window
        if self.acknowledges:
            self.send(SettingsFrame(0, flags=["ACK"]))


def _number(stream: Request | int) -> int:
    return stream.stream_id if isinstance(stream, Request) else stream


Play = Callable[[Http2Connection], object]


class Http2Peer:
    """A scripted server.

    :param plays: what each connection does, in the order they are opened
    :param tls: speak TLS with this server context, which chooses h2 by ALPN; see
        :meth:`tests.support.tls.Authority.server_with`
    :param settings: what the peer's first SETTINGS say
    :param early: send them before the client's preface has come
    :param greets: whether to say hello at all; without it, the function has to do that
    :param repeat: more connections may come; each plays the last function again
    :param partial: the client may leave during any step, and need not open every connection
    """

    def __init__(
        self,
        plays: Sequence[Play],
        *,
        tls: ssl.SSLContext | None = None,
        settings: Mapping[int, int] | None = None,
        early: bool = False,
        greets: bool = True,
        repeat: bool = False,
        partial: bool = False,
    ) -> None:
        self.connections: list[Http2Connection] = []
        """Those that were opened, with the frames that came."""
        self._plays = plays
        self._settings = settings or {}
        self._early = early
        self._greets = greets
        self._repeat = repeat
        self._partial = partial
        self._failures: list[str] = []
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._scheme = "https" if tls else "http"
        self._listener = Listener(self._accept, tls=tls)

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._listener.port

    @property
    def url(self) -> URL:
        """The root URL of the peer."""
        return URL(f"{self._scheme}://127.0.0.1:{self.port}/")

    async def settled(self) -> None:
        """Wait until the peer can do nothing more before the client or the test acts.

        The bytes that it has sent are then in the client's kernel buffer.
        """
        await until(
            lambda: (
                self._listener.quiet
                and all(each.over or each.paused or each.link.quiet for each in self.connections)
            ),
            "the peer to come to rest",
        )

    async def wait_connections(self, count: int) -> None:
        """Wait until *count* connections were opened."""
        await until(lambda: len(self.connections) >= count, f"{count} connections")

    async def wait_closed(self, connection: int = 0) -> None:
        """Wait until that connection is over, because the client or the script closed it."""
        await until(
            lambda: len(self.connections) > connection and self.connections[connection].over,
            f"connection {connection + 1} to be closed",
        )

    def stop(self) -> None:
        """Close everything.

        :raises PeerFailed: the client did not follow the script
        """
        self._listener.stop()
        self._stopping.set()
        for connection in self.connections:
            connection.link.interrupt()
        for thread in self._threads:
            thread.join()
        missing = len(self._plays) - len(self.connections)
        if missing > 0 and not self._partial:
            self._failures.append(f"{missing} of {len(self._plays)} connections never came")
        if self._failures:
            raise PeerFailed("\n".join(self._failures))

    def _accept(self, link: Link) -> None:
        """Start a thread for a new connection; called in the listener's thread."""
        number = len(self.connections)
        if number < len(self._plays):
            play = self._plays[number]
        elif self._repeat and self._plays:
            play = self._plays[-1]
        else:
            self._failures.append(f"connection {number + 1} is one too many")
            link.close()
            return
        connection = Http2Connection(link, self._stopping, settings=self._settings)
        self.connections.append(connection)
        thread = threading.Thread(
            target=self._run, args=[connection, play, number + 1], daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _run(self, connection: Http2Connection, play: Play, number: int) -> None:
        """Play one connection to its end."""
        link = connection.link
        try:
            if self._greets:
                connection.greet(early=self._early)
            play(connection)
            connection.wait_closed()
            link.half_close()
        except Gone as exc:
            if not self._partial:
                self._failures.append(f"connection {number}: {exc}; {_told(connection)}")
        except Exception as exc:  # noqa: BLE001 (the test reports it)
            self._failures.append(f"connection {number}: {exc!r}; {_told(connection)}")
            link.reset()
        finally:
            link.close()
            connection.over = True


def _told(connection: Http2Connection) -> str:
    """Return the last frames that came, for the text of a failure."""
    return f"the client's last frames: {connection.frames[-8:]}"


class Http2Script:
    """The ``http2_script`` fixture: call it to get a :class:`Http2Peer`."""

    def __init__(self) -> None:
        self._peers: list[Http2Peer] = []

    async def __call__(
        self,
        *plays: Play,
        tls: ssl.SSLContext | None = None,
        settings: Mapping[int, int] | None = None,
        early: bool = False,
        greets: bool = True,
        repeat: bool = False,
        partial: bool = False,
    ) -> Http2Peer:
        """Start a peer; its parameters are those of :class:`Http2Peer`."""
        await anyio.lowlevel.checkpoint()
        peer = Http2Peer(
            plays,
            tls=tls,
            settings=settings,
            early=early,
            greets=greets,
            repeat=repeat,
            partial=partial,
        )
        self._peers.append(peer)
        return peer

    def forget(self, peer: Http2Peer) -> None:
        """Leave out of :meth:`stop` a peer that the test has stopped."""
        self._peers.remove(peer)

    def stop(self) -> None:
        """Stop every peer that was started.

        :raises PeerFailed: a client did not follow its script
        """
        failures = []
        for peer in self._peers:
            try:
                peer.stop()
            except PeerFailed as exc:
                failures.append(str(exc))
        if failures:
            raise PeerFailed("\n".join(failures))
