"""Responses from public test suites: what both engines make of them, and the client on the wire."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from anyhttp import ClientPayloadError, ClientResponseError, ServerDisconnectedError
from tests.support import vectors
from tests.support.client import client
from tests.support.engines import Answer, Refused, agreed
from tests.support.peer import CLOSE, STALL, Script

pytestmark = pytest.mark.http1_only("bytes of HTTP/1.1")

LLHTTP = vectors.llhttp()

# Where we refuse what llhttp accepts, and why.
STRICTER = {
    "sample-rtsp-response": "RTSP is not HTTP",
    "sample-ice-response": "nor is ICE",
    "sample-http-version-0-9": "HTTP/0.9 has no status line, so this is not it either",
    "transfer-encoding-chunked-before-other-transfer-encoding": (
        "a coding that we did not offer; until the end of the connection nothing tells its length"
    ),
    "transfer-encoding-multiple-transfer-encoding-where-chunked-is-not-the-last-one": "the same",
    "transfer-encoding-chunkedchunked-transfer-encoding-does-not-enable-chunked-enconding": (
        "an unknown coding, whose body llhttp takes for plain bytes"
    ),
}


@dataclass(frozen=True)
class Tolerated:
    """What we read of a response that llhttp refuses, closing the connection after it."""

    why: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


_LF = "RFC 9112 §2.2: a recipient may take a single LF for the end of a line"
TOLERATED = {
    "invalid-only-lfs-present": Tolerated(
        # the vector ends in a backslash, which is the file's and not the response's
        _LF,
        200,
        [(b"Foo", b"abc"), (b"Bar", b"def")],
        b"BODY\n\\",
    ),
    "invalid-only-lfs-present-and-no-body": Tolerated(_LF, 200, [(b"Content-Length", b"0")], b""),
    "sample-no-carriage-ret": Tolerated(
        _LF,
        200,
        [(b"Content-Type", b"text/html; charset=utf-8"), (b"Connection", b"close")],
        b"these headers are from http://news.ycombinator.com/",
    ),
    "transfer-encoding-trailing-space-on-chunked-body": Tolerated(
        "RFC 9112 §7.1.1: white space around a size is bad, and has to be parsed",
        200,
        [(b"Content-Type", b"text/plain"), (b"Transfer-Encoding", b"chunked")],
        b"This is the data in the first chunk\r\nand this is the second one\r\n",
    ),
}

# What llhttp accepts and we read too, but only as the last response of its connection.
CLOSED_AFTER = {
    "sample-response-starting-with-crlf": (
        "RFC 9112 §2.2 lets servers skip an empty line before a request; before a response it "
        "may be what is left of another body"
    ),
    "connection-http-100-first-then-400": "the same, after an informational response",
}


@pytest.mark.parametrize("vector", LLHTTP, ids=str)
def test_llhttp(vector: vectors.Vector) -> None:
    """What llhttp accepts means the same here; where we differ, the lists above say why."""
    answer = agreed(vector.raw, upgrade=vector.status == 101)
    tolerated = TOLERATED.get(vector.name)
    if tolerated is not None:
        assert isinstance(answer, Answer)
        assert (answer.status, list(answer.headers)) == (tolerated.status, tolerated.headers)
        assert (answer.body, answer.keep_alive) == (tolerated.body, False)
        return
    if not vector.accepted or vector.name in STRICTER:
        assert isinstance(answer, Refused)
        return
    assert isinstance(answer, Answer)
    assert answer.status == vector.status
    assert answer.version == vector.version
    assert list(answer.headers) == vector.headers
    assert answer.body == vector.body
    assert answer.surplus == vector.rest
    if vector.name in CLOSED_AFTER:
        assert not answer.keep_alive


def test_the_exceptions_are_still_exceptional() -> None:
    """A name in a list that llhttp has changed its mind about, or forgotten, has no place there."""
    accepted = {vector.name for vector in LLHTTP if vector.accepted}
    refused = {vector.name for vector in LLHTTP if not vector.accepted}
    assert STRICTER.keys() <= accepted
    assert CLOSED_AFTER.keys() <= accepted
    assert TOLERATED.keys() <= refused


LENIENT = {
    # browsers read on to the end of the connection then
    "Content-Length: aaaah\r\nContent-Length: aaaah",
    "Content-Length: aaaah, aaaah",
    "Content-Length: aaaah",
    "Content-Length: 42s",
    "Content-Length: 30s",
    "Content-Length: -1",
    "Content-Length: 0x20",
}


@pytest.mark.parametrize("vector", list(vectors.wpt_content_lengths()), ids=str)
def test_wpt_content_length(vector: vectors.LengthVector) -> None:
    """As browsers do, but a length that is no number is an error and not ignored."""
    answer = agreed(vector.raw)
    if vector.browser is None or vector.fields in LENIENT:
        assert isinstance(answer, Refused)
        return
    assert isinstance(answer, Answer)
    assert len(answer.body) == vector.browser
    assert len(answer.surplus) == 42 - vector.browser


@pytest.mark.parametrize("vector", list(vectors.wpt_status_codes()), ids=str)
def test_wpt_status_code(vector: vectors.StatusVector) -> None:
    """As browsers do, but a status has three digits and begins at 100 (RFC 9112 §4)."""
    answer = agreed(vector.raw)
    if vector.browser is None or vector.browser[0] < 100:
        assert isinstance(answer, Refused)
        return
    assert isinstance(answer, Answer)
    assert (answer.status, answer.reason) == vector.browser


@pytest.mark.parametrize("raw", vectors.wpt_lone_cr())
def test_wpt_lone_cr(raw: bytes) -> None:
    """A CR that no LF follows is never part of a head."""
    assert isinstance(agreed(raw), Refused)


@pytest.mark.parametrize("raw", vectors.wpt_incomplete())
def test_wpt_incomplete_response(raw: bytes) -> None:
    """A head without its empty line is none."""
    assert isinstance(agreed(raw), Refused)


# -- over the wire ---------------------------------------------------------------------

ON_THE_WIRE = {
    *("connection-http-1-0-with-keep-alive-and-eof-terminated-200-status",),
    *("connection-http-1-1-with-204-status", "connection-http-304-with-transfer-encoding"),
    *("connection-http-200-response-with-upgrade-header-and-transfer-encoding",),
    *("invalid-headers-separated-by-cr", "invalid-tab-after-http-version"),
    *("pipelining-should-parse-multiple-events", "sample-amazon-com", "sample-bonjourmadame-fr"),
    *("sample-google-301", "sample-spaces-in-header-name", "sample-rtsp-response"),
    *("transfer-encoding-chunk-extensions", "transfer-encoding-chunk-extensions-quoting"),
    *("transfer-encoding-chunked-before-other-transfer-encoding",),
    *("transfer-encoding-trailing-space-on-chunked-body",),
}


@pytest.mark.parametrize(
    "vector", [vector for vector in LLHTTP if vector.name in ON_THE_WIRE], ids=str
)
async def test_llhttp_on_the_wire(vector: vectors.Vector, http1: str, script: Script) -> None:
    """The client gives the same answer as its engine: response, or the documented error."""
    peer = await script([(b"GET / HTTP/1.1\r\n", [vector.raw, CLOSE])])
    expected = agreed(vector.raw)
    async with client(http1) as session:
        if isinstance(expected, Refused) and not expected.head:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url, allow_redirects=False)
            assert caught.value.status == 400
            assert caught.value.request_info.url == peer.url
            return
        async with session.get(peer.url, allow_redirects=False) as response:
            assert response.status == vector.status
            if isinstance(expected, Refused):
                with pytest.raises(ClientPayloadError):
                    await response.read()
            else:
                assert list(response.raw_headers) == list(expected.headers)
                assert await response.read() == expected.body


@pytest.mark.parametrize("raw", vectors.wpt_incomplete())
async def test_wpt_incomplete_response_on_the_wire(raw: bytes, http1: str, script: Script) -> None:
    """A connection that is closed within the head has not answered."""
    peer = await script([(b"POST / ", [raw, CLOSE])])
    async with client(http1) as session:
        with pytest.raises(ServerDisconnectedError):
            await session.post(peer.url)


@pytest.mark.parametrize("raw", vectors.wpt_lone_cr())
async def test_wpt_lone_cr_on_the_wire(raw: bytes, http1: str, script: Script) -> None:
    """The request fails at once, also if the peer waits for the next one."""
    peer = await script([(b"GET / ", [raw, STALL])])
    async with client(http1) as session:
        with pytest.raises(ClientResponseError) as caught:
            await session.get(peer.url)
    assert caught.value.status == 400
