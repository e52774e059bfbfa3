"""Objects that programs for aiohttp make or pass on, and that nothing is done with here."""

from __future__ import annotations

from enum import Enum
from types import EllipsisType, TracebackType
from typing import Final, Self

__all__ = ("ResponseHandler", "TimerNoop", "Unbuffered", "is_left_out", "sentinel")

#: What aiohttp's functions take for an argument that has been left out.  It is an ellipsis, so that
#: the functions here take it for the same.
sentinel: Final[EllipsisType] = ...


def is_left_out(value: object) -> bool:
    """Whether *value* stands for an argument left out: :data:`sentinel`, or that of aiohttp.

    That one is an enumeration with one member.
    """
    return value is ... or (isinstance(value, Enum) and value.name == "sentinel")


class TimerNoop:
    """A context manager without a time limit; mocking libraries pass one to responses."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return

    def assert_timeout(self) -> None:
        """Do nothing: there is no limit that could have passed."""


class ResponseHandler:
    """Stands for the protocol object of an asyncio transport, of which there is none here.

    Mocking libraries make one for a :class:`StreamReader` that they feed themselves.

    :param loop: no effect; accepted for compatibility with aiohttp
    """

    def __init__(self, loop: object = None) -> None:
        del loop


class Unbuffered:
    """Base of streams that hold no bytes that were sent, unlike the transports of asyncio."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: sending ends when the operating system has taken all bytes."""
