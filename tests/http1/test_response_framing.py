"""Where a response ends and whether another may follow, as tables of pure functions."""

from __future__ import annotations

import pytest

from anyhttp import HttpVersion10, HttpVersion11
from anyhttp._http1 import Engine, ParseError, response_framing
from anyhttp._http1.heads import CHUNKED, UNTIL_EOF, Head
from anyhttp._http1.response_framing import (
    announced_length,
    announces_identity,
    body_length,
    has_odd_framing,
    idle_seconds,
    is_tunnel,
    keeps_alive,
    read_content_length,
)
from tests.support.engines import started


@pytest.mark.parametrize(
    ("lengths", "coding", "length"),
    [
        (None, None, UNTIL_EOF),
        (b"0", None, 0),
        (b"5", None, 5),
        (b"5, 5", None, 5),
        (None, b"chunked", CHUNKED),
        (None, b"Chunked\t", CHUNKED),
        (None, b"identity", UNTIL_EOF),
        (None, b" IDENTITY", UNTIL_EOF),
    ],
)
def test_what_is_announced(lengths: bytes | None, coding: bytes | None, length: int) -> None:
    """RFC 9112 §6.3, rules 4 to 8."""
    assert announced_length(lengths, coding) == length


@pytest.mark.parametrize(
    ("lengths", "coding"),
    [
        (b"5", b"chunked"),
        (b"five", b"chunked"),
        (b"5", b"identity"),
        (None, b""),
        (None, b"gzip"),
        (None, b"chunked,chunked"),
        (None, b"chunked,identity"),
        (None, b"identity,chunked"),
        (None, b"identity,identity"),
        (None, b"identity;q=1"),
        (None, b"\x0bidentity"),
    ],
)
def test_what_no_two_readers_agree_on(lengths: bytes | None, coding: bytes | None) -> None:
    """CVE-2025-53643: a length beside a coding, or any coding but one that we know."""
    with pytest.raises(ParseError):
        announced_length(lengths, coding)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (b"0", 0),
        (b"0005", 5),
        (b"5,5", 5),
        (b"5 ,\t5,5", 5),
        (b"9" * 19, 10**19 - 1),
        *((value, None) for value in (b"", b" ", b"+5", b"-5", b"5_0", b"0x5", b"5.0", b"5 5")),
        *((value, None) for value in (b"\xb2", b"\xd9\xa5", b"5,", b",5", b",", b"5,,5", b"5,05")),
        *((value, None) for value in (b"9" * 20, b"5;", b"five", b"+5,+5", b"5\x0b")),
        *((value, None) for value in (b"5\x0b,5", b"5,\x0c5", b"5\x0b,5\x0b")),
    ],
)
def test_content_lengths(value: bytes, length: int | None) -> None:
    """RFC 9110 §8.6: ASCII digits, which may be repeated."""
    if length is not None:
        assert read_content_length(value) == length
        return
    with pytest.raises(ParseError, match="invalid Content-Length"):
        read_content_length(value)


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [
        ("GET", 200, 5),
        ("GET", 206, 5),
        ("GET", 205, 5),
        ("POST", 404, 5),
        ("CONNECT", 407, 5),
        ("GET", 100, 0),
        ("GET", 199, 0),
        ("GET", 204, 0),
        ("GET", 304, 0),
        ("HEAD", 200, 0),
        ("HEAD", 404, 0),
    ],
)
def test_what_has_a_body(method: str, status: int, length: int) -> None:
    """RFC 9112 §6.3, rule 1: whatever is announced."""
    assert body_length(method, status, b"5", None) == length
    assert body_length(method, status, None, b"chunked") == (CHUNKED if length else 0)
    assert body_length(method, status, None, None) == (UNTIL_EOF if length else 0)
    with pytest.raises(ParseError):
        body_length(method, status, b"5", b"chunked")


