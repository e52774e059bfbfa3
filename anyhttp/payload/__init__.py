"""Bodies of requests: what can be sent, how long it is, and how it is written.

:meth:`Payload.write_with_length` writes a payload to a writer, which is any object with an
``async write(chunk)``.  Files are read in worker threads.  A payload that can be written again
starts at the same position as the first time.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterable, Iterator
from typing import Any, Final, TypeVar

import anyio

from ..streams import StreamReader
from ._base import (
    READ_SIZE as READ_SIZE,
    BoundedPayload as BoundedPayload,
    LimitedWriter as LimitedWriter,
    Payload,
    Writer,
)
from ._file_threads import FileInThreads as FileInThreads
from ._files import (
    BufferedReaderPayload,
    BytesIOPayload,
    IOBasePayload,
    Readable as Readable,
    TextIOPayload,
    file_name as file_name,
    payload_of_file,
)
from ._foreign import ForeignPayload, PayloadShape as PayloadShape, ReaderShape
from ._memory import (
    TOO_LARGE_BYTES as TOO_LARGE_BYTES,
    BytesPayload,
    JsonBytesPayload,
    JsonPayload,
    StringIOPayload,
    StringPayload,
)
from ._registry import Order, PayloadRegistry
from ._streams import (
    AsyncIterablePayload,
    IteratorPayload,
    StreamerPayload,
    StreamReaderPayload,
    streamer,
)
from ._urlencoded import advice as advice, urlencoded as urlencoded

__all__ = (
    "PAYLOAD_REGISTRY",
    "AsyncIterablePayload",
    "BufferedReaderPayload",
    "BytesIOPayload",
    "BytesPayload",
    "IOBasePayload",
    "JsonBytesPayload",
    "JsonPayload",
    "Order",
    "Payload",
    "PayloadRegistry",
    "StreamReaderPayload",
    "StreamerPayload",
    "StringIOPayload",
    "StringPayload",
    "TextIOPayload",
    "Writer",
    "get_payload",
    "payload_type",
    "streamer",
)

PayloadT = TypeVar("PayloadT", bound=type[Payload])

PAYLOAD_REGISTRY: Final = PayloadRegistry()


def get_payload(data: object, *args: Any, **kwargs: Any) -> Payload:
    """Return the payload that sends *data*.

    :raises LookupError: no registered type fits
    """
    return PAYLOAD_REGISTRY.get(data, *args, **kwargs)


class payload_type:  # noqa: N801  (aiohttp's name)
    """Class decorator that registers a payload class for *type*."""

    def __init__(self, type: type, *, order: Order = Order.normal) -> None:  # noqa: A002
        self._type = type
        self._order = order

    def __call__(self, factory: PayloadT) -> PayloadT:
        PAYLOAD_REGISTRY.register(factory, self._type, order=self._order)
        return factory


def _payload_of_async_file(value: anyio.AsyncFile[Any], *args: Any, **kwargs: Any) -> Payload:
    # Wrapped or not, a payload reads the file in worker threads.
    return get_payload(value.wrapped, *args, **kwargs)


def _payload_of_streamer(value: streamer[[]], *_args: Any, **_kwargs: Any) -> Payload:
    return value()


PAYLOAD_REGISTRY.register(BytesPayload, (bytes, bytearray, memoryview))
PAYLOAD_REGISTRY.register(StringPayload, str)
PAYLOAD_REGISTRY.register(StringIOPayload, io.StringIO)
PAYLOAD_REGISTRY.register(BytesIOPayload, io.BytesIO)
PAYLOAD_REGISTRY.register(TextIOPayload, io.TextIOBase)
PAYLOAD_REGISTRY.register(BufferedReaderPayload, (io.BufferedReader, io.BufferedRandom))
PAYLOAD_REGISTRY.register(payload_of_file, io.IOBase)
PAYLOAD_REGISTRY.register(StreamReaderPayload, StreamReader)
PAYLOAD_REGISTRY.register(_payload_of_async_file, anyio.AsyncFile)
PAYLOAD_REGISTRY.register(_payload_of_streamer, streamer)
# Objects of aiohttp: the reader is iterated by lines, and a payload may be an iterable too.
PAYLOAD_REGISTRY.register(StreamReaderPayload, ReaderShape, order=Order.try_last)
PAYLOAD_REGISTRY.register(ForeignPayload, PayloadShape, order=Order.try_last)
# Tried last: many of the other types can be iterated asynchronously too.
PAYLOAD_REGISTRY.register(AsyncIterablePayload, AsyncIterable, order=Order.try_last)
# Files can be iterated too, but line by line.
PAYLOAD_REGISTRY.register(payload_of_file, Readable, order=Order.try_last)
PAYLOAD_REGISTRY.register(IteratorPayload, Iterator, order=Order.try_last)
