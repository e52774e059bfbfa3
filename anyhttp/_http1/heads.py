"""The head of a response: status line and fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from multidict import istr

from .._common import HttpVersion
from .lines import FieldReader, LineReader, Longest
from .response_grammar import (
    PLAIN_HEAD,
    SPACE,
    START_SIZE,
    Limits,
    ParseError,
    StatusLine,
    check_start,
    read_status_line,
    status_lines,
    without_end,
)

__all__ = (
    "CHUNKED",
    "Head",
    "HeadReader",
    "ResponseHead",
    "UNTIL_EOF",
    "as_text",
    "content_type_of",
    "read_plain_head",
    "text_fields",
)

#: Body length if none is announced: the body ends when the peer closes the connection.
UNTIL_EOF: Final = -1
#: Body length of a chunked message: the last chunk marks the end.
CHUNKED: Final = -2


class ResponseHead(Protocol):
    """What a response needs of its head, which a middleware may have made by hand."""

    @property
    def version(self) -> HttpVersion: ...
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def raw_headers(self) -> Sequence[tuple[bytes, bytes]]: ...


# For lines that fit the grammar.
_FIELD: Final = re.compile(rb"([^\r:]++):([^\r]*+)\r\n")
_COOKIE: Final = re.compile(rb"(?im:^set-cookie):([^\r]*+)")
_VALUE: Final = re.compile(r":[\t ]*+([^\r]*+)\r\n")
# Without the look behind, a long run inside a value would be tried from each of its characters.
_SPACE_AT_END: Final = re.compile(r"(?<![\t ])[\t ]++(?=\r)")

# The fields that the client acts on; those besides the lists are no lists.
_LISTS: Final = (
    b"connection", b"content-encoding", b"content-length", b"keep-alive", b"transfer-encoding",
)  # fmt: skip
_NOTED: Final = frozenset({*_LISTS, b"content-type", b"set-cookie"})


# Without __slots__, like all objects that each call makes: Python creates them faster then.
class Head:
    """A response head, and what it means for body and connection (set by ``read_framing()``).

    Most programs look at few of its fields or none.  So only those that the client acts on are
    found at once.  The others are taken apart when somebody looks at them.
    """

    #: whether what follows is another protocol, which the request has asked for
    switches: bool = False

    def __init__(self, start: StatusLine, raw: bytes = b"") -> None:
        """Make a head; *raw* are its bytes, if they fit the grammar."""
        self.version: HttpVersion = start.version
        self.status: int = start.status
        self.reason: str = start.reason
        #: whether something was read that the grammar does not allow, so that the connection
        #: must not carry another response
        self.tolerated: bool = start.tolerated
        #: bytes of body, :data:`UNTIL_EOF` or :data:`CHUNKED`
        self.length: int = 0
        #: whether the peer will read another request after this response; a number: whether it
        #: will if the request begins within so many seconds
        self.keep_alive: bool | float = False
        #: the ``Connection`` values, joined
        self.connection: bytes | None = None
        #: the ``Content-Length`` values, joined
        self.lengths: bytes | None = None
        #: the ``Keep-Alive`` values, joined
        self.idle_options: bytes | None = None
        #: the ``Transfer-Encoding`` values, joined
        self.coding: bytes | None = None
        #: the ``Content-Encoding`` values, joined, or ``""``
        self.content_encoding: str = ""
        #: the first ``Content-Type`` value, perhaps with white space after it
        self.content_type: bytes | None = None
        #: the ``Set-Cookie`` values
        self.set_cookies: Sequence[str] = ()
        #: the bytes of a head that fits the grammar
        self.raw: bytes = raw
        self._fields: Sequence[tuple[bytes, bytes]] | None = None

    @property
    def raw_headers(self) -> Sequence[tuple[bytes, bytes]]:
        """The fields, as they were sent."""
        if self._fields is None:
            found = _FIELD.findall(self._lines())
            self._fields = [(name, value.strip(SPACE)) for name, value in found]
        return self._fields

    def _lines(self) -> bytes:
        """Return the field lines, without the empty line after them."""
        return self.raw[self.raw.find(b"\r\n") + 2 : -2]

    def take_fields(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Set all fields, and the attributes that have the values of some of them.

        The values of a repeated field are joined, as a list of them means the same
        (:rfc:`9110#section-5.3`).  A cookie is a field by itself.
        """
        self._fields = fields
        values: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            lowered = name.lower()
            if lowered in _NOTED:
                values.setdefault(lowered, []).append(value)
        self.set_cookies = list(map(decoded, values.get(b"set-cookie", ())))
        types = values.get(b"content-type")
        self.content_type = types[0] if types else None
        joined = [b",".join(values[name]) if name in values else None for name in _LISTS]
        self.connection, encoding, self.lengths, self.idle_options, self.coding = joined
        self.content_encoding = "" if encoding is None else encoding.decode("latin-1")

    def text_fields(self) -> Iterable[tuple[str, str]]:
        """Return the fields as text."""
        if self._fields is not None:
            return as_text(self._fields)
        text = decoded(self._lines())
        if " \r" in text or "\t" in text:
            text = _SPACE_AT_END.sub("", text)
        # Splitting gives names and values in turns, in two thirds of the instructions that it
        # takes to look at line after line.  Behind the last value there is an empty string.
        parts = _VALUE.split(text)
        return zip(map(names.__getitem__, parts[:-1:2]), parts[1::2], strict=True)


