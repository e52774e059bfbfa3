"""The head of a response: status line and fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from .._common import HttpVersion
from .lines import FieldReader, LineReader, Longest
from .response_grammar import (
    SPACE,
    START_SIZE,
    Limits,
    ParseError,
    StatusLine,
    check_start,
    concerns,
    plain_lines,
    read_status_line,
    status_lines,
    without_end,
)

__all__ = (
    "CHUNKED",
    "Head",
    "HeadReader",
    "UNTIL_EOF",
    "concerning",
    "read_whole_head",
)

#: Body length if none is announced: the body ends when the peer closes the connection.
UNTIL_EOF: Final = -1
#: Body length of a chunked message: the last chunk marks the end.
CHUNKED: Final = -2


class Head:
    """A response head, and what it means for body and connection (set by ``read_framing()``)."""

    __slots__ = ("concerning", "content_encoding", "keep_alive", "length", "raw_headers",
                 "reason", "set_cookies", "status", "tolerated", "version")  # fmt: skip

    def __init__(
        self,
        start: StatusLine,
        raw_headers: list[tuple[bytes, bytes]],
        concerning: list[tuple[bytes, bytes]],
    ) -> None:
        self.version: HttpVersion = start.version
        self.status: int = start.status
        self.reason: str = start.reason
        #: whether something was read that the grammar does not allow, so that the connection
        #: must not carry another response
        self.tolerated: bool = start.tolerated
        self.raw_headers: Sequence[tuple[bytes, bytes]] = raw_headers
        #: those of the headers that concern body, connection and cookies, with names in lower case
        self.concerning: Sequence[tuple[bytes, bytes]] = concerning
        #: bytes of body, :data:`UNTIL_EOF` or :data:`CHUNKED`
        self.length: int = 0
        #: whether the peer will read another request after this response; a number: whether it
        #: will if the request begins within so many seconds
        self.keep_alive: bool | float = False
        #: the ``Content-Encoding`` values, joined, or ``""``
        self.content_encoding: str = ""
        #: the ``Set-Cookie`` values
        self.set_cookies: Sequence[str] = ()


def concerning(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return what :attr:`Head.concerning` is for *fields*."""
    return [(field, value) for name, value in fields if (field := concerns[name])]


def read_whole_head(data: bytes, limits: Limits) -> tuple[Head, int] | None:
    """Return a head that came in one piece, and where it ends; ``None``: use :class:`HeadReader`.

    This fast path reads nearly all heads.  :class:`HeadReader` is needed if a head is incomplete,
    long, or not exactly as the grammar demands.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or end > limits.max_line_size or end > limits.max_field_size:
        return None
    lines = plain_lines(data[:end])
    if lines is None or len(lines) - 1 > limits.max_headers:
        return None
    fields: list[tuple[bytes, bytes]] = []
    noted: list[tuple[bytes, bytes]] = []
    try:
        start = status_lines[lines[0]]
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon:
                return None
            concern = concerns[name]
            value = value.strip(SPACE)
            fields.append((name, value))
            if concern:
                noted.append((concern, value))
    except ParseError:
        return None
    return Head(start, fields, noted), end + 4


class HeadReader:
    """Reads any head, also one that comes in several pieces or violates the grammar."""

    __slots__ = ("_empty", "_fields", "_limits", "_lines", "_start", "raw")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines = LineReader()
        self._empty = 0  # number of empty lines before the status line
        self._start: StatusLine | None = None
        self._fields = FieldReader(limits, self._lines, "header")
        #: the bytes of the head so far
        self.raw = bytearray()

    def feed(self, data: bytes) -> tuple[Head, int] | None:
        """Return the head and where in *data* it ends; ``None``: more bytes are needed.

        :raises ParseError: a line is malformed or over its limit
        """
        position = 0
        while self._start is None and position < len(data):
            position = self._read_start(data, position)
        if self._start is not None:
            position = self._fields.feed(data, position)
        self.raw += data[:position]
        if self._start is None or not self._fields.complete:
            return None
        fields = self._fields.fields
        head = Head(self._start, fields, concerning(fields))
        if self._empty or self._fields.tolerated:
            head.tolerated = True
        return head, position

    def _read_start(self, data: bytes, position: int) -> int:
        """Read an empty line or the status line."""
        begun = self._lines.begun
        if len(begun) < START_SIZE:
            check_start(begun + data[position : position + START_SIZE])
        limit = self._limits.max_line_size
        read = self._lines.read(data, position, Longest(limit, "the status line", limit))
        if read is None:
            return len(data)
        line, position = read
        content = without_end(line)
        if content:
            self._start = read_status_line(content)
            if not line.endswith(b"\r\n"):
                self._fields.tolerated = True
        else:
            self._empty += 1
            if self._empty > self._limits.max_headers:
                raise ParseError(
                    f"more than {self._limits.max_headers} empty lines before the status line"
                )
        return position
