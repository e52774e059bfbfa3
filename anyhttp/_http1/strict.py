"""The strict shell around both parsers: what they would let through is refused here.

h11 and llhttp are strict in different places.  Each engine passes the bytes it
receives through this module first, so that both accept and refuse the same responses:
:class:`HeadReader` finds the end of a head and checks every line of it,
:func:`read_framing` decides how long the body is (:rfc:`9112#section-6.3`), and
:class:`ChunkReader` takes chunked framing apart, so strictly that a parser behind it would
only do so once more.  All of them cost time linear in the bytes, however the peer splits
them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from .._common import (
    HttpVersion,
    HttpVersion11,
)

__all__ = (
    "ChunkReader",
    "Head",
    "HeadReader",
    "Limits",
    "ParseError",
    "read_framing",
    "whole_head",
)


#: Body length when there is none to announce: the body runs until the peer closes.
UNTIL_EOF: Final = -1
#: Body length of a chunked message: the framing itself tells the end.
CHUNKED: Final = -2


class ParseError(Exception):
    """The peer's bytes are not an HTTP/1.1 response; the text says in what way."""


class Limits(NamedTuple):
    """How much of a head, a trailer or a chunk-size line is read, in bytes and lines."""

    max_line_size: int = 8190
    max_field_size: int = 8190
    max_headers: int = 128


_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELD_LINE = _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n"
# RFC 9112 §4 and §5: no bare CR or LF, no folding, no space before the colon, no control
# character but tab.  Versions other than 1.0 and 1.1 are not ours to understand.
_STATUS_LINE = rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*+)?+\r\n"
_HEAD = re.compile(_STATUS_LINE + rb"(?:" + _FIELD_LINE + rb")*+\r\n")
_STATUS = re.compile(_STATUS_LINE)
_FIELD = re.compile(_FIELD_LINE)
_NAME = re.compile(_TOKEN + rb"[\t ]*+")  # the space is a common mistake
# RFC 9112 §7.1.1, without the "bad whitespace" that only attackers send.
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*\r\n"
)
_DIGITS = re.compile(rb"[0-9]{1,19}")
_START = b"HTTP/1."


def _check_start(data: bytes | bytearray) -> None:
    """Refuse a peer that does not speak HTTP at its first bytes, not at its timeout."""
    if not _START.startswith(data[: len(_START)]):
        raise ParseError(f"not an HTTP/1.x response: it starts with {bytes(data[:20])!r}")


def _shown(line: bytes) -> str:
    """Return a header line for messages: without its value, which may be a cookie or a token."""
    line = line.rstrip(b"\r\n")
    name, colon, _ = line.partition(b":")
    if name[:1] in {b" ", b"\t"}:
        return "that goes on with the one before"  # and is a part of its value
    if not colon:  # it may be a value, or the rest of one
        return f"without a colon, of {len(line)} bytes"
    if not _NAME.fullmatch(name):  # so may what comes before a colon
        return f"without a name, of {len(line)} bytes"
    return f"{name[:100]!r}, value not shown"


def _line_error(kind: str, limit: int) -> ParseError:
    return ParseError(f"{kind} is longer than {limit} bytes")


def _malformed(line: bytes | bytearray, *, is_field: bool) -> ParseError:
    if is_field:
        return ParseError(f"malformed header line {_shown(bytes(line))}")
    # What follows a bare CR is meant as another line, which may set a cookie.
    shown = bytes(line[:100]).splitlines(keepends=True)[0]
    return ParseError(f"malformed status line {shown!r}")


def whole_head(data: bytes, limits: Limits) -> tuple[bytes, bytes] | None:
    """Return a head that came in one piece, and the bytes after it; ``None``: look closer.

    This is the way of nearly every response.  A head that is incomplete, long or wrong is
    for :class:`HeadReader` to say something about.
    """
    end = data.find(b"\r\n\r\n") + 4
    if end > limits.max_line_size or end > limits.max_field_size:
        return None
    head = data[:end]
    if not _HEAD.fullmatch(head) or head.count(b"\n") - 2 > limits.max_headers:
        return None
    return head, data[end:]