@pytest.mark.parametrize(
    ("method", "status", "tunnel"),
    [
        ("CONNECT", 200, True),
        ("CONNECT", 299, True),
        ("CONNECT", 199, False),
        ("CONNECT", 300, False),
        ("GET", 200, False),
        ("connect", 200, False),
    ],
)
def test_what_is_a_tunnel(method: str, status: int, tunnel: bool) -> None:
    """RFC 9112 §6.3, rule 2: any 2xx answer to ``CONNECT``."""
    assert is_tunnel(method, status) is tunnel


@pytest.mark.parametrize(
    ("connection", "coding", "old", "new"),
    [
        (None, None, False, True),
        (b"", None, False, True),
        (b"close", None, False, False),
        (b" CLOSE\t", None, False, False),
        (b"keep-alive", None, True, True),
        (b"Keep-Alive, x", None, True, True),
        (b"keep-alive,close", None, False, False),
        (b"x" * 100, None, False, True),
        (b"x" * 100 + b",close", None, False, False),
        (b"keep-alive", b"chunked", False, True),
        (b"keep-alive\x0b", None, False, True),
    ],
)
def test_what_keeps_a_connection(
    connection: bytes | None, coding: bytes | None, old: bool, new: bool
) -> None:
    """RFC 9112 §9.3, and §6.1 for a coding in HTTP/1.0."""
    assert keeps_alive(HttpVersion10, connection, coding) is old
    assert keeps_alive(HttpVersion11, connection, coding) is new


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"timeout=5", 4.0),
        (b"timeout=5, max=100", 4.0),
        (b"max=100,TimeOut = 5", 4.0),
        (b'timeout="5"', 4.0),
        (b"timeout=9, timeout=5", 4.0),
        (b"timeout=2", 1.0),
        (b"timeout=1", 0.5),
        (b"timeout=0", 0.0),
        (b"timeout=5, max=0", 0.0),
        (b"max=0", 0.0),
        (b"max=1", True),
        (b"timeout=999999999", 999999998.0),
        (b"timeout=9999999999", True),
        (b"timeout=-1", True),
        (b"timeout=1.5", True),
        (b"timeout=\xb2", True),
        (b"timeout", True),
        (b"timeout=5\x0b", True),
        (b"timeout\x0b=5", True),
        (b"", True),
        (b"x" * 100 + b", timeout=5", 4.0),
    ],
)
def test_how_long_a_connection_may_be_idle(value: bytes, seconds: float | bool) -> None:
    """The server counts until the request arrives, so the client stops earlier."""
    assert idle_seconds(value) == seconds
    assert (idle_seconds(value) is True) == (seconds is True)


@pytest.mark.parametrize(
    ("status", "lengths", "coding", "odd"),
    [
        (204, b"5", None, True),
        (204, None, b"chunked", True),
        (204, b"0", None, False),
        (204, b"0, 0", None, False),
        (204, None, None, False),
        (103, b"5", None, True),
        (101, b"5", None, False),
        (304, b"5", None, False),
        (200, b"5", None, False),
        (200, None, b"Identity", True),
        (200, None, b"chunked", False),
    ],
)
def test_framing_that_is_read_although_it_is_odd(
    status: int, lengths: bytes | None, coding: bytes | None, odd: bool
) -> None:
    """RFC 9110 §8.6 and RFC 9112 §6.1; a 304 tells the length of what it stands for."""
    assert has_odd_framing(status, lengths, coding) is odd


def test_what_is_long_is_not_kept() -> None:
    """A peer must not fill the memory with options."""
    before = response_framing._says_keep.cache_info().currsize
    for number in range(10):
        assert keeps_alive(HttpVersion11, b"%d" % number * 100, None)
    assert response_framing._says_keep.cache_info().currsize == before


