"""What a line may look like, and what is read although it breaks the grammar, as tables."""

from __future__ import annotations

import re

import pytest

from anyhttp import HttpVersion10, HttpVersion11
from anyhttp._http1 import ParseError
from anyhttp._http1.response_grammar import (
    PLAIN_HEAD,
    _chunk_line,
    _once,
    check_start,
    read_chunk_size,
    read_field,
    read_fold,
    read_plain_size,
    read_status_line,
    status_lines,
    without_end,
)


@pytest.mark.parametrize(
    ("line", "version", "status", "reason", "tolerated"),
    [
        (b"HTTP/1.1 200 OK", HttpVersion11, 200, "OK", False),
        (b"HTTP/1.0 404", HttpVersion10, 404, "", False),
        (b"HTTP/1.1 999 a\tb  \xc3\xbc\xff", HttpVersion11, 999, "a\tb  ü\udcff", False),
        (b"HTTP/1.2 200 OK", HttpVersion11, 200, "OK", True),
        (b"HTTP/1.9 100 ", HttpVersion11, 100, "", True),
    ],
)
def test_status_lines(
    line: bytes, version: object, status: int, reason: str, tolerated: bool
) -> None:
    """RFC 9112 §4; a version that is not known is read as the last one that is."""
    read = read_status_line(line)
    assert (read.version, read.status, read.reason) == (version, status, reason)
    assert read.tolerated is tolerated


@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 20", b"HTTP/1.1 2000", b"HTTP/1.1 099", b"HTTP/1.1  200",
     b"HTTP/1.1 200\tOK", b"HTTP/1.10 200 OK", b"HTTP/2.0 200 OK", b"HTTP/1.1 200 \x1b", b"\r", b"",
     b"HTTP/1.1 200 O\x00", b"HTTP/1.1 200 OK\r", b"HTTP/1.1 200 OK\n"],
)  # fmt: skip
def test_malformed_status_lines(line: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(ParseError, match="malformed status line"):
        read_status_line(line)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"HTTP/1.1 2x", b"HTTP/1.1 2x"),
        (b"HTTP/1.1 2".ljust(200, b"x"), b"HTTP/1.1 2".ljust(100, b"x")),
        (b"HTTP/1.1 2x\rA: secret\rB: secret", b"HTTP/1.1 2x"),
    ],
)
def test_what_is_shown_of_a_malformed_status_line(line: bytes, shown: bytes) -> None:
    """100 bytes, and nothing after a CR: the peer may mean that as another line."""
    with pytest.raises(ParseError) as caught:
        read_status_line(line)
    assert str(caught.value) == f"malformed status line {shown!r}"


@pytest.mark.parametrize(
    ("beginning", "allowed"),
    [
        *((b"HTTP/1.1 200"[:end], True) for end in range(1, 12)),
        *((empty, True) for empty in (b"\n", b"\nX", b"\r", b"\r\n", b"\r\nX")),
        *((other, False) for other in (b"\rX", b" ", b"h", b"HTTP/2", b"ICY 200", b"\x15\x03")),
    ],
)
def test_beginnings(beginning: bytes, allowed: bool) -> None:
    """Another protocol is noticed at its first byte that differs."""
    if allowed:
        check_start(beginning)
        return
    with pytest.raises(ParseError, match=r"not an HTTP/1\.x response"):
        check_start(beginning)


def test_the_beginning_of_http2() -> None:
    """A server that speaks HTTP/2 says so by a frame, SETTINGS; the message says what to do."""
    with pytest.raises(ParseError, match='speaks HTTP/2: give the connector http2="prior-knowl'):
        check_start(b"\x00\x00\x06\x04\x00\x00\x00")
    with pytest.raises(ParseError, match="it starts with"):
        check_start(b"\x00\x00\x06\x06\x00\x00\x00")


@pytest.mark.parametrize(
    ("line", "name", "value", "tolerated"),
    [
        (b"X: a", b"X", b"a", False),
        (b"x-Y:", b"x-Y", b"", False),
        (b"X:\t a\t b: \xff ", b"X", b"a\t b: \xff", False),
        *((b"X: a%cb" % code, b"X", b"a%cb" % code, True) for code in (*range(1, 9), 11, 12)),
        *((b"X: a%cb" % code, b"X", b"a%cb" % code, True) for code in (*range(14, 32), 127)),
    ],
)
def test_fields(line: bytes, name: bytes, value: bytes, tolerated: bool) -> None:
    """RFC 9112 §5; control characters other than NUL, CR and LF are kept as they are."""
    assert read_field(line, "header") == (name, value, tolerated)


