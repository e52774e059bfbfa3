"""Multiparts (:rfc:`2046#section-5.1`), read part by part.

A reader holds one piece of a part at a time.  It limits what it must hold beyond that: the
headers of a part, and what a caller asks to have in memory.  It reads from the connection only on
request, so a slow consumer slows the server down.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from typing import ClassVar, Final, Protocol

import anyio
from anyio.lowlevel import checkpoint
from multidict import CIMultiDictProxy

from .. import hdrs
from .._headers import parse_content_type
from ..streams import StreamReader
from ._part import BodyPartReader
from ._scanner import Scanner
from ._writer import MAX_BOUNDARY

__all__ = ("MultipartReader", "MultipartResponseWrapper")

#: Longest name of a character set that a ``_charset_`` field may give; real ones are shorter.
MAX_CHARSET: Final = 31

#: Most bytes to read after the last boundary, so that the connection can be reused, and the
#: number of seconds for it; a server should send no bytes there.
EPILOGUE_BYTES: Final = 64 * 1024
EPILOGUE_SECONDS: Final = 0.5


class _Response(Protocol):
    """The part of a response that a reader uses."""

    @property
    def headers(self) -> CIMultiDictProxy[str]: ...
    @property
    def content(self) -> StreamReader: ...
    def release(self) -> object: ...


class MultipartResponseWrapper:
    """Iterates over the parts of a response, and releases it after the last part.

    :param resp: the response
    :param stream: the reader of its parts
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
        """Read the bytes after the last boundary, so that the connection can be reused."""
        left = EPILOGUE_BYTES
        with anyio.move_on_after(EPILOGUE_SECONDS):
            while left > 0 and (piece := await self.resp.content.read(left)):
                left -= len(piece)

    async def release(self) -> None:
        """Release the response; bytes that have not been read are dropped."""
        self.resp.release()
        await checkpoint()


class MultipartReader:
    """Reads a multipart, part by part.

    :param headers: with the ``Content-Type`` that names the boundary
    :param content: the body
    :param client_max_size: most bytes of a part that are held in memory at a caller's request
    :param max_field_size: most bytes of one header of a part
    :param max_headers: most headers of one part
    :raises AssertionError: the ``Content-Type`` is not that of a multipart
    :raises ValueError: the boundary is missing, or longer than 70 characters

    Parts are :class:`BodyPartReader` objects; a multipart inside of this one is another
    :class:`MultipartReader`.  A part can be read only until the next one is requested.
    """

    #: what :meth:`from_response` returns
    response_wrapper_cls: ClassVar[type[MultipartResponseWrapper]] = MultipartResponseWrapper
    #: class of the reader of a multipart inside of this one; ``None`` for the reader's own class
    multipart_reader_cls: ClassVar[type[MultipartReader] | None] = None
    #: class of the reader of a part
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
        self._scanner = Scanner(content)
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

        The rest of the previous part is dropped.  A part of a form called ``_charset_`` is not
        returned: it sets the charset of the following parts (:rfc:`7578#section-4.6`).

        :raises ValueError: the multipart is malformed or ends early
        :raises LineTooLong: a header has more than ``max_field_size`` bytes
        :raises RuntimeError: the value of ``_charset_`` cannot be a charset
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
        """Read and drop all remaining parts."""
        while await self.next() is not None:
            pass

    # -- from one part to the next

    async def _find_part(self) -> bool:
        """Skip to the headers of the next part; return whether there is a next part."""
        if self._at_eof:
            return False
        if self._last_part is not None:
            await self._last_part.release()
            self._last_part = None
        if not self._started:
            await self._skip_preamble()
            self._started = True
        is_last = await self._scanner.take_delimiter(b"\r\n" + self._boundary)
        if is_last is None:
            kind = "shorter" if self._scanner.passed_delimiter else "longer"
            raise ValueError(f"a part is {kind} than its Content-Length")
        self._at_eof = is_last
        return not is_last

    async def _skip_preamble(self) -> None:
        """Skip to the first delimiter.

        Some cameras count its hyphens as part of the boundary, and send ``boundary=--x`` for the
        delimiter ``--x``.
        """
        boundaries = [self._boundary]
        if self._boundary.startswith(b"----"):
            boundaries.append(self._boundary[2:])
        scanner = self._scanner
        while True:
            begun = len(scanner.data)
            for boundary in boundaries:
                start, found = scanner.find(b"\r\n" + boundary)
                if found:
                    del scanner.data[:start]
                    self._boundary = boundary
                    return
                begun = min(begun, start)
            del scanner.data[:begun]
            if scanner.ended:
                raise ValueError(f"the multipart ends before its first boundary {self._boundary!r}")
            await scanner.receive()

    async def fetch_next_part(self) -> MultipartReader | BodyPartReader:
        """Read the headers of a part, and return a reader of its body.

        Callers should use :meth:`next`, which finds the part first.
        """
        headers = await self._scanner.headers(self._max_field_size, self._max_headers)
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
