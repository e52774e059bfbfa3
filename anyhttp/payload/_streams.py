"""Bodies that are made while they are sent: asynchronous iterables and functions that write."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Concatenate, Generic, ParamSpec

import anyio
from anyio.lowlevel import checkpoint

from .._tasks import CLEAN_UP_SECONDS
from ..client_exceptions import ClientPayloadError
from ..streams import StreamReader
from ..typedefs import LooseHeaders
from ._base import BoundedPayload, LimitedWriter, Payload, Writer

__all__ = ("AsyncIterablePayload", "StreamReaderPayload", "StreamerPayload", "streamer")

P = ParamSpec("P")


class AsyncIterablePayload(BoundedPayload):
    """Whatever an asynchronous iterable of bytes yields.

    It can be written once, unless :meth:`as_bytes` has read it into memory before.
    """

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
        # A generator that has come to its end would make an empty body.
        self._consumed = getattr(value, "ag_frame", value) is None

    @property
    def consumed(self) -> bool:
        return self._consumed and self._cached is None

    def in_memory(self) -> bytes | None:
        return self._cached

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body as bytes, and keep them: they can be had and written again."""
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
            raise ClientPayloadError("the async iterable has been used up and cannot be sent again")
        self._consumed = True
        target: Writer = writer if content_length is None else LimitedWriter(writer, content_length)
        iterator = aiter(self._value)
        try:
            async for chunk in iterator:
                if not isinstance(chunk, (bytes, bytearray, memoryview)):
                    raise TypeError(
                        f"the body's async iterable must yield bytes, not {type(chunk).__name__}"
                    )
                await target.write(bytes(chunk))
        finally:
            # A generator left in the middle must not wait for the garbage collector.
            if (close := getattr(iterator, "aclose", None)) is not None:
                with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                    await close()


class StreamReaderPayload(AsyncIterablePayload):
    """What a :class:`StreamReader` yields: a download sent on, or a reader fed by hand."""

    def __init__(
        self,
        value: StreamReader,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(value.iter_any(), headers, content_type, filename, encoding)


class StreamerPayload(Payload):
    """What a coroutine function writes; it is called anew each time the body is sent."""

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
    """Decorator that makes a coroutine function, called with a writer first, a body.

    Deprecated: an asynchronous generator of bytes does the same, and yields.
    """

    def __init__(self, function: Callable[Concatenate[Writer, P], Awaitable[object]]) -> None:
        warnings.warn(
            "@streamer is deprecated: give an asynchronous generator as the body",
            DeprecationWarning,
            stacklevel=2,
        )
        self._function = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> StreamerPayload:
        """Return the body that the function writes when called with these arguments."""
        return StreamerPayload(lambda writer: self._function(writer, *args, **kwargs))
