"""Splits the received bytes of a multipart at its boundaries (:rfc:`2046#section-5.1.1`)."""

from __future__ import annotations

import re
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from .._headers import CONTROL_BUT_TAB, TOKEN
from ..http_exceptions import LineTooLong
from ..streams import StreamReader, raise_if_failed, raise_if_overdue
from ._encodings import STEP

__all__ = ("PartSource", "Scanner")

#: Most blanks that may stand between a boundary and the end of its line (RFC 2046 §5.1.1).
_MAX_PADDING: Final = 256

#: What follows a boundary: the end of its line, or two hyphens after the last boundary.
_TAIL: Final = re.compile(rb"[ \t]{0,%d}\r\n|(--)" % _MAX_PADDING)
_TAIL_BEGUN: Final = re.compile(rb"(?:[ \t]{0,%d}\r?|-)\Z" % _MAX_PADDING)

_HEADER: Final = re.compile(rf"({TOKEN}):[ \t]*+(.*)", re.DOTALL)


class Scanner:
    """The received bytes of a multipart that have not been used yet, and methods to get more.

    :param content: the body; any object with an asynchronous ``read()`` will do, as in tests
    """

    __slots__ = ("_content", "data", "ended", "passed_delimiter", "pieces")

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        # A delimiter begins with a line break, but the first one may have none: supply it.
        # Deleting from the front of a bytearray does not move the rest.
        self.data: bytearray = bytearray(b"\r\n")
        self.pieces: int = 0
        #: whether all bytes have been received
        self.ended: bool = False
        #: whether a delimiter was among the bytes that the length of the present part covers
        self.passed_delimiter: bool = False

    async def receive(self, most: int = STEP) -> bool:
        """Wait for more bytes, at most *most*; return whether there are any."""
        self.pieces += 1
        piece = await self._content.read(most)
        self.ended = not piece
        self.data += piece
        return not self.ended

    def check_readable(self) -> None:
        """Raise what a read of the body would raise: bytes that are here count as received.

        :raises ClientPayloadError: the body failed
        :raises TimeoutError: the request's ``total`` time is over
        """
        if isinstance(self._content, StreamReader):
            raise_if_failed(self._content)

    def check_time(self) -> None:
        """Raise if the request's time is over, even if the whole body has been received.

        :raises TimeoutError: it is over
        """
        if isinstance(self._content, StreamReader):
            raise_if_overdue(self._content)

    async def more(self, wanted: str) -> None:
        """Wait for more bytes.

        :raises ValueError: the body ended before the *wanted* bytes
        """
        if not await self.receive():
            raise ValueError(f"the multipart ends before {wanted}")

    def find(self, delimiter: bytes) -> tuple[int, bool]:
        """Return where *delimiter* begins, and ``True``.

        Without one, return where one may begin when more bytes come, and ``False``.

        Bytes that only begin with *delimiter* are data: with the boundary ``a``, the line ``--ab``
        may be the boundary of a multipart inside of this one.
        """
        data = self.data
        at = data.find(delimiter)
        while at >= 0:
            end = at + len(delimiter)
            if _TAIL.match(data, end):
                return at, True
            if _TAIL_BEGUN.match(data, end):
                return at, self.ended  # what is missing of it is no data of the part
            at = data.find(delimiter, at + 1)
        begun = data.rfind(b"\r", max(len(data) - len(delimiter) + 1, 0))
        if begun >= 0 and delimiter.startswith(bytes(data[begun:])):
            return begun, False
        return len(data), False

    async def take_delimiter(self, delimiter: bytes) -> bool | None:
        """Take the delimiter with which the bytes begin, and return whether it is the last one.

        ``None`` if they begin with something else.  The line break before the boundary may be
        missing, as some cameras leave it out after a part that has a length.

        :raises ValueError: the body ends before the end of the delimiter
        """
        data = self.data
        while True:
            form = delimiter if data[:1] == delimiter[:1] else delimiter[2:]
            if data.startswith(form):
                tail = _TAIL.match(data, len(form))
                if tail is not None:
                    is_last = tail[1] is not None
                    del data[: tail.end()]
                    return is_last
                is_begun = _TAIL_BEGUN.match(data, len(form)) is not None
            else:
                is_begun = form.startswith(bytes(data[: len(form)]))
            if not is_begun:
                return None
            if self.ended:
                raise ValueError("the multipart ends before its last boundary")
            await self.receive()

    async def line(self, limit: int, *, keep_empty: bool = False) -> bytes:
        """Take the next line and return it without its line end.

        :param keep_empty: leave the line end of an empty line in the buffer
        :raises LineTooLong: the line has more than *limit* bytes
        """
        searched = 0
        while (end := self.data.find(b"\r\n", searched, limit + 2)) < 0:
            if len(self.data) >= limit + 2:
                raise _too_long(self.data, limit)
            searched = max(len(self.data) - 1, 0)
            await self.more("the end of a line")
        line = bytes(self.data[:end])
        if line or not keep_empty:
            del self.data[: end + 2]
        return line

    async def headers(self, max_size: int, max_number: int) -> CIMultiDictProxy[str]:
        """Take the headers of a part, up to the empty line; the end of that line is kept.

        If the part has no body, that line end belongs to the delimiter.

        :raises LineTooLong: a header has more than *max_size* bytes, the line ends inside a folded
            one included
        :raises ValueError: there are more than *max_number*, or one is malformed
        """
        fields: list[list[bytes]] = []  # the lines of each
        size = 0  # bytes of the last field, with the line ends within it
        while line := await self.line(max_size, keep_empty=True):
            if line[:1] in {b" ", b"\t"} and fields:
                # MIME allows folded lines (RFC 5322 §2.2.3), unlike HTTP.
                size += 2 + len(line)
                if size > max_size:
                    raise _too_long(b" ".join(fields[-1]), max_size)
                fields[-1].append(line.strip(b" \t"))
                continue
            if len(fields) == max_number:
                raise ValueError(f"a part has more than {max_number} headers")
            fields.append([line])
            size = len(line)
        headers: CIMultiDict[str] = CIMultiDict()
        for lines in fields:
            field = b" ".join(lines)
            match = _HEADER.fullmatch(field.decode("utf-8", "surrogateescape"))
            if match is None or CONTROL_BUT_TAB.search(match[2]):
                raise ValueError(f"invalid header of a part: {field[:100]!r}")
            headers.add(match[1], match[2].rstrip(" \t"))
        return CIMultiDictProxy(headers)


