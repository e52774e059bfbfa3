"""Lines and fields out of bytes, by the readers alone: each byte in a piece of its own."""

from __future__ import annotations

import pytest

from anyhttp._http1 import Limits, ParseError
from anyhttp._http1.lines import FieldReader, LineReader, Longest

LONGEST = Longest(5, "a line", 5)


def read(*pieces: bytes) -> bytes | None:
    """Return the line that the last piece completes."""
    lines = LineReader()
    for piece in pieces[:-1]:
        assert lines.read(piece, 0, LONGEST) is None
    found = lines.read(pieces[-1], 0, LONGEST)
    return None if found is None else found[0]


@pytest.mark.parametrize(
    "pieces", [(b"\rx",), (b"\r", b"x"), (b"a\rx",), (b"ab\r", b"x"), (b"a", b"b", b"\r", b"\r")]
)
def test_a_cr_has_to_be_followed_by_an_lf(pieces: tuple[bytes, ...]) -> None:
    """It is refused as soon as another byte has come, wherever the pieces are cut."""
    with pytest.raises(ParseError, match="a CR that no LF follows"):
        read(*pieces)


@pytest.mark.parametrize("pieces", [(b"abcde\r\n",), (b"abcde\r", b"\n"), (b"abc", b"de", b"\r\n")])
def test_the_end_of_a_line_does_not_count(pieces: tuple[bytes, ...]) -> None:
    """Only what is before it, in one piece or in several."""
    assert read(*pieces) == b"abcde\r\n"
    first, *rest = pieces
    with pytest.raises(ParseError, match="longer than 5 bytes"):
        read(b"x" + first, *rest)


def feed(fields: FieldReader, raw: bytes) -> None:
    """Feed byte by byte."""
    for at in range(len(raw)):
        assert fields.complete is False
        assert fields.feed(raw[at : at + 1], 0) == 1


@pytest.mark.parametrize("counted", [0, 2])
def test_fields_are_counted_with_those_before(counted: int) -> None:
    """Up to the limit, and no further."""
    for over in (0, 1):
        limits, lines = Limits(max_headers=4), LineReader()
        before = (counted,) if counted else ()
        fields = FieldReader(limits, lines, "header", *before)
        assert fields.tolerated is False
        raw = b"a: b\r\n" * (4 - counted + over) + b"\r\n"
        if over:
            with pytest.raises(ParseError, match="more than 4 header lines"):
                feed(fields, raw)
        else:
            feed(fields, raw)
            assert fields.complete is True
            assert fields.fields == [(b"a", b"b")] * (4 - counted)
