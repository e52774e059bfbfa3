"""Bodies that are payloads of aiohttp: a library may pass one where it got a session of ours."""

from __future__ import annotations

from typing import Any

from .._common import check_count, class_has, shown_class
from .._tasks import on_asyncio
from ..client_exceptions import ClientPayloadError
from ..typedefs import LooseHeaders
from ._base import BoundedPayload, LimitedWriter, Writer

__all__ = ("ForeignPayload", "PayloadShape", "ReaderShape")


class _Shape(type):
    """Type of classes whose instances are all objects whose classes have some attributes."""

    names: tuple[str, ...]

    def __instancecheck__(cls, instance: object) -> bool:
        return class_has(instance, *cls.names)


class PayloadShape(metaclass=_Shape):
    """An object with the interface that a ``Payload`` of aiohttp has since 3.12."""

    names: tuple[str, ...] = (
        "write",
        "write_with_length",
        "as_bytes",
        "decode",
        "close",
        "size",
        "headers",
        "content_type",
        "filename",
        "encoding",
        "consumed",
        "autoclose",
        "set_content_disposition",
    )


class ReaderShape(metaclass=_Shape):
    """An object with the interface of aiohttp's ``StreamReader``; iterating it gives lines."""

    names: tuple[str, ...] = ("iter_any", "iter_chunked", "readany", "readexactly", "at_eof")


class ForeignPayload(BoundedPayload):
    """A payload of aiohttp, which writes itself.

    On trio that fails if it waits for anything but the writer: a file is read in a thread of
    asyncio.

    :param value: the payload; the headers of this object are its headers
    """

    def __init__(
        self,
        value: Any,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(value, None, value.content_type, value.filename, value.encoding)
        self._headers = value.headers
        if headers is not None:
            self._headers.update(headers)

    @property
    def size(self) -> int | None:
        """Number of bytes that will be written; ``None`` if that is not known."""
        size: int | None = self._value.size
        check_count("size of the body", size, optional=True)  # it is sent as Content-Length
        return size

    @property
    def consumed(self) -> bool:
        """Whether the body has been written and cannot be written again."""
        return bool(self._value.consumed)

    @property
    def autoclose(self) -> bool:
        """Whether the body holds nothing that must be closed after sending."""
        value = self._value
        if class_has(value, "__iter__", "append_payload", "boundary"):
            # A multipart of aiohttp says that it need not be closed, whatever its parts are.
            return all(part.autoclose for part, *_ in value)
        return bool(value.autoclose)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text, if the payload can do that."""
        text: str = self._value.decode(encoding, errors)
        return text

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body as bytes."""
        data: bytes = await self._value.as_bytes(encoding, errors)
        return data

    async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
        """Have the payload write itself, but take no more than *content_length* bytes of it.

        :raises ClientPayloadError: the payload was written before and cannot be written again, or
            it waits for asyncio while trio runs
        """
        name = shown_class(type(self._value))
        if self.consumed:
            raise ClientPayloadError(f"the {name} has been used up and cannot be sent again")
        target = writer if content_length is None else LimitedWriter(writer, content_length)
        try:
            await self._value.write_with_length(_ForeignWriter(target), content_length)
        except (RuntimeError, TypeError) as exc:
            if on_asyncio():
                raise
            # Without asyncio's event loop there is the one error, and trio raises the other if
            # it is asked to wait for something of asyncio.
            raise ClientPayloadError(
                f"the {name} failed to write itself on trio: give what it was made from"
            ) from exc

    async def close(self) -> None:
        """Free what the payload holds."""
        await self._value.close()


class _ForeignWriter:
    """A writer with the methods of aiohttp's that a payload may call."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        await self._writer.write(chunk if isinstance(chunk, bytes) else bytes(chunk))

    async def drain(self) -> None:
        """Do nothing: :meth:`write` has waited."""

    async def write_eof(self, chunk: bytes = b"") -> None:
        """Write the last *chunk*; the end of the body is written by whoever sends the request."""
        if chunk:
            await self._writer.write(chunk)
