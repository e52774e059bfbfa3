"""Bodies that are in memory: bytes, text and JSON."""

from __future__ import annotations

import io
import warnings
from typing import Any, ClassVar, Final

from .._common import check_charset
from ..typedefs import DEFAULT_JSON_ENCODER, JSONBytesEncoder, JSONEncoder, LooseHeaders
from ._base import READ_SIZE, BoundedPayload, Writer, text_charset

__all__ = (
    "TOO_LARGE_BYTES",
    "BytesPayload",
    "JsonBytesPayload",
    "JsonPayload",
    "StringIOPayload",
    "StringPayload",
)

#: A body in memory of more than this many bytes causes a warning.
TOO_LARGE_BYTES: Final = 2**20


class BytesPayload(BoundedPayload):
    """Bytes in memory."""

    #: whether a subclass writes something else than the bytes that it was created with
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
        """Return the whole body, unless a subclass writes something else."""
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
    """Text in memory, in the charset of its content type; in UTF-8 if that names none."""

    def __init__(
        self,
        value: str,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        encoding, content_type = text_charset(encoding, content_type)
        super().__init__(value.encode(encoding), headers, content_type, filename, encoding)


class StringIOPayload(StringPayload):
    """The rest of an ``io.StringIO``, encoded as text."""

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
        check_charset("encoding", encoding)
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
