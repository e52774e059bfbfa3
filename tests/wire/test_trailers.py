"""Fields after the last chunk of a body (RFC 9110 §6.5, RFC 9112 §7.1.2)."""

from __future__ import annotations

import gzip
import pickle

import pytest

from anyhttp import ClientPayloadError
from tests.support.client import assert_free, client, named
from tests.support.peer import CLOSE, Flag, Script, Wait
from tests.support.responses import CHUNKS, OK

FIELDS = b"Checksum: abc\r\nX-Two: 1\r\nx-two: 2\r\nX-Text: gr\xc3\xbcn\r\n"
BODY = CHUNKS + b"2\r\nok\r\n0\r\n" + FIELDS + b"\r\n"


def bytewise(data: bytes) -> list[bytes]:
    """Return *data* in pieces of one byte."""
    return [data[place : place + 1] for place in range(len(data))]


@pytest.mark.parametrize("pieces", [[BODY], bytewise(BODY)], ids=["at once", "bytewise"])
async def test_they_can_be_read_after_the_body(
    script: Script, http1: str, pieces: list[bytes]
) -> None:
    """They are empty before, are no headers, and stay after the connection is given back."""
    peer = await script([(b"GET ", pieces), (b"GET ", OK)])
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            assert not response.trailers
            assert await response.read() == b"ok"
            assert response.trailers["checksum"] == "abc"
        assert response.trailers.getall("X-TWO") == ["1", "2"]
        assert response.trailers["x-text"] == "grün"
        assert len(response.trailers) == 4
        assert "Checksum" not in response.headers
        async with session.get(peer.url) as plain:
            await plain.read()
            assert not plain.trailers
        assert_free(session, idle=1)


async def test_after_streaming(script: Script, http1: str) -> None:
    """They come with the end of the stream."""
    last = Flag()
    peer = await script([(b"GET ", [CHUNKS + b"2\r\nok\r\n", Wait(last), b"0\r\nA: b\r\n\r\n"])])
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            assert await response.content.readany() == b"ok"
            assert not response.trailers
            last.set()
            assert await response.content.readany() == b""
            assert dict(response.trailers) == {named("A", http1): "b"}


async def test_a_body_that_is_read_in_part(script: Script, http1: str) -> None:
    """What has arrived behind the rest is not shown."""
    peer = await script([(b"GET ", BODY)])
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            assert await response.content.read(1) == b"o"
            assert not response.trailers
        assert not response.trailers


async def test_after_an_empty_body(script: Script, http1: str) -> None:
    """A message can have trailers and no content."""
    peer = await script([(b"GET ", CHUNKS + b"0\r\nA: b\r\n\r\n")])
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            assert await response.read() == b""
            assert dict(response.trailers) == {named("A", http1): "b"}


async def test_after_a_compressed_body(script: Script, http1: str) -> None:
    """Decoding changes nothing."""
    body = gzip.compress(b"text")
    head = CHUNKS.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    reply = head + b"%x\r\n%b\r\n0\r\nA: b\r\n\r\n" % (len(body), body)
    peer = await script([(b"GET ", reply)])
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            assert await response.text() == "text"
            assert dict(response.trailers) == {named("A", http1): "b"}


@pytest.mark.http1_only("Connection is malformed in HTTP/2")
async def test_nothing_acts_on_them(script: Script, http1: str) -> None:
    """RFC 9110 §6.5.1: no cookie is stored, no coding undone, no type and no connection changed."""
    fields = (
        b"Set-Cookie: a=b\r\nContent-Encoding: gzip\r\nContent-Type: text/html; charset=x\r\n"
        b"Connection: close\r\nLocation: /elsewhere\r\n\r\n"
    )
    peer = await script([(b"GET ", CHUNKS + b"2\r\nok\r\n0\r\n" + fields), (b"GET ", OK)])
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            assert await response.text() == "ok"
            assert response.trailers["Set-Cookie"] == "a=b"
            assert response.content_type == "application/octet-stream"
            assert not response.cookies
            assert list(response.headers) == ["Transfer-Encoding"]
        assert not list(session.cookie_jar)
        async with session.get(peer.url) as response:
            assert await response.text() == "ok"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            b"Content-Length: 2\r\n", marks=pytest.mark.http1_only("no framing in HTTP/2")
        ),
        b"transfer-encoding: chunked\r\n",
        b"A : b\r\n",
        b"A: \0\r\n",
        b"X: " + b"x" * 9000 + b"\r\n",
        b"A: b\r\n" * 130,
    ],
    ids=["length", "coding", "space", "nul", "long", "many"],
)
async def test_refused_ones(script: Script, http1: str, fields: bytes) -> None:
    """Framing fields, malformed ones and too many: the body fails, and there are no trailers."""
    peer = await script([(b"GET ", [CHUNKS + b"2\r\nok\r\n0\r\n" + fields + b"\r\n"])])
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            with pytest.raises(ClientPayloadError):
                await response.read()
            assert not response.trailers
        assert_free(session, idle=0)


async def test_an_incomplete_trailer(script: Script, http1: str) -> None:
    """The body has ended when the empty line is there, and not before."""
    peer = await script([(b"GET ", [CHUNKS + b"2\r\nok\r\n0\r\nA: b\r\n", CLOSE])])
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            with pytest.raises(ClientPayloadError):
                await response.read()
            assert not response.trailers


async def test_pickling(script: Script, http1: str) -> None:
    """They are part of what was received."""
    peer = await script([(b"GET ", BODY)])
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            await response.read()
            assert await response.read() == b"ok"  # the kept body
            assert response.trailers["Checksum"] == "abc"
    restored = pickle.loads(pickle.dumps(response))
    assert restored.trailers == response.trailers
    assert pickle.loads(pickle.dumps(restored)).trailers == response.trailers


async def test_without_a_session_block(script: Script, http1: str) -> None:
    """A response that was only awaited has them, too."""
    peer = await script([(b"GET ", BODY)])
    session = client(http1)
    response = await session.get(peer.url)
    assert await response.read() == b"ok"
    await session.close()
    assert response.trailers["Checksum"] == "abc"
