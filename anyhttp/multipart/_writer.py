"""Writes multiparts (:rfc:`2046#section-5.1`) part by part; ``_reader`` reads them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from .. import hdrs
from .._common import check_str
from .._headers import CONTROL, is_token, part_headers, quoted_string
from ..payload import (
    TOO_LARGE_BYTES,
    BytesPayload,
    JsonPayload,
    Payload,
    Writer,
    advice,
    get_payload,
    urlencoded,
)
from ..typedefs import LooseHeaders
from ._encodings import ENCODERS, PLAIN, STEP, EncodingWriter, encode

__all__ = ("MAX_BOUNDARY", "MultipartWriter")

#: Longest boundary that :rfc:`2046#section-5.1.1` allows, in characters.
MAX_BOUNDARY: Final = 70


class _Part(NamedTuple):
    payload: Payload
    encoding: str  # "" for none
    te_encoding: str

    @property
    def encodings(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.encoding, self.te_encoding)))


class MultipartWriter(Payload):
    """A body that consists of other bodies.

    :param subtype: the text after ``multipart/`` in the content type
    :param boundary: the boundary between the parts; random when left out
    :raises ValueError: *subtype* or *boundary* is not allowed (:rfc:`2046#section-5.1.1`)

    It can be sent again if all of its parts can.  A ``with`` block has no effect; it only
    groups the lines that add parts.
    """

    def __init__(self, subtype: str = "mixed", boundary: str | None = None) -> None:
        if not is_token(subtype):
            raise ValueError(f"not a subtype of multipart: {subtype!r}")
        if boundary is None:
            boundary = secrets.token_hex(16)
        _check_boundary(boundary)
        parameter = boundary if is_token(boundary) else quoted_string(boundary)
        super().__init__(None, content_type=f"multipart/{subtype}; boundary={parameter}")
        self._boundary = boundary
        self._is_form_data = subtype.lower() == "form-data"
        self._parts: list[_Part] = []

    @property
    def boundary(self) -> str:
        """The boundary between the parts."""
        return self._boundary

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[tuple[Payload, str, str]]:
        """Iterate over the parts, each with its content and transfer encoding or ``""``."""
        return iter(self._parts)

    def __bool__(self) -> bool:
        return True

    # -- adding parts

    def append(self, obj: object, headers: LooseHeaders | None = None) -> Payload:
        """Add *obj* as a part and return its payload, whose headers may still be changed.

        :param obj: anything that a payload class is registered for, or a payload
        :param headers: headers of the part
        :raises TypeError: *obj* cannot be sent
        :raises ValueError: a header holds a control character
        :raises RuntimeError: *headers* name an encoding that is unknown
        """
        if isinstance(obj, Payload):
            if headers is not None:
                obj.headers.update(headers)
            return self.append_payload(obj)
        try:
            payload = get_payload(obj, headers=headers)
        except LookupError:
            raise TypeError(
                f"no part can be made of a value of type {type(obj).__name__}: {advice(obj)}"
            ) from None
        return self.append_payload(payload)

    def append_payload(self, payload: Payload) -> Payload:
        """Add *payload* as a part and return it; otherwise as :meth:`append`.

        ``Content-Encoding`` (gzip, deflate) and ``Content-Transfer-Encoding`` (base64,
        quoted-printable) among its headers are applied when the part is written.  A form allows
        neither of them (:rfc:`7578#section-4.7`), and a part of a form without a name gets one.
        """
        headers = payload.headers
        if self._is_form_data:
            for name in (
                hdrs.CONTENT_ENCODING,
                hdrs.CONTENT_LENGTH,
                hdrs.CONTENT_TRANSFER_ENCODING,
            ):
                if name in headers:
                    raise AssertionError(f"a part of a form must not have {name}")
            payload.describe_as_part("form-data", f"section-{len(self._parts)}")
            part = _Part(payload, "", "")
        else:
            payload.describe_as_part()
            encoding = headers.get(hdrs.CONTENT_ENCODING, "").lower()
            if encoding not in {"", "identity", "gzip", "deflate"}:
                raise RuntimeError(f"unknown content encoding: {encoding}")
            te_encoding = headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").lower()
            if te_encoding not in {"base64", "quoted-printable"} | PLAIN:
                raise RuntimeError(f"unknown content transfer encoding: {te_encoding}")
            part = _Part(
                payload,
                encoding if encoding in ENCODERS else "",
                te_encoding if te_encoding in ENCODERS else "",
            )
        self._head(part)
        self._parts.append(part)
        return payload

    def append_json(self, obj: object, headers: LooseHeaders | None = None) -> Payload:
        """Add *obj* as JSON; otherwise as :meth:`append`."""
        return self.append_payload(JsonPayload(obj, headers=headers))

    def append_form(
        self,
        obj: Mapping[str, Any] | Iterable[tuple[str, Any]],
        headers: LooseHeaders | None = None,
    ) -> Payload:
        """Add the pairs of *obj* as ``application/x-www-form-urlencoded``.

        Otherwise as :meth:`append`.

        :raises TypeError: *obj* is neither a mapping nor made of pairs, or a value is not text
        """
        if isinstance(obj, (str, bytes)):
            raise TypeError("a form is a mapping or made of pairs, not text")
        pairs: list[Any] = list(obj.items() if isinstance(obj, Mapping) else obj)
        return self.append_payload(
            BytesPayload(
                urlencoded(pairs),
                headers,
                "application/x-www-form-urlencoded",
            )
        )

    # -- what it is, all in all

    def _head(self, part: _Part) -> bytes:
        """Return the headers of *part*, with its length if that is allowed and known."""
        headers = part.payload.headers
        if part.encodings:
            headers.pop(hdrs.CONTENT_LENGTH, None)
        elif not self._is_form_data and (size := part.payload.size) is not None:
            headers[hdrs.CONTENT_LENGTH] = str(size)
        return part_headers(headers)

    @property
    def size(self) -> int | None:
        """Number of bytes that will be written.

        ``None`` if the number of bytes of a part is unknown, or if a part has an encoding.

        :raises ValueError: a header of a part holds a control character
        """
        # Check all headers first: the size is needed before the first byte is sent.
        return self._size_with(self._heads())

    def _heads(self) -> list[bytes]:
        return [self._head(part) for part in self._parts]

    def _size_with(self, heads: list[bytes]) -> int | None:
        size = sum(map(len, heads))
        delimiter = len(self._boundary) + 4  # with two hyphens and a line break
        for part in self._parts:
            if part.encodings or part.payload.size is None:
                return None
            size += delimiter + part.payload.size + 2
        return size + delimiter + 2

    @property
    def consumed(self) -> bool:
        """Whether a part of it has been written and cannot be written again."""
        return any(part.payload.consumed for part in self._parts)

    @property
    def autoclose(self) -> bool:
        """Whether none of its parts needs to be closed after sending."""
        return all(part.payload.autoclose for part in self._parts)

    def in_memory(self) -> bytes | None:
        """Return the whole body if every part is in memory and the body is not too large."""
        heads = self._heads()
        size = self._size_with(heads)
        return None if size is None or size > TOO_LARGE_BYTES else self._joined(heads)

    def _joined(self, heads: list[bytes]) -> bytes | None:
        pieces: list[bytes] = []
        for part, head in zip(self._parts, heads, strict=True):
            body = part.payload.in_memory()
            if body is None:
                return None
            body = encode(body, part.encodings)
            pieces += (self._delimiter(), head, body, b"\r\n")
        return b"".join((*pieces, self._end()))

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the whole body as text, including the headers of parts and the boundaries.

        :raises TypeError: a part is not in memory
        """
        data = self._joined(self._heads())
        if data is None:
            raise TypeError("a part is not in memory, so the multipart cannot be decoded")
        return data.decode(encoding, errors)

    def _delimiter(self) -> bytes:
        return f"--{self._boundary}\r\n".encode()

    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()

    # -- sending it

    async def write(self, writer: Writer, close_boundary: bool = True) -> None:
        """Write all parts.

        :param close_boundary: write the final boundary after the last part
        :raises ClientPayloadError: a part was written before and cannot be written again
        """
        # Bytes that are in memory are collected, and sent together with the headers before them.
        gathered = bytearray()
        for part in self._parts:
            payload = part.payload
            gathered += self._delimiter() + self._head(part)
            body = payload.in_memory()
            if body is not None and not part.encodings and len(body) < STEP:
                gathered += body
            else:
                await writer.write(bytes(gathered))
                gathered.clear()
                if part.encodings:
                    encoder = EncodingWriter(writer, part.encodings)
                    await payload.write(encoder)
                    await encoder.finish()
                else:
                    # Send only the announced number of bytes, even if the file has grown.
                    await payload.write_with_length(writer, payload.size)
            gathered += b"\r\n"
            if len(gathered) > STEP:
                await writer.write(bytes(gathered))
                gathered.clear()
        if close_boundary:
            gathered += self._end()
        if gathered:
            await writer.write(bytes(gathered))

    async def close(self) -> None:
        """Close every part, even if closing one of them fails."""
        async with AsyncExitStack() as stack:
            for part in self._parts:
                stack.push_async_callback(part.payload.close)


def _check_boundary(boundary: str) -> None:
    check_str("boundary", boundary)
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise ValueError(f"a boundary has 1 to {MAX_BOUNDARY} characters, not {len(boundary)}")
    if not boundary.isascii() or CONTROL.search(boundary) or boundary.endswith(" "):
        raise ValueError(
            "a boundary consists of ASCII characters other than control characters and does "
            f"not end with a space, unlike {boundary!r}"
        )
