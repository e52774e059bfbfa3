from __future__ import annotations

import pytest
from multidict import CIMultiDict, istr

from anyhttp import hdrs

HEADERS = {
    name: value for name, value in vars(hdrs).items() if name.isupper() and isinstance(value, istr)
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_constant_is_named_after_its_header(name: str) -> None:
    """The name of a constant is the header's, in upper case with "_" for "-"."""
    assert HEADERS[name].upper().replace("-", "_") == name


def test_the_documented_headers_are_there() -> None:
    """Every header that the reference lists has its constant, and nothing else has one."""
    assert len(HEADERS) == 132
    assert hdrs.WWW_AUTHENTICATE == "WWW-Authenticate"
    assert hdrs.X_RATELIMIT_REMAINING == "X-RateLimit-Remaining"
    assert hdrs.TRACEPARENT == "traceparent"


def test_a_constant_finds_any_spelling() -> None:
    """RFC 9110 §5.1: field names are compared without case."""
    assert CIMultiDict({"content-TYPE": "text/plain"})[hdrs.CONTENT_TYPE] == "text/plain"


def test_methods() -> None:
    """RFC 9110 §9.1, RFC 5789: METH_ALL holds the methods, METH_ANY is none of them."""
    names = {name for name in vars(hdrs) if name.startswith("METH_")} - {"METH_ALL", "METH_ANY"}
    assert {f"METH_{method}" for method in hdrs.METH_ALL} == names
    assert len(hdrs.METH_ALL) == 9
    assert hdrs.METH_ANY == "*"


def test_host_all_holds_every_spelling() -> None:
    """HOST_ALL serves those who compare raw names: 2 to the 4th spellings of Host."""
    assert len(hdrs.HOST_ALL) == 16
    assert {spelling.lower() for spelling in hdrs.HOST_ALL} == {"host"}
    assert {"Host", "HOST", "host", "hOsT"} <= hdrs.HOST_ALL
