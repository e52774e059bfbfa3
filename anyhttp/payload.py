"""Bodies of requests: what can be sent, how long it is, and how it is written.

A payload is written by calling :meth:`Payload.write_with_length` with a writer, which is
anything with an ``async write(chunk)``.  Files are read in worker threads.  Whatever can be
written again starts where it started the first time.
"""

from __future__ import annotations

import enum
import io
import mimetypes
import os
import stat
import warnings
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from itertools import chain
from typing import (
    IO,
    Any,
    ClassVar,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    Protocol,
    TextIO,
    TypeVar,
)

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint
from multidict import CIMultiDict

from . import hdrs
from ._headers import content_disposition, parse_content_type
from ._tasks import CLEAN_UP_SECONDS
from .client_exceptions import ClientPayloadError
from .streams import StreamReader
from .typedefs import (
    DEFAULT_JSON_ENCODER,
    JSONBytesEncoder,
    JSONEncoder,
    LooseHeaders,
)

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

P = ParamSpec("P")

#: Bytes read from a file at once: enough to make the trip to a worker thread worth it.
READ_SIZE: Final = 2**20

#: Size in bytes from which a body in memory deserves a warning.
TOO_LARGE_BYTES: Final = 2**20


class Writer(Protocol):
    """Where a payload writes to."""

    async def write(self, chunk: bytes) -> None:
        """Send *chunk*, or wait until it can be sent."""


