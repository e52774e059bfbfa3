from __future__ import annotations

import codecs

import pytest

from anyhttp._event_stream import TextLines, is_linear
from anyhttp.http_exceptions import LineTooLong
from tests.support.cost import calls_of


def text_lines(limit: int = 100, *, encoding: str = "utf-8", errors: str = "strict") -> TextLines:
    """Return a parser with a small limit."""
    return TextLines(encoding, errors, limit, "size= of read()")


def complete(lines: TextLines) -> list[str]:
    """The lines that are there without more bytes."""
    found: list[str] = []
    while (line := lines.next_line()) is not None:
        found.append(line)
    return found


def test_a_line_is_there_as_soon_as_its_end_is() -> None:
    """A CR ends it, too, and an LF that comes later belongs to the same end."""
    lines = text_lines()
    assert lines.next_line() is None
    lines.feed(b"a\nb\r")
    assert complete(lines) == ["a", "b"]
    lines.feed(b"\n")
    assert complete(lines) == []
    lines.feed(b"\nc\r")
    assert complete(lines) == ["", "c"]
    lines.feed(b"\r\r\nd")
    assert complete(lines) == ["", ""]
    lines.feed_eof()
    assert complete(lines) == ["d"]
    lines.feed_eof()
    assert complete(lines) == []


def test_other_line_ends_of_unicode_are_characters() -> None:
    """As in text files, and unlike ``str.splitlines()``: JSON may contain them."""
    lines = text_lines()
    lines.feed("a\x0b\x0c\x1c\x85\u2028b\n".encode())
    assert complete(lines) == ["a\x0b\x0c\x1c\x85\u2028b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift_jis", "gb18030", "iso2022_jp"])
def test_characters_of_several_bytes_arrive_byte_by_byte(encoding: str) -> None:
    """A byte of a character that looks like a line end is none."""
    text = "日本語\nਊ\n" if encoding in {"utf-8", "utf-16", "gb18030"} else "日本語\n表\n"
    lines = text_lines(encoding=encoding)
    for byte in text.encode(encoding):
        lines.feed(bytes([byte]))
    assert complete(lines) == text.splitlines()


def test_bytes_of_another_charset() -> None:
    """*errors* says what to do; a character that the end cuts off counts as well."""
    with pytest.raises(UnicodeDecodeError):
        text_lines().feed(b"\xff\n")
    lines = text_lines()
    lines.feed(b"a\xc3")
    with pytest.raises(UnicodeDecodeError):
        lines.feed_eof()
    lines = text_lines(errors="replace")
    lines.feed(b"\xff\na\xc3")
    lines.feed_eof()
    assert complete(lines) == ["\ufffd", "a\ufffd"]


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long(end: bytes, step: int) -> None:
    """It is refused whether or not its end has come, behind the lines before it, and for ever."""
    lines = text_lines(4)
    body = b"1234\n\xc3\xa42345" + end
    for start in range(0, len(body), step):
        lines.feed(body[start : start + step])
    assert lines.next_line() == "1234"
    for _ in range(2):
        with pytest.raises(LineTooLong, match=r"than 4 characters.*The limit is set by size= of"):
            lines.next_line()


def test_the_beginning_of_a_long_line_is_shown() -> None:
    """The error does not hold the whole line."""
    lines = text_lines(1000)
    lines.feed(b"x" * 2000)
    with pytest.raises(LineTooLong) as caught:
        lines.next_line()
    assert caught.value.line == "x" * 100 + "..."
    assert caught.value.limit == 1000


@pytest.mark.parametrize("body", [b"x", b"\n", b"\r", b"ab\r\n", "ä".encode()])
def test_the_cost_is_linear(body: bytes) -> None:
    """Ten times as many bytes, one at a time, take ten times as many calls of functions."""

    def feed(count: int) -> None:
        lines = text_lines(10**6)
        for byte in body * count:
            lines.feed(bytes([byte]))
        lines.feed_eof()
        complete(lines)

    assert calls_of(lambda: feed(5000)) < 11 * calls_of(lambda: feed(500))


def test_what_is_decoded_is_not_decoded_again() -> None:
    """A decoder keeps at most the bytes of one character; that of UTF-7 would keep a section."""
    assert not is_linear("UTF7")
    for name in ("utf-8", "utf-16", "utf-32", "shift_jis", "hz", "iso2022_jp", "big5hkscs"):
        assert is_linear(name)
        decoder = codecs.getincrementaldecoder(name)()
        decoder.decode("表ab表".encode(name)[:-1])
        assert len(decoder.getstate()[0]) < 8