class _Names(dict[str, istr]):
    """A cache of field names as a case-insensitive dictionary has them: servers use few of them."""

    #: bounds: the longest name and the number of entries
    LENGTH: Final = 64
    NUMBER: Final = 256

    def __missing__(self, name: str) -> istr:
        made = istr(name)
        if len(name) <= self.LENGTH:
            if len(self) >= self.NUMBER:
                self.clear()
            self[name] = made
        return made


names: Final = _Names()


def decoded(value: bytes) -> str:
    """Return *value* as text (UTF-8; other bytes become lone surrogates)."""
    return value.decode("utf-8", "surrogateescape")


def as_text(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return *fields* as text."""
    return [(name.decode("ascii"), decoded(value)) for name, value in fields]


def text_fields(head: ResponseHead) -> Iterable[tuple[str, str]]:
    """Return the fields of *head* as text."""
    return head.text_fields() if isinstance(head, Head) else as_text(head.raw_headers)


def content_type_of(head: ResponseHead) -> str | None:
    """Return the first ``Content-Type`` of *head*."""
    if isinstance(head, Head):
        value = head.content_type
    else:
        values = (value for name, value in head.raw_headers if name.lower() == b"content-type")
        value = next(values, None)
    return None if value is None else decoded(value.rstrip(SPACE))


def read_plain_head(data: bytes, limits: Limits) -> tuple[Head, int] | None:
    """Return a head that came in one piece, and where it ends; ``None``: use :class:`HeadReader`.

    This fast path reads nearly all heads.  :class:`HeadReader` is needed if a head is incomplete,
    long, or not exactly as the grammar demands, or if it repeats a field of which one is expected.
    """
    match = PLAIN_HEAD.match(data)
    if match is None:
        return None
    end = match.end()
    if end > limits.max_line_size or end > limits.max_field_size:
        return None
    # The shortest field line has four bytes.
    if end > 4 * limits.max_headers and data.count(b"\r\n", 0, end) - 2 > limits.max_headers:
        return None
    line, kind, lengths, connection, encoding, idle_options, coding, cookie = match.groups()
    if lengths is not None and not lengths.isdigit():
        return None
    head = Head(status_lines[line], data[:end])
    head.connection = connection
    head.lengths = lengths
    head.idle_options = idle_options
    head.coding = coding
    head.content_type = kind
    if encoding is not None:
        head.content_encoding = encoding.strip(SPACE).decode("latin-1")
    if cookie is not None:
        cookies = _COOKIE.findall(head.raw)
        head.set_cookies = [decoded(cookie.strip(SPACE)) for cookie in cookies]
    return head, end


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
        head = Head(self._start)
        head.take_fields(self._fields.fields)
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
