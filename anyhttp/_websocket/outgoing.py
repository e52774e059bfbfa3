"""Converts the arguments of sending calls to bytes that can be put into frames."""

from __future__ import annotations

from .deflate import Deflater
from .frame_writer import COMPRESSED, FINAL, MAX_CONTROL, BytesLike
from .models import WSMsgType

__all__ = ("Fragments", "as_bytes", "checked_bits", "control_payload", "reason_text", "shortened")


class Fragments:
    """Makes the frames of one message that is sent in several pieces."""

    __slots__ = ("_deflater", "_type", "begun")

    def __init__(self, deflater: Deflater | None) -> None:
        self._deflater = deflater
        self._type: WSMsgType | None = None
        self.begun = False

    def check(self, piece: object) -> BytesLike:
        """Return a piece as bytes.

        :raises TypeError: the piece is neither ``str`` nor bytes, or not of the first piece's type
        """
        data: BytesLike
        if isinstance(piece, str):
            kind, data = WSMsgType.TEXT, piece.encode()
        else:
            kind, data = WSMsgType.BINARY, as_bytes("a piece", piece)
        if self._type is None:
            self._type = kind
        elif self._type is not kind:
            raise TypeError("pieces must be all str or all bytes, not some of each")
        return data

    def make(self, data: BytesLike, *, last: bool) -> tuple[int, BytesLike]:
        """Return the first byte and the payload of the next frame."""
        assert self._type is not None
        first = WSMsgType.CONTINUATION if self.begun else self._type
        bits = FINAL if last else 0
        if self._deflater is not None:
            data = self._deflater.compress(data, last=last)
            if not self.begun:
                bits |= COMPRESSED
        self.begun = True
        return first | bits, data


def as_bytes(name: str, data: object) -> BytesLike:
    """Return *data*, which must be bytes-like, such that ``len()`` is its number of bytes."""
    if isinstance(data, memoryview):
        return data.cast("B") if data.c_contiguous else data.tobytes()
    if not isinstance(data, (bytes, bytearray)):
        raise TypeError(f"{name} must be bytes-like, not {type(data).__name__}")
    return data


def control_payload(message: BytesLike | str) -> BytesLike:
    """Return the payload of a PING or PONG.

    :raises ValueError: it is too long for a control frame
    """
    data = message.encode() if isinstance(message, str) else as_bytes("message", message)
    if len(data) > MAX_CONTROL:
        raise ValueError(f"message must be at most {MAX_CONTROL} bytes, got {len(data)}")
    return data


def reason_text(message: bytes | str) -> str:
    """Return the reason for closing as text.

    :raises ValueError: it is not UTF-8
    """
    if isinstance(message, str):
        return message
    try:
        return bytes(as_bytes("message", message)).decode()
    except UnicodeDecodeError:
        raise ValueError("message must be UTF-8") from None


def shortened(reason: str) -> str:
    """Return as much of *reason* as fits into a CLOSE frame."""
    return reason.encode()[: MAX_CONTROL - 2].decode(errors="ignore")


def checked_bits(compress: int | None) -> int | None:
    """Return the ``compress`` argument of one message.

    :raises ValueError: it is neither 0 nor a number of window bits
    """
    if compress is True or (compress and compress not in range(9, 16)):
        raise ValueError(f"compress must be 0, or window bits from 9 to 15, not {compress!r}")
    return compress
