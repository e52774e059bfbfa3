"""The exchanges of a connection by their numbers, and what may still come for those that ended.

:rfc:`9113#section-5.1`
"""

from __future__ import annotations

from typing import Final

from .errors import ConnectionFault, ErrorCode
from .state import StreamState

__all__ = ("Streams",)

_LAST_NUMBER: Final = 2**31 - 1

#: Of how many exchanges that the client has reset late frames are told from wrong ones.
_KEPT_RESETS: Final = 4096


class Streams:
    """The exchanges that may still send or receive, and those that the client has reset."""

    __slots__ = ("_forgotten", "_next", "_resets", "open")

    def __init__(self) -> None:
        #: by number
        self.open: dict[int, StreamState] = {}
        self._next = 1
        #: how many bytes may still come for those that have been reset
        self._resets: dict[int, int] = {}
        self._forgotten = 0  # the last number of those that are not kept there any longer

    @property
    def has_numbers(self) -> bool:
        """Whether there are numbers left (§5.1.1)."""
        return self._next <= _LAST_NUMBER

    def add(self, state: StreamState) -> int:
        """Give *state* the next number."""
        state.stream_id = number = self._next
        self._next += 2
        self.open[number] = state
        return number

    def remove(self, state: StreamState) -> None:
        """Forget *state*, for which nothing may come any more."""
        state.is_closed = True
        self.open.pop(state.stream_id, None)

    def remove_reset(self, state: StreamState) -> None:
        """Forget *state*, which has been reset: what the server had sent before may still come."""
        self.remove(state)
        if len(self._resets) >= _KEPT_RESETS:
            oldest = next(iter(self._resets))
            del self._resets[oldest]
            self._forgotten = max(self._forgotten, oldest)
        self._resets[state.stream_id] = max(0, state.window)

    def find(self, number: int) -> StreamState | None:
        """Return the exchange for which a frame has come; ``None``: the client has reset it.

        :raises ConnectionFault: the server must not send such a frame
        """
        state = self.open.get(number)
        if state is not None:
            return state
        self.check_begun(number)
        if number not in self._resets and number > self._forgotten:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "a frame for an exchange that has ended")
        return None

    def check_begun(self, number: int) -> None:
        """Refuse a frame for a number that the client has not used.

        :raises ConnectionFault: it has not
        """
        if number >= self._next or not number & 1:
            raise ConnectionFault(
                ErrorCode.PROTOCOL_ERROR, f"a frame for the stream {number}, which is not open"
            )

    def take_late(self, number: int, size: int) -> None:
        """Count data for an exchange that has been reset.

        :raises ConnectionFault: it is more than its window had room for
        """
        left = self._resets.get(number)
        if left is not None:
            if size > left:
                raise ConnectionFault(
                    ErrorCode.FLOW_CONTROL_ERROR, "more data than the window allows"
                )
            self._resets[number] = left - size
