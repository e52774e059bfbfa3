"""The base of every request body: some bytes, their type and, if known, their number."""

from __future__ import annotations

import mimetypes
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, Protocol

from multidict import CIMultiDict

from .. import hdrs
from .._common import check_charset
from .._headers import content_disposition, parse_content_type
from ..typedefs import LooseHeaders

__all__ = (
    "READ_SIZE",
    "BoundedPayload",
    "LimitedWriter",
    "Payload",
    "Writer",
    "text_charset",
)

#: Bytes that one call reads from a file, or writes from memory: enough to make the use of a
#: worker thread worthwhile.
READ_SIZE: Final = 2**20


class Writer(Protocol):
    """Where a payload writes to."""

    async def write(self, chunk: bytes) -> None:
        """Send *chunk*, or wait until it can be sent."""


class Payload(ABC):
    """A request body: some bytes, their type and, if known, their number.

    A subclass implements :meth:`write`, which sends the body, and may set ``_size`` if the
    number of bytes is known.  :meth:`close` is awaited when the request is over.

    :param value: what is sent
    :param headers: additional headers that describe the body
    :param content_type: of the body; guessed from *filename* when left out
    :param filename: name of the file, if the body is a file
    :param encoding: charset, if the body is text
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
        """Name of the file, if the body is a file."""
        return self._filename

    @property
    def headers(self) -> CIMultiDict[str]:
        """Headers that describe the body; they may be changed until it is sent."""
        return self._headers

    @property
    def encoding(self) -> str | None:
        """Charset, if the body is text."""
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
        """Whether the body holds nothing that must be closed after sending."""
        return type(self).close is Payload.close

    def set_content_disposition(
        self, disptype: str, quote_fields: bool = True, **params: str
    ) -> None:
        """Set the ``Content-Disposition`` header (:rfc:`6266`).

        :param disptype: such as ``"attachment"`` or ``"form-data"``
        :param quote_fields: write a file name percent-encoded and, except in forms, other text
            that is not ASCII as ``name*=utf-8''...``; otherwise both are sent as they are, in UTF-8
        :param params: such as ``name`` and ``filename``
        :raises ValueError: the type or the name of a parameter is not a token, or a value
            holds a control character
        """
        self._headers[hdrs.CONTENT_DISPOSITION] = content_disposition(
            disptype, params, quote_fields=quote_fields
        )

    def describe_as_part(self, disptype: str | None = None, name: str | None = None) -> None:
        """Set the ``Content-Disposition`` of a part of a multipart if it has none yet.

        :param disptype: the type that the multipart prescribes; with ``None`` the payload
            decides, and only files get the header
        :param name: the parameter ``name`` of the header
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
        """Return the whole body if it is in memory, else ``None``."""
        return None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text, if it is in memory.

        :raises TypeError: it is not in memory
        """
        data = self.in_memory()
        if data is None:
            raise TypeError(f"{type(self).__name__} is not in memory and cannot be decoded")
        return data.decode(self._encoding or encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body as bytes; a body that is not in memory is read."""
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

        :raises ClientPayloadError: the body was written before and cannot be written again
        """
        target: Writer = writer if content_length is None else LimitedWriter(writer, content_length)
        await self.write(target)

    async def close(self) -> None:
        """Free what the body holds; a file that the application passed is closed."""
        return


def text_charset(encoding: str | None, content_type: str | None) -> tuple[str, str]:
    """Return the charset of a text, and its content type; UTF-8 unless one of them says another.

    :raises ValueError: the one that says it names no charset
    """
    if encoding is None:
        encoding = parse_content_type(content_type).charset or "utf-8"
        check_charset("the charset of content_type", encoding)
    else:
        check_charset("encoding", encoding)
    if content_type is None:
        content_type = f"text/plain; charset={encoding}"
    return encoding, content_type


class _Collector:
    """A writer that stores what is written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        self._pieces.append(bytes(chunk))

    def getvalue(self) -> bytes:
        return b"".join(self._pieces)


class LimitedWriter:
    """Forwards a limited number of bytes, and drops the bytes after them."""

    __slots__ = ("_left", "_writer")

    def __init__(self, writer: Writer, limit: int) -> None:
        self._writer = writer
        self._left = limit

    async def write(self, chunk: bytes) -> None:
        if isinstance(chunk, memoryview) and chunk.itemsize != 1:
            chunk = bytes(chunk)
        chunk = chunk[: self._left]
        if chunk:
            self._left -= len(chunk)
            await self._writer.write(chunk)


class BoundedPayload(Payload):
    """A payload that can write its first bytes only, and so also all of them."""

    async def write(self, writer: Writer) -> None:
        await self.write_with_length(writer, None)

    @abstractmethod
    async def write_with_length(self, writer: Writer, content_length: int | None) -> None: ...
