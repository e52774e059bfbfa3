"""What a line may look like, and what is read although it breaks the grammar, as tables."""

from __future__ import annotations

import pytest

from anyhttp import HttpVersion10, HttpVersion11
from anyhttp._http1 import ParseError
from anyhttp._http1.response_grammar import (
    check_start,
    concerns,
    plain_lines,
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


def test_plain_sizes() -> None:
    """What is not plain is for another to look at."""
    assert read_plain_size(b"1f") == 31
    for line in (b"", b"0", b"2 ", b"+2", b"0_2", b"2;a", b"0" * 17):
        assert read_plain_size(line) == 0


@pytest.mark.parametrize(
    ("head", "lines"),
    [
        (b"a", [b"a"]),
        (b"a\r\nb\tc\xff~ \r\n", [b"a", b"b\tc\xff~ ", b""]),
        *(
            (other, None)
            for other in (b"a\nb", b"a\rb", b"a\r\r\nb", b"a\n\r\nb", b"a\rb\n", b"\0")
        ),
        *((b"a%cb" % code, None) for code in (*range(9), *range(10, 32), 127)),
    ],
)
def test_plain_lines(head: bytes, lines: list[bytes] | None) -> None:
    """All of a head is looked at in one go."""
    assert plain_lines(head) == lines


def test_line_ends() -> None:
    """One, and no more of them."""
    assert [without_end(line) for line in (b"a\r\n", b"a\n", b"a\r\r\n", b"\n")] == [
        b"a", b"a", b"a\r", b"",
    ]  # fmt: skip


def test_what_peers_send_does_not_fill_the_memory() -> None:
    """Only short lines and names are kept, and few of them."""
    for number in range(1000):
        assert status_lines[b"HTTP/1.1 200 %d" % number].reason == str(number)
        assert concerns[b"X-%d" % number] == b""
    assert len(status_lines) <= 256
    assert len(concerns) <= 256
    before = len(status_lines), len(concerns)
    assert status_lines[b"HTTP/1.1 200 " + b"x" * 100].status == 200
    assert concerns[b"x" * 100] == b""
    assert (len(status_lines), len(concerns)) == before
    assert concerns[b"Content-LENGTH"] == b"content-length"
    for name in (b"", b"X ", b" X", b"X\x7f"):
        with pytest.raises(ParseError):
            concerns[name]
