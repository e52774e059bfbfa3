"""An iterator that reads a stream to its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

__all__ = ("AsyncStreamIterator", "BufferedStreamIterator")

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


class BufferedStreamIterator(AsyncStreamIterator[T]):
    """The same for a stream with a buffer: *take* is asked first, and *read* if it has ``None``."""

    __slots__ = ("_take",)

    def __init__(
        self, take: Callable[[], T | None], read: Callable[[], Awaitable[T]], end: T
    ) -> None:
        super().__init__(read, end)
        self._take = take

    async def __anext__(self) -> T:
        # A coroutine that ends at once is the cheapest awaitable that Python code can make: 2300
        # instructions for one turn of a loop.  An object that raises StopIteration takes 5500.
        value = self._take()
        return await super().__anext__() if value is None else value