def _too_long(line: bytes | bytearray, limit: int) -> LineTooLong:
    option = "max_field_size= of MultipartReader()"
    return LineTooLong(bytes(line[:100]) + b"...", limit, option=option)


class PartSource:
    """Feeds a reader with the body of one part, up to the next delimiter.

    The scanner's bytes begin with the line break before the body.  If there is no body, that
    line break belongs to the delimiter (:rfc:`2046#section-5.1.1`).
    """

    __slots__ = ("_before", "_delimiter", "_left", "_reader", "_scanner", "_skip")

    def __init__(self, scanner: Scanner, delimiter: bytes, length: int | None) -> None:
        self._scanner = scanner
        scanner.passed_delimiter = False
        self._before = b""  # the last bytes that _counted() returned
        self._delimiter = delimiter
        self._left = length or None  # 0 may be wrong: look for the delimiter, as without a length
        self._skip = 2
        self._reader: StreamReader | None = None

    def open(self) -> StreamReader:
        """Return the reader that this object feeds."""
        self._reader = StreamReader(self)
        return self._reader

    async def pull(self) -> bool:
        assert self._reader is not None
        piece, ended = await (self._until_delimiter() if self._left is None else self._counted())
        self._reader.feed_data(piece)
        if ended:
            self._reader.feed_eof()
        return False  # at least not each time

    async def _until_delimiter(self) -> tuple[bytes, bool]:
        scanner = self._scanner
        data = scanner.data
        while True:
            end, found = scanner.find(self._delimiter)
            if scanner.ended and not found:
                end = len(data)
            if found or end > self._skip:
                return self._take(end), found
            if scanner.ended:
                raise ValueError("the multipart ends before its last boundary")
            await scanner.receive()

    def _take(self, end: int) -> bytes:
        data = self._scanner.data
        piece = bytes(data[self._skip : end])
        del data[:end]
        self._skip = 0
        return piece

    async def _counted(self) -> tuple[bytes, bool]:
        """Stop after the announced length: the next boundary may only come much later."""
        left, delimiter = self._left, self._delimiter
        assert left is not None
        data = self._scanner.data
        while len(data) <= self._skip:
            # Take no more than that: whoever reads a part alone finds the rest in its stream.
            if not await self._scanner.receive(min(STEP, self._skip - len(data) + left)):
                if self._scanner.passed_delimiter:
                    raise ValueError("a part is shorter than its Content-Length")
                raise ValueError(f"the multipart ends {left} bytes before the end of a part")
        piece = self._take(self._skip + left)
        around = self._before + piece[: len(delimiter)]
        if delimiter in piece or delimiter in around:
            self._scanner.passed_delimiter = True
        self._before = (self._before + piece)[-len(delimiter) :]
        self._left = left - len(piece)
        return piece, not self._left