@pytest.mark.parametrize(
    ("connection", "idle", "expected"),
    [
        (None, b"timeout=5", 4.0),
        (b"keep-alive", b"timeout=5", 4.0),
        (b"close", b"timeout=5", False),
        (None, b"max=0", 0.0),
        (None, b"max=5", True),
    ],
)
def test_a_server_says_for_how_long(
    connection: bytes | None, idle: bytes, expected: float | bool
) -> None:
    """It counts only if the connection is kept at all."""
    assert keeps_alive(HttpVersion11, connection, None, idle) == expected


def test_what_is_long_in_keep_alive_is_not_kept_either() -> None:
    """A peer can fill no memory by it."""
    known = response_framing._read_idle_seconds.cache_info().misses
    assert idle_seconds(b"timeout=5".ljust(65)) == 4.0
    assert response_framing._read_idle_seconds.cache_info().misses == known


@pytest.mark.parametrize(
    ("status", "lengths", "odd"), [(204, b"1", True), (204, b"0", False), (304, b"1", False)]
)
def test_a_body_of_one_byte_is_odd_where_there_is_none(
    status: int, lengths: bytes, odd: bool
) -> None:
    """RFC 9110 §8.6: a 204 announces none, and a 304 what a 200 would have."""
    assert has_odd_framing(status, lengths, None) is odd


def head_of(http1: str, raw: bytes, *, upgrade: bool = False, size: int | None = None) -> Engine:
    """Return an engine that has read *raw*, in pieces of *size* bytes."""
    engine = started(http1, upgrade=upgrade)
    size = size or len(raw)
    for start in range(0, len(raw), size):
        engine.receive(raw[start : start + size])
    assert engine.head is not None
    return engine


@pytest.mark.parametrize("size", [None, 1])
class TestHeads:
    """What is noted with a head, whether it came in one piece or byte by byte."""

    def test_another_protocol(self, http1: str, size: int | None) -> None:
        """After 101 nothing else can be asked on the connection."""
        raw = b"HTTP/1.1 101 Switching\r\nUpgrade: thing\r\nConnection: upgrade\r\n\r\n"
        head = head_of(http1, raw, upgrade=True, size=size).head
        assert head is not None
        assert head.switches is True
        assert head.keep_alive is False

    @pytest.mark.parametrize(
        ("fields", "keep_alive"),
        [
            (b"Keep-Alive: timeout=5", 4.0),
            (b"Keep-Alive: timeout=5\r\nConnection: close", False),
            (b"Connection: close", False),
            (b"X: y", True),
        ],
    )
    def test_whether_it_is_kept(
        self, http1: str, size: int | None, fields: bytes, keep_alive: float | bool
    ) -> None:
        """As the fields say that are about it."""
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%b\r\n\r\n" % fields
        engine = head_of(http1, raw, size=size)
        assert engine.keep_alive == keep_alive
        assert engine.head is not None
        assert engine.head.keep_alive == keep_alive

    def test_a_body_where_there_is_none(self, http1: str, size: int | None) -> None:
        """It may follow all the same: no other response is read from the connection."""
        raw = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"
        engine = head_of(http1, raw, size=size)
        assert engine.head is not None
        assert engine.head.tolerated is True
        assert not engine.keep_alive

    def test_identity(self, http1: str, size: int | None) -> None:
        """It is announced by that word only."""
        for fields, announced in (
            (b"X: y", False),
            (b"Transfer-Encoding: chunked", False),
            (b"Transfer-Encoding: identity", True),
        ):
            engine = head_of(http1, b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % fields, size=size)
            assert isinstance(engine.head, Head)
            assert announces_identity(engine.head) is announced

    def test_trailers(self, http1: str, size: int | None) -> None:
        """They are there when all of them have come, and not before."""
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
        engine = head_of(http1, raw, size=size)
        assert list(engine.trailers) == []
        engine.receive(b"0\r\nA: b\r\n")
        assert list(engine.trailers) == []
        engine.receive(b"C: d\r\n\r\n")
        assert list(engine.trailers) == [(b"A", b"b"), (b"C", b"d")]
        without = head_of(http1, raw + b"0\r\n\r\n", size=size)
        assert list(without.trailers) == []
