"""A large number of bytes that arrive in pieces, joined while they arrive."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Final

__all__ = ("GrowingBytes",)

#: How many times as many bytes as have arrived are reserved at most, if so many are expected.  A
#: peer that promises a lot and sends little must not make us reserve what it has promised.
RESERVED: Final = 4

#: The same for bytes that nobody has promised.
RESERVED_BLINDLY: Final = 1.4


class GrowingBytes:
    """Joins pieces in a buffer that is mostly larger than they are.

    :class:`io.BytesIO` by itself grows by an eighth each time, and may have to move what it has:
    while 10 MB arrived, it copied 90 MB.  Joining the pieces at the end would take twice the
    memory, and getting memory from the operating system is slow.

    :param expected: how many bytes will come in all; 0 if that is not known
    """

    __slots__ = ("_buffer", "_expected", "_reserved", "_size")

    def __init__(self, expected: int = 0) -> None:
        self._buffer = BytesIO()
        self._expected = expected
        self._size = 0
        self._reserved = 0

    def extend(self, pieces: Iterable[bytes]) -> None:
        """Add *pieces*."""
        for piece in pieces:
            end = self._size + len(piece)
            if end > self._reserved:
                self._reserve(end)
            self._buffer.write(piece)
            self._size = end

    def _reserve(self, size: int) -> None:
        """Make room for *size* bytes, and for more that may come."""
        if size < self._expected:
            size = min(RESERVED * size, self._expected)
        elif size > self._expected:
            size = int(RESERVED_BLINDLY * size)
        self._buffer.seek(size - 1)
        self._buffer.write(b"\0")
        self._buffer.seek(self._size)
        self._reserved = size

    def getvalue(self) -> bytes:
        """Return all bytes; no more can be added."""
        self._buffer.truncate(self._size)
        return self._buffer.getvalue()
