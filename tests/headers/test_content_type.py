"""Reading ``Content-Type``: the same for responses, parts of multiparts and bodies to send."""

from __future__ import annotations

import codecs
import encodings

import pytest

from anyhttp._headers import codec_name, json_encoding, parse_content_type
from anyhttp.payload import StringPayload


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


def test_unknown_names_are_not_kept() -> None:
    """Python would remember each of them for ever, and a server can send any number."""
    codec_name("utf-8")
    before = len(encodings._cache)
    for number in range(100):
        assert codec_name(f"x-Unknown.{number}-a_b") is None
        assert codec_name(f"rot13{number}") is None
    assert len(encodings._cache) == before
    assert codec_name("iso8859-15") == "iso8859-15"
    assert codec_name("x-unknown") is None


@pytest.mark.parametrize("charset", ["é", "utf-8é", "latin\u20101", "utf-8\N{NO-BREAK SPACE}"])
def test_a_charset_is_ascii(charset: str) -> None:
    """RFC 2978 §2.3: Python up to 3.14 ignores other characters, and then warns of them."""
    assert codec_name(charset) is None


def test_a_codec_of_the_program_is_found() -> None:
    """``codecs.register()`` is for everybody."""

    def search(name: str) -> codecs.CodecInfo | None:
        # Python up to 3.14 asks with underscores.
        return codecs.lookup("latin-1") if name.replace("-", "_") == "x_of_the_program" else None

    assert codec_name("x-of-the-program-2") is None
    codecs.register(search)
    try:
        assert codec_name("x-of-the-program") == "iso8859-1"
    finally:
        codecs.unregister(search)


@pytest.mark.parametrize(
    ("header", "charset", "encoding"),
    [
        ("text/html; charset=latin-1, text/html", "latin-1", "iso8859-1"),
        ("text/html; charset=latin-1,charset=latin-1", "latin-1", "iso8859-1"),
        ("text/html; charset=latin-1 , text/html; charset=utf-8", "latin-1", "iso8859-1"),
        ("text/html; charset=, text/html", None, None),
    ],
)
def test_a_charset_ends_with_a_comma(
    header: str, charset: str | None, encoding: str | None
) -> None:
    """Some proxies join a header that comes twice."""
    assert parse_content_type(header).charset == charset
    assert parse_content_type(header).encoding == encoding


@pytest.mark.parametrize(
    ("header", "is_json"),
    [
        ("application/json", True),
        ("application/json,charset=utf-8", True),
        ("application/json charset=utf-8", True),
        ("application/json:charset=utf-8", True),
        ("application/json, application/json", True),
        ("Application/HAL+JSON, */*", True),
        ("application/ld+json,charset=utf-8", True),
        ("application/json-seq", True),
        ("application/jsonp", True),
        ("application/x-ndjson", False),
        ("text/json", False),
        ('"application/json"', False),
        ("text/html, application/json", False),
        ("", False),
    ],
)
def test_what_json_is_taken_from(header: str, is_json: bool) -> None:
    """What follows the type does not matter, as in aiohttp: servers write anything there."""
    assert parse_content_type(header).fits("application/json") is is_json


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        ('{"a": "é"}', "utf-8", None),
        ('"é"', "utf-8", None),
        ('"é"', "latin-1", None),
        ("1", "utf-8", None),
        ("", "utf-8", None),
        ('{"a": "é"}', "utf-8-sig", "utf-8-sig"),
        ("", "utf-8-sig", "utf-8-sig"),
        ('{"a": "é"}', "utf-16", "utf-16"),
        ('{"a": "é"}', "utf-16-le", "utf-16-le"),
        ('{"a": "é"}', "utf-16-be", "utf-16-be"),
        (" 1 ", "utf-16-be", "utf-16-be"),
        ('{"a": "é"}', "utf-32", "utf-32"),
        ('{"a": "é"}', "utf-32-le", "utf-32-le"),
        ('{"a": "é"}', "utf-32-be", "utf-32-be"),
    ],
)
def test_json_shows_its_encoding(text: str, encoding: str, found: str | None) -> None:
    """RFC 4627 §3: the first two characters are of ASCII."""
    assert json_encoding(text.encode(encoding)) == found


def test_few_and_short_ones_are_kept() -> None:
    """A server chooses what it sends; it must not choose how much is remembered."""
    memo = parse_content_type.__self__  # type: ignore[attr-defined]  # that of the bound method
    long = "text/plain; x=" + "y" * 64
    assert parse_content_type(long).parameters == {"x": "y" * 64}
    assert long not in memo
    for number in range(1000):
        parse_content_type(f"text/{number}")
    assert len(memo) <= 64


def test_a_body_to_send_is_read_alike() -> None:
    """Text is encoded in the charset that its type names."""
    payload = StringPayload("ü", content_type='text/plain; foo; charset="latin-1"')
    assert payload.in_memory() == b"\xfc"
