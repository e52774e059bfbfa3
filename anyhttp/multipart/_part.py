"""A received part of a multipart: its headers, bytes and value; and how to send it on."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import chain
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from anyio.lowlevel import checkpoint
from multidict import CIMultiDict, CIMultiDictProxy

from .. import hdrs
from .._headers import (
    codec_name,
    content_disposition_filename,
    json_encoding,
    parse_content_disposition,
    parse_content_type,
)
from ..client_exceptions import ClientPayloadError
from ..payload import PAYLOAD_REGISTRY, Order, Payload, Writer
from ..streams import AsyncStreamIterator, StreamReader
from ..typedefs import DEFAULT_JSON_DECODER, JSONDecoder, LooseHeaders
from ._encodings import DECODED_ALONE, STEP, PartDecoder
from ._scanner import PartSource, Scanner

__all__ = ("BodyPartReader", "BodyPartReaderPayload")


class BodyPartReader:
    """One part of a multipart that is being read.

    :param boundary: the boundary between the parts, including the two hyphens in front
    :param headers: headers of the part
    :param content: reader of the bytes after the headers
    :param subtype: subtype of the multipart; parts of a form have no content encoding and no
        length of their own (:rfc:`7578#section-4.8`)
    :param default_charset: charset of text that does not name its charset
    :param client_max_size: most bytes of the part that :meth:`read`, and methods based on it,
        hold in memory; of the decoded bytes if they decode

    Iterating over it yields the whole body at once.
    """

    #: most bytes that :meth:`read_chunk` returns
    chunk_size: ClassVar[int] = 8192

    def __init__(
        self,
        boundary: bytes,
        headers: Mapping[str, str],
        content: StreamReader | Scanner,
        *,
        subtype: str = "mixed",
        default_charset: str | None = None,
        client_max_size: int = sys.maxsize,
    ) -> None:
        #: headers of the part
        self.headers: CIMultiDictProxy[str] = (
            headers
            if isinstance(headers, CIMultiDictProxy)
            else CIMultiDictProxy(CIMultiDict(headers))
        )
        self._default_charset = default_charset
        self._max_size = client_max_size
        self._is_form_data = subtype == "form-data"
        self._scanner = content if isinstance(content, Scanner) else Scanner(content)
        length = None if self._is_form_data else _length(self.headers)
        self._body = PartSource(self._scanner, b"\r\n" + boundary, length).open()
        self._carried = b""  # read, but not yet returned by read_chunk()
        self._disposition: dict[str, str] | None = None

    # -- what it is

    def _disposition_params(self) -> dict[str, str]:
        if self._disposition is None:
            header = self.headers.get(hdrs.CONTENT_DISPOSITION)
            self._disposition = parse_content_disposition(header)[1]
        return self._disposition

    @property
    def name(self) -> str | None:
        """Name of the form field that the part belongs to."""
        return content_disposition_filename(self._disposition_params(), "name")

    @property
    def filename(self) -> str | None:
        """File name of the part; the sender chose it, so never use it as a path."""
        return content_disposition_filename(self._disposition_params())

    def get_charset(self, default: str | None = None) -> str | None:
        """Return the charset of the part's text.

        It is the one in its ``Content-Type``, else the form's, else *default*.
        """
        charset = parse_content_type(self.headers.get(hdrs.CONTENT_TYPE)).charset
        return charset or self._default_charset or default

    def at_eof(self) -> bool:
        """Whether the part has been read to its end."""
        return self._body.at_eof() and not self._carried

    # -- its bytes

    async def read(self, *, decode: bool = False) -> bytes:
        """Return the rest of the part.

        :param decode: undo the transfer and content encoding
        :raises ValueError: it is larger than ``client_max_size``, or the multipart is malformed
        :raises ClientPayloadError: it could not be decoded, or the response ended early
        :raises RuntimeError: *decode* is set and an encoding is unknown
        """
        collected = bytearray()
        if decode:
            decoder = self._decoder()
            while chunk := await self._read_raw(STEP):
                await self._collect_decoded(collected, decoder.feed(chunk))
            await self._collect_decoded(collected, decoder.finish())
        else:
            while chunk := await self._read_raw(STEP):
                self._collect(collected, chunk)
        return bytes(collected)

    async def read_chunk(self, size: int = chunk_size) -> bytes:
        """Return the next bytes of the part, not decoded; ``b""`` at its end.

        :param size: most bytes to return
        :raises ValueError: the multipart is malformed, or *size* is not positive

        The bytes end between two groups of base64 or escapes of quoted-printable, so that
        :meth:`decode` accepts each piece.  If *size* is too small for a group or an escape, the
        piece is longer than *size*.  Characters within a group that are not of base64's alphabet
        are left out.
        """
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        alone = DECODED_ALONE.get(self._transfer_encoding())
        if alone is None:
            return await self._read_raw(size)
        held = b""
        while True:
            chunk = await self._read_raw(max(size - len(held), 1))
            held += chunk
            if self._body.at_eof():  # nothing follows that could complete a group
                return held
            end, rest = alone(held)
            if end:
                self._carried = rest
                return held[:end]
            # Keep only the rest without blanks: an endless run of blanks would be scanned again
            # for each byte that follows.
            held = rest

    async def _read_raw(self, size: int) -> bytes:
        self._scanner.check_readable()
        if self._carried:
            carried, self._carried = self._carried, b""
            if len(carried) >= size:
                await checkpoint()
                return carried
            return carried + await self._body.read(size - len(carried))
        return await self._body.read(size)

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """Return the next line with its line end; at the end of the part the rest, then ``b""``.

        :param max_line_length: in bytes; 128 KiB when left out
        :raises LineTooLong: the line is longer than that
        """
        self._scanner.check_readable()
        carried, self._carried = self._carried, b""
        return carried + await self._body.readline(max_line_length=max_line_length)

    async def release(self) -> None:
        """Read the rest of the part and drop it."""
        self._carried = b""
        while await self._body.read(STEP):
            pass

    async def next(self) -> bytes | None:
        """Return the rest of the part, ``None`` if all of it has been read."""
        return await self.read() or None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self.next()
        if data is None:
            raise StopAsyncIteration
        return data

    # -- its value

    async def text(self, *, encoding: str | None = None) -> str:
        """Return the rest of the part, decoded, as text.

        :param encoding: charset; when left out, that of :meth:`get_charset`, else UTF-8
        :raises LookupError: the charset is unknown
        """
        data = await self.read(decode=True)
        return data.decode(self._text_encoding() if encoding is None else encoding)

    def _text_encoding(self) -> str:
        charset = self.get_charset() or "utf-8"
        encoding = codec_name(charset)
        if encoding is None:
            raise LookupError(f"{charset[:40]!r} is not a charset that Python knows")
        return encoding

    async def json(
        self, *, encoding: str | None = None, loads: JSONDecoder = DEFAULT_JSON_DECODER
    ) -> Any:
        """Return the rest of the part, decoded and parsed as JSON; ``None`` if it is empty."""
        data = await self.read(decode=True)
        if encoding is None:
            encoding = json_encoding(data) or self._text_encoding()
        text = data.decode(encoding)
        return loads(text) if text else None

    async def form(self, *, encoding: str | None = None) -> list[tuple[str, str]]:
        """Return the rest of the part, decoded and parsed as the pairs of a form."""
        text = await self.text(encoding=encoding)
        return parse_qsl(
            text.rstrip(),
            keep_blank_values=True,
            encoding=encoding or self._text_encoding(),
        )

    # -- decoding

    def _transfer_encoding(self) -> str:
        return self.headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").strip().lower()

    def _decoder(self) -> PartDecoder:
        encoding = "" if self._is_form_data else self.headers.get(hdrs.CONTENT_ENCODING, "")
        return PartDecoder(self._transfer_encoding(), encoding)

    def _collect(self, collected: bytearray, piece: bytes) -> None:
        if len(collected) + len(piece) > self._max_size:
            raise ValueError(f"a part has more than {self._max_size} bytes")
        collected += piece

    async def _collect_decoded(self, collected: bytearray, pieces: Iterable[bytes]) -> None:
        """Collect what a decoder yields; between its steps, other tasks run."""
        for piece in pieces:
            self._collect(collected, piece)
            await checkpoint()
            self._scanner.check_time()

    def decode(self, data: bytes) -> bytes:
        """Return *data*, a whole part or what :meth:`read_chunk` returned, decoded.

        A content encoding can only be decoded for a whole part.  No other task runs meanwhile;
        use :meth:`decode_iter` for data that may decode to much more.

        :raises ValueError: the result is larger than ``client_max_size``
        :raises ClientPayloadError: *data* could not be decoded
        :raises RuntimeError: an encoding is unknown
        """
        collected = bytearray()
        decoder = self._decoder()
        for piece in chain(decoder.feed(data), decoder.finish()):
            self._collect(collected, piece)
        return bytes(collected)

    def decode_iter(self, data: bytes) -> AsyncIterator[bytes]:
        """Iterate over the pieces of *data*, decoded; each has at most 64 KiB.

        Apart from that it does what :meth:`decode` does, but without a limit on the size.
        """
        decoder = self._decoder()
        pieces = chain(decoder.feed(data), decoder.finish())

        async def read() -> bytes:
            while True:
                await checkpoint()
                self._scanner.check_time()
                piece = next(pieces, None)
                if piece is None:
                    return b""
                if piece:  # a step may decode to nothing
                    return piece

        # Not a generator: a caller that leaves the loop early would have to close a generator.
        return AsyncStreamIterator(read, b"")

    async def _write_decoded(self, pieces: Iterable[bytes], writer: Writer) -> None:
        """Write what a decoder yields; between its steps, other tasks run."""
        for piece in pieces:
            if piece:
                await writer.write(piece)
            await checkpoint()
            self._scanner.check_time()


def _length(headers: Mapping[str, str]) -> int | None:
    """Return the ``Content-Length`` of a part.

    :raises ValueError: it is not a number
    """
    given = headers.get(hdrs.CONTENT_LENGTH)
    if given is None:
        return None
    value = str(given)  # headers that a program makes itself may hold a number
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise ValueError(f"invalid Content-Length of a part: {value!r}")
    return int(value)


class BodyPartReaderPayload(Payload):
    """A received part that is sent on: decoded, and not held in memory."""

    _value: BodyPartReader
    _disposition = "attachment"

    def __init__(
        self,
        value: BodyPartReader,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(
            value,
            headers,
            content_type or value.headers.get(hdrs.CONTENT_TYPE),
            value.filename if filename is None else filename,
            encoding,
        )

    def describe_as_part(self, disptype: str | None = None, name: str | None = None) -> None:
        super().describe_as_part(disptype, self._value.name or name)

    async def write(self, writer: Writer) -> None:
        if self._consumed:
            raise ClientPayloadError("the part has been read and cannot be sent again")
        self._consumed = True
        part = self._value
        decoder = part._decoder()
        while chunk := await part._read_raw(STEP):
            await part._write_decoded(decoder.feed(chunk), writer)
        await part._write_decoded(decoder.finish(), writer)


# Tried first: a part is also an async iterable, and as such it would be sent undecoded.
PAYLOAD_REGISTRY.register(BodyPartReaderPayload, BodyPartReader, order=Order.try_first)
