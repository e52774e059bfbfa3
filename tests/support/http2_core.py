"""A core of HTTP/2 and its peer: the server side of h2, or one that sends any frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hpack
from h2.config import H2Configuration
from h2.connection import H2Connection
from hyperframe.frame import Frame

from anyhttp._http1 import Limits
from anyhttp._http2 import Http2Core, Http2Options, StreamState

__all__ = ("FIELDS", "LIMITS", "Pair", "RawPeer", "get", "raw_frame")

LIMITS = Limits()
FIELDS = (("Host", "example.org"), ("Accept", "*/*"), ("User-Agent", "test"))

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Types and flags, by the numbers of RFC 9113, as a test should not take those of the code.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION = 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8


def raw_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame, right or wrong."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def number(value: int) -> bytes:
    """Return a number of four bytes."""
    return value.to_bytes(4, "big")


def get(
    core: Http2Core,
    method: str = "GET",
    target: str = "/",
    fields: Sequence[tuple[str, str]] = FIELDS,
    *,
    end: bool = True,
    limits: Limits = LIMITS,
) -> StreamState:
    """Start an exchange."""
    state = core.open(limits)
    state.send_head(method, target, fields)
    core.start(state, end=end)
    return state


class Pair:
    """A core and the server side of h2, which get each other's bytes."""

    def __init__(self, options: Http2Options | None = None) -> None:
        self.core = Http2Core(options or Http2Options(), "https")
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.server.initiate_connection()
        #: what the server has received
        self.events: list[Any] = []
        self.exchange()

    def exchange(self) -> list[StreamState]:
        """Carry bytes both ways until there are none; return the states with news."""
        news: dict[StreamState, None] = {}
        while True:
            up = self.core.take_output()
            if up:
                self.events += self.server.receive_data(up)
            down = self.server.data_to_send()
            if down:
                news |= dict.fromkeys(self.core.receive(down))
            if not up and not down:
                return list(news)

    def request(self, *args: Any, **options: Any) -> StreamState:
        """Start an exchange, and let the server receive it."""
        state = get(self.core, *args, **options)
        self.exchange()
        return state


class RawPeer:
    """A core and a server that sends what it is told, whether HTTP/2 allows it or not."""

    def __init__(self, options: Http2Options | None = None, settings: bytes = b"") -> None:
        self.core = Http2Core(options or Http2Options(), "https")
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self._begun = b""
        assert self.core.take_output().startswith(PREFACE)
        self.send(SETTINGS, 0, 0, settings)
        self.sent()

    def send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> list[StreamState]:
        """Send a frame; return the states with news."""
        return self.core.receive(raw_frame(kind, flags, stream, payload))

    def head(
        self,
        stream: int,
        *fields: tuple[str, str],
        status: str | None = "200",
        ends: bool = False,
    ) -> list[StreamState]:
        """Send a head, or trailers if *status* is ``None``."""
        pseudo = [] if status is None else [(":status", status)]
        block = self.encoder.encode([*pseudo, *fields])
        return self.send(HEADERS, END_HEADERS | (END_STREAM if ends else 0), stream, block)

    def data(self, stream: int, data: bytes, *, ends: bool = False) -> list[StreamState]:
        """Send a piece of a body."""
        return self.send(DATA, END_STREAM if ends else 0, stream, data)

    def sent(self) -> list[Any]:
        """Return the frames that the core has sent since the last call."""
        data = self.core.take_output()
        frames = []
        while data:
            frame, size = Frame.parse_frame_header(memoryview(data[:9]))
            frame.parse_body(memoryview(data[9 : 9 + size]))
            frames.append(frame)
            data = data[9 + size :]
        return frames

    def requests(self) -> list[list[tuple[str, str]]]:
        """Return the fields of the heads that the core has sent since the last call."""
        blocks: list[bytes] = []
        for frame in self.sent():
            if frame.type == HEADERS:
                blocks.append(frame.data)
            elif frame.type == CONTINUATION:
                blocks[-1] += frame.data
        return [[(str(n), str(v)) for n, v in self.decoder.decode(block)] for block in blocks]

    def ended(self) -> tuple[int, str] | None:
        """Return code and text of the GOAWAY that the core has sent, if it has."""
        for frame in self.sent():
            if frame.type == GOAWAY:
                return frame.error_code, frame.additional_data.decode()
        return None

    def resets(self) -> list[tuple[int, int]]:
        """Return stream and code of each RST_STREAM that the core has sent since the last call."""
        return [(f.stream_id, f.error_code) for f in self.sent() if f.type == RST_STREAM]
