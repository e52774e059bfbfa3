"""``Content-Range``: which bytes of a file a partial response holds."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from anyhttp._downloads.content_range import ContentRange, parse_content_range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes 0-0/1", ContentRange(0, 0, 1)),
        ("bytes 5-9/10", ContentRange(5, 9, 10)),
        ("Bytes 5-9/*", ContentRange(5, 9, None)),
        (" bytes 5-9/10\t", ContentRange(5, 9, 10)),
        ("", None),
        ("bytes */10", None),  # of a 416
        ("bytes 9-5/10", None),
        ("bytes 5-10/10", None),
        ("bytes 5-9", None),
        ("bytes=5-9/10", None),
        ("bytes  5-9/10", None),
        ("bytes +5-9/10", None),
        ("bytes 5-9/1_0", None),
        ("bytes \u0665-9/10", None),
        ("lines 5-9/10", None),
        (f"bytes 5-9/{'9' * 20}", None),
        (f"bytes 5-9/{'9' * 10_000}", None),
    ],
)
def test_a_field_is_read_strictly(text: str, expected: ContentRange | None) -> None:
    """RFC 9110 §14.4; a field that is not certain says nothing."""
    assert parse_content_range(text) == expected


@given(first=st.integers(0, 10**18), more=st.integers(0, 10**6), rest=st.integers(1, 10**6))
def test_what_is_written_is_read(first: int, more: int, rest: int) -> None:
    """Any file, any part of it."""
    written = ContentRange(first, first + more, first + more + rest)
    text = f"bytes {written.first}-{written.last}/{written.total}"
    assert parse_content_range(text) == written
