"""Heads of requests as fields of HTTP/2, and fields as heads of responses (RFC 9113 §8)."""

from __future__ import annotations

import pytest

pytest.importorskip("hpack", reason="heads are compressed by means of hpack")

import hpack

from anyhttp._headers import header_block
from anyhttp._http1 import CHUNKED, Limits
from anyhttp._http2.compression import FieldEncoder
from anyhttp._http2.errors import ErrorCode, StreamFault
from anyhttp._http2.fields import RequestHeads, check_trailers, read_head

HOST = ("Host", "example.org")


def sent(
    *fields: tuple[str, str],
    method: str = "GET",
    target: str = "/",
    protocol: str | None = None,
) -> list[tuple[str, str]]:
    """Return the fields that are sent for a request."""
    head = RequestHeads("https").make(method, target, header_block(fields), protocol)
    block = FieldEncoder().encode(head.coded, head.path, head.length, head.credentials)
    return [(str(name), str(value)) for name, value in hpack.Decoder().decode(block)]


def regular(*fields: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the fields that are sent for *fields*, besides the pseudo headers."""
    return [field for field in sent(HOST, *fields) if not field[0].startswith(":")]


def test_pseudo_headers_come_first() -> None:
    """Host becomes :authority (§8.3.1), wherever it stands, and whatever the URL says."""
    assert sent(("Accept", "*/*"), HOST, target="/a?b") == [
        (":path", "/a?b"),
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "example.org"),
        ("accept", "*/*"),
    ]


def test_a_request_for_the_server_itself() -> None:
    """§8.3.1"""
    assert sent(HOST, method="OPTIONS", target="*")[0] == (":path", "*")


def test_names_are_in_lower_case() -> None:
    """§8.2.1"""
    assert regular(("X-NAME", "Value"), ("x-Name", "Other")) == [
        ("x-name", "Value"),
        ("x-name", "Other"),
    ]


@pytest.mark.parametrize(
    "field",
    [
        ("Connection", "close"),
        ("Connection", "keep-alive, X-Named, te"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ],
)
def test_what_is_said_of_the_connection_is_left_out(field: tuple[str, str]) -> None:
    """HTTP/2 says it otherwise (§8.2.2)."""
    assert regular(field, ("X-Other", "value")) == [("x-other", "value")]


def test_fields_for_the_connection_are_left_out() -> None:
    """Those that Connection names, credentials too (RFC 9110 §7.6.1)."""
    fields = (
        ("Connection", "X-Named, Cookie"), ("x-named", "1"), ("Cookie", "a=b"), ("X-Other", "2"),
    )  # fmt: skip
    assert regular(*fields) == [("x-other", "2")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("trailers", True), ("gzip, Trailers", True), ("gzip", False), ("trailers;q=0.5", False)],
)
def test_te_says_trailers_or_nothing(value: str, expected: bool) -> None:
    """§8.2.2"""
    assert regular(("TE", value), ("Connection", "TE")) == [("te", "trailers")] * expected


def test_values_are_sent_as_by_http1() -> None:
    """White space around them is left out, and they are UTF-8 (§8.2.1)."""
    assert regular(("X-Text", " \tä b\t"), ("X-Empty", "")) == [("x-text", "ä b"), ("x-empty", "")]


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0b", "\r"])
@pytest.mark.parametrize("name", ["X-Value", "Host", "Cookie"])
def test_a_value_with_a_line_break_is_refused(name: str, value: str) -> None:
    """Whoever translates it to HTTP/1.1 would see two fields (§10.3)."""
    with pytest.raises(ValueError, match=f"the value of {name.lower()} holds a NUL or a line"):
        RequestHeads("https").make("GET", "/", ((name, value),))


def test_an_empty_host_is_refused() -> None:
    """An origin has a host, so ``:authority`` is not empty (§8.3.1)."""
    with pytest.raises(ValueError, match="Host must not be empty"):
        RequestHeads("https").make("GET", "/", (("Host", " "),))


@pytest.mark.parametrize("name", ["", ":path", "x y", "x:", "ä", "x\r\ny"])
def test_a_malformed_name_is_refused(name: str) -> None:
    """Pseudo headers cannot be given by hand."""
    with pytest.raises(ValueError, match="is not a valid header name"):
        RequestHeads("https").make("GET", "/", ((name, "value"),))


@pytest.mark.parametrize("target", ["", "/a\r\nb", "/\0"])
def test_a_malformed_path_is_refused(target: str) -> None:
    """It would not be one of HTTP/1.1 either."""
    with pytest.raises(ValueError, match="the path is"):
        RequestHeads("https").make("GET", target, (HOST,))


def test_equal_requests_share_their_fields() -> None:
    """Only what differs is made again."""
    heads = RequestHeads("https")
    block = header_block((HOST, ("Accept", "*/*")))
    first = heads.make("GET", "/1", block)
    assert heads.make("GET", "/2", block).coded is first.coded
    assert heads.make("POST", "/1", block).coded is not first.coded
    assert heads.make("GET", "/1", (HOST, ("Accept", "text/html"))).coded is not first.coded


LIMITS = Limits(max_field_size=100, max_headers=5)
STATUS = (b":status", b"200")


def test_a_head() -> None:
    """Reasons are the standard ones, as HTTP/2 has none (§8.3.2)."""
    fields = [
        (b":status", b"404"), (b"content-type", b"text/html"), (b"content-length", b"12"),
        (b"content-encoding", b"gzip"), (b"set-cookie", b"a=b"), (b"set-cookie", b"c=d"),
    ]  # fmt: skip
    head = read_head(fields, b"GET", LIMITS, 1000)
    assert (head.version, head.status, head.reason) == ((2, 0), 404, "Not Found")
    assert (head.length, head.content_type, head.content_encoding) == (12, b"text/html", "gzip")
    assert list(head.set_cookies) == ["a=b", "c=d"]
    assert head.keep_alive is True
    assert list(head.raw_headers) == fields[1:]


def test_a_status_without_a_phrase() -> None:
    """It may be any number of three digits."""
    head = read_head([(b":status", b"799")], b"GET", LIMITS, 1000)
    assert (head.status, head.reason, head.length) == (799, "", CHUNKED)


MALFORMED = [
    [],
    [(b"x-a", b"b")],
    [(b":status", b"")],
    [(b":status", b"20")],
    [(b":status", b"2000")],
    [(b":status", b"200 OK")],
    [(b":status", b"099")],
    [(b":status", b"101")],
    [STATUS, STATUS],
    [(b"x-a", b"b"), STATUS],
    [STATUS, (b":path", b"/")],
    [STATUS, (b"", b"value")],
    [STATUS, (b"X-Upper", b"value")],
    [STATUS, (b"x y", b"value")],
    [STATUS, (b"x\n", b"value")],
    [STATUS, (b"connection", b"close")],
    [STATUS, (b"transfer-encoding", b"chunked")],
    [STATUS, (b"upgrade", b"h2c")],
    [STATUS, (b"x", b" value")],
    [STATUS, (b"x", b"value\t")],
    [STATUS, (b"x", b" ")],
    [STATUS, (b"x", b"a\nb\nc")],
    [STATUS, (b"x", b"a\rb")],
    [STATUS, (b"x", b"\0")],
    [STATUS, (b"x", b"a\n"), (b"y", b"b")],
    [STATUS, (b"content-length", b"1"), (b"content-length", b"2")],
    [STATUS, (b"content-length", b"-1")],
    [STATUS, (b"content-length", b"")],
]


@pytest.mark.parametrize("fields", MALFORMED, ids=repr)
def test_a_malformed_head(fields: list[tuple[bytes, bytes]]) -> None:
    """It ends its stream only (§8.1.1)."""
    with pytest.raises(StreamFault) as caught:
        read_head(fields, b"GET", LIMITS, 1000)
    assert caught.value.code == ErrorCode.PROTOCOL_ERROR


def test_what_looks_odd_but_is_allowed() -> None:
    """Empty values, white space and other characters inside, a length twice."""
    fields = [
        STATUS, (b"x", b""), (b"y", b"a \t b"), (b"z", b"\xff\x01"),
        (b"content-length", b"5"), (b"content-length", b"5"),
    ]  # fmt: skip
    assert read_head(fields, b"GET", LIMITS, 1000).length == 5


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([(b"x", b"y")] * 6, "more than 5 header lines"),
        ([(b"x", b"y" * 100)], "a header line is longer than 100 bytes"),
        ([(b"x", b"y" * 90)] * 3, "the header lines have more than 300 bytes"),
    ],
)
def test_limits(fields: list[tuple[bytes, bytes]], text: str) -> None:
    """Those of the session, as for HTTP/1.1, and that of the connection."""
    with pytest.raises(StreamFault, match=text) as caught:
        read_head([STATUS, *fields], b"GET", LIMITS, 300)
    assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM


def test_trailers() -> None:
    """They are fields like others, and have no pseudo headers (§8.1)."""
    check_trailers([], LIMITS, 1000)
    check_trailers([(b"x-checksum", b"abc")], LIMITS, 1000)
    with pytest.raises(StreamFault, match="a trailer has the name"):
        check_trailers([STATUS], LIMITS, 1000)
    with pytest.raises(StreamFault, match="more than 5 trailer lines"):
        check_trailers([(b"x", b"y")] * 6, LIMITS, 1000)
