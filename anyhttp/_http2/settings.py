"""Settings of both sides of a connection (:rfc:`9113#section-6.5`)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from .._common import Http2Options
from . import frames
from .errors import ConnectionFault, ErrorCode

__all__ = ("INITIAL_WINDOW", "LARGEST_WINDOW", "PeerSettings", "own_settings")

#: The window of a connection, and of its streams, until the peers have told of others (§6.9.2).
INITIAL_WINDOW: Final = 65535
LARGEST_WINDOW: Final = 2**31 - 1

#: How many exchanges may be begun before the server has said how many it allows.
_USUAL_EXCHANGES: Final = 100

# Numbers of settings (§6.5.2, RFC 8441 §3)
_HEADER_TABLE_SIZE: Final = 1
_ENABLE_PUSH: Final = 2
_MAX_CONCURRENT_STREAMS: Final = 3
_INITIAL_WINDOW_SIZE: Final = 4
_MAX_FRAME_SIZE: Final = 5
_MAX_HEADER_LIST_SIZE: Final = 6
_ENABLE_CONNECT_PROTOCOL: Final = 8

_SETTING: Final = Struct(">HL")


def own_settings(options: Http2Options) -> bytes:
    """Return the SETTINGS of a client, and what widens the window of the connection."""
    settings = {
        _HEADER_TABLE_SIZE: options.header_table_size,
        _ENABLE_PUSH: 0,
        _INITIAL_WINDOW_SIZE: options.stream_window,
        _MAX_FRAME_SIZE: options.max_frame_size,
        _MAX_HEADER_LIST_SIZE: options.max_header_list_size,
    }
    payload = b"".join(_SETTING.pack(*setting) for setting in settings.items())
    sent = frames.frame(frames.SETTINGS, 0, 0, payload)
    if options.connection_window > INITIAL_WINDOW:
        more = options.connection_window - INITIAL_WINDOW
        sent += frames.number_frame(frames.WINDOW_UPDATE, 0, more)
    return sent


class PeerSettings:
    """What a server has said of itself."""

    __slots__ = ("allows_connect_protocol", "frame_size", "max_exchanges", "table_sizes", "window")

    def __init__(self) -> None:
        #: with which window of the server streams begin
        self.window: int = INITIAL_WINDOW
        #: the largest frame that may be sent
        self.frame_size: int = 2**14
        self.max_exchanges: int = _USUAL_EXCHANGES
        #: whether WebSockets are allowed on the connection (:rfc:`8441`)
        self.allows_connect_protocol: bool = False
        #: the smallest and the last size for the table of the compressor since somebody has
        #: taken them from here
        self.table_sizes: tuple[int, int] | None = None

    def take(self, payload: bytes, *, first: bool) -> None:
        """Take the settings of a frame.

        :param first: whether these are the first: what they do not limit is without a limit
        :raises ConnectionFault: a value is one that HTTP/2 does not allow
        """
        if first:
            self.max_exchanges = LARGEST_WINDOW
        for number, value in _pairs(payload):
            if number == _HEADER_TABLE_SIZE:
                least = value if self.table_sizes is None else min(self.table_sizes[0], value)
                self.table_sizes = least, value
            elif number == _MAX_CONCURRENT_STREAMS:
                self.max_exchanges = value
            elif number == _INITIAL_WINDOW_SIZE:
                if value > LARGEST_WINDOW:
                    raise _bad("INITIAL_WINDOW_SIZE", value, ErrorCode.FLOW_CONTROL_ERROR)
                self.window = value
            elif number == _MAX_FRAME_SIZE:
                if not 2**14 <= value < 2**24:
                    raise _bad("MAX_FRAME_SIZE", value)
                self.frame_size = value
            elif number == _ENABLE_PUSH:
                if value:  # only a client may allow it
                    raise _bad("ENABLE_PUSH", value)
            elif number == _ENABLE_CONNECT_PROTOCOL:
                if value > 1 or value < self.allows_connect_protocol:
                    raise _bad("ENABLE_CONNECT_PROTOCOL", value)
                self.allows_connect_protocol = bool(value)


def _pairs(payload: bytes) -> Iterator[tuple[int, int]]:
    if len(payload) % _SETTING.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "malformed SETTINGS")
    pairs: Iterator[tuple[int, int]] = _SETTING.iter_unpack(payload)
    return pairs


def _bad(name: str, value: int, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> ConnectionFault:
    return ConnectionFault(code, f"the setting {name} with the value {value}")
