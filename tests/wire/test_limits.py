"""What a hostile peer may send, and how much of it, before the client gives up."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from anyhttp import ClientPayloadError, ClientResponseError
from tests.support.bombs import gzip_of_zeros
from tests.support.client import assert_free, client
from tests.support.peer import STALL, Script
from tests.support.responses import CHUNKS, OK_LINE as OK

http1_only = pytest.mark.http1_only
where = pytest.mark.parametrize("where", ["session", "request"])


def options(where: str, **limits: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return *limits* as options of the session, or of the request."""
    return (limits, {}) if where == "session" else ({}, limits)


class TestHead:
    @where
    @pytest.mark.parametrize(
        ("limit", "head", "what"),
        [
            pytest.param(
                {"max_line_size": 50},
                OK[:-2].ljust(50, b"x") + b"%b\r\n",
                "status line",
                marks=http1_only("HTTP/2 has no status line"),
            ),
            ({"max_field_size": 50}, OK + b"X: " + b"y" * 49 + b"%b\r\n", "header line"),
            ({"max_headers": 3}, OK + b"X: y\r\n" * 2 + b"%b\r\n", "header lines"),
        ],
    )
    async def test_lines(
        self,
        limit: dict[str, int],
        head: bytes,
        what: str,
        where: str,
        http1: str,
        script: Script,
    ) -> None:
        """At the limit a head passes; one byte or line over it is status 400, and the end."""
        end = b"Content-Length: 0\r\n\r\n"
        fits = head.replace(b"%b\r\n", b"" if "max_headers" in limit else b"\r\n") + end
        over = head.replace(b"%b", b"X: y" if "max_headers" in limit else b"!") + end
        peer = await script([(b"GET /a ", fits), (b"GET /b ", [over, STALL])])
        of_session, of_request = options(where, **limit)
        async with client(http1, **of_session) as session:
            async with session.get(peer.url / "a", **of_request) as response:
                assert response.status == 200
            with pytest.raises(ClientResponseError, match=what) as caught:
                await session.get(peer.url / "b", **of_request)
            assert caught.value.status == 400
            await peer.wait_closed()
            assert_free(session, idle=0)

    async def test_a_request_can_allow_more_than_its_session(
        self, http1: str, script: Script
    ) -> None:
        """Its own limits count, each by itself."""
        head = OK + b"X: " + b"y" * 100 + b"\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(b"GET ", head)])
        async with client(http1, max_field_size=50) as session:
            async with session.get(peer.url, max_field_size=200) as response:
                assert response.status == 200

    @pytest.mark.http1_only("lines of HTTP/1.1")
    @pytest.mark.parametrize(
        "start",
        [OK[:-2] + b"x" * 9000, OK + b"X: " + b"y" * 9000, OK + b"X: y\r\n" * 129],
    )
    async def test_the_defaults_strike_before_a_head_ends(
        self, start: bytes, http1: str, script: Script
    ) -> None:
        """CVE-2026-22815: nothing is collected without bound while the head goes on."""
        peer = await script([(b"GET ", [start[:5000], start[5000:] or b"X", STALL])], partial=True)
        async with client(http1) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.status == 400
            await peer.wait_closed()


