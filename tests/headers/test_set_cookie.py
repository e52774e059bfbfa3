"""What one response asks to store: the fields ``Set-Cookie``, and the dates in them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from anyhttp._headers.set_cookie import _attribute, parse_date, response_cookies


def test_response_cookies_have_their_attributes() -> None:
    """What a response sets can be read as from a ``SimpleCookie``, unquoted."""
    cookie = response_cookies(['a="b c"; Path=/x; Domain=d; Max-Age=5; SECURE; HttpOnly=0'])["a"]
    assert (cookie.value, cookie.coded_value) == ("b c", '"b c"')
    assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/x", "d", "5")
    assert (cookie["secure"], cookie["httponly"]) == (True, True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a\\"b\\\\c\\054"', 'a"b\\c,'),
        ('"', '"'),
        ('""', ""),
        ('"a', '"a'),
        ('a"b"', 'a"b"'),
        ('"\\012"', '"\\012"'),
    ],
)
def test_quoted_values_are_read_decoded(text: str, value: str) -> None:
    """As in ``http.cookies``, but no escape yields a control character."""
    cookie = response_cookies([f"a={text}"])["a"]
    assert (cookie.value, cookie.coded_value) == (value, text)


def test_the_last_of_a_name_wins_in_a_response() -> None:
    """``ClientResponse.cookies`` is a mapping by name."""
    cookies = response_cookies(["a=1; Path=/x", "a=2"])
    assert (cookies["a"].value, cookies["a"]["path"]) == ("2", "")


def test_attributes_are_bounded() -> None:
    """Limits of §5.6 and of our own: 1024 octets each, 32 of one cookie; empty ones are free."""
    long, longer = "/" + "x" * 1023, "/" + "x" * 1024
    assert response_cookies([f"a=1; Path={long}"])["a"]["path"] == long
    assert response_cookies([f"a=1; Path={longer}"])["a"]["path"] == ""
    assert response_cookies(["a=1; x\ty; Path=/x\ty"])["a"]["path"] == ""
    for number in range(1000):
        response_cookies([f"a=1; Path=/{number}; Domain={'x' * 60}{number}"])
    assert _attribute.cache_info().currsize <= 256
    many = ";;; x" * 31
    assert response_cookies([f"a=1{many}; Path=/x"])["a"]["path"] == "/x"
    assert response_cookies([f"a=1{many}; x; Path=/x"])["a"]["path"] == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wed, 09 Jun 2021 10:18:14 GMT", 1623233894),
        ("Wed, 09-Jun-2021 10:18:14 GMT", 1623233894),
        ("Mar, 09-Jun-2021 10:18:14 GMT", 1615285094),
        ("Wednesday, 09-Jun-21 10:18:14 GMT", 1623233894),
        ("Wed, 09 Jun 2021 24:00:00 GMT", None),
        ("Wed, 09 Jun 2021 23:59:60 GMT", None),
        ("Wed, 31 Jun 2021 10:18:14 GMT", None),
        ("Wed, 00 Jun 2021 10:18:14 GMT", None),
        ("Fri, 09 Jun 0021 10:18:14 GMT", 1623233894),
        ("Fri, 09 Jun 1600 10:18:14 GMT", None),
        ("Fri, 09 Jun 9999 10:18:14 GMT", 253384539494),
        ("Wed Jun  9 10:18:14 2021", 1623233894),
        ("2021 jun 9th 10:18:14x", 1623233894),
        ("10:18:14 9 June 2021 10:00:00 8 May 2020", 1623233894),
        ("1 jan 1970 0:0:0", 0),
        ("1 jan 70 0:0:0", 0),
        ("1 jan 00 0:0:0", 946684800),
        ("31 dec 9999 23:59:59", 253402300799),
        ("1 jan 1601 00:00:00", -11644473600),
        ("", None),
        ("0", None),
        ("1 jan 1600 00:00:00", None),
        ("30 feb 2021 00:00:00", None),
        ("0 jan 2021 00:00:00", None),
        ("1 jan 2021 24:00:00", None),
        ("1 jan 2021 00:60:00", None),
        ("1 jan 2021", None),
        ("jan 2021 00:00:00", None),
        ("1 2021 00:00:00", None),
        ("1 jan 00:00:00", None),
        ("1 jan 20211 00:00:00", None),
        ("1 jan \uff12\uff10\uff12\uff11 00:00:00", None),
    ],
)
def test_dates_are_read_leniently(text: str, expected: int | None) -> None:
    """RFC 6265bis §5.1.1: any order and delimiters, but only dates that exist."""
    assert parse_date(text) == expected


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31)),
    st.sampled_from(["%a, %d %b %Y %H:%M:%S GMT", "%a, %d-%b-%Y %H:%M:%S GMT"]),
)
def test_the_usual_form_of_a_date_is_read_as_any_other(moment: datetime, form: str) -> None:
    """It is read faster, with the same result."""
    text, time = moment.strftime(form), moment.replace(microsecond=0, tzinfo=UTC).timestamp()
    assert parse_date(text) == parse_date(f"{text} ") == time