@pytest.mark.parametrize(
    "line", [b"X", b"X : a", b": a", b" X: a", b"X\x7f: a", b"X: \0", b"X: a\r", b"X: a\nb", b""]
)
def test_malformed_fields(line: bytes) -> None:
    """The kind of line is told."""
    with pytest.raises(ParseError, match="malformed trailer line"):
        read_field(line, "trailer")


@pytest.mark.parametrize("length", [1, 100, 101, 200])
def test_what_is_shown_of_a_malformed_field(length: int) -> None:
    """At most 100 bytes of its name, and nothing of its value."""
    with pytest.raises(ParseError) as caught:
        read_field(b"x" * length + b" : secret", "header")
    shown = b"x" * length + b" "
    assert str(caught.value) == f"malformed header line {shown[:100]!r}, value not shown"


def test_folds() -> None:
    """What is around a part of a value is no part of it."""
    assert read_fold(b" \ta\t: \x7f \t", "header") == b"a\t: \x7f"
    for line in (b" a\0", b" a\r", b" a\nb"):
        with pytest.raises(ParseError, match="malformed header line that goes on"):
            read_fold(line, "header")


@pytest.mark.parametrize(
    ("line", "size", "tolerated"),
    [
        (b"0", 0, False),
        (b"fF", 255, False),
        (b"00000002", 2, False),
        (b"F" * 16, 2**64 - 1, False),
        (b'2;a;b=c;d="e;\\"\xff"', 2, False),
        (b"0" * 17, 0, True),
        (b"0" * 8000 + b"F" * 16, 2**64 - 1, True),
        (b"2 ", 2, True),
        (b"\t2", 2, True),
        (b"0 ", 0, True),
        (b' 2 ;\ta = b\t; c="d" ', 2, True),
    ],
)
def test_chunk_sizes(line: bytes, size: int, tolerated: bool) -> None:
    """RFC 9112 §7.1, and the white space of §7.1.1."""
    assert read_chunk_size(line) == (size, tolerated)


@pytest.mark.parametrize(
    "line",
    [b"", b" ", b"+2", b"- 2", b"0x2", b"2_0", b"2 2", b"g", b"2g", b"\xb2", b"2\0", b"2\r", b"2\n",
     b"2\x0b", b"1" + b"0" * 16, b"0" * 8000 + b"1" + b"0" * 16, b"0" * 8000 + b"g", b"2;", b"2; ",
     b"2;;a", b"2;a b", b"2;a=", b"2;a= ", b'2;a="b', b'2;a="b"c', b"2;a=b=c", b"2;\xff",
     b"2 ; a\r"],
)  # fmt: skip
def test_malformed_chunk_sizes(line: bytes) -> None:
    """CVE-2024-52304, CVE-2025-69224."""
    with pytest.raises(ParseError, match="malformed chunk-size line"):
        read_chunk_size(line)


@pytest.mark.parametrize(
    ("line", "strict", "tolerant"),
    [
        (b"2", True, True),
        (b"2;a", True, True),
        (b"2;a;b=c;d", True, True),
        (b'2;a="b;\\"c"', True, True),
        (b" 2", False, True),
        (b"2 ", False, True),
        (b"2 ;a", False, True),
        (b"2; a", False, True),
        (b"2;a =b", False, True),
        (b"2;a= b", False, True),
        (b"3", False, False),
        (b"2;", False, False),
        (b"2;=b", False, False),
        (b"2;a=", False, False),
        (b"2;a=b=c", False, False),
        (b'2;a="b', False, False),
        (b"2 2", False, False),
        (b"2a", False, False),
    ],
)
def test_patterns_of_chunk_lines(line: bytes, strict: bool, tolerant: bool) -> None:
    """A size and extensions, with white space between all of their parts or between none."""
    for space, expected in ((b"", strict), (b" *+", tolerant)):
        match = _chunk_line(space, b"2").fullmatch(line)
        assert (match is not None) is expected
        assert match is None or match[1] == b"2"


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        (b"A: x\r\nB\r\n", b"x"),
        (b"B\r\nA:x \r\n", b"x "),
        (b"A:\r\n", b""),
        (b"B\r\n", None),
        (b"A: x\r\nA: y\r\n", False),
        (b"A:\r\nB\r\nA: y\r\n", False),
        (b"A: \0\r\n", False),
    ],
)
def test_the_pattern_of_a_field_that_may_come_once(
    lines: bytes, value: bytes | bool | None
) -> None:
    """If it comes again, the whole does not match; nor with a value that is no text."""
    pattern = re.compile(rb"(?>(?:(?:" + _once(b"A", 1) + rb"|B)\r\n)*)\r\n")
    match = pattern.fullmatch(lines + b"\r\n")
    assert (False if match is None else match[1]) == value


