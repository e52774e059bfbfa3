"""Bodies from files: read in worker threads, closed when the request is over."""

from __future__ import annotations

import codecs
import inspect
import io
import os
import stat
from collections.abc import Mapping
from typing import IO, Any, Final, TextIO

from ..client_exceptions import ClientPayloadError
from ..typedefs import LooseHeaders
from ._base import READ_SIZE, BoundedPayload, Payload, Writer, text_charset
from ._file_threads import FileInThreads

__all__ = (
    "BufferedReaderPayload",
    "BytesIOPayload",
    "IOBasePayload",
    "Readable",
    "TextIOPayload",
    "file_name",
    "payload_of_file",
)

#: Names of classes of files that decompress: to find their end, they read everything.
_DECOMPRESSING: Final = frozenset({"BZ2File", "GzipFile", "LZMAFile", "ZipExtFile", "ZstdFile"})

#: Size, in bytes, that files of the kernel have for the file system, whatever they hold.
_PAGE: Final = 4096


class _ReadableType(type):
    def __instancecheck__(cls, instance: object) -> bool:
        read = getattr(instance, "read", None)
        return (
            callable(read)
            and not isinstance(instance, (type, Mapping))
            and not inspect.iscoroutinefunction(read)
        )


class Readable(metaclass=_ReadableType):
    """Any object that has a method ``read()``, such as ``tempfile.NamedTemporaryFile()``.

    Many files do not inherit from the classes of :mod:`io`.
    """


class IOBasePayload(BoundedPayload):
    """A binary file, sent from its current position; read in a worker thread, then closed.

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
        if filename is None:
            filename = file_name(value)
        super().__init__(value, headers, content_type, filename, encoding)
        self._disposition = disposition
        self._start = _position(value)
        self._file = FileInThreads(value, may_block=self._start is None)
        self._size = self._measure()

    def _measure(self) -> int | None:
        """Return the number of bytes from here to the end of the file, if it can be known."""
        file, start = self._value, self._start
        raw = getattr(file, "raw", file)
        if isinstance(raw, io.FileIO):
            return None if start is None else _size_of_regular_file(file, start)
        if any(cls.__name__ in _DECOMPRESSING for cls in type(raw).__mro__):
            end = getattr(raw, "_orig_file_size", None)  # that of a zip archive knows it
            return None if start is None or raw is not file or end is None else end - start
        if start is None:
            return _size_of_tar_member(file)
        return _size_by_seeking(file, start)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the rest of the file as text; this reads the file, and blocks."""
        self._check_unread()
        data = self._read_from(self._start, -1)
        return data.decode(self._encoding or encoding, errors)

    def _check_unread(self) -> None:
        if self.consumed:
            raise ClientPayloadError("the file has been read and cannot be rewound")
        self._consumed = True

    async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
        self._check_unread()
        # Another part may have read the same file meanwhile, so always seek.
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
        return await self._file.call(self._read_from, start, size) or b""

    def _read_from(self, start: int | None, size: int) -> bytes:
        """Read up to *size* bytes, after seeking to *start* if it is given."""
        if start is not None:
            self._value.seek(start)
        data: bytes | None = self._value.read(size)
        if data is not None and not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"read() of a file must return bytes, not {type(data).__name__}")
        return bytes(data or b"")

    @property
    def consumed(self) -> bool:
        return self._consumed and self._start is None

    async def close(self) -> None:
        """Close the file; if a thread still reads it, that thread closes it when it comes back."""
        await self._file.close()


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
        encoding, content_type = text_charset(encoding, content_type)
        super().__init__(value, disposition, headers, content_type, filename, encoding)
        # One for all pieces: some charsets begin with a byte order mark.
        self._encoder = codecs.getincrementalencoder(encoding)()

    def _measure(self) -> None:
        return None

    def _read_from(self, start: int | None, size: int) -> bytes:
        if start is not None:
            self._value.seek(start)
            self._encoder.reset()
        text: str = self._value.read(size)
        return self._encoder.encode(text, final=not text)


class BytesIOPayload(IOBasePayload):
    """The rest of an ``io.BytesIO``, which is not closed afterwards."""

    def _measure(self) -> int:
        assert self._start is not None
        assert isinstance(self._value, io.BytesIO)
        return max(self._value.getbuffer().nbytes - self._start, 0)

    async def _read(self, start: int | None, size: int) -> bytes:
        return self._read_from(start, size)

    async def close(self) -> None:
        """Do nothing: the object holds only memory."""


class BufferedReaderPayload(IOBasePayload):
    """A file opened for buffered binary reading."""


def file_name(file: object) -> str | None:
    """Return the last component of the path of an open file; ``None`` if it has no path."""
    name = getattr(file, "name", None)
    # Standard streams and files without a name are called "<stdin>" and the like.
    if not isinstance(name, str) or (name.startswith("<") and name.endswith(">")):
        return None
    return os.path.basename(name) or None


def payload_of_file(value: Any, *args: Any, **kwargs: Any) -> Payload:
    """Return the payload of a file whose class does not say whether it holds text."""
    factory = IOBasePayload if getattr(value, "encoding", None) is None else TextIOPayload
    return factory(value, *args, **kwargs)


def _position(file: IO[Any]) -> int | None:
    """Return the current position in *file*; ``None`` if the file cannot be rewound to it."""
    try:
        seekable = getattr(file, "seekable", None)  # an mmap has none before Python 3.13
        if not (hasattr(file, "seek") if seekable is None else seekable()):
            return None
        position = file.tell()
    except (AttributeError, OSError):
        # While a text file is iterated over, tell() raises.  A member of a tar archive that is read
        # as a stream asks its underlying object, which has no such method.
        return None
    return position if isinstance(position, int) else None


def _size_of_regular_file(file: IO[Any], start: int) -> int | None:
    """Return what the file system knows; ``None`` if the descriptor is that of a pipe or such."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        return None
    size = status.st_size
    if size == 0 or (size <= _PAGE and not getattr(status, "st_blocks", 1)):
        # Files of the kernel occupy no blocks; those below /proc have the size 0, and those below
        # /sys that of a page.
        return _size_if_right(file, start, max(size - start, 0))
    return max(size - start, 0)


def _size_if_right(file: IO[Any], start: int, size: int) -> int | None:
    """Return *size* if it is the number of bytes that reading gives, which should be few."""
    try:
        data = file.read(size + 1)
        file.seek(start)
    except (OSError, ValueError):
        return None
    return size if len(data) == size else None


def _size_by_seeking(file: IO[Any], start: int) -> int | None:
    try:
        file.seek(0, os.SEEK_END)
        end = file.tell()
        file.seek(start)
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    if not isinstance(end, int):
        return None
    # A seek() that disregards its second argument would make any file look empty.
    return end - start if end > start else _size_if_right(file, start, 0)


def _size_of_tar_member(file: IO[Any]) -> int | None:
    """Return the number of bytes of a member of a tar archive that is read as a stream."""
    raw = getattr(file, "raw", None)
    if type(raw).__module__ != "tarfile":
        return None
    size, position = getattr(raw, "size", None), getattr(raw, "position", None)
    return size if position == 0 and isinstance(size, int) else None
