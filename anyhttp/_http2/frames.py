"""Frames of HTTP/2: taking received bytes apart, and making frames (:rfc:`9113#section-4`)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from .errors import ConnectionFault, ErrorCode

__all__ = (
    "ACK", "CONTINUATION", "DATA", "END_HEADERS", "END_STREAM", "FrameReader", "GOAWAY", "HEADERS",
    "HEADER_SIZE", "PADDED", "PING", "PRIORITY", "PRIORITY_GIVEN", "PUSH_PROMISE", "RST_STREAM",
    "SETTINGS", "WINDOW_UPDATE", "frame", "frame_header", "goaway", "header_frames", "number_frame",
    "without_padding",
)  # fmt: skip

# Types (RFC 9113 §6)
DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

# Flags.  ACK is that of SETTINGS and PING.
ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITY_GIVEN: Final = 0x20

#: Size of the header of a frame, in bytes.
HEADER_SIZE: Final = 9

# Length and type together, flags, stream.  There is no code for a number of three bytes.
_HEADER: Final = Struct(">LBL")
_NUMBER: Final = Struct(">L")


class FrameReader:
    """Takes the bytes of a connection apart into frames; they may come in any pieces.

    :param max_size: most bytes that a frame may have behind its header, as the peer has been told
    """

    __slots__ = ("_begun", "_max_size")

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._begun = bytearray()  # a frame of which the end has not been received

    def feed(self, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield type, flags, stream and payload of each frame that *data* completes.

        :raises ConnectionFault: a frame is larger than the peer has been allowed
        """
        position = 0
        if self._begun:
            position = self._go_on(data)
            if position < 0:
                return
            whole = bytes(self._begun)
            self._begun.clear()
            word, flags, stream = _HEADER.unpack_from(whole)
            yield word & 0xFF, flags, stream & 0x7FFFFFFF, whole[HEADER_SIZE:]
        end = len(data)
        while end - position >= HEADER_SIZE:
            word, flags, stream = _HEADER.unpack_from(data, position)
            start = position + HEADER_SIZE
            size = word >> 8
            if size > self._max_size:
                raise self._too_large(size)
            if start + size > end:
                break
            position = start + size
            yield word & 0xFF, flags, stream & 0x7FFFFFFF, data[start:position]
        if position < end:
            self._begun += data[position:]

    def _go_on(self, data: bytes) -> int:
        """Complete the frame that has begun; return where it ends in *data*, or -1."""
        begun = self._begun
        position = max(0, HEADER_SIZE - len(begun))
        begun += data[:position]
        if len(begun) < HEADER_SIZE:
            return -1
        size = _HEADER.unpack_from(begun)[0] >> 8
        if size > self._max_size:
            raise self._too_large(size)
        missing = HEADER_SIZE + size - len(begun)
        begun += data[position : position + missing]
        return position + missing if len(data) - position >= missing else -1

    def _too_large(self, size: int) -> ConnectionFault:
        return ConnectionFault(
            ErrorCode.FRAME_SIZE_ERROR, f"a frame of {size} bytes, more than {self._max_size}"
        )


def without_padding(payload: bytes) -> bytes:
    """Return the *payload* of a frame with the flag PADDED without its padding.

    :raises ConnectionFault: it is shorter than its padding (:rfc:`9113#section-6.1`)
    """
    if not payload:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a padded frame without a pad length")
    end = len(payload) - payload[0]
    if end < 1:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame that is shorter than its padding")
    return payload[1:end]


def frame_header(kind: int, flags: int, stream: int, size: int) -> bytes:
    """Return the header of a frame of *size* bytes."""
    return _HEADER.pack(size << 8 | kind, flags, stream)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame."""
    return _HEADER.pack(len(payload) << 8 | kind, flags, stream) + payload


def number_frame(kind: int, stream: int, number: int) -> bytes:
    """Return a frame that holds one number: RST_STREAM or WINDOW_UPDATE."""
    return _HEADER.pack(4 << 8 | kind, 0, stream) + _NUMBER.pack(number)


def goaway(last_stream: int, code: int, text: str) -> bytes:
    """Return a GOAWAY frame with *text* for people who debug the peer."""
    payload = _NUMBER.pack(last_stream) + _NUMBER.pack(code) + text.encode("utf-8", "replace")
    return frame(GOAWAY, 0, 0, payload)


def header_frames(stream: int, block: bytes, size: int, flags: int) -> bytes:
    """Return HEADERS, and CONTINUATION as often as *block* needs frames of at most *size* bytes.

    :param flags: of HEADERS, without END_HEADERS
    """
    if len(block) <= size:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    frames = [frame(HEADERS, flags, stream, block[:size])]
    for start in range(size, len(block), size):
        last = END_HEADERS if start + size >= len(block) else 0
        frames.append(frame(CONTINUATION, last, stream, block[start : start + size]))
    return b"".join(frames)
