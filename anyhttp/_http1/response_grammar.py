"""The lines of a response: what the grammar allows, and which violations are tolerated.

This is the only place that decides about tolerance.  Old devices and servers send heads that
violate the grammar in ways that every browser accepts.  These violations are tolerated:

========================================================  =====================================
a line of a head or trailer that ends in a bare LF        :rfc:`9112#section-2.2`
a folded field line, whose fold becomes one space         :rfc:`9112#section-5.2`
control characters in a field value                       :rfc:`9110#section-5.5`
empty lines before the status line                        :rfc:`9112#section-2.2`
``HTTP/1.2`` to ``HTTP/1.9``, as ``HTTP/1.1``             :rfc:`9110#section-2.5`
``Transfer-Encoding: identity`` and no length             :rfc:`7230`, which took it away
white space around a chunk size and in its extensions     :rfc:`9112#section-7.1.1`
more zeros before a chunk size than any number needs      :rfc:`9112#section-7.1`
========================================================  =====================================

Another reader may find the end of such a message elsewhere.  So the connection is closed after a
tolerated response: no bytes of it can be taken for the response to another request.  All other
violations are refused: a NUL or a bare CR anywhere, a field without a colon or with a space
before it, a fold without a field before it, signs and the like in numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from .._common import HttpVersion, HttpVersion10, HttpVersion11

__all__ = (
    "ChunkSize",
    "FieldLine",
    "Limits",
    "PLAIN_HEAD",
    "ParseError",
    "SPACE",
    "START_SIZE",
    "StatusLine",
    "check_start",
    "read_chunk_size",
    "read_field",
    "read_fold",
    "read_plain_size",
    "read_status_line",
    "shown_line",
    "status_lines",
    "without_end",
)


class ParseError(Exception):
    """The peer's bytes are not an HTTP/1.1 response; the text says why."""


