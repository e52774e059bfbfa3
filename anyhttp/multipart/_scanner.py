"""Splits the received bytes of a multipart at its boundaries (:rfc:`2046#section-5.1.1`)."""

from __future__ import annotations

import re
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from .._headers import CONTROL_BUT_TAB, TOKEN
from ..http_exceptions import LineTooLong
from ..streams import StreamReader
from ._encodings import STEP

__all__ = ("PartSource", "Scanner")

_HEADER: Final = re.compile(rf"({TOKEN}):[ \t]*+(.*)", re.DOTALL)


class Scanner:
    """The received bytes of a multipart that have not been used yet, and methods to get more."""

    __slots__ = ("_content", "data", "pieces")

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        # A delimiter begins with a line break, but the first one may have none: supply it.
        # Deleting from the front of a bytearray does not move the rest.
        self.data: bytearray = bytearray(b"\r\n")
        self.pieces: int = 0

    async def more(self, wanted: str) -> None:
        """Wait for more bytes.

        :raises ValueError: the body ended before the *wanted* bytes
        """
        self.pieces += 1
        piece = await self._content.read(STEP)
        if not piece:
            raise ValueError(f"the multipart ends before {wanted}")
        self.data += piece

    async def line(self, limit: int, *, keep_empty: bool = False) -> bytes:
        """Take the next line and return it without its line end.

        :param keep_empty: leave the line end of an empty line in the buffer
        :raises LineTooLong: the line has more than *limit* bytes
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

    async def headers(self, max_size: int, max_number: int) -> CIMultiDictProxy[str]:
        """Take the headers of a part, up to the empty line; the end of that line is kept.

        If the part has no body, that line end belongs to the delimiter.

        :raises LineTooLong: a header has more than *max_size* bytes
        :raises ValueError: there are more than *max_number*, or one is malformed
        """
        fields: list[bytes] = []
        while line := await self.line(max_size, keep_empty=True):
            if line[:1] in {b" ", b"\t"} and fields:
                # MIME allows folded lines (RFC 5322 §2.2.3), unlike HTTP.
                fields[-1] += b" " + line.strip(b" \t")
                if len(fields[-1]) > max_size:
                    raise LineTooLong(fields[-1][:100] + b"...", max_size)
                continue
            if len(fields) == max_number:
                raise ValueError(f"a part has more than {max_number} headers")
            fields.append(line)
        headers: CIMultiDict[str] = CIMultiDict()
        for field in fields:
            match = _HEADER.fullmatch(field.decode("utf-8", "surrogateescape"))
            if match is None or CONTROL_BUT_TAB.search(match[2]):
                raise ValueError(f"invalid header of a part: {field[:100]!r}")
            headers.add(match[1], match[2].rstrip(" \t"))
        return CIMultiDictProxy(headers)


class PartSource:
    """Feeds a reader with the body of one part, up to the next delimiter.

    The scanner's bytes begin with the line break before the body.  If there is no body, that
    line break belongs to the delimiter (:rfc:`2046#section-5.1.1`).
    """

    __slots__ = ("_delimiter", "_left", "_reader", "_scanner", "_skip")

    def __init__(self, scanner: Scanner, delimiter: bytes, length: int | None) -> None:
        self._scanner = scanner
        self._delimiter = delimiter
        self._left = length or None  # 0 may be wrong: look for the delimiter, as without a length
        self._skip = 2
        self._reader: StreamReader | None = None

    def open(self) -> StreamReader:
        """Return the reader that this object feeds."""
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
            # The last bytes may be the beginning of a delimiter, so keep them.
            safe = end if end >= 0 else len(data) - len(self._delimiter) + 1
            if end >= 0 or safe > self._skip:
                piece = bytes(data[self._skip : safe])
                del data[:safe]
                self._skip = 0
                return piece, end >= 0
            await self._scanner.more("its last boundary")

    async def _counted(self) -> tuple[bytes, bool]:
        """Stop after the announced length: the next boundary may only come much later."""
        assert self._left is not None
        data = self._scanner.data
        while len(data) <= self._skip:
            await self._scanner.more("a part of it")
        piece = bytes(data[self._skip : self._skip + self._left])
        del data[: self._skip + len(piece)]
        self._skip = 0
        self._left -= len(piece)
        return piece, not self._left
