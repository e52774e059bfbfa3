"""``Retry-After`` (RFC 9110, section 10.2.3)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict

from anyhttp._headers import parse_retry_after

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (" 5\t", 5),
        ("007", 7),
        ("1.5", 1.5),  # not in the grammar; some servers send it
        ("9" * 300, float("9" * 300)),
        ("9" * 8000, math.inf),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
        ("Sun Nov  6 08:50:37 1994", 60),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sat, 05 Nov 1994 08:50:37 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 - NOW),
    ],
)
def test_what_the_server_asks_for(value: str, seconds: float) -> None:
    """A number of seconds, or a date in any of the three formats of RFC 9110 §5.6.7."""
    assert parse_retry_after(CIMultiDict({"Retry-After": value}), NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "-1", "+1", "1_0", "1e3", "0x10", "inf", "nan", ".5", "5.", "1 2", "soon"),
        *("\u0661\u0662", "\uff15", "1\n", "1, 2"),
        *("Sun, 31 Feb 1994 08:50:37 GMT", "Sun, 06 Nov 1994 25:50:37 GMT", "Sun, 06 Nov 1994"),
        "Sun, 06 Nov 1994 08:50:37 GMT" + " " * 100 + "x",
        "6 Nov 99999 08:49:37",
    ],
)
def test_anything_else_is_ignored(value: str) -> None:
    """A server that sends nonsense is treated like one that asks for nothing."""
    assert parse_retry_after(CIMultiDict({"Retry-After": value}), NOW) is None


def test_a_response_without_the_field_asks_for_nothing() -> None:
    """The caller decides how long to wait."""
    assert parse_retry_after(CIMultiDict[str](), NOW) is None


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Sun, 06 Nov 1994 08:50:07 GMT", 30), ("nonsense", 60), ("", 60), ("1" * 8000, 60)],
)
def test_a_date_counts_from_the_time_at_the_server(date: str, seconds: float) -> None:
    """The clock of the client may be wrong by hours."""
    headers = CIMultiDict({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": date})
    assert parse_retry_after(headers, NOW) == seconds


@given(st.text(max_size=80) | st.from_regex(r"[0-9.]+", fullmatch=True))
def test_whatever_it_holds_is_read_or_ignored(value: str) -> None:
    """No text raises an error, and the result can be compared with a limit."""
    seconds = parse_retry_after(CIMultiDict({"Retry-After": value, "Date": value}), NOW)
    assert seconds is None or seconds >= 0
