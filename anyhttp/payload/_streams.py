"""Bodies produced during sending: iterables, asynchronous or not, and functions that write."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from typing import ClassVar, Concatenate, Generic, ParamSpec

import anyio
from anyio.lowlevel import checkpoint

from .._tasks import CLEAN_UP_SECONDS
from ..client_exceptions import ClientPayloadError
from ..streams import StreamReader
from ..typedefs import LooseHeaders
from ._base import BoundedPayload, LimitedWriter, Payload, Writer

__all__ = (
    "AsyncIterablePayload",
    "IteratorPayload",
    "StreamReaderPayload",
    "StreamerPayload",
    "streamer",
)

P = ParamSpec("P")


class AsyncIterablePayload(BoundedPayload):
    """The bytes that an asynchronous iterable yields.

    It can be written once, unless :meth:`as_bytes` has read it into memory before.
    """

    _source: ClassVar[str] = "the async iterable"

    def __init__(
        self,
        value: AsyncIterable[bytes],
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        if not isinstance(value, AsyncIterable):
            raise TypeError(f"value must be an async iterable, not {type(value).__name__}")
        super().__init__(value, headers, content_type, filename, encoding)
        self._cached: bytes | None = None
        # An exhausted generator would send an empty body.
        self._consumed = getattr(value, "ag_frame", value) is None

    @property
    def consumed(self) -> bool:
        return self._consumed and self._cached is None

    def in_memory(self) -> bytes | None:
        return self._cached

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body as bytes, and keep them, so that the body can be written again."""
        if self._cached is None:
            self._cached = await super().as_bytes(encoding, errors)
        else:
            await checkpoint()
        return self._cached

    async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
        if self._cached is not None:
            await writer.write(self._cached[:content_length])
            return
        if self._consumed:
            raise ClientPayloadError(f"{self._source} has been used up and cannot be sent again")
        self._consumed = True
        target: Writer = writer if content_length is None else LimitedWriter(writer, content_length)
        write = target.write
        iterator = aiter(self._value)
        try:
            async for chunk in iterator:
                if type(chunk) is not bytes:
                    chunk = self._to_bytes(chunk)
                await write(chunk)
        finally:
            # Close an unfinished generator, rather than leave it to the garbage collector.
            close = getattr(iterator, "aclose", None)
            if close is not None and getattr(iterator, "ag_frame", iterator) is not None:
                with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                    await close()

    def _to_bytes(self, chunk: object) -> bytes:
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise TypeError(f"{self._source} must yield bytes, not {type(chunk).__name__}")
        return bytes(chunk)


class StreamReaderPayload(AsyncIterablePayload):
    """The bytes of a :class:`StreamReader`: a response passed on, or a reader fed by hand."""

    def __init__(
        self,
        value: StreamReader,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(value.iter_any(), headers, content_type, filename, encoding)


class IteratorPayload(AsyncIterablePayload):
    """The bytes that a generator or another iterator yields; it runs in the event loop."""

    _source = "the iterator"

    def __init__(
        self,
        value: Iterator[bytes],
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(_each_of(value), headers, content_type, filename, encoding)
        # An exhausted generator would send an empty body.
        self._consumed = getattr(value, "gi_frame", value) is None


async def _each_of(iterator: Iterator[bytes]) -> AsyncIterator[bytes]:
    try:
        for piece in iterator:
            yield piece
    finally:
        # Close an unfinished generator, rather than leave it to the garbage collector.
        if (close := getattr(iterator, "close", None)) is not None:
            close()


class StreamerPayload(Payload):
    """What a coroutine function writes; the function is called each time the body is sent."""

    def __init__(
        self,
        value: Callable[[Writer], Awaitable[object]],
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(value, headers, content_type, filename, encoding)

    async def write(self, writer: Writer) -> None:
        await self._value(writer)


class streamer(Generic[P]):  # noqa: N801  (aiohttp's name)
    """Decorator that turns a coroutine function into a body; its first argument is a writer.

    Deprecated: use an asynchronous generator that yields bytes.
    """

    def __init__(self, function: Callable[Concatenate[Writer, P], Awaitable[object]]) -> None:
        warnings.warn(
            "@streamer is deprecated: give an asynchronous generator as the body",
            DeprecationWarning,
            stacklevel=2,
        )
        self._function = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> StreamerPayload:
        """Return the body that the function writes when it is called with these arguments."""
        return StreamerPayload(lambda writer: self._function(writer, *args, **kwargs))
