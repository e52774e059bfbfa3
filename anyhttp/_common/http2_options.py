"""What programs can set of HTTP/2, with the reasons for the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .arguments import check_count

__all__ = ("Http2Options",)

#: Bounds of :rfc:`9113`: most bytes of a window (§6.9.1), the initial window (§6.9.2), and the
#: smallest and largest frame that a peer can be asked to keep to (§6.5.2).
_LARGEST_WINDOW: Final = 2**31 - 1
_INITIAL_WINDOW: Final = 65535
_SMALLEST_FRAME: Final = 2**14
_LARGEST_FRAME: Final = 2**24 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2Options:
    """Settings of HTTP/2 connections.

    :param stream_window: how many bytes of one response the server may send before the program
        reads them: 1 MiB by default.  Each response that is not read can take that much memory.
        A round trip brings no more bytes than this.  For a program that waits for the rest of a
        long body, the window therefore doubles whenever half of it has been read, up to 16 times
        this size: to 16 MiB by default, enough for 100 MB/s at 160 ms
    :param connection_window: how many bytes the server may send on the whole connection before
        the client confirms them: 16 MiB by default.  The client confirms them when they arrive,
        so a response that is not read never stops the others
    :param max_frame_size: largest frame that the server may send, in bytes: 64 KiB by default
    :param max_header_list_size: largest head, in bytes as :rfc:`9113#section-6.5.2` counts them:
        names, values, and 32 for each field.  64 KiB by default
    :param header_table_size: how many bytes of fields the server may make the client remember
        (:rfc:`7541#section-4.2`): 4096 by default
    :param max_exchanges: largest number of requests at a time on one connection, even if the
        server allows more: 256 by default
    :raises TypeError: a value is not an ``int``
    :raises ValueError: HTTP/2 does not allow a value
    """

    stream_window: int = 1024 * 1024
    connection_window: int = 16 * 1024 * 1024
    max_frame_size: int = 64 * 1024
    max_header_list_size: int = 64 * 1024
    header_table_size: int = 4096
    max_exchanges: int = 256

    def __post_init__(self) -> None:
        for name, least, most in (
            ("stream_window", 1, _LARGEST_WINDOW),
            ("connection_window", _INITIAL_WINDOW, _LARGEST_WINDOW),
            ("max_frame_size", _SMALLEST_FRAME, _LARGEST_FRAME),
            ("max_header_list_size", 1024, _LARGEST_WINDOW),
            ("header_table_size", 0, 65536),
            ("max_exchanges", 1, _LARGEST_WINDOW),
        ):
            value = getattr(self, name)
            check_count(name, value, least=least)
            if value > most:
                raise ValueError(f"{name} must be at most {most}, got {value}")
