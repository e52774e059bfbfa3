"""Bodies from files: read in worker threads, closed when the request is over."""

from __future__ import annotations

import io
import os
import stat
from typing import IO, Any, TextIO

import anyio
import anyio.to_thread

from .._headers import parse_content_type
from ..client_exceptions import ClientPayloadError
from ..typedefs import LooseHeaders
from ._base import READ_SIZE, BoundedPayload, Writer

__all__ = (
    "BufferedReaderPayload",
    "BytesIOPayload",
    "IOBasePayload",
    "TextIOPayload",
    "file_name",
)


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
        super().__init__(value, headers, content_type, filename or file_name(value), encoding)
        self._disposition = disposition
        self._start = _position(value)
        self._abandoned = False  # a thread is still reading; the thread closes the file
        self._size = self._measure()

    def _measure(self) -> int | None:
        """Return the number of bytes from here to the end of the file, if it can be known."""
        # Only plain files: others, such as gzip's, may return the descriptor of a file whose size
        # differs from the number of bytes that reading them gives.
        if self._start is None or not isinstance(
            getattr(self._value, "raw", self._value), io.FileIO
        ):
            return None
        status = os.fstat(self._value.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        return max(status.st_size - self._start, 0)

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
        if self._start is not None:
            return await anyio.to_thread.run_sync(self._read_from, start, size)
        # Reading a pipe may block for ever.  A cancelled caller leaves the thread behind.
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
        """Read up to *size* bytes, after seeking to *start* if it is given."""
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


def _position(file: IO[Any]) -> int | None:
    """Return the current position in *file*; ``None`` if the file cannot be rewound to it."""
    try:
        return file.tell() if file.seekable() else None
    except (AttributeError, OSError):
        # While a text file is iterated over, tell() raises.  A member of a tar archive that is read
        # as a stream asks its underlying object, which has no such method.
        return None
