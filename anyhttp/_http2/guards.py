"""What bounds the frames that a server can send without any use to the program."""

from __future__ import annotations

from typing import Final

from .errors import ConnectionFault, ErrorCode

__all__ = ("DEAR_SIZE", "MAX_CONTINUATIONS", "SMALL_DATA", "FloodGuard")

#: Frames that one head may come in, behind the first.
MAX_CONTINUATIONS: Final = 64

#: DATA for an exchange that has been reset is of no use, but was on its way; its window bounds it.
#: Frames of fewer bytes than this would make too many.
SMALL_DATA: Final = 1024

#: A head that is of no use has to be decompressed all the same, for the sake of later ones.  This
#: takes time: as much as another frame for each so many bytes.
DEAR_SIZE: Final = 64

#: How many frames without use may come more than are forgiven.
_ALLOWED: Final = 1000

#: How many are forgiven whenever bytes are received, when a request is started, and when a piece
#: of its body is sent.
_PER_READ: Final = 8
_PER_REQUEST: Final = 20
_PER_PIECE: Final = 4

#: For so many bytes of a body another one is forgiven.  Many servers send WINDOW_UPDATE for what
#: their program has read at a time, which may be 512 bytes: one for the stream, and one for the
#: connection.
_SENT_SIZE: Final = 128

#: How many may be forgiven before they come, as answers to frames come later.
_SAVED: Final = 10_000


class FloodGuard:
    """Counts frames that are of no use: PING, SETTINGS, WINDOW_UPDATE, empty DATA and the like.

    Each costs time, and some of them an answer.  There is no clock here: what is useful forgives a
    number of those that are not, and so does each read, as frames that come one at a time are no
    flood.
    """

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def count(self, kind: str, more: int = 0) -> None:
        """Count a frame of *kind*, which the message names.

        :param more: as how many other frames it counts besides
        :raises ConnectionFault: there have been too many
        """
        self._count += 1 + more
        if self._count > _ALLOWED:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, f"a flood of frames: {kind}")

    def take_read(self) -> None:
        """Forgive some frames, as bytes have been received."""
        if self._count > 0:
            self._count = max(0, self._count - _PER_READ)

    def take_request(self) -> None:
        """Forgive some frames, as a request has been started."""
        self._count = max(-_SAVED, self._count - _PER_REQUEST)

    def take_sent(self, size: int) -> None:
        """Forgive some frames, as *size* bytes of a body have been sent."""
        self._count = max(-_SAVED, self._count - _PER_PIECE - size // _SENT_SIZE)