class TestChunks:
    @where
    @pytest.mark.parametrize(
        ("limit", "body", "what"),
        [
            pytest.param(
                {"max_line_size": 50},
                b"2;" + b"x" * 48 + b"%b\r\nhi\r\n0\r\n\r\n",
                "chunk-size line",
                marks=http1_only("HTTP/2 has no chunks"),
            ),
            ({"max_field_size": 50}, b"0\r\nX: " + b"y" * 49 + b"%b\r\n\r\n", "trailer line"),
            pytest.param(
                {"max_headers": 2},
                b"0\r\nX: y\r\n%b\r\n",
                "header and trailer lines",
                marks=http1_only("Transfer-Encoding is one of them"),
            ),
        ],
    )
    async def test_lines(
        self,
        limit: dict[str, int],
        body: bytes,
        what: str,
        where: str,
        http1: str,
        script: Script,
    ) -> None:
        """CVE-2026-34516: the limits of the head hold for chunk-size lines and trailers."""
        fits = body.replace(b"%b", b"")
        over = body.replace(b"%b", b"X: y\r\n" if "max_headers" in limit else b"!")
        peer = await script([(b"GET /a ", [CHUNKS, fits]), (b"GET /b ", [CHUNKS, over, STALL])])
        of_session, of_request = options(where, **limit)
        async with client(http1, **of_session) as session:
            async with session.get(peer.url / "a", **of_request) as response:
                await response.read()
            async with session.get(peer.url / "b", **of_request) as response:
                with pytest.raises(ClientPayloadError, match=what):
                    await response.read()
            await peer.wait_closed()

    async def test_the_size_of_a_chunk_is_not_limited(self, http1: str, script: Script) -> None:
        """It announces bytes, it does not make room for them."""
        peer = await script([(b"GET ", [CHUNKS, b"ffffffffffffffff\r\nhi", STALL])])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                assert await response.content.readany() == b"hi"


class TestBody:
    @where
    @pytest.mark.parametrize("over", [0, 1])
    @pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
    async def test_max_body_size(
        self, framing: str, over: int, where: str, http1: str, script: Script
    ) -> None:
        """Decoded bytes count; a body of exactly that size passes, one more is an error."""
        body = b"x" * (1000 + over)
        if framing == "chunked":
            reply = CHUNKS + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            head = OK
            if framing == "gzip":
                body, head = gzip.compress(body), OK + b"Content-Encoding: gzip\r\n"
            reply = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        peer = await script([(b"GET ", reply)])
        of_session, of_request = options(where, max_body_size=1000)
        async with client(http1, **of_session) as session:
            async with session.get(peer.url, **of_request) as response:
                if over:
                    with pytest.raises(ClientPayloadError, match=r"max_body_size \(1000 bytes\)"):
                        await response.read()
                else:
                    assert await response.read() == b"x" * 1000
                assert_free(session)

    async def test_a_bomb_stops_at_the_cap(self, http1: str, script: Script) -> None:
        """CVE-2025-66471: what a megabyte would become is never held."""
        bomb = gzip_of_zeros(2**8, level=1)[: 2**20]
        head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (2**20)
        peer = await script([(b"GET ", [head + bomb])], partial=True)
        async with client(http1, max_body_size=2**20, read_bufsize=2**16) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError, match="max_body_size"):
                    await response.read()
                assert response.content.total_bytes <= 2**20

    async def test_without_a_cap_each_step_is_bounded(self, http1: str, script: Script) -> None:
        """CVE-2025-69223: who reads piece by piece never holds more than a buffer."""
        body = gzip.compress(bytes(2**23))
        head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
        peer = await script([(b"GET ", head + body)])
        async with client(http1, read_bufsize=2**16) as session:
            async with session.get(peer.url) as response:
                sizes = [len(piece) async for piece in response.content.iter_any()]
        assert sum(sizes) == 2**23
        assert max(sizes) <= 2**17

    @pytest.mark.http1_only("HTTP/2 resets the stream of a body that has not come")
    async def test_what_is_dropped_is_not_decoded(self, http1: str, script: Script) -> None:
        """CVE-2026-21441: the body of a redirect may say what it likes."""
        reply = (
            b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 7\r\n\r\n"
        )
        peer = await script(
            [(b"GET /a ", [reply, b"garbage"]), (b"GET /b ", OK + b"Content-Length: 0\r\n\r\n")]
        )
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                assert response.status == 200

    async def test_a_large_body_is_not_drained(self, http1: str, script: Script) -> None:
        """CVE-2026-44432: beyond 64 KiB a new connection is cheaper."""
        reply = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 1000000\r\n\r\n"
        peer = await script(
            [(b"GET /a ", [reply + bytes(300_000), STALL])],
            [(b"GET /b ", OK + b"Content-Length: 0\r\n\r\n")],
        )
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                assert response.status == 200
