"""Reading ``Content-Type``: the same for responses, parts of multiparts and bodies to send."""

from __future__ import annotations

import pytest

from anyhttp._headers import codec_name, parse_content_type
from anyhttp.payload import StringPayload
from tests.support.cost import cheap


@pytest.mark.parametrize(
    ("header", "kind", "params"),
    [
        ("", "", {}),
        ("Text/HTML", "text/html", {}),
        ("text/plain; Charset=UTF-8", "text/plain", {"charset": "UTF-8"}),
        (r'multipart/mixed; boundary="a\"; b" ; x=y', "multipart/mixed", {"boundary": 'a"; b'}),
        ("multipart/mixed;boundary=a:b;boundary=c", "multipart/mixed", {"boundary": "a:b"}),
        ("text/plain; charset", "text/plain", {}),
    ],
)
def test_a_media_type_is_parsed(header: str, kind: str, params: dict[str, str]) -> None:
    """RFC 9110 §8.3.1: names without case; the first of a repeated parameter counts."""
    read = parse_content_type(header)
    assert read.media_type == kind
    assert read.parameters.items() >= params.items()
    assert read.parameters.keys() - {"x"} == params.keys()


@pytest.mark.parametrize(
    ("header", "params"),
    [
        ("text/plain; foo; charset=latin-1", {"charset": "latin-1"}),
        ("text/plain;;; charset=latin-1 ;", {"charset": "latin-1"}),
        ("text/plain; =x; a b=c; charset=latin-1", {"charset": "latin-1"}),
        ("text/plain; charset = latin-1", {"charset": "latin-1"}),
        ("text/plain; charset=; charset=latin-1", {"charset": "latin-1"}),
        ('text/plain; charset=""; charset=latin-1', {"charset": "latin-1"}),
        (
            'text/plain; x="a;charset=b" c; charset=latin-1',
            {"x": "a;charset=b", "charset": "latin-1"},
        ),
        ('text/plain; charset="latin-1', {"charset": "latin-1"}),
        ('text/plain; x="a; charset=b', {"x": "a; charset=b"}),
        ('text/plain; x="a\\', {"x": "a\\"}),
        ("text/plain; charset*=utf-8''latin-1", {"charset*": "utf-8''latin-1"}),
        ("; charset=latin-1", {"charset": "latin-1"}),
    ],
)
def test_what_is_malformed_costs_nothing_beside_it(header: str, params: dict[str, str]) -> None:
    """As browsers do: up to the next semicolon, and open quotes end with the header."""
    assert parse_content_type(header).parameters == params


@pytest.mark.parametrize("header", [None, "", "text", "text/", "/x", "a b/c", "a/b, c/d", "é/x"])
def test_what_is_no_media_type(header: str | None) -> None:
    """It is as if none was named."""
    assert parse_content_type(header).media_type == ""


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("latin-1", "iso8859-1"),
        ("UTF-8", "utf-8"),
        ("utf 8", "utf-8"),
        ("nope", None),
        ("base64", None),
        ("idna", None),
        ("punycode", None),
        ("unicode_escape", None),
        ("raw_unicode_escape", None),
        ("", None),
        ("utf-8\0", None),
        ("\udcff", None),
        ("utf-8" + " " * 40, None),
    ],
)
def test_only_charsets_are_looked_up(charset: str, name: str | None) -> None:
    """No name of a peer is an error, chooses a codec that is slow, or is kept if it is long."""
    assert codec_name(charset) == name
    assert parse_content_type(f'text/plain; charset="{charset}"').encoding == name


def test_few_and_short_ones_are_kept() -> None:
    """A server chooses what it sends; it must not choose how much is remembered."""
    memo = parse_content_type.__self__  # type: ignore[attr-defined]  # that of the bound method
    long = "text/plain; x=" + "y" * 64
    assert parse_content_type(long).parameters == {"x": "y" * 64}
    assert long not in memo
    for number in range(1000):
        parse_content_type(f"text/{number}")
    assert len(memo) <= 64


@pytest.mark.parametrize(
    "header",
    [
        'a/b; x="' + '\\"' * 100_000,
        "a/b" + "; " * 100_000,
        "a/b" + ";" * 100_000,
        "a/b" + "; x" * 100_000,
        "a/b; x" + " " * 200_000,
        "a/b; x*=" + "'" * 200_000 + '"',
        'a/b; x="' + '"' * 200_000,
        "a/b" + ';x="' * 100_000,
        "a/b" + ';x="\\' * 100_000,
        " " * 200_000 + "?",
    ],
    ids=range(10),
)
def test_no_header_is_slow(header: str) -> None:
    """CVE-2025-69229: cost is linear in the length of what a peer sends."""
    with cheap():
        parse_content_type(header)


def test_a_body_to_send_is_read_alike() -> None:
    """Text is encoded in the charset that its type names."""
    payload = StringPayload("ü", content_type='text/plain; foo; charset="latin-1"')
    assert payload.in_memory() == b"\xfc"
