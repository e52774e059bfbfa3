"""Bodies made of parts (:rfc:`2046#section-5.1`): read part by part, and sent on.

A reader never holds more than a piece of a part, and bounds what it must hold: the headers of
a part, and what a caller asks to have in memory.  It pulls, so a slow consumer slows the
server down.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import chain
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import parse_qsl

import anyio
from anyio.lowlevel import checkpoint
from multidict import CIMultiDict, CIMultiDictProxy

from .. import hdrs
from .._headers import (
    TOKEN,
    BadContentDispositionHeader,
    BadContentDispositionParam,
    codec_name,
    content_disposition_filename,
    parse_content_disposition,
    parse_content_type,
)
from ..client_exceptions import ClientPayloadError
from ..http_exceptions import LineTooLong
from ..payload import (
    PAYLOAD_REGISTRY,
    Order,
    Payload,
    Writer,
)
from ..streams import (
    AsyncStreamIterator,
    StreamReader,
)
from ..typedefs import (
    DEFAULT_JSON_DECODER,
    JSONDecoder,
    LooseHeaders,
)
from ._encodings import (
    DECODED_ALONE,
    STEP,
    PartDecoder,
)
from ._writer import (
    MAX_BOUNDARY,
    MultipartWriter,
)

__all__ = (
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "BodyPartReader",
    "BodyPartReaderPayload",
    "MultipartReader",
    "MultipartResponseWrapper",
    "MultipartWriter",
    "content_disposition_filename",
    "parse_content_disposition",
)

#: Longest name of a character set that a ``_charset_`` field may give; real ones are shorter.
MAX_CHARSET: Final = 31

#: What is read behind the last boundary so that the connection can be used again, and for
#: how many seconds; nothing should be there at all.
EPILOGUE_BYTES: Final = 64 * 1024
EPILOGUE_SECONDS: Final = 0.5

_HEADER: Final = re.compile(rb"(%b):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*)" % TOKEN.encode())


class _Scanner:
    """What has been received of a multipart and is not used up, and how to get more of it."""

    __slots__ = ("_content", "data", "pieces")

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        # A delimiter begins with a line break, which the first one may lack.  Deleting
        # from the front of a bytearray does not move what is behind.
        self.data: bytearray = bytearray(b"\r\n")
        self.pieces: int = 0

    async def more(self, wanted: str) -> None:
        """Wait for more bytes.

        :raises ValueError: there are none, before the *wanted* ones came
        """
        self.pieces += 1
        piece = await self._content.read(STEP)
        if not piece:
            raise ValueError(f"the multipart ends before {wanted}")
        self.data += piece

    async def line(self, limit: int, *, keep_empty: bool = False) -> bytes:
        """Take the next line and return it without its end.

        :param keep_empty: leave an empty line to be taken by somebody else
        :raises LineTooLong: it has more than *limit* bytes
        """
        searched = 0
        while (end := self.data.find(b"\r\n", searched, limit + 2)) < 0:
            if len(self.data) >= limit + 2:
                raise LineTooLong(bytes(self.data[:100]) + b"...", limit)
            searched = max(len(self.data) - 1, 0)
            await self.more("the end of a line")
        line = bytes(self.data[:end])
        if line or not keep_empty:
            del self.data[: end + 2]
        return line


class _PartSource:
    """Feeds a reader with the body of one part, up to the delimiter that ends it.

    What the scanner holds begins with the line break in front of the body, which belongs to
    the delimiter if there is no body (:rfc:`2046#section-5.1.1`).
    """

    __slots__ = ("_delimiter", "_left", "_reader", "_scanner", "_skip")

    def __init__(self, scanner: _Scanner, delimiter: bytes, length: int | None) -> None:
        self._scanner = scanner
        self._delimiter = delimiter
        self._left = length or None  # a body announced as empty is one without an announcement
        self._skip = 2
        self._reader: StreamReader | None = None

    def open(self) -> StreamReader:
        """Return the reader that is fed from here."""
        self._reader = StreamReader(self)
        return self._reader

    async def pull(self) -> None:
        assert self._reader is not None
        piece, ended = await (self._until_delimiter() if self._left is None else self._counted())
        self._reader.feed_data(piece)
        if ended:
            self._reader.feed_eof()

    async def _until_delimiter(self) -> tuple[bytes, bool]:
        data = self._scanner.data
        while True:
            end = data.find(self._delimiter)
            # The last bytes may be the first ones of a delimiter.
            safe = end if end >= 0 else len(data) - len(self._delimiter) + 1
            if end >= 0 or safe > self._skip:
                piece = bytes(data[self._skip : safe])
                del data[:safe]
                self._skip = 0
                return piece, end >= 0
            await self._scanner.more("its last boundary")

    async def _counted(self) -> tuple[bytes, bool]:
        """Go by the announced length: the next part of an endless stream may take its time."""
        assert self._left is not None
        data = self._scanner.data
        while len(data) <= self._skip:
            await self._scanner.more("a part of it")
        piece = bytes(data[self._skip : self._skip + self._left])
        del data[: self._skip + len(piece)]
        self._skip = 0
        self._left -= len(piece)
        return piece, not self._left


class BodyPartReader:
    """One part of a multipart that is being read.

    :param boundary: what stands between the parts, with the two hyphens in front
    :param headers: of the part
    :param content: what follows the headers
    :param subtype: of the multipart; parts of a form have no content encoding and no length
        of their own (:rfc:`7578#section-4.8`)
    :param default_charset: charset of text that does not name its own
    :param client_max_size: most bytes, decoded ones if it decodes, that :meth:`read` and what
        builds on it hold in memory

    Iterating over it yields the whole body at once.
    """

    #: bytes that :meth:`read_chunk` returns at most
    chunk_size: ClassVar[int] = 8192

    def __init__(
        self,
        boundary: bytes,
        headers: Mapping[str, str],
        content: StreamReader | _Scanner,
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
        scanner = content if isinstance(content, _Scanner) else _Scanner(content)
        length = None if self._is_form_data else _length(self.headers)
        self._body = _PartSource(scanner, b"\r\n" + boundary, length).open()
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
        """Name of the field of a form that the part is."""
        return content_disposition_filename(self._disposition_params(), "name")

    @property
    def filename(self) -> str | None:
        """Name of the file that the part is, as the sender chose it: never use it as a path."""
        return content_disposition_filename(self._disposition_params())

    def get_charset(self, default: str | None = None) -> str | None:
        """Return the charset of the text that the part is.

        It is the one in its ``Content-Type``, else that of the form, else *default*.
        """
        charset = parse_content_type(self.headers.get(hdrs.CONTENT_TYPE)).charset
        return charset or self._default_charset or default

    def at_eof(self) -> bool:
        """Whether the part has been read to its end."""
        return self._body.at_eof() and not self._carried

    # -- its bytes

    async def read(self, *, decode: bool = False) -> bytes:
        """Return what is left of the part.

        :param decode: undo the transfer and content encoding
        :raises ValueError: it is larger than ``client_max_size``, or the multipart is malformed
        :raises ClientPayloadError: it could not be decoded, or the response ended early
        :raises RuntimeError: *decode* is set and an encoding is not known
        """
        collected = bytearray()
        if decode:
            decoder = self._decoder()
            while chunk := await self._read_raw(STEP):
                self._collect(collected, decoder.feed(chunk))
            self._collect(collected, decoder.finish())
        else:
            while chunk := await self._read_raw(STEP):
                self._collect(collected, (chunk,))
        return bytes(collected)

    async def read_chunk(self, size: int = chunk_size) -> bytes:
        """Return the next bytes of the part, not decoded; ``b""`` at its end.

        :param size: most bytes to return
        :raises ValueError: the multipart is malformed, or *size* is not positive

        They never end within a group of base64 or an escape of quoted-printable, so that each
        piece can be given to :meth:`decode`; if *size* is too small for one, it is exceeded.
        What is not of base64's alphabet, and lies within a group, is left out.
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
            if not chunk:
                return held
            end, rest = alone(held)
            if end:
                self._carried = rest
                return held[:end]
            # Blanks may go on for ever.  Kept, they would be looked at again for each byte.
            held = rest

    async def _read_raw(self, size: int) -> bytes:
        if self._carried:
            carried, self._carried = self._carried, b""
            if len(carried) >= size:
                await checkpoint()
                return carried
            return carried + await self._body.read(size - len(carried))
        return await self._body.read(size)

    async def readline(self) -> bytes:
        """Return the next line with its end; what is left at the end; then ``b""``.

        :raises LineTooLong: the line is longer than 128 KiB
        """
        carried, self._carried = self._carried, b""
        return carried + await self._body.readline()

    async def release(self) -> None:
        """Read what is left of the part and drop it."""
        self._carried = b""
        while await self._body.read(STEP):
            pass

    async def next(self) -> bytes | None:
        """Return all of the part that has not been read, ``None`` if there is nothing."""
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
        """Return what is left of the part, decoded, as text.

        :param encoding: charset; that of :meth:`get_charset` when left out, else UTF-8
        :raises LookupError: that is not known
        """
        data = await self.read(decode=True)
        if encoding is None:
            encoding = self.get_charset() or "utf-8"
            if codec_name(encoding) is None:
                raise LookupError(f"{encoding!r} is not a charset that Python knows")
        return data.decode(encoding)

    async def json(
        self, *, encoding: str | None = None, loads: JSONDecoder = DEFAULT_JSON_DECODER
    ) -> Any:
        """Return what is left of the part, decoded, parsed as JSON; ``None`` if it is empty."""
        text = await self.text(encoding=encoding)
        return loads(text) if text else None

    async def form(self, *, encoding: str | None = None) -> list[tuple[str, str]]:
        """Return the pairs of the form that is left of the part, decoded."""
        text = await self.text(encoding=encoding)
        return parse_qsl(
            text.rstrip(),
            keep_blank_values=True,
            encoding=encoding or self.get_charset() or "utf-8",
        )

    # -- decoding

    def _transfer_encoding(self) -> str:
        return self.headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").strip().lower()

    def _decoder(self) -> PartDecoder:
        encoding = "" if self._is_form_data else self.headers.get(hdrs.CONTENT_ENCODING, "")
        return PartDecoder(self._transfer_encoding(), encoding)

    def _collect(self, collected: bytearray, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            if len(collected) + len(piece) > self._max_size:
                raise ValueError(f"a part has more than {self._max_size} bytes")
            collected += piece

    def decode(self, data: bytes) -> bytes:
        """Return *data*, a whole part or what :meth:`read_chunk` returned of it, decoded.

        A content encoding can only be undone for a whole part.

        :raises ValueError: the result is larger than ``client_max_size``
        :raises ClientPayloadError: *data* could not be decoded
        :raises RuntimeError: an encoding is not known
        """
        collected = bytearray()
        decoder = self._decoder()
        self._collect(collected, decoder.feed(data))
        self._collect(collected, decoder.finish())
        return bytes(collected)

    def decode_iter(self, data: bytes) -> AsyncIterator[bytes]:
        """Iterate over the pieces of *data*, decoded; each has at most 64 KiB.

        It otherwise does what :meth:`decode` does, without a limit of the size.
        """
        decoder = self._decoder()
        pieces = chain(decoder.feed(data), decoder.finish())

        async def read() -> bytes:
            await checkpoint()
            return next(pieces, b"")

        # No generator, which would have to be closed by who leaves the loop early.
        return AsyncStreamIterator(read, b"")


def _length(headers: Mapping[str, str]) -> int | None:
    """Return the length that the headers of a part announce.

    :raises ValueError: that is no number
    """
    value = headers.get(hdrs.CONTENT_LENGTH)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise ValueError(f"invalid Content-Length of a part: {value!r}")
    return int(value)


class BodyPartReaderPayload(Payload):
    """A part that was received, sent on: decoded, and not held in memory."""

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
            filename or value.filename,
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
            for piece in decoder.feed(chunk):
                await writer.write(piece)
        for piece in decoder.finish():
            await writer.write(piece)


# A part can be iterated over as well, and its pieces would be sent as they are.
PAYLOAD_REGISTRY.register(BodyPartReaderPayload, BodyPartReader, order=Order.try_first)


class _Response(Protocol):
    """What a reader needs of a response."""

    @property
    def headers(self) -> CIMultiDictProxy[str]: ...
    @property
    def content(self) -> StreamReader: ...
    def release(self) -> object: ...


class MultipartResponseWrapper:
    """The parts of a response, which is released after the last one.

    :param resp: the response
    :param stream: its reader
    """

    def __init__(self, resp: _Response, stream: MultipartReader) -> None:
        #: the response
        self.resp = resp
        #: the reader of its parts
        self.stream = stream

    def __aiter__(self) -> AsyncIterator[MultipartReader | BodyPartReader]:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    def at_eof(self) -> bool:
        """Whether the response has been read to its end."""
        return self.resp.content.at_eof()

    async def next(self) -> MultipartReader | BodyPartReader | None:
        """Return the next part, as :meth:`MultipartReader.next` does.

        The response is released when there is none.
        """
        part = await self.stream.next()
        if part is None:
            try:
                await self._drain()
            finally:
                await self.release()
        return part

    async def _drain(self) -> None:
        """Read what stands behind the last boundary, so that the connection can be kept."""
        left = EPILOGUE_BYTES
        with anyio.move_on_after(EPILOGUE_SECONDS):
            while left > 0 and (piece := await self.resp.content.read(left)):
                left -= len(piece)

    async def release(self) -> None:
        """Release the response; what has not been read is dropped."""
        self.resp.release()
        await checkpoint()


class MultipartReader:
    """Reads a multipart, part by part.

    :param headers: with the ``Content-Type`` that names the boundary
    :param content: the body
    :param client_max_size: most bytes of a part that are held in memory at a caller's request
    :param max_field_size: most bytes of a header of a part
    :param max_headers: most headers of a part
    :raises AssertionError: it is no multipart
    :raises ValueError: the boundary is missing, or longer than 70 characters

    Parts come as :class:`BodyPartReader`, or for a multipart inside of this one as another
    reader.  Either is of use only until the next one is asked for.
    """

    #: what :meth:`from_response` returns
    response_wrapper_cls: ClassVar[type[MultipartResponseWrapper]] = MultipartResponseWrapper
    #: what reads a multipart inside of this one; ``None`` for the reader's own class
    multipart_reader_cls: ClassVar[type[MultipartReader] | None] = None
    #: what reads a part
    part_reader_cls: ClassVar[type[BodyPartReader]] = BodyPartReader

    def __init__(
        self,
        headers: Mapping[str, str],
        content: StreamReader,
        *,
        client_max_size: int = sys.maxsize,
        max_field_size: int = 8190,
        max_headers: int = 128,
    ) -> None:
        #: headers of the multipart
        self.headers = headers
        described = parse_content_type(headers.get(hdrs.CONTENT_TYPE))
        kind = described.media_type
        if not kind.startswith("multipart/"):
            raise AssertionError(f"a multipart is expected, not {kind or 'nothing'}")
        boundary = described.parameters.get("boundary")
        if not boundary:
            raise ValueError(f"there is no boundary in the Content-Type {kind}")
        if len(boundary) > MAX_BOUNDARY:
            raise ValueError(f"the boundary has more than {MAX_BOUNDARY} characters")
        self._subtype = kind.removeprefix("multipart/")
        self._boundary = b"--" + boundary.encode("utf-8", "surrogateescape")
        self._scanner = _Scanner(content)
        self._client_max_size = client_max_size
        self._max_field_size = max_field_size
        self._max_headers = max_headers
        self._default_charset: str | None = None
        self._started = False
        self._at_eof = False
        self._last_part: BodyPartReader | None = None

    @classmethod
    def from_response(cls, response: _Response) -> MultipartResponseWrapper:
        """Return an iterator over the parts of *response*."""
        return cls.response_wrapper_cls(response, cls(response.headers, response.content))

    def __aiter__(self) -> AsyncIterator[MultipartReader | BodyPartReader]:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    def at_eof(self) -> bool:
        """Whether the last boundary has been read."""
        return self._at_eof

    async def next(self) -> MultipartReader | BodyPartReader | None:
        """Return the next part, ``None`` after the last one.

        What is left of the part before is dropped.  A part of a form called ``_charset_`` is not
        returned: it names the charset of those that follow (:rfc:`7578#section-4.6`).

        :raises ValueError: the multipart is malformed or ends early
        :raises LineTooLong: a header has more than ``max_field_size`` bytes
        :raises RuntimeError: ``_charset_`` cannot be a charset
        """
        pieces = self._scanner.pieces
        while True:
            part = await self.fetch_next_part() if await self._find_part() else None
            if (
                self._subtype != "form-data"
                or not isinstance(part, BodyPartReader)
                or part.name != "_charset_"
            ):
                break
            self._default_charset = await self._charset(part)
        if self._scanner.pieces == pieces:
            await checkpoint()
        return part

    async def _charset(self, part: BodyPartReader) -> str:
        name = b""
        while chunk := await part.read_chunk(MAX_CHARSET + 1):
            name += chunk
            if len(name) > MAX_CHARSET:
                raise RuntimeError("Invalid default charset")
        return name.decode("ascii", "replace").strip()

    async def release(self) -> None:
        """Read all parts that are left and drop them."""
        while await self.next() is not None:
            pass

    # -- from one part to the next

    async def _find_part(self) -> bool:
        """Go to the headers of the next part; return whether there is one."""
        if self._at_eof:
            return False
        if self._last_part is not None:
            await self._last_part.release()
            self._last_part = None
        data = self._scanner.data
        delimiter = b"\r\n" + self._boundary
        if not self._started:
            await self._skip_preamble(delimiter)
        while len(data) < len(delimiter) + 2:
            if not delimiter.startswith(bytes(data[: len(delimiter)])):
                break
            await self._scanner.more("its last boundary")
        if not data.startswith(delimiter):
            raise ValueError("a part is longer than its Content-Length")
        del data[: len(delimiter)]
        self._started = True
        if data.startswith(b"--"):
            self._at_eof = True
            return False
        padding = await self._scanner.line(self._max_field_size)
        if padding.strip(b" \t"):
            raise ValueError(f"invalid boundary, expected {self._boundary!r} and the line's end")
        return True

    async def _skip_preamble(self, delimiter: bytes) -> None:
        data = self._scanner.data
        while (start := data.find(delimiter)) < 0:
            # Its last bytes may be the first ones of the delimiter.
            del data[: max(len(data) - len(delimiter) + 1, 0)]
            await self._scanner.more(f"its first boundary {self._boundary!r}")
        del data[:start]

    async def fetch_next_part(self) -> MultipartReader | BodyPartReader:
        """Read the headers of a part and return what reads the rest of it.

        :meth:`next` is what finds the part, and what should be called.
        """
        headers = await self._read_headers()
        part = self._last_part = self.part_reader_cls(
            self._boundary,
            headers,
            self._scanner,
            subtype=self._subtype,
            default_charset=self._default_charset,
            client_max_size=self._client_max_size,
        )
        kind = parse_content_type(headers.get(hdrs.CONTENT_TYPE)).media_type
        if not kind.startswith("multipart/"):
            return part
        return (self.multipart_reader_cls or type(self))(
            headers,
            part._body,
            client_max_size=self._client_max_size,
            max_field_size=self._max_field_size,
            max_headers=self._max_headers,
        )

    async def _read_headers(self) -> CIMultiDictProxy[str]:
        """Read up to the empty line, whose end stays: it may belong to a delimiter."""
        fields: list[bytes] = []
        while line := await self._scanner.line(self._max_field_size, keep_empty=True):
            if line[:1] in {b" ", b"\t"} and fields:
                # A folded line: MIME has them (RFC 5322 §2.2.3), unlike HTTP.
                fields[-1] += b" " + line.strip(b" \t")
                if len(fields[-1]) > self._max_field_size:
                    raise LineTooLong(fields[-1][:100] + b"...", self._max_field_size)
                continue
            if len(fields) == self._max_headers:
                raise ValueError(f"a part has more than {self._max_headers} headers")
            fields.append(line)
        headers: CIMultiDict[str] = CIMultiDict()
        for field in fields:
            match = _HEADER.fullmatch(field)
            if match is None:
                raise ValueError(f"invalid header of a part: {field[:100]!r}")
            value = match[2].decode("utf-8", "surrogateescape")
            headers.add(match[1].decode(), value.rstrip(" \t"))
        return CIMultiDictProxy(headers)