class Payload(ABC):
    """A body: some bytes, their type and, where it is known, their number.

    A subclass says in :meth:`write` what is sent, and may set ``_size`` if it knows how many
    bytes that is.  Its :meth:`close` is awaited when the request is over.

    :param value: what is sent
    :param headers: further headers that describe it
    :param content_type: of the body; guessed from *filename* when left out
    :param filename: name of the file that the body is
    :param encoding: charset of the text that the body is
    """

    _default_content_type: ClassVar[str] = "application/octet-stream"
    _disposition: str | None = None  # type of the Content-Disposition that names the file

    def __init__(
        self,
        value: Any,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        self._value = value
        self._encoding = encoding
        self._filename = filename
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._size: int | None = None
        self._consumed = False
        if content_type is None and filename:
            content_type = mimetypes.guess_type(filename)[0]
        self._headers[hdrs.CONTENT_TYPE] = content_type or self._default_content_type
        if headers is not None:
            self._headers.update(headers)

    @property
    def size(self) -> int | None:
        """Number of bytes that will be written; ``None`` if that is not known."""
        return self._size

    @property
    def filename(self) -> str | None:
        """Name of the file that the body is."""
        return self._filename

    @property
    def headers(self) -> CIMultiDict[str]:
        """Headers that describe the body; may be changed until it is sent."""
        return self._headers

    @property
    def encoding(self) -> str | None:
        """Charset of the text that the body is."""
        return self._encoding

    @property
    def content_type(self) -> str:
        """Type of the body."""
        return self._headers[hdrs.CONTENT_TYPE]

    @property
    def consumed(self) -> bool:
        """Whether the body has been written and cannot be written again."""
        return self._consumed

    @property
    def autoclose(self) -> bool:
        """Whether nothing needs to be closed after sending: there is no ``close()`` for it."""
        return type(self).close is Payload.close

    def set_content_disposition(
        self, disptype: str, quote_fields: bool = True, **params: str
    ) -> None:
        """Set the ``Content-Disposition`` header (:rfc:`6266`).

        :param disptype: such as ``"attachment"`` or ``"form-data"``
        :param quote_fields: write a file name percent-encoded, and other text that is not
            ASCII as ``name*=utf-8''...``; otherwise both are sent as they are, in UTF-8
        :param params: such as ``name`` and ``filename``
        :raises ValueError: the type or the name of a parameter is not a token, or a value
            holds a control character
        """
        self._headers[hdrs.CONTENT_DISPOSITION] = content_disposition(
            disptype, params, quote_fields=quote_fields
        )

    def describe_as_part(self, disptype: str | None = None, name: str | None = None) -> None:
        """Set the ``Content-Disposition`` of a part of a multipart if it has none yet.

        :param disptype: what the multipart asks for; ``None`` leaves it to the payload, and
            only files need one
        :param name: parameter of that
        """
        if hdrs.CONTENT_DISPOSITION in self._headers:
            return
        params = {} if name is None else {"name": name}
        if self._disposition is not None and self._filename is not None:
            disptype = disptype or self._disposition
            params["filename"] = self._filename
        if disptype is not None:
            self._headers[hdrs.CONTENT_DISPOSITION] = content_disposition(
                disptype, params, quote_fields=True
            )

    def in_memory(self) -> bytes | None:
        """Return the whole body if it is at hand without any waiting."""
        return None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text.

        :raises TypeError: it is not in memory
        """
        data = self.in_memory()
        if data is None:
            raise TypeError(f"{type(self).__name__} is not in memory and cannot be decoded")
        return data.decode(self._encoding or encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body as bytes, read into memory if need be."""
        data = self.in_memory()
        if data is None:
            collected = _Collector()
            await self.write(collected)
            data = collected.getvalue()
        return data

    @abstractmethod
    async def write(self, writer: Writer) -> None:
        """Write all of the body."""

    async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
        """Write the body, but no more than *content_length* bytes of it.

        :raises ClientPayloadError: it has been written before and cannot be again
        """
        target: Writer = writer if content_length is None else LimitedWriter(writer, content_length)
        await self.write(target)

    async def close(self) -> None:
        """Free what the body holds; a file that was given is closed."""
        return


class _Collector:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        self._pieces.append(bytes(chunk))

    def getvalue(self) -> bytes:
        return b"".join(self._pieces)


class LimitedWriter:
    """Passes on no more than a number of bytes, then swallows."""

    __slots__ = ("_left", "_writer")

    def __init__(self, writer: Writer, limit: int) -> None:
        self._writer = writer
        self._left = limit

    async def write(self, chunk: bytes) -> None:
        chunk = chunk[: self._left]
        if chunk:
            self._left -= len(chunk)
            await self._writer.write(chunk)


class BoundedPayload(Payload):
    """A payload that knows how to write a part of itself, and so also the whole."""

    async def write(self, writer: Writer) -> None:
        await self.write_with_length(writer, None)

    @abstractmethod
    async def write_with_length(self, writer: Writer, content_length: int | None) -> None: ...


class BytesPayload(BoundedPayload):
    """Bytes in memory."""

    #: whether a subclass writes something else than the bytes that it was given
    _writes_itself: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._writes_itself = cls.write_with_length is not BytesPayload.write_with_length

    def __init__(
        self,
        value: bytes | bytearray | memoryview,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(
                f"value must be bytes, bytearray or memoryview, not {type(value).__name__}"
            )
        super().__init__(value, headers, content_type, filename, encoding)
        self._data = bytes(value)
        self._size = len(self._data)
        if self._size > TOO_LARGE_BYTES and type(self) is BytesPayload:
            warnings.warn(
                "a large body in memory: give a file or an async iterable to stream it",
                ResourceWarning,
                stacklevel=6,
                source=self,
            )

    def in_memory(self) -> bytes | None:
        """Return the whole body, which is always at hand, unless a subclass makes it."""
        return None if self._writes_itself else self._data

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the bytes as text."""
        return self._data.decode(self._encoding or encoding, errors)

    async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
        """Write the body in pieces, but no more than *content_length* bytes of it."""
        data = memoryview(self._data)[:content_length]
        for start in range(0, len(data), READ_SIZE):
            await writer.write(bytes(data[start : start + READ_SIZE]))


class StringPayload(BytesPayload):
    """Text in memory, encoded as its content type says; UTF-8 unless told otherwise."""

    def __init__(
        self,
        value: str,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        if encoding is None:
            encoding = parse_content_type(content_type).charset or "utf-8"
        if content_type is None:
            content_type = f"text/plain; charset={encoding}"
        super().__init__(value.encode(encoding), headers, content_type, filename, encoding)


class StringIOPayload(StringPayload):
    """The rest of an ``io.StringIO``."""

    def __init__(
        self,
        value: io.StringIO,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(value.read(), headers, content_type, filename, encoding)


class JsonPayload(BytesPayload):
    """A value as JSON."""

    def __init__(
        self,
        value: object,
        encoding: str = "utf-8",
        content_type: str = "application/json",
        dumps: JSONEncoder = DEFAULT_JSON_ENCODER,
        headers: LooseHeaders | None = None,
        filename: str | None = None,
    ) -> None:
        super().__init__(dumps(value).encode(encoding), headers, content_type, filename, encoding)


class JsonBytesPayload(BytesPayload):
    """A value as JSON, by an encoder that returns bytes."""

    def __init__(
        self,
        value: object,
        dumps: JSONBytesEncoder,
        content_type: str = "application/json",
        headers: LooseHeaders | None = None,
        filename: str | None = None,
    ) -> None:
        super().__init__(dumps(value), headers, content_type, filename, "utf-8")


class IOBasePayload(BoundedPayload):
    """A binary file, from where it stands; read in a worker thread and closed afterwards.

    :param disposition: type of the ``Content-Disposition`` that names the file when it is
        part of a multipart; a body of its own has no such header
    """

    _value: IO[Any]

    def __init__(
        self,
        value: IO[Any],
        disposition: str = "attachment",
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(value, headers, content_type, filename or file_name(value), encoding)
        self._disposition = disposition
        self._start = _position(value)
        self._abandoned = False  # a thread still reads, and closes the file afterwards
        self._size = self._measure()

    def _measure(self) -> int | None:
        """Return the bytes from here to the file's end, where that can be known."""
        # Others than plain files, such as gzip's, may lend the descriptor of a file whose
        # size is not that of what they read.
        if self._start is None or not isinstance(
            getattr(self._value, "raw", self._value), io.FileIO
        ):
            return None
        status = os.fstat(self._value.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        return max(status.st_size - self._start, 0)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return what is left of the file as text, reading it here and now."""
        self._check_unread()
        data = self._read_from(self._start, -1)
        return data.decode(self._encoding or encoding, errors)

    def _check_unread(self) -> None:
        if self.consumed:
            raise ClientPayloadError("the file has been read and cannot be rewound")
        self._consumed = True

    async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
        self._check_unread()
        # Another part may have read the same file in between, so go back in any case.
        start = self._start
        left = content_length
        while left is None or left > 0:
            size = READ_SIZE if left is None else min(READ_SIZE, left)
            chunk = await self._read(start, size)
            if not chunk:
                break
            start = None
            chunk = chunk[:left]
            if left is not None:
                left -= len(chunk)
            await writer.write(chunk)

    async def _read(self, start: int | None, size: int) -> bytes:
        if self._start is not None:
            return await anyio.to_thread.run_sync(self._read_from, start, size)
        # A pipe may have nothing to read for ever.  Who is cancelled leaves it to the thread.
        try:
            return await anyio.to_thread.run_sync(self._read_pipe, size, abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            self._abandoned = True
            raise

    def _read_pipe(self, size: int) -> bytes:
        try:
            return self._read_from(None, size)
        finally:
            if self._abandoned:
                self._value.close()

    def _read_from(self, start: int | None, size: int) -> bytes:
        """Read, after going to *start* if that is given."""
        if start is not None:
            self._value.seek(start)
        data: bytes = self._value.read(size)
        return data

    @property
    def consumed(self) -> bool:
        return self._consumed and self._start is None

    async def close(self) -> None:
        if self._abandoned:
            return
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._value.close)


class TextIOPayload(IOBasePayload):
    """A text file, read as text and encoded again."""

    def __init__(
        self,
        value: TextIO,
        disposition: str = "attachment",
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        if encoding is None:
            encoding = parse_content_type(content_type).charset or "utf-8"
        if content_type is None:
            content_type = f"text/plain; charset={encoding}"
        super().__init__(value, disposition, headers, content_type, filename, encoding)

    def _measure(self) -> None:
        return None

    def _read_from(self, start: int | None, size: int) -> bytes:
        if start is not None:
            self._value.seek(start)
        text: str = self._value.read(size)
        return text.encode(self._encoding or "utf-8")


class BytesIOPayload(IOBasePayload):
    """The rest of an ``io.BytesIO``, which stays open."""

    def _measure(self) -> int:
        assert self._start is not None
        assert isinstance(self._value, io.BytesIO)
        return max(self._value.getbuffer().nbytes - self._start, 0)

    async def _read(self, start: int | None, size: int) -> bytes:
        return self._read_from(start, size)

    async def close(self) -> None:
        """Leave it open: it holds nothing but memory."""


class BufferedReaderPayload(IOBasePayload):
    """A file opened for buffered binary reading."""


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


def file_name(file: object) -> str | None:
    """Return the last component of the name of an open file that has a path."""
    name = getattr(file, "name", None)
    # Standard streams and files without a name are called "<stdin>" and the like.
    if not isinstance(name, str) or (name.startswith("<") and name.endswith(">")):
        return None
    return os.path.basename(name) or None


def _position(file: IO[Any]) -> int | None:
    """Return where *file* stands, ``None`` if it cannot be rewound to there."""
    try:
        return file.tell() if file.seekable() else None
    except (AttributeError, OSError):
        # A text file that is being iterated over does not know, and a member of a tar archive
        # that is read as a stream asks a file that has no answer.
        return None


# -- which payload for which value -----------------------------------------------------


class Order(enum.Enum):
    """When a registered type is tried, compared to the others."""

    normal = "normal"
    try_first = "try_first"
    try_last = "try_last"


PayloadFactory = Callable[..., Payload]
PayloadT = TypeVar("PayloadT", bound=type[Payload])


class PayloadRegistry:
    """Knows which payload class sends which type of value."""

    def __init__(self) -> None:
        self._first: list[tuple[PayloadFactory, type | tuple[type, ...]]] = []
        self._normal: list[tuple[PayloadFactory, type | tuple[type, ...]]] = []
        self._last: list[tuple[PayloadFactory, type | tuple[type, ...]]] = []

    def _entries(self) -> Iterator[tuple[PayloadFactory, type | tuple[type, ...]]]:
        return chain(self._first, self._normal, self._last)

    def get(self, data: object, *args: Any, **kwargs: Any) -> Payload:
        """Return the payload that sends *data*.

        :raises LookupError: no registered type fits
        """
        if isinstance(data, Payload):
            return data
        for factory, types in self._entries():
            if isinstance(data, types):
                return factory(data, *args, **kwargs)
        raise LookupError(f"no payload is registered for {type(data).__name__}")

    def register(
        self,
        factory: PayloadFactory,
        type: type | tuple[type, ...],  # noqa: A002  (aiohttp's name)
        *,
        order: Order = Order.normal,
    ) -> None:
        """Send values of *type* by *factory*."""
        lists = {
            Order.try_first: self._first,
            Order.normal: self._normal,
            Order.try_last: self._last,
        }
        if order not in lists:
            raise ValueError(f"order must be a member of Order, not {order!r}")
        lists[order].append((factory, type))


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
    # Files are read in worker threads one way or the other.
    return get_payload(value.wrapped, *args, **kwargs)


def _payload_of_streamer(value: streamer[[]], *_args: Any, **_kwargs: Any) -> Payload:
    return value()


PAYLOAD_REGISTRY.register(BytesPayload, (bytes, bytearray, memoryview))
PAYLOAD_REGISTRY.register(StringPayload, str)
PAYLOAD_REGISTRY.register(StringIOPayload, io.StringIO)
PAYLOAD_REGISTRY.register(BytesIOPayload, io.BytesIO)
PAYLOAD_REGISTRY.register(TextIOPayload, io.TextIOBase)
PAYLOAD_REGISTRY.register(BufferedReaderPayload, (io.BufferedReader, io.BufferedRandom))
PAYLOAD_REGISTRY.register(IOBasePayload, io.IOBase)
PAYLOAD_REGISTRY.register(StreamReaderPayload, StreamReader)
PAYLOAD_REGISTRY.register(_payload_of_async_file, anyio.AsyncFile)
PAYLOAD_REGISTRY.register(_payload_of_streamer, streamer)
# Many kinds of object can be iterated asynchronously and are more than that.
PAYLOAD_REGISTRY.register(AsyncIterablePayload, AsyncIterable, order=Order.try_last)