# This class and the next are dataclasses and not named tuples: their attributes are read for each
# response, and those of a tuple are slower to read.
@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a head, a trailer or a chunk-size line is read, in bytes and lines."""

    max_line_size: int = 8190
    #: size of name and value; the line ends inside a folded field count too
    max_field_size: int = 8190
    max_headers: int = 128


@dataclass(frozen=True, slots=True)
class StatusLine:
    """The parts of a status line."""

    version: HttpVersion
    status: int
    reason: str
    tolerated: bool


class FieldLine(NamedTuple):
    """The parts of a field line, or of the first line of a folded field."""

    name: bytes
    value: bytes
    tolerated: bool


class ChunkSize(NamedTuple):
    """The size in a chunk-size line."""

    size: int
    tolerated: bool


#: White space that may surround a field value (:rfc:`9110#section-5.5`).
SPACE: Final = b" \t"

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_TEXT: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
_READABLE: Final = rb"[^\x00\r\n]*+"
_UNREADABLE: Final = re.compile(rb"[\x00\r\n]")
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0a-\x1f\x7f]")


def without_end(line: bytes) -> bytes:
    """Return *line* without the CRLF, or the bare LF, that ends it."""
    return line[:-2] if line.endswith(b"\r\n") else line[:-1]


# -- the status line (RFC 9112 §4) -----------------------------------------------------

_START: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?>(?: (" + _TEXT + rb"))?)")


#: How many bytes are needed to see whether a peer speaks HTTP.
START_SIZE: Final = len(_START)

#: What follows the length in the first frame of a server that speaks HTTP/2: it is SETTINGS,
#: without flags, and the number of its stream begins with zeros (:rfc:`9113#section-3.4`).
_HTTP2_SETTINGS: Final = b"\x04\x00\x00\x00"


def check_start(beginning: bytes | bytearray) -> None:
    """Refuse a peer that does not speak HTTP as soon as its first bytes have been received.

    :param beginning: of the status line, or an empty line before it; at least one byte
    """
    is_empty_line = beginning[0] == 10 or beginning[:2] == b"\r\n" or beginning == b"\r"
    if not is_empty_line and not _START.startswith(beginning[:START_SIZE]):
        if beginning[3:START_SIZE] == _HTTP2_SETTINGS:
            raise ParseError('the server speaks HTTP/2: give the connector http2="prior-knowledge"')
        raise ParseError(f"not an HTTP/1.x response: it starts with {bytes(beginning[:20])!r}")


def read_status_line(line: bytes) -> StatusLine:
    """Return the parts of *line*, which is without its end.

    :raises ParseError: it is not a status line of HTTP/1.x
    """
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        # Show nothing after a bare CR: the peer may mean it as another line, such as a cookie.
        shown = line[:100].partition(b"\r")[0]
        raise ParseError(f"malformed status line {shown!r}")
    minor, status, reason = match.groups(b"")
    return StatusLine(
        HttpVersion10 if minor == b"0" else HttpVersion11,
        int(status),
        reason.decode("utf-8", "surrogateescape"),
        tolerated=minor not in b"01",
    )


#: Bounds of the cache below: the longest key, in bytes, and the number of entries.
_KEPT_SIZE: Final = 64
_KEPT_NUMBER: Final = 256


class _StatusLines(dict[bytes, StatusLine]):
    """A cache of parsed status lines: servers use few different ones."""

    def __missing__(self, line: bytes) -> StatusLine:
        read = read_status_line(line)
        if len(line) <= _KEPT_SIZE:
            if len(self) >= _KEPT_NUMBER:
                self.clear()
            self[line] = read
        return read


status_lines: Final = _StatusLines()


# -- field lines (RFC 9112 §5) ---------------------------------------------------------

_FIELD_LINE: Final = re.compile(rb"(" + _TOKEN + rb"):(" + _READABLE + rb")")
_SPACED_NAME: Final = re.compile(_TOKEN + rb"[\t ]*+")  # a common mistake


def _once(name: bytes, group: int) -> bytes:
    """Return the pattern of a field that may come once, with its value in *group*.

    If it comes again, all the rest is consumed, so that the whole pattern does not match.
    """
    return rb"%b:[\t ]*+(?(%d)(?s:.*+)|(%b))" % (name, group, _TEXT)


#: A head that is exactly as the grammar demands, with the empty line at its end.  Its groups are
#: the status line, and the values of those fields that the client acts on.  If one of these comes
#: twice, except ``Set-Cookie``, the pattern does not match.
#:
#: The names begin with sets of characters as Python's :mod:`re` looks at such a set before it
#: tries an alternative.
PLAIN_HEAD: Final = re.compile(
    rb"(HTTP/1\.[01] [1-9][0-9]{2}(?>(?: " + _TEXT + rb")?))"
    rb"(?>(?:\r\n(?:[Cc][Oo][Nn](?:"
    + _once(rb"[Tt](?i:ent-type)", 2) + rb"|"
    + _once(rb"[Tt](?i:ent-length)", 3) + rb"|"
    + _once(rb"[Nn](?i:ection)", 4) + rb"|"
    + _once(rb"[Tt](?i:ent-encoding)", 5) + rb")|"
    + _once(rb"[Kk](?i:eep-alive)", 6) + rb"|"
    + _once(rb"[Tt](?i:ransfer-encoding)", 7) + rb"|"
    rb"[Ss](?i:et-cookie)():" + _TEXT + rb"|"
    + _TOKEN + rb":" + _TEXT + rb"))*)\r\n\r\n"
)  # fmt: skip


def read_field(line: bytes, kind: str) -> FieldLine:
    """Return the parts of *line*, which is without its end.

    :param kind: of the line, for messages: ``"header"`` or ``"trailer"``
    :raises ParseError: it is not a field line
    """
    match = _FIELD_LINE.fullmatch(line)
    if match is None:
        raise ParseError(f"malformed {kind} line {shown_line(line)}")
    name, value = match.groups()
    return FieldLine(name, value.strip(SPACE), tolerated=_CONTROL.search(value) is not None)


def read_fold(line: bytes, kind: str) -> bytes:
    """Return the part of a field value in *line*, a folded line without its end.

    :raises ParseError: the line contains a NUL, CR or LF
    """
    if _UNREADABLE.search(line):
        raise ParseError(f"malformed {kind} line {shown_line(line)}")
    return line.strip(SPACE)


def shown_line(line: bytes) -> str:
    """Describe a field line for messages, without its value, which may be a cookie or a token."""
    name, colon, _ = line.partition(b":")
    if name[:1] in {b" ", b"\t"}:
        return "that goes on with the one before"  # all of a folded line belongs to a value
    if not colon:  # all of this line may be a part of a value
        return f"without a colon, of {len(line)} bytes"
    if not _SPACED_NAME.fullmatch(name):  # the text before the colon may be a part of a value
        return f"without a name, of {len(line)} bytes"
    return f"{name[:100]!r}, value not shown"


# -- chunk-size lines (RFC 9112 §7.1) --------------------------------------------------

_QUOTED: Final = rb'"(?>(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*)"'


def _chunk_line(space: bytes, size: bytes) -> re.Pattern[bytes]:
    """Return the pattern of a chunk-size line, with *space* wherever white space is tolerated."""
    value = rb"(?:" + _TOKEN + rb"|" + _QUOTED + rb")"
    extension = space.join((b"", b";", _TOKEN, b"(?>(?:=", value + b")?)"))
    return re.compile(space + rb"(" + size + rb")(?>(?:" + extension + rb")*)" + space)


_CHUNK_LINE: Final = _chunk_line(b"", rb"[0-9A-Fa-f]{1,16}")
_TOLERATED_CHUNK_LINE: Final = _chunk_line(rb"[\t ]*+", rb"0*+[1-9A-Fa-f][0-9A-Fa-f]{0,15}|0++")
# Matches nearly all chunk-size lines: a size without extensions.
_PLAIN_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,16}")


@lru_cache(maxsize=1024)
def read_plain_size(line: bytes) -> int:
    """Return the size in *line*, or 0 if the line contains anything else.

    :param line: without its end, and short
    """
    return int(line, 16) if _PLAIN_SIZE.fullmatch(line) else 0


def read_chunk_size(line: bytes) -> ChunkSize:
    """Return the size in *line*, which is without its end; extensions are checked and ignored.

    :raises ParseError: it is not a chunk-size line
    """
    match = _CHUNK_LINE.fullmatch(line)
    if match is not None:
        return ChunkSize(int(match[1], 16), tolerated=False)
    match = _TOLERATED_CHUNK_LINE.fullmatch(line)
    if match is None:
        raise ParseError(f"malformed chunk-size line {line[:60]!r}")
    return ChunkSize(int(match[1], 16), tolerated=True)
