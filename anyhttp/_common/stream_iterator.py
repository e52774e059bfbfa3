"""An iterator that reads a stream to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

__all__ = ("AsyncStreamIterator",)

T = TypeVar("T")


class AsyncStreamIterator(Generic[T]):
    """Calls *read* repeatedly, until it returns the *end* value."""

    __slots__ = ("_end", "_read")

    def __init__(self, read: Callable[[], Awaitable[T]], end: T) -> None:
        self._read = read
        self._end = end

    def __aiter__(self) -> AsyncStreamIterator[T]:
        return self

    async def __anext__(self) -> T:
        value = await self._read()
        if value == self._end:
            raise StopAsyncIteration
        return value
