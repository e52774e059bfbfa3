"""The core of an HTTP/2 connection without a socket: a test gives it bytes, and reads its frames.

Frames are made of numbers and bytes here, as :mod:`hyperframe` refuses to make wrong ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import TypeVar

from hpack import Decoder, Encoder
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

from anyhttp._http1 import Limits
from anyhttp._http2 import Http2Options
from anyhttp._http2.core import Http2Core
from anyhttp._http2.state import StreamState

__all__ = (
    "ALTSVC",
    "CONTINUATION",
    "DATA",
    "END_HEADERS",
    "END_STREAM",
    "GOAWAY",
    "HEADERS",
    "ORIGIN",
    "PADDED",
    "PING",
    "PREFACE",
    "PRIORITY",
    "PUSH_PROMISE",
    "Probe",
    "RST_STREAM",
    "SETTINGS",
    "WINDOW_UPDATE",
    "data",
    "frame",
    "frames_of",
    "goaway",
    "number",
    "ping",
    "reset",
    "settings",
    "window_update",
)

# The types of frames (RFC 9113 §6, RFC 7838 §4, RFC 8336 §2).
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION, ALTSVC, ORIGIN = 8, 9, 10, 12
# Their flags.
END_STREAM = ACK = 1
END_HEADERS, PADDED, PRIORITIZED = 4, 8, 32

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

AnyFrame = TypeVar("AnyFrame", bound=Frame)


def frame(
    kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", *, length: int | None = None
) -> bytes:
    """Return a frame; *length* is what its header says, if that is not the truth."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def number(value: int) -> bytes:
    """Return 32 bits."""
    return struct.pack(">I", value)


def settings(*values: tuple[int, int], flags: int = 0) -> bytes:
    """Return SETTINGS; the same one may be there more than once."""
    return frame(SETTINGS, flags, 0, b"".join(struct.pack(">HI", *value) for value in values))


def data(
    stream: int, payload: bytes = b"", *, end: bool = False, padding: int | None = None
) -> bytes:
    """Return DATA."""
    flags = END_STREAM if end else 0
    if padding is not None:
        flags |= PADDED
        payload = bytes([padding]) + payload + bytes(padding)
    return frame(DATA, flags, stream, payload)


def ping(payload: bytes = b"12345678", *, ack: bool = False) -> bytes:
    """Return PING."""
    return frame(PING, ACK if ack else 0, 0, payload)


def reset(stream: int, code: int) -> bytes:
    """Return RST_STREAM."""
    return frame(RST_STREAM, 0, stream, number(code))


def goaway(last: int, code: int = 0, debug: bytes = b"") -> bytes:
    """Return GOAWAY."""
    return frame(GOAWAY, 0, 0, number(last) + number(code) + debug)


def window_update(stream: int, increment: int) -> bytes:
    """Return WINDOW_UPDATE."""
    return frame(WINDOW_UPDATE, 0, stream, number(increment))


def frames_of(received: bytes) -> list[Frame]:
    """Return the frames in *received*, after the preface if that is there.

    :raises AssertionError: the last of them is not complete
    """
    rest = memoryview(received.removeprefix(PREFACE))
    frames = []
    while rest:
        one, length = Frame.parse_frame_header(rest[:9])
        assert len(rest) >= 9 + length
        one.parse_body(rest[9 : 9 + length])
        frames.append(one)
        rest = rest[9 + length :]
    return frames


class Probe:
    """A core, and what a server needs to speak with it.

    :param greeted: whether the server has sent its SETTINGS, and acknowledged the client's
    :param settings: what these SETTINGS say
    """

    def __init__(
        self,
        options: Http2Options | None = None,
        *,
        greeted: bool = True,
        settings: Mapping[int, int] | None = None,
    ) -> None:
        self.core = Http2Core(options or Http2Options(), "https")
        self.encoder = Encoder()
        self.decoder = Decoder()
        #: the frames that the client has sent
        self.frames: list[Frame] = []
        #: those with news after the last bytes
        self.news: list[StreamState] = []
        if greeted:
            self.feed(globals()["settings"](*(settings or {}).items()))
            self.feed(globals()["settings"](flags=ACK))

    # -- the client ------------------------------------------------------------------------

    def request(
        self,
        method: str = "GET",
        *,
        fields: Iterable[tuple[str, str]] = (),
        end: bool = True,
        limits: Limits | None = None,
    ) -> StreamState:
        """Send a request, with a body to follow unless *end*."""
        state = self.core.open(limits or Limits())
        state.send_head(method, "/", [("Host", "host.test"), *fields])
        self.core.start(state, end=end)
        self.read()
        return state

    def read(self) -> list[Frame]:
        """Return the frames that the client has sent since the last time."""
        new = frames_of(self.core.take_output())
        self.frames += new
        return new

    def sent(self, kind: type[AnyFrame], stream: int | None = None) -> list[AnyFrame]:
        """Return all frames of a *kind* that the client has sent, perhaps of one *stream*."""
        self.read()
        return [
            one for one in self.frames if isinstance(one, kind) and stream in {None, one.stream_id}
        ]

    def fields_of(self, stream: int) -> list[tuple[bytes, bytes]]:
        """Return the fields of a request; asked for in the order of requests."""
        block = b"".join(
            one.data
            for one in self.frames
            if isinstance(one, (HeadersFrame, ContinuationFrame)) and one.stream_id == stream
        )
        return [(bytes(name), bytes(value)) for name, value in self.decoder.decode(block, raw=True)]

    @property
    def went_away(self) -> int | None:
        """The code of the GOAWAY that the client has sent, or ``None``."""
        codes = {one.error_code for one in self.sent(GoAwayFrame)}
        assert len(codes) <= 1
        return codes.pop() if codes else None

    def reset_of(self, state: StreamState) -> int | None:
        """Return the code of the RST_STREAM that the client has sent, or ``None``."""
        codes = [one.error_code for one in self.sent(RstStreamFrame, state.stream_id)]
        assert len(codes) <= 1
        return codes[0] if codes else None

    @property
    def acknowledged(self) -> int:
        """How many SETTINGS and PING the client has acknowledged."""
        acks = [*self.sent(SettingsFrame), *self.sent(PingFrame)]
        return sum("ACK" in one.flags for one in acks)

    def credited(self, stream: int) -> int:
        """Return by how much the client has opened a window, its first size apart."""
        return sum(one.window_increment for one in self.sent(WindowUpdateFrame, stream))

    def uploaded(self, stream: int) -> int:
        """Return how many bytes of DATA the client has sent."""
        return sum(len(one.data) for one in self.sent(DataFrame, stream))

    # -- the server ------------------------------------------------------------------------

    def feed(self, *pieces: bytes) -> None:
        """Let each piece arrive."""
        for piece in pieces:
            self.news = self.core.receive(piece)
            self.read()

    def block(self, *fields: tuple[str | bytes, str | bytes]) -> bytes:
        """Return compressed fields, which are taken into the table as a server would do."""
        return self.encoder.encode(list(fields))

    def headers(
        self,
        stream: int,
        *fields: tuple[str | bytes, str | bytes],
        end: bool = False,
        flags: int = END_HEADERS,
    ) -> bytes:
        """Return HEADERS."""
        block = self.block(*fields)
        return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block)

    def head(
        self,
        stream: int,
        status: int = 200,
        *fields: tuple[str | bytes, str | bytes],
        end: bool = False,
    ) -> bytes:
        """Return the head of a response."""
        return self.headers(stream, (":status", str(status)), *fields, end=end)
