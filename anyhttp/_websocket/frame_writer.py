"""Turns messages into frames, masked as those of a client have to be (:rfc:`6455#section-5.3`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from os import urandom
from typing import Final, TypeAlias

from .._common import check_count
from .models import WSCloseCode

__all__ = ("COMPRESSED", "FINAL", "MAX_CONTROL", "BytesLike", "FrameWriter", "close_payload")

BytesLike: TypeAlias = bytes | bytearray | memoryview

#: Longest payload of a control frame, in bytes (:rfc:`6455#section-5.5`).
MAX_CONTROL: Final = 125

# Bits of the first byte of a frame, beside the opcode (RFC 6455 §5.2, RFC 7692 §6).
FINAL: Final = 0x80  #: the frame is the last of its message
COMPRESSED: Final = 0x40  #: the frame begins a compressed message

#: Bytes of masking keys that are asked of the operating system at a time: for 64 frames.
KEYS_SIZE: Final = 256


@cache
def _apply_mask() -> Callable[[BytesLike, bytes], bytes]:
    """Return the function of ``websockets`` that masks bytes, if possible the one written in C.

    It is imported when the first WebSocket opens: most programs open none.
    """
    try:
        from websockets.speedups import apply_mask
    except ImportError:  # pragma: no cover  (where it was installed without a compiler)
        from websockets.utils import apply_mask
    return apply_mask


class FrameWriter:
    """Makes the frames of one WebSocket."""

    __slots__ = ("_apply_mask", "_read_key")

    def __init__(self) -> None:
        self._apply_mask = _apply_mask()
        # Keys have to be unpredictable (RFC 6455 §10.3).  These belong to one WebSocket, so that
        # a forked child shares none of them for connections of its own.
        self._read_key: Callable[[int], bytes] = BytesIO().read

    def frame(self, first: int, data: BytesLike) -> bytes:
        """Return one masked frame.

        :param first: its first byte: the opcode, with :data:`FINAL` and :data:`COMPRESSED`
        """
        key = self._read_key(4)
        if not key:
            self._read_key = BytesIO(urandom(KEYS_SIZE)).read
            key = self._read_key(4)
        size = len(data)
        masked = self._apply_mask(data, key)
        # The length has 7, 16 or 64 bits, and begins with the bit that says "masked".
        if size < 126:
            return b"%c%c%b%b" % (first, 0x80 | size, key, masked)
        if size < 65536:
            return b"%c\xfe%b%b%b" % (first, size.to_bytes(2), key, masked)
        return b"%c\xff%b%b%b" % (first, size.to_bytes(8), key, masked)


def close_payload(code: int, reason: str) -> bytes:
    """Return the payload of a CLOSE frame.

    :raises TypeError: the code is no integer
    :raises ValueError: the code may not be sent (:rfc:`6455#section-7.4`), or the reason is too
        long for a control frame
    """
    if code == WSCloseCode.OK and not reason:  # as in nearly every CLOSE frame
        return b"\x03\xe8"
    check_count("code", code)
    from websockets.exceptions import ProtocolError
    from websockets.frames import Close

    try:
        payload = Close(code, reason).serialize()
    except ProtocolError:
        raise ValueError(f"code must be one that RFC 6455 lets a client send, not {code}") from None
    if len(payload) > MAX_CONTROL:
        raise ValueError(f"message must be at most {MAX_CONTROL - 2} bytes in UTF-8")
    return payload
