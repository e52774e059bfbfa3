"""A large number of bytes that arrive in pieces, joined while they arrive."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Final

__all__ = ("GrowingBytes",)

#: The part of the expected bytes that has to come before room for all is reserved.  A peer that
#: promises a lot and sends little must not make us reserve what it has promised.
BELIEVED: Final = 1 / 4

#: How many times as much is reserved as has come, if it is not known how much will come.
RESERVED_BLINDLY: Final = 1.4


class GrowingBytes:
    """Joins pieces in a buffer that is mostly larger than they are.

    :class:`io.BytesIO` by itself grows by an eighth each time, and may have to move what it has:
    while 10 MB arrived, it copied 90 MB.  Joining the pieces at the end would take twice the
    memory, and getting memory from the operating system is slow.

    :param expected: how many bytes will come in all; 0 if that is not known
    """

    __slots__ = ("_buffer", "_expected", "_kept", "_reserved", "_size")

    def __init__(self, expected: int = 0) -> None:
        self._buffer = BytesIO()
        self._expected = expected
        self._kept: list[bytes] = []  # before room is reserved for what is expected
        self._size = 0
        self._reserved = 0

    def extend(self, pieces: Iterable[bytes]) -> None:
        """Add *pieces*."""
        for piece in pieces:
            self._size += len(piece)
            if self._size > self._reserved:
                self._kept.append(piece)
                if self._size >= self._expected * BELIEVED:
                    self._reserve()
            else:
                self._buffer.write(piece)

    def _reserve(self) -> None:
        """Make room for more than has come, and put what was kept there."""
        buffer, room = self._buffer, self._expected
        if self._reserved or self._size > room:
            room = int(self._size * RESERVED_BLINDLY)
            written = buffer.tell()
            buffer.seek(room - 1)
            buffer.write(b"\0")
            buffer.seek(written)
        else:
            self._buffer = buffer = BytesIO(bytes(room))  # it does not copy them
        buffer.writelines(self._kept)
        self._kept.clear()
        self._reserved = room

    def getvalue(self) -> bytes:
        """Return all bytes; no more can be added."""
        if self._kept:
            return b"".join(self._kept)
        self._buffer.truncate(self._size)
        return self._buffer.getvalue()
