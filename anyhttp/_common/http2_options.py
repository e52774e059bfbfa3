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
        reads them.  So much memory can be taken by each response that is not read.  At most as
        many bytes as this come per round trip, so a program that waits for the rest of a long
        body gets a window that doubles with each half of it that has been read, up to 16 times
        of this: 16 MiB with the default, enough for 100 MB/s at 160 ms.
    :param connection_window: how many bytes the server may send on the whole connection before
        their arrival is confirmed.  They are confirmed when they arrive, so that a response that is
        not read never stops the others.
    :param max_frame_size: most bytes of one frame that the server may send
    :param max_header_list_size: most bytes of all fields of one head, as :rfc:`9113#section-6.5.2`
        counts them: names, values, and 32 for each field
    :param header_table_size: most bytes that the server may make the client remember of fields
        (:rfc:`7541#section-4.2`)
    :param max_exchanges: most requests at a time on one connection, however many the server allows
    :raises TypeError: a value is not an ``int``
    :raises ValueError: a value is one that HTTP/2 does not allow
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