class HeadReader:
    """Collects one response head and hands it over when it is complete and well-formed."""

    __slots__ = ("_buffer", "_limits", "_line_start", "_lines", "_searched")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer: bytearray | None = None
        self._line_start = 0
        self._searched = 0  # bytes of that line in which there is no end of it
        self._lines = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Return the head with its empty line and the bytes after it, or ``None`` for "more".

        :raises ParseError: a line is malformed or over its limit
        """
        if self._buffer is None:
            end = data.find(b"\r\n\r\n") + 4
            if end == 3:
                _check_start(data)
                self._buffer = bytearray(data)
                self._check_lines(self._buffer)
                return None
            head, rest = data[:end], data[end:]
        else:
            searched = max(len(self._buffer) - 3, 0)
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n", searched) + 4
            if end == 3:
                _check_start(self._buffer)
                self._check_lines(self._buffer)
                return None
            head, rest = bytes(self._buffer[:end]), bytes(self._buffer[end:])
        self._check_head(head)
        self._buffer = None
        return head, rest

    def _check_head(self, head: bytes) -> None:
        limits = self._limits
        shortest = min(limits.max_line_size, limits.max_field_size)
        if len(head) > shortest or not _HEAD.fullmatch(head):
            _check_start(head)
            self._check_lines(head)
        elif head.count(b"\n") - 2 > limits.max_headers:
            raise self._too_many()

    def _check_lines(self, head: bytes | bytearray) -> None:
        """Check the lines not seen before; the last one may still be growing."""
        limits = self._limits
        while True:
            end = head.find(b"\n", self._line_start + self._searched)
            stop = end if end >= 0 else len(head)
            length = stop - self._line_start - (head[stop - 1] == 13)
            if self._lines == 0:
                if length > limits.max_line_size:
                    raise _line_error("the status line", limits.max_line_size)
            elif length > limits.max_field_size + 2:  # 2 for ": "
                raise _line_error("a header line", limits.max_field_size)
            if end < 0:
                if 0 <= head.find(b"\r", self._line_start + self._searched) < stop - 1:
                    raise ParseError("a CR in the head that no LF follows")
                self._searched = stop - self._line_start - (head[stop - 1] == 13)
                return
            if head[end - 1] != 13:
                raise ParseError("a line of the head ends without CR")
            if length == 0:
                return
            # Now and not at the end of the head: who sends this may never send that.
            pattern = _FIELD if self._lines else _STATUS
            if not pattern.fullmatch(head, self._line_start, end + 1):
                raise _malformed(head[self._line_start : end - 1], is_field=self._lines > 0)
            self._line_start = end + 1
            self._searched = 0
            self._lines += 1
            if self._lines - 1 > limits.max_headers:
                raise self._too_many()

    def _too_many(self) -> ParseError:
        return ParseError(f"more than {self._limits.max_headers} header lines")


#: Fields that say something about body, connection and cookies.
_CONCERNING: Final = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"content-encoding", b"set-cookie")
)


class _Concerns(dict[bytes, bytes]):
    """A field name in lower case if it is one of those, else ``b""``; servers use few names."""

    def __missing__(self, name: bytes) -> bytes:
        field = name.lower()
        concern = field if field in _CONCERNING else b""
        if len(self) >= 256:
            self.clear()
        self[name] = concern
        return concern


_concerns: Final = _Concerns()


# A trailer comes too late to say how the body is framed (RFC 9110 §6.5.1).
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))


class Head:
    """A parsed response head and what it says about body and connection."""

    __slots__ = ("content_encoding", "keep_alive", "length", "raw_headers", "reason",
                 "set_cookies", "status", "version")  # fmt: skip

    def __init__(
        self,
        method: str,
        version: HttpVersion,
        status: int,
        reason: str,
        raw_headers: Sequence[tuple[bytes, bytes]],
        asked_upgrade: bool = False,
    ) -> None:
        self.version: HttpVersion = version
        self.status: int = status
        self.reason: str = reason
        self.raw_headers: Sequence[tuple[bytes, bytes]] = raw_headers
        #: bytes of body, :data:`UNTIL_EOF` or :data:`CHUNKED`
        self.length: int = 0
        #: whether the peer will read another request after this response
        self.keep_alive: bool = False
        #: the ``Content-Encoding`` values, joined, or ``""``
        self.content_encoding: str = ""
        #: the ``Set-Cookie`` values
        self.set_cookies: Sequence[str] = ()
        read_framing(self, method, asked_upgrade)


def read_framing(head: Head, method: str, asked_upgrade: bool) -> None:
    """Fill in *head*'s body length and persistence by :rfc:`9112#section-6.3` and §9.3.

    :raises ParseError: lengths that contradict each other or the transfer coding
    """
    said: dict[bytes, bytes] = {}
    for name, value in head.raw_headers:
        field = _concerns[name]
        if not field:
            continue
        if field == b"set-cookie":
            head.set_cookies = (*head.set_cookies, value.decode("utf-8", "surrogateescape"))
        else:  # a list of them means their values in a row
            said[field] = said[field] + b"," + value if field in said else value
    if b"content-encoding" in said:
        head.content_encoding = said[b"content-encoding"].decode("latin-1")
    status = head.status
    if status == 101 and not asked_upgrade:
        raise ParseError("101 Switching Protocols without having been asked to")
    codings = said.get(b"transfer-encoding")
    length = UNTIL_EOF
    if b"content-length" in said:
        length = read_content_length(said[b"content-length"])
    if codings is not None:
        if length != UNTIL_EOF:
            raise ParseError("both Content-Length and Transfer-Encoding")
        if codings.strip(b" \t").lower() != b"chunked":
            raise ParseError(f"unsupported Transfer-Encoding {codings[:60]!r}")
        length = CHUNKED
    switches = status == 101 or (method == "CONNECT" and status < 300)
    if switches or status < 200 or status in {204, 304} or method == "HEAD":
        length = 0
    head.length = length
    new = head.version == HttpVersion11
    # From a switch on it speaks something else; and RFC 9112 §6.1: a 1.0 peer that sends
    # a transfer coding has faulty framing.
    if not switches and length != UNTIL_EOF and (new or codings is None):
        head.keep_alive = _keeps_alive(said.get(b"connection", b""), new)


@lru_cache(maxsize=64)
def _keeps_alive(connection: bytes, new: bool) -> bool:
    """Whether the options of ``Connection`` let another request follow (version 1.1 is *new*)."""
    options = {option.strip(b" \t").lower() for option in connection.split(b",")}
    return b"close" not in options and (new or b"keep-alive" in options)


@lru_cache(maxsize=1024)
def read_content_length(value: bytes) -> int:
    """Return the one length of *value*, which may repeat it: ``42`` or ``42, 42``.

    :raises ParseError: anything but ASCII digits, or two different lengths
    """
    first, *others = [part.strip(b" \t") for part in value.split(b",")]
    if not _DIGITS.fullmatch(first) or any(other != first for other in others):
        raise ParseError(f"invalid Content-Length {value[:60]!r}")
    return int(first)


# What nearly all of those lines are.
_PLAIN_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")


@lru_cache(maxsize=1024)
def _plain_size(line: bytes) -> int:
    """Return the size that *line* says, 0 if it says anything else as well."""
    return int(line, 16) if _PLAIN_SIZE.fullmatch(line) else 0


class ChunkReader:
    """Decodes chunked framing and refuses whatever is not exactly :rfc:`9112#section-7.1`."""

    __slots__ = ("_in_trailer", "_limits", "_line", "_longest_plain", "_skip", "_trailers",
                 "complete", "total")  # fmt: skip

    def __init__(self, limits: Limits, headers: int) -> None:
        self._limits = limits
        self._longest_plain = min(limits.max_line_size, 16) + 2
        self._line = bytearray()  # start of a line whose end has not arrived
        self._skip = 0  # bytes of data and its CRLF still to come
        self._in_trailer = False
        self._trailers = headers
        #: bytes of data so far
        self.total = 0
        #: whether the last chunk and the trailer have been read
        self.complete = False

    def feed(self, data: bytes) -> tuple[list[bytes], list[int], int]:
        """Return pieces of the body, where in it chunks end, and how much of *data* it took.

        :raises ParseError: malformed framing, or a line over its limit
        """
        pieces: list[bytes] = []
        ends: list[int] = []
        position = 0
        while position < len(data) and not self.complete:
            if self._skip:
                position = self._read_data(data, position, pieces)
                if not self._skip:
                    ends.append(self.total)
                continue
            if not (self._line or self._in_trailer):
                position = self._read_whole_chunks(data, position, pieces, ends)
                if position == len(data):
                    break
            end = data.find(b"\n", position) + 1
            if end == 0:
                self._line += data[position:]
                # the last byte may be the CR of an end that is still to come
                self._check_length(len(self._line) - (self._line[-1] == 13))
                position = len(data)
                break
            line = data[position:end]
            if self._line:
                line, self._line = bytes(self._line + line), bytearray()
            self._check_length(len(line) - 2)
            if self._in_trailer:
                self._read_trailer(line)
            else:
                self._read_size(line)
            position = end
        return pieces, ends, position

    def _read_whole_chunks(
        self, data: bytes, position: int, pieces: list[bytes], ends: list[int]
    ) -> int:
        """Take the chunks that are there to their last byte: nearly all of many small ones."""
        longest, total = self._longest_plain, self.total
        while (end := data.find(b"\r\n", position, position + longest)) > 0:
            size = _plain_size(data[position:end])
            start = end + 2
            end = start + size
            # The last chunk, one with an extension and one that is wrong are looked at closely.
            if not size or data[end : end + 2] != b"\r\n":
                break
            total += size
            pieces.append(data[start:end])
            ends.append(total)
            position = end + 2
        self.total = total
        return position

    def _read_data(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Take chunk data; its last two bytes must be CRLF."""
        if self._skip > 2:
            piece = data[position : position + self._skip - 2]
            pieces.append(piece)
            step = len(piece)
            self.total += step
        else:
            step = 1
            if data[position] != (13 if self._skip == 2 else 10):
                raise ParseError("chunk data is not followed by CRLF")
        self._skip -= step
        return position + step

    def _read_size(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise ParseError(f"malformed chunk-size line {line[:60]!r}")
        size = int(match[1], 16)
        if size:
            self._skip = size + 2
        else:
            self._in_trailer = True

    def _read_trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self.complete = True
            return
        if not _FIELD.fullmatch(line):
            raise ParseError(f"malformed trailer line {_shown(line)}")
        if line.partition(b":")[0].lower() in _FRAMING:
            raise ParseError(f"a trailer that speaks of framing: {_shown(line)}")
        self._trailers += 1
        if self._trailers > self._limits.max_headers:
            raise ParseError(f"more than {self._limits.max_headers} header and trailer lines")

    def _check_length(self, length: int) -> None:
        if self._in_trailer:
            if length > self._limits.max_field_size + 2:
                raise _line_error("a trailer line", self._limits.max_field_size)
        elif length > self._limits.max_line_size:
            raise _line_error("a chunk-size line", self._limits.max_line_size)