def test_plain_sizes() -> None:
    """What is not plain is for another to look at."""
    assert read_plain_size(b"1f") == 31
    for line in (b"", b"0", b"2 ", b"+2", b"0_2", b"2;a", b"0" * 17):
        assert read_plain_size(line) == 0


@pytest.mark.parametrize(
    ("head", "values"),
    [
        (b"HTTP/1.1 200", [None] * 7),
        (b"HTTP/1.0 404 a\tb\xff\r\nX:\r\nY: \t\xff~ ", [None] * 7),
        (b"HTTP/1.1 200 OK\r\ncontent-TYPE:a\r\nX: content-length: 1\r\nContent-Length: \t2 ",
         [b"a", b"2 ", *[None] * 5]),
        ((b"HTTP/1.1 200 OK\r\nConnection: a\r\nContent-Encoding: b\r\nKeep-Alive:\tc\r\n"
          b"Transfer-Encoding: \r\nSet-Cookie: d\r\nset-cookie: e\r\nSet-Cookies: f"),
         [None, None, b"a", b"b", b"c", b"", b""]),
        (b"HTTP/1.1 200 OK\r\nConnections: a\r\nXConnection: b\r\nContent-Types: c\r\nCon: d",
         [None] * 7),
    ],
)  # fmt: skip
def test_plain_heads(head: bytes, values: list[bytes | None]) -> None:
    """The values that the client acts on are found at once: type, length, connection, encoding,
    how long the connection is kept, coding, and whether there is a cookie.
    """
    match = PLAIN_HEAD.match(head + b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
    assert match is not None
    assert match[0] == head + b"\r\n\r\n"
    assert list(match.groups()) == [head.partition(b"\r\n")[0], *values]


@pytest.mark.parametrize("name", [b"Content-Type", b"content-length", b"CONNECTION", b"keep-alive",
                                  b"Content-Encoding", b"Transfer-Encoding"])  # fmt: skip
def test_repeated_fields_are_not_plain(name: bytes) -> None:
    """What they mean together is for another to tell."""
    field = name + b": 1\r\n"
    assert PLAIN_HEAD.match(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n")
    for second in (field, field.swapcase(), name + b":\r\n"):
        assert not PLAIN_HEAD.match(b"HTTP/1.1 200 OK\r\n" + field + b"X: y\r\n" + second + b"\r\n")


@pytest.mark.parametrize(
    "line",
    [b"a", b" a: b", b": b", b"a : b", b"a\xff: b", b"a: b\n", b"a: b\nc: d", b"a: b\r",
     b"a: b\r\r", b"a: b\rc", b"a: b\r\n c",
     *(b"a: %cb" % code for code in (*range(9), *range(10, 32), 127))],
)  # fmt: skip
def test_what_breaks_the_grammar_is_not_plain(line: bytes) -> None:
    """Whether it is tolerated is for another to tell."""
    assert not PLAIN_HEAD.match(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n")
    assert not PLAIN_HEAD.match(b"HTTP/1.1 200 OK\r\nX: y\r\n" + line + b"\r\nX: y\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.2 200 OK\r\n\r\n", b"\r\nHTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\n\r\n",
     b"HTTP/1.1 200 O\0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 099 OK\r\n\r\n"],
)  # fmt: skip
def test_plain_heads_begin_with_a_status_line(head: bytes) -> None:
    """And end with an empty line."""
    assert not PLAIN_HEAD.match(head)


def test_line_ends() -> None:
    """One, and no more of them."""
    assert [without_end(line) for line in (b"a\r\n", b"a\n", b"a\r\r\n", b"\n")] == [
        b"a", b"a", b"a\r", b"",
    ]  # fmt: skip


def test_what_peers_send_does_not_fill_the_memory() -> None:
    """Only short status lines are kept, and few of them."""
    for number in range(1000):
        assert status_lines[b"HTTP/1.1 200 %d" % number].reason == str(number)
    assert len(status_lines) <= 256
    before = len(status_lines)
    assert status_lines[b"HTTP/1.1 200 " + b"x" * 100].status == 200
    assert len(status_lines) == before
