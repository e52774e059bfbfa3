"""What goes out: exact bytes, bodies, retries, redirects and what may go along with them."""

from __future__ import annotations

import errno
import gzip
import io
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any

import anyio
import pytest
from yarl import URL

import anyhttp
from anyhttp import (
    BasicAuth,
    ClientConnectionError,
    ClientOSError,
    ClientPayloadError,
    ClientTimeout,
    CookieJar,
    HttpVersion10,
    InvalidUrlRedirectClientError,
    NonHttpUrlRedirectClientError,
    ServerDisconnectedError,
    SocketTimeoutError,
    TooManyRedirects,
)
from anyhttp._codings.compression import accept_encoding
from tests.support.client import assert_free, client, wait_free
from tests.support.peer import (
    CLOSE,
    DEAF,
    RESET,
    STALL,
    Action,
    Flag,
    Head,
    Peer,
    Script,
    Step,
    Tell,
    Until,
    Wait,
)
from tests.support.requests import AUTOMATIC, fields, pieces, requests_of
from tests.support.responses import EMPTY as OK, redirect
from tests.support.server import Server

CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def start(method: str, target: str, peer: Peer) -> bytes:
    """Return the first two lines of a request to *peer*."""
    return f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{peer.port}\r\n".encode()


# -- the head --------------------------------------------------------------------------


class TestHead:
    async def test_a_plain_get(self, http1: str, script: Script) -> None:
        """``Host`` first, then the automatic headers, and nothing else."""
        peer = await script([(b"GET ", OK)])
        async with client(http1) as session:
            await session.get(peer.url.join(URL("/a%20b?x=1&y=%26#part")))
        assert peer.requests == [start("GET", "/a%20b?x=1&y=%26", peer) + AUTOMATIC + b"\r\n"]

    @pytest.mark.http1_only("names are in lower case in HTTP/2")
    async def test_given_headers_come_before_the_automatic_ones(
        self, http1: str, script: Script
    ) -> None:
        """In their order and case; repeated names of one mapping stay repeated."""
        peer = await script([(b"GET ", OK)])
        async with client(http1) as session:
            await session.get(peer.url, headers=[("x-B", "1"), ("X-a", "2"), ("x-b", "3")])
        expected = start("GET", "/", peer) + b"x-B: 1\r\nX-a: 2\r\nx-b: 3\r\n" + AUTOMATIC + b"\r\n"
        assert peer.requests == [expected]

    async def test_headers_of_the_request_replace_those_of_the_session(
        self, http1: str, script: Script
    ) -> None:
        """All of the same name; and either replaces the automatic one."""
        peer = await script([(b"GET ", OK)])
        headers = [("X", "session"), ("X", "session too"), ("accept", "text/html"), ("Y", "kept")]
        async with client(http1, headers=headers) as session:
            await session.get(peer.url, headers={"x": "request", "USER-AGENT": "me"})
        request = peer.requests[0]
        assert b"session" not in request
        assert fields(request) == {
            "host": f"127.0.0.1:{peer.port}",
            "x": "request",
            "accept": "text/html",
            "y": "kept",
            "user-agent": "me",
            "accept-encoding": accept_encoding(),
        }

    async def test_host_can_be_replaced(self, http1: str, script: Script) -> None:
        """It stays first, and stays one."""
        peer = await script([(b"GET / HTTP/1.1\r\nHost: other.test\r\n", OK)])
        async with client(http1) as session:
            await session.get(peer.url, headers={"X": "y", "HOST": "other.test"})
        assert fields(peer.requests[0])["host"] == "other.test"

    async def test_automatic_headers_can_be_left_out(self, http1: str, script: Script) -> None:
        """Names given to the session and to the request add up; ``Host`` is not optional."""
        peer = await script([(b"POST ", OK)])
        async with client(http1, skip_auto_headers=["User-Agent", "host"]) as session:
            skip = ["ACCEPT", "accept-encoding", "Content-Type", "Content-Length"]
            await session.post(peer.url, data=b"hi", skip_auto_headers=skip)
        assert peer.requests == [start("POST", "/", peer) + b"Content-Length: 2\r\n\r\nhi"]

    async def test_cookies_and_credentials(self, http1: str, script: Script) -> None:
        """Jar, session and request in one ``Cookie`` line; credentials in base64."""
        peer = await script([(b"GET ", OK)])
        async with client(http1, cookies={"a": "1", "b": "2"}) as session:
            url = peer.url.with_user("user").with_password("pass")
            await session.get(url, cookies={"b": "3"})
        found = fields(peer.requests[0])
        assert sorted(found["cookie"].split("; ")) == ["a=1", "b=3"]
        assert found["authorization"] == "Basic dXNlcjpwYXNz"
        assert found["host"] == f"127.0.0.1:{peer.port}"

    @pytest.mark.http1_only("HTTP/2 has no field Connection")
    @pytest.mark.parametrize("force_close", [False, True])
    @pytest.mark.parametrize("version", [(1, 0), (1, 1)])
    async def test_connection_is_named_where_it_is_not_the_default(
        self, version: tuple[int, int], force_close: bool, http1: str, script: Script
    ) -> None:
        """RFC 9112 §9.3: 1.0 asks to keep it, 1.1 asks to close it."""
        peer = await script([(b"GET ", OK)])
        options: dict[str, Any] = {"version": HttpVersion10} if version == (1, 0) else {}
        async with client(http1, force_close=force_close, **options) as session:
            await session.get(peer.url)
        request = peer.requests[0]
        assert request.startswith(b"GET / HTTP/1.%d\r\nHost: " % version[1])
        expected = {
            ((1, 0), False): "keep-alive",
            ((1, 0), True): None,
            ((1, 1), False): None,
            ((1, 1), True): "close",
        }
        assert fields(request).get("connection") == expected[version, force_close]

    @pytest.mark.parametrize("text", ["a\r\nEvil: 1", "a\nb", "a\rb", "a\x00b", "a\x7fb", "a\x1bb"])
    async def test_nothing_can_split_a_request(self, text: str, http1: str, script: Script) -> None:
        """CVE-2023-49081, CVE-2023-49082: ``ValueError``, before anything is sent."""
        peer = await script()
        attempts: list[tuple[str, dict[str, Any]]] = [
            (text, {}),
            ("GET", {"headers": {"X": text}}),
            ("GET", {"headers": {text: "y"}}),
            ("GET", {"headers": {"Host": text}}),
            ("GET", {"cookies": {"a": text}}),
            ("GET", {"cookies": {text: "b"}}),
        ]
        async with client(http1) as session:
            for method, options in attempts:
                with pytest.raises(ValueError):
                    await session.request(method, peer.url, **options)
            assert_free(session, idle=0)
        assert peer.connections == 0

    @pytest.mark.parametrize(
        "path", ["a HTTP/1.1", "a\r\nEvil: 1", "a\x00b", "a\x7fb", "a\x1bb", "?a b"]
    )
    async def test_nor_can_a_target(self, path: str, http1: str, script: Script) -> None:
        """RFC 9112 §3.2: what follows a space would be read as the version."""
        peer = await script()
        async with client(http1) as session:
            with pytest.raises(ValueError, match="spaces or control characters"):
                await session.get(URL(f"{peer.url}{path}", encoded=True))
        assert peer.connections == 0

    async def test_line_ends_in_a_url_are_gone_before_it_is_sent(
        self, http1: str, script: Script
    ) -> None:
        """The parser of URLs leaves them out, as that of browsers does."""
        peer = await script([(b"GET /ab HTTP/1.1\r\nHost: ", OK)])
        async with client(http1) as session:
            await session.get(URL(f"{peer.url}a\r\nb", encoded=True))

    async def test_a_base_url_without_its_fragment(self, http1: str, script: Script) -> None:
        """RFC 3986 §5.1: the fragment is no part of a base, whatever extends it."""
        peer = await script([(b"GET /a ", OK), (b"GET /?b ", OK)])
        async with client(http1, base_url=peer.url.with_fragment("old")) as session:
            for url in ("a", "?b"):
                async with session.get(url) as response:
                    assert response.real_url.fragment == ""


# -- the body --------------------------------------------------------------------------


class TestBody:
    @pytest.mark.http1_only("Content-Length is the last field in HTTP/2")
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"])
    async def test_no_body(self, method: str, http1: str, script: Script) -> None:
        """``Content-Length: 0`` outside GET, HEAD, OPTIONS and TRACE (RFC 9110 §8.6)."""
        peer = await script([(method.encode(), OK)])
        async with client(http1) as session:
            await session.request(method, peer.url)
        body = b""
        if method in {"POST", "PUT", "PATCH", "DELETE"}:
            body = b"Content-Length: 0\r\n"
        if method in {"POST", "PUT", "PATCH"}:
            body += b"Content-Type: application/octet-stream\r\n"
        assert peer.requests == [start(method, "/", peer) + AUTOMATIC + body + b"\r\n"]

    @pytest.mark.parametrize(
        ("options", "content_type", "body"),
        [
            ({"data": b"\x00hi"}, "application/octet-stream", b"\x00hi"),
            ({"data": "grün"}, "text/plain; charset=utf-8", "grün".encode()),
            ({"data": {"a": "1 2"}}, "application/x-www-form-urlencoded", b"a=1+2"),
            ({"json": {"a": [1]}}, "application/json", b'{"a": [1]}'),
            ({"data": b""}, "application/octet-stream", b""),
        ],
    )
    async def test_a_known_length_is_announced(
        self,
        options: dict[str, Any],
        content_type: str,
        body: bytes,
        http1: str,
        script: Script,
    ) -> None:
        """RFC 9112 §6.2, and exactly that many bytes follow."""
        peer = await script([(b"POST ", OK)])
        async with client(http1) as session:
            await session.post(peer.url, **options)
        head, _, sent = peer.requests[0].partition(b"\r\n\r\n")
        assert sent == body
        assert fields(head)["content-type"] == content_type
        assert fields(head)["content-length"] == str(len(body))
        assert "transfer-encoding" not in fields(head)

    @pytest.mark.http1_only("frames of DATA are no chunks")
    async def test_an_unknown_length_is_sent_in_chunks(self, http1: str, script: Script) -> None:
        """RFC 9112 §7.1: one chunk for each piece; an empty one would be the end."""
        peer = await script([(b"POST ", OK), (b"GET ", OK)])
        async with client(http1) as session:
            body = pieces(b"one", b"", b"0123456789abcdef")
            async with session.post(peer.url, data=body):
                await wait_free(session)
            await session.get(peer.url)
        head, _, rest = peer.requests[0].partition(b"\r\n\r\n")
        assert rest.startswith(b"3\r\none\r\n10\r\n0123456789abcdef\r\n0\r\n\r\nGET / ")
        assert fields(head)["transfer-encoding"] == "chunked"
        assert "content-length" not in fields(head)

    @pytest.mark.http1_only("HTTP/2 has no chunks")
    async def test_chunks_can_be_asked_for(self, http1: str, script: Script) -> None:
        """By the option, or by the header; also without a body."""
        peer = await script([(b"POST ", OK), (b"POST ", OK), (b"POST ", OK)])
        async with client(http1) as session:
            await session.post(peer.url, data=b"hi", chunked=True)
            await session.post(peer.url, data=b"hi", headers={"Transfer-Encoding": "chunked"})
            await session.post(peer.url, chunked=True)
        received = peer.requests[0]
        assert received.count(b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n") == 2
        assert received.endswith(b"\r\n\r\n0\r\n\r\n")
        assert received.lower().count(b"transfer-encoding: chunked\r\n") == 3
        assert b"content-length" not in received.lower()

    @pytest.mark.parametrize("body", [b"hello", [b"he", b"ll", b"o"]])
    async def test_a_given_length_cuts_the_body(
        self, body: bytes | list[bytes], http1: str, script: Script
    ) -> None:
        """Never more bytes than announced (CVE-2026-84380): the connection is used again."""
        peer = await script([(b"POST ", OK), (b"GET ", OK)])
        async with client(http1) as session:
            data = body if isinstance(body, bytes) else pieces(*body)
            async with session.post(peer.url, data=data, headers={"Content-Length": "3"}):
                await wait_free(session)
            await session.get(peer.url)
        assert b"\r\n\r\nhelGET / " in peer.requests[0]

    @pytest.mark.parametrize("body", [b"hi", [b"h", b"i"]])
    async def test_a_body_shorter_than_announced_fails(
        self, body: bytes | list[bytes], http1: str, script: Script
    ) -> None:
        """Never fewer either: the request fails and its connection is closed."""
        peer = await script([(Head(b"POST "), STALL)], partial=True)
        async with client(http1, timeout=ClientTimeout(total=5)) as session:
            data = body if isinstance(body, bytes) else pieces(*body)
            with pytest.raises((ClientPayloadError, ClientConnectionError, ValueError)):
                await session.post(peer.url, data=data, headers={"Content-Length": "5"})
            assert_free(session, idle=0)

    @pytest.mark.parametrize("coding", [True, "deflate", "gzip"])
    async def test_compression(self, coding: str | bool, http1: str, script: Script) -> None:
        """The coding is named, and its length is not known beforehand."""
        text = b"All work and no play. " * 100
        peer = await script([(b"POST ", OK)])
        async with client(http1) as session:
            async with session.post(peer.url, data=text, compress=coding):
                pass
        head, _, rest = peer.requests[0].partition(b"\r\n\r\n")
        found = fields(head)
        assert found["content-encoding"] == ("gzip" if coding == "gzip" else "deflate")
        assert found["transfer-encoding"] == "chunked"
        assert "content-length" not in found
        body = b""
        while (size := rest.partition(b"\r\n")[0]) != b"0":
            begin = len(size) + 2
            end = begin + int(size, 16)
            body, rest = body + rest[begin:end], rest[end + 2 :]
        assert (gzip if coding == "gzip" else zlib).decompress(body) == text

    async def test_compressing_nothing_is_left_out(self, http1: str, script: Script) -> None:
        """An empty body has no coding."""
        peer = await script([(b"POST ", OK)])
        async with client(http1) as session:
            await session.post(peer.url, data=b"", compress=True)
        assert fields(peer.requests[0])["content-length"] == "0"
        assert "content-encoding" not in fields(peer.requests[0])

    async def test_http_1_0_has_no_chunks(self, http1: str, script: Script) -> None:
        """A body of unknown length cannot be sent then; a known one can."""
        peer = await script([(b"POST / HTTP/1.0\r\n", OK)])
        async with client(http1, version=HttpVersion10) as session:
            with pytest.raises(ValueError, match=r"HTTP/1\.0"):
                await session.post(peer.url, data=pieces(b"hi"))
            await session.post(peer.url, data=b"hi")
        assert peer.requests[0].endswith(b"\r\n\r\nhi")

    @pytest.mark.parametrize(
        "options",
        [
            {"headers": {"Content-Length": "2"}, "chunked": True},
            {"headers": {"Content-Length": "2", "Transfer-Encoding": "chunked"}},
            {"headers": {"Transfer-Encoding": "chunked"}, "chunked": True},
            {"headers": {"Transfer-Encoding": "gzip"}},
            {"headers": {"Content-Length": "+2"}},
            {"headers": {"Content-Length": "two"}},
            {"headers": {"Content-Encoding": "br"}, "compress": True},
            {"headers": {"Content-Length": "2"}, "compress": True},
            {"headers": [("Content-Length", "2"), ("Content-Length", "3")]},
            {"headers": [("Content-Length", "2"), ("content-length", "2")]},
            {"headers": [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")]},
        ],
    )
    async def test_framing_that_contradicts_itself_is_refused(
        self, options: dict[str, Any], http1: str, script: Script
    ) -> None:
        """CVE-2026-84380: never both lengths, never two, before anything is sent."""
        peer = await script()
        async with client(http1) as session:
            with pytest.raises(ValueError):
                await session.post(peer.url, data=b"hi", **options)
            assert_free(session, idle=0)
        assert peer.connections == 0


# -- body and response beside each other -----------------------------------------------


class TestUpload:
    async def test_full_duplex(self, http1: str, server: Server) -> None:
        """The response arrives with its head, while the body is still being sent."""
        send, receive = anyio.create_memory_object_stream[bytes](1)
        async with client(http1) as session:
            async with session.post(server.url / "echo-body", data=receive) as response:
                assert response.status == 200
                for word in (b"one", b"two", b"three"):
                    await send.send(word)
                    assert await response.content.readexactly(len(word)) == word
                send.close()
                assert await response.read() == b""
            assert_free(session, idle=1)
        receive.close()

    @pytest.mark.parametrize("kind", ["chunks", "length", "asked for"])
    async def test_a_body_that_was_sent_leaves_the_connection_for_the_next(
        self, kind: str, http1: str, script: Script
    ) -> None:
        """Also if the answer is there before the writer is known to have come to its end."""
        steps: list[Step] = [(b"POST ", OK)]
        if kind == "asked for":
            steps = [(Head(b"POST "), CONTINUE), (Until(b"hello"), OK)]
        peer = await script(steps * 10)
        async with client(http1) as session:
            for _ in range(10):
                data = pieces(b"hello") if kind == "chunks" else io.BytesIO(b"hello")
                expect100 = kind == "asked for"
                async with session.post(peer.url, data=data, expect100=expect100) as response:
                    assert response.status == 200

    @pytest.mark.parametrize("end", [DEAF, STALL, CLOSE, RESET])
    async def test_an_early_refusal_is_delivered(
        self, end: Action, http1: str, script: Script
    ) -> None:
        """A final answer counts, whatever becomes of the body; the connection does not go on."""
        refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge"
        peer = await script([(Head(b"POST /a "), [refusal, end])], [(b"GET /b ", OK)])
        stopped = False

        async def endless() -> AsyncGenerator[bytes, None]:
            nonlocal stopped
            try:
                while True:
                    yield bytes(2**16)
            finally:
                stopped = True

        body = endless()
        async with client(http1) as session:
            async with session.post(peer.url / "a", data=body) as response:
                assert response.status == 413
                assert await response.read() == b"large"
            assert_free(session, idle=0)
            async with session.get(peer.url / "b") as response:
                assert response.status == 200
        await body.aclose()
        assert stopped

    @pytest.mark.parametrize("how", ["session", "function"])
    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 304 Known\r\n\r\n",
            b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
            *(
                pytest.param(head, marks=pytest.mark.http1_only("HTTP/2 says nothing like that"))
                for head in (
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
                    b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
                )
            ),
        ],
    )
    async def test_a_refusal_ends_a_bare_upload(
        self, head: bytes, how: str, http1: str, script: Script
    ) -> None:
        """RFC 9112 §9.5: nothing more is sent, though no block could stop it."""
        has_body = b"304" not in head
        end = b"\r\n0\r\n\r\n" if b"chunked" in head else b""
        answer = head + b"large" * has_body + end
        peer = await script([(Head(b"POST "), [answer, DEAF])])
        stopped = False

        async def endless() -> AsyncGenerator[bytes, None]:
            nonlocal stopped
            try:
                while True:
                    yield bytes(2**16)
            finally:
                stopped = True

        session = client(http1)
        post: Any = partial(session.request, "POST")
        if how == "function":
            post = partial(anyhttp.request, "POST", connector=session.connector)
        with anyio.fail_after(10):
            response = await post(peer.url, data=endless())
            assert await response.read() == (b"large" if has_body else b"")
        assert stopped
        assert_free(session, idle=0)
        await session.close()

    @pytest.mark.parametrize("piece", [b"la", b""])
    async def test_the_rest_of_a_refusal_can_be_read(
        self, piece: bytes, http1: str, script: Script
    ) -> None:
        """The body is not sent to its end, but the connection stays open for the answer."""
        head = b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\n"
        returned = Flag()
        rest = b"large"[len(piece) :]
        peer = await script([(Head(b"POST "), [head + piece, Wait(returned), rest, DEAF])])
        session = client(http1, timeout=ClientTimeout(total=None, sock_read=10))
        response = await session.post(peer.url, data=io.BytesIO(bytes(2**26)))
        returned.set()
        assert await response.read() == b"large"
        assert_free(session, idle=0)
        await session.close()

    async def test_leaving_the_block_stops_the_body(self, http1: str, script: Script) -> None:
        """Nothing is sent after it, and the connection is closed."""
        refusal = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(Head(b"POST "), [refusal, STALL])])
        send, receive = anyio.create_memory_object_stream[bytes](1)
        async with client(http1) as session:
            async with session.post(peer.url, data=receive) as response:
                assert response.status == 200
            assert_free(session, idle=0)
            await peer.wait_closed()
        send.close()
        receive.close()

    @pytest.mark.parametrize(
        ("error", "expected", "number"),
        [
            (ValueError("no"), ClientConnectionError, None),
            (OSError(errno.ENOSPC, "disk"), ClientOSError, errno.ENOSPC),
            (io.UnsupportedOperation("read"), ClientOSError, errno.EIO),
        ],
    )
    async def test_a_body_that_fails_fails_the_request(
        self,
        error: Exception,
        expected: type[Exception],
        number: int | None,
        http1: str,
        script: Script,
    ) -> None:
        """The caller learns why, and the peer gets no end that would make the body look whole."""
        came = Flag()
        peer = await script([(Head(b"POST "), [Tell(came), STALL])])

        async def failing() -> AsyncIterator[bytes]:
            yield b"some"
            await came.until_set()
            raise error

        async with client(http1) as session:
            with pytest.raises(expected) as caught:
                await session.post(peer.url, data=failing())
            assert caught.value.__cause__ is error
            assert getattr(caught.value, "errno", None) == number
            await peer.wait_closed()
            assert_free(session, idle=0)
        assert not peer.requests[0].endswith(b"0\r\n\r\n")

    async def test_a_body_that_fails_after_the_head_fails_the_reading(
        self, http1: str, script: Script
    ) -> None:
        """The response was there already; its body will never come."""
        peer = await script([(Head(b"POST "), [b"HTTP/1.1 200 OK\r\n\r\n", STALL])])
        go = anyio.Event()

        async def failing() -> AsyncIterator[bytes]:
            yield b"some"
            await go.wait()
            raise ValueError("no")

        async with client(http1) as session:
            async with session.post(peer.url, data=failing()) as response:
                go.set()
                with pytest.raises(ClientConnectionError, match="ValueError"):
                    await response.read()
            assert_free(session, idle=0)

    async def test_sock_read_counts_from_the_end_of_the_body(
        self, http1: str, script: Script
    ) -> None:
        """A slow body is not a slow peer."""
        peer = await script([(Head(b"POST "), STALL)])
        sent = False

        async def slow() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(3):
                await anyio.sleep(0.1)
                yield b"x"
            sent = True

        async with client(http1, timeout=ClientTimeout(sock_read=0.15)) as session:
            with pytest.raises(SocketTimeoutError):
                await session.post(peer.url, data=slow())
        assert sent


class TestExpect100:
    @pytest.mark.parametrize("how", [{"expect100": True}, {"headers": {"Expect": "100-Continue"}}])
    async def test_the_body_waits_for_the_word(
        self, how: dict[str, Any], http1: str, script: Script
    ) -> None:
        """RFC 9110 §10.1.1: the head goes out alone."""
        go, seen = Flag(), Flag()
        peer = await script(
            [(Head(b"POST "), [Tell(seen), Wait(go), CONTINUE]), (Until(b"hi"), OK)]
        )
        async with client(http1) as session, anyio.create_task_group() as group:

            async def look() -> None:
                await seen.until_set()
                await peer.settled()
                assert peer.requests[0].endswith(b"\r\n\r\n")
                go.set()

            group.start_soon(look)
            async with session.post(peer.url, data=b"hi", **how) as response:
                assert response.status == 200
            assert_free(session)
        assert fields(peer.requests[0])["expect"].lower() == "100-continue"
        assert peer.requests[0].endswith(b"\r\n\r\nhi")

    async def test_a_final_answer_instead_means_no_body(self, http1: str, script: Script) -> None:
        """It is not sent, and the connection is not used again: its framing is open."""
        refusal = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(Head(b"POST "), refusal)], [(b"GET ", OK)])
        async with client(http1) as session:
            async with session.post(peer.url, data=b"hi", expect100=True) as response:
                assert response.status == 417
            async with session.get(peer.url) as response:
                assert response.status == 200
        assert peer.requests[0].endswith(b"\r\n\r\n")

    async def test_a_body_in_chunks(self, http1: str, script: Script) -> None:
        """Framing does not matter."""
        peer = await script([(Head(b"PUT "), CONTINUE), (Until(b"0\r\n\r\n"), OK)])
        async with client(http1) as session:
            async with session.put(peer.url, data=pieces(b"hi"), expect100=True) as response:
                assert response.status == 200
        assert peer.requests[0].endswith(b"\r\n\r\n2\r\nhi\r\n0\r\n\r\n")

    @pytest.mark.parametrize(
        ("value", "sent"), [("100-Continue", None), ("something-else", "something-else")]
    )
    async def test_without_a_body(
        self, value: str, sent: str | None, http1: str, script: Script
    ) -> None:
        """RFC 9110 §10.1.1: there is nothing to wait for; other expectations are the caller's."""
        peer = await script([(b"POST ", OK)])
        async with client(http1) as session:
            async with session.post(peer.url, headers={"Expect": value}) as response:
                assert response.status == 200
        assert fields(peer.requests[0]).get("expect") == sent


# -- stale connections -----------------------------------------------------------------


class TestRetry:
    """Design §5: once, on a reused connection, with no byte of response, if it is harmless."""

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"])
    @pytest.mark.parametrize("end", [CLOSE, RESET])
    async def test_a_stale_connection_is_replaced(
        self, method: str, end: Action, http1: str, script: Script
    ) -> None:
        """RFC 9110 §9.2.2: idempotent methods may be repeated."""
        expected = method.encode() + b" /b "
        peer = await script([(b"GET /a ", OK), (expected, end)], [(expected, OK)])
        async with client(http1) as session:
            await session.get(peer.url / "a")
            async with session.request(method, peer.url / "b") as response:
                assert response.status == 200
        assert peer.requests[0].endswith(peer.requests[1])

    async def test_a_body_that_can_be_replayed_is_sent_again(
        self, http1: str, script: Script
    ) -> None:
        """The whole of it."""
        peer = await script([(b"GET /a ", OK), (b"PUT /b ", CLOSE)], [(b"PUT /b ", OK)])
        async with client(http1) as session:
            await session.get(peer.url / "a")
            await session.put(peer.url / "b", data=b"hello")
        assert all(request.endswith(b"\r\n\r\nhello") for request in peer.requests)

    async def test_only_once(self, http1: str, script: Script) -> None:
        """A second failure is the server's answer."""
        peer = await script([(b"GET /a ", OK), (b"GET /b ", CLOSE)], [(b"GET /b ", CLOSE)])
        async with client(http1) as session:
            await session.get(peer.url / "a")
            with pytest.raises(ServerDisconnectedError):
                await session.get(peer.url / "b")
            assert_free(session, idle=0)

    async def test_not_on_a_new_connection(self, http1: str, script: Script) -> None:
        """It was not stale: the server closed it because of this request."""
        peer = await script([(b"GET ", CLOSE)])
        async with client(http1) as session:
            with pytest.raises(ServerDisconnectedError):
                await session.get(peer.url)

    @pytest.mark.parametrize("method", ["POST", "PATCH", "FROB"])
    async def test_not_what_might_be_done_twice(
        self, method: str, http1: str, script: Script
    ) -> None:
        """Nobody knows whether the first one was carried out."""
        peer = await script([(b"GET /a ", OK), (method.encode(), CLOSE)])
        async with client(http1) as session:
            await session.get(peer.url / "a")
            with pytest.raises(ServerDisconnectedError):
                await session.request(method, peer.url / "b")

    @pytest.mark.http1_only("HTTP/2 has no part of a head")
    @pytest.mark.parametrize("start", [b"H", b"HTTP/1.1 200 OK\r\n", CONTINUE])
    async def test_not_after_a_byte_of_response(
        self, start: bytes, http1: str, script: Script
    ) -> None:
        """The request was received then; an informational response is one too."""
        peer = await script([(b"GET /a ", OK), (b"GET /b ", [start, CLOSE])])
        async with client(http1) as session:
            await session.get(peer.url / "a")
            with pytest.raises(ServerDisconnectedError):
                await session.get(peer.url / "b")

    async def test_not_with_a_body_that_is_used_up(self, http1: str, script: Script) -> None:
        """It cannot be sent again, and must not be sent empty."""
        peer = await script([(b"GET /a ", OK), (b"PUT /b ", CLOSE)])
        async with client(http1) as session:
            await session.get(peer.url / "a")
            with pytest.raises(ServerDisconnectedError):
                await session.put(peer.url / "b", data=pieces(b"hello"))

    async def test_not_after_a_timeout(self, http1: str, script: Script) -> None:
        """The peer was there, and slow."""
        peer = await script([(b"GET /a ", OK), (b"GET /b ", STALL)])
        async with client(http1) as session:
            await session.get(peer.url / "a")
            with pytest.raises(SocketTimeoutError):
                await session.get(peer.url / "b", timeout=ClientTimeout(sock_read=0.05))

    async def test_it_can_be_switched_off(self, http1: str, script: Script) -> None:
        """``retry_connections=False``."""
        peer = await script([(b"GET /a ", OK), (b"GET /b ", CLOSE)])
        async with client(http1, retry_connections=False) as session:
            await session.get(peer.url / "a")
            with pytest.raises(ServerDisconnectedError):
                await session.get(peer.url / "b")


# -- redirects -------------------------------------------------------------------------


class TestRedirect:
    @pytest.mark.parametrize(
        ("status", "method", "then"),
        [
            *((status, "GET", "GET") for status in (301, 302, 303, 307, 308)),
            *((status, "HEAD", "HEAD") for status in (301, 302, 303, 307, 308)),
            *((status, "POST", "GET") for status in (301, 302, 303)),
            *((status, "POST", "POST") for status in (307, 308)),
            *((status, "PUT", "PUT") for status in (301, 302, 307, 308)),
            (303, "PUT", "GET"),
            (303, "DELETE", "GET"),
            (302, "DELETE", "DELETE"),
        ],
    )
    async def test_method_and_body(
        self, status: int, method: str, then: str, http1: str, script: Script
    ) -> None:
        """RFC 9110 §15.4; without a body nothing speaks of one (CVE-2023-45803)."""
        body = b"hello" if method in {"POST", "PUT"} else None
        peer = await script(
            [
                (method.encode() + b" /a ", redirect("/b", status)),
                (then.encode() + b" /b ", OK),
            ]
        )
        headers = {"Content-Language": "en", "X": "y"} if body else {"X": "y"}
        async with client(http1) as session:
            async with session.request(
                method, peer.url / "a", data=body, headers=headers, allow_redirects=True
            ) as response:
                assert response.status == 200
                assert response.method == then
                assert response.url == peer.url / "b"
                (before,) = response.history
                assert (before.status, before.method) == (status, method)
                assert before.url == peer.url / "a"
        last = then.encode() + peer.requests[0].rpartition(then.encode() + b" /b ")[2]
        found = fields(peer.requests[0][peer.requests[0].index(then.encode() + b" /b ") :])
        assert found["x"] == "y"
        if body and method == then:
            assert last.endswith(b"\r\n\r\nhello")
            assert (found["content-length"], found["content-language"]) == ("5", "en")
        else:
            assert last.endswith(b"\r\n\r\n")
            unwanted = {"content-type", "content-language", "transfer-encoding"}
            if then == "GET":
                unwanted.add("content-length")
            assert not unwanted & found.keys()

    @pytest.mark.parametrize("status", [300, 304, 305, 306])
    async def test_other_statuses_are_not_followed(
        self, status: int, http1: str, script: Script
    ) -> None:
        """They say something else."""
        peer = await script([(b"GET ", redirect("/b", status))])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                assert (response.status, response.history) == (status, ())

    async def test_it_can_be_left_to_the_caller(self, http1: str, script: Script) -> None:
        """``allow_redirects=False``, which is what HEAD does by itself."""
        peer = await script([(b"GET ", redirect("/b")), (b"HEAD ", redirect("/b"))])
        async with client(http1) as session:
            async with session.get(peer.url, allow_redirects=False) as response:
                assert (response.status, response.history) == (302, ())
            async with session.head(peer.url) as response:
                assert (response.status, response.history) == (302, ())

    @pytest.mark.parametrize(
        ("location", "target"),
        [
            ("b", "/x/b"),
            ("/b", "/b"),
            ("../b", "/b"),
            ("?q=1", "/x/a?q=1"),
            ("b?q=%20#f", "/x/b?q=%20"),
            ("b c", "/x/b%20c"),
        ],
    )
    async def test_targets_resolve_against_the_url_asked(
        self, location: str, target: str, http1: str, script: Script
    ) -> None:
        """RFC 9110 §10.2.2; the parameters of the first request are not repeated."""
        peer = await script(
            [
                (b"GET /x/a?p=1 ", redirect(location)),
                (b"GET " + target.encode() + b" ", OK),
            ]
        )
        async with client(http1) as session:
            async with session.get(peer.url / "x" / "a", params={"p": "1"}) as response:
                assert response.status == 200

    @pytest.mark.parametrize("scheme", ["http:", "HTTP:", ""])
    async def test_targets_may_be_elsewhere(self, scheme: str, http1: str, script: Script) -> None:
        """Absolute, or with an authority alone, which keeps the scheme."""
        other = await script([(b"GET /b ", OK)])
        location = f"{scheme}//127.0.0.1:{other.port}/b"
        peer = await script([(b"GET /a ", redirect(location))])
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                assert response.url == other.url / "b"

    async def test_fragments(self, http1: str, script: Script) -> None:
        """That of ``Location`` shows in ``real_url``; the old one is not inherited."""
        peer = await script(
            [
                (b"GET /a ", redirect("/b#new")),
                (b"GET /b ", OK),
                *((b"GET /a ", redirect("/b")), (b"GET /b ", OK)),
                *((b"GET /a ", redirect("?b")), (b"GET /a?b ", OK)),
            ]
        )
        async with client(http1) as session:
            url = (peer.url / "a").with_fragment("old")
            async with session.get(url) as response:
                assert response.history[0].real_url.fragment == "old"
                assert (response.real_url.fragment, response.url.fragment) == ("new", "")
            for _ in range(2):
                async with session.get(url) as response:
                    assert response.real_url.fragment == ""

    async def test_without_location_it_is_an_answer(self, http1: str, script: Script) -> None:
        """``URI`` is what some old servers send."""
        peer = await script(
            [
                (b"GET /a ", b"HTTP/1.1 302 Found\r\nURI: /b\r\nContent-Length: 0\r\n\r\n"),
                (b"GET /b ", b"HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nhi"),
            ]
        )
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                assert (response.status, await response.read()) == (302, b"hi")
                assert len(response.history) == 1

    @pytest.mark.parametrize(
        ("location", "error"),
        [
            ("ftp://x.test/", NonHttpUrlRedirectClientError),
            ("file:///etc/passwd", NonHttpUrlRedirectClientError),
            ("javascript:alert(1)", NonHttpUrlRedirectClientError),
            ("http://", InvalidUrlRedirectClientError),
            ("http:///b", InvalidUrlRedirectClientError),
            ("https:b", InvalidUrlRedirectClientError),
            ("http://x.test:port/", InvalidUrlRedirectClientError),
            ("http://127.1/", InvalidUrlRedirectClientError),
            ("http://0177.0.0.1/", InvalidUrlRedirectClientError),
            ("http://2130706433/", InvalidUrlRedirectClientError),
        ],
    )
    async def test_other_targets_are_refused(
        self, location: str, error: type[Exception], http1: str, script: Script
    ) -> None:
        """Only http and https, and hosts that mean what they look like (CVE-2026-45409)."""
        peer = await script([(b"GET ", redirect(location))])
        async with client(http1) as session:
            with pytest.raises(error):
                await session.get(peer.url)
            assert_free(session)

    @pytest.mark.parametrize("limit", [1, 2, 3])
    async def test_too_many(self, limit: int, http1: str, script: Script) -> None:
        """The redirect that reaches the limit is not followed; status 0, and all that came."""
        steps = [(b"GET /%d " % n, redirect(f"/{n + 1}")) for n in range(limit)]
        peer = await script(steps)
        async with client(http1) as session:
            with pytest.raises(TooManyRedirects) as caught:
                await session.get(peer.url / "0", max_redirects=limit)
            assert caught.value.status == 0
            assert [str(r.url.path) for r in caught.value.history] == [
                f"/{n}" for n in range(limit)
            ]
            assert caught.value.request_info.url == peer.url / "0"
            assert_free(session)

    async def test_one_less_is_followed(self, http1: str, script: Script) -> None:
        """And 0 sets no limit."""
        steps = [(b"GET /%d " % n, redirect(f"/{n + 1}")) for n in range(12)]
        peer = await script(
            [*steps[:2], (b"GET /2 ", OK), *steps, (b"GET /12 ", OK)],
        )
        async with client(http1) as session:
            async with session.get(peer.url / "0", max_redirects=3) as response:
                assert len(response.history) == 2
            async with session.get(peer.url / "0", max_redirects=0) as response:
                assert len(response.history) == 12

    async def test_a_body_that_is_used_up_fails(self, http1: str, script: Script) -> None:
        """An empty one in its place would be another request."""
        peer = await script([(b"POST ", redirect("/b", 307))])
        async with client(http1) as session:
            with pytest.raises(ClientPayloadError, match="used up"):
                await session.post(peer.url, data=pieces(b"hello"))
            assert_free(session)

    async def test_a_file_is_sent_again_from_where_it_started(
        self, http1: str, script: Script
    ) -> None:
        """Not from its beginning."""
        peer = await script(
            [(b"POST /a ", redirect("/b", 308, b"Connection: close"))], [(b"POST /b ", OK)]
        )
        file = io.BytesIO(b"skip hello")
        file.seek(5)
        async with client(http1) as session:
            async with session.post(peer.url / "a", data=file):
                pass
        assert all(request.endswith(b"\r\n\r\nhello") for request in peer.requests)
        assert all(b"Content-Length: 5\r\n" in request for request in peer.requests)

    @pytest.mark.http1_only("HTTP/2 resets the stream of a body that has not come")
    async def test_the_body_of_a_redirect_is_passed_over(self, http1: str, script: Script) -> None:
        """If it is small, the connection goes on; if it is cut short, another one does."""
        head = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 5\r\n\r\n"
        peer = await script(
            [
                (b"GET /a ", [head, b"he", b"llo"]),
                (b"GET /b ", OK),
                (b"GET /a ", [head, b"he", CLOSE]),
            ],
            [(b"GET /b ", OK)],
        )
        async with client(http1) as session:
            for _ in range(2):
                async with session.get(peer.url / "a") as response:
                    assert response.status == 200


class TestCredentials:
    """CVE-2023-32681, CVE-2023-43804, CVE-2024-37891: they stay where they belong."""

    GIVEN = (
        ("Authorization", "Basic secret"),
        ("authorization", "Bearer secret"),
        ("Cookie", "secret=1"),
        ("Proxy-Authorization", "Basic secret"),
        ("X-Other", "goes along"),
    )

    async def test_headers_go_along_within_an_origin(self, http1: str, script: Script) -> None:
        """A redirect to another path changes nothing; those for a proxy go nowhere."""
        peer = await script([(b"GET /a ", redirect("/b")), (b"GET /b ", OK)])
        async with client(http1) as session:
            await session.get(peer.url / "a", headers=self.GIVEN)
        first, second = requests_of(peer.requests[0])
        assert first.count(b"secret") == second.count(b"secret") == 3
        assert b"proxy-authorization" not in (first + second).lower()

    async def test_another_origin_gets_none_of_them(self, http1: str, script: Script) -> None:
        """Scheme, host or port; all copies of each, from the session and the request."""
        other = await script([(b"GET /b ", OK)])
        peer = await script([(b"GET /a ", redirect(other.url / "b"))])
        session_headers = [("Authorization", "secret"), ("Cookie", "secret=1"), ("Y", "z")]
        async with client(http1, headers=session_headers) as session:
            await session.get(peer.url / "a", headers=self.GIVEN, cookies={"secret": "2"})
        assert b"secret" in peer.requests[0]
        assert b"secret" not in other.requests[0]
        found = fields(other.requests[0])
        assert (found["x-other"], found["y"]) == ("goes along", "z")
        assert found["host"] == f"127.0.0.1:{other.port}"

    async def test_nor_does_any_origin_after_that(self, http1: str, script: Script) -> None:
        """They are dropped for the rest of the chain."""
        third = await script([(b"GET /c ", OK)])
        second = await script([(b"GET /b ", redirect(third.url / "c"))])
        first = await script([(b"GET /a ", redirect(second.url / "b"))])
        async with client(http1) as session:
            await session.get(
                first.url / "a", auth=BasicAuth("secret", "x"), cookies={"secret": "2"}
            )
        assert fields(first.requests[0])["authorization"] == BasicAuth("secret", "x").encode()
        for peer in (second, third):
            assert not {"authorization", "cookie"} & fields(peer.requests[0]).keys()

    async def test_auth_goes_along_within_an_origin(self, http1: str, script: Script) -> None:
        """As the headers do."""
        peer = await script([(b"GET /a ", redirect("/b")), (b"GET /b ", OK)])
        async with client(http1) as session:
            await session.get(peer.url / "a", auth=BasicAuth("user", "pass"), cookies={"a": "b"})
        for request in requests_of(peer.requests[0]):
            assert fields(request)["authorization"] == BasicAuth("user", "pass").encode()
            assert fields(request)["cookie"] == "a=b"

    async def test_auth_of_the_session_is_for_what_is_asked_for(
        self, http1: str, script: Script
    ) -> None:
        """And not for where a redirect leads; with a ``base_url`` it is for its origin alone."""
        for base in (False, True):
            other = await script([(b"GET /b ", OK), (b"GET /c ", OK)])
            peer = await script([(b"GET /a ", redirect(other.url / "b"))])
            options: dict[str, Any] = {"base_url": peer.url} if base else {}
            auth = BasicAuth("user", "pass")
            async with client(http1, auth=auth, **options) as session:
                await session.get(peer.url / "a")
                await session.get(other.url / "c")
            assert fields(peer.requests[0])["authorization"] == auth.encode()
            redirected, asked = map(fields, requests_of(other.requests[0]))
            assert "authorization" not in redirected
            assert asked.get("authorization") == (None if base else auth.encode())

    async def test_credentials_in_a_target_override_earlier_ones(
        self, http1: str, script: Script
    ) -> None:
        """And are not part of the URL that is sent or shown."""
        target = await script([(b"GET /b ", OK)])
        url = (target.url / "b").with_user("new").with_password("pass")
        peer = await script([(b"GET /a ", redirect(url))])
        async with client(http1) as session:
            async with session.get(peer.url / "a", auth=BasicAuth("old", "pass")) as response:
                assert response.url == target.url / "b"
        assert fields(target.requests[0])["authorization"] == BasicAuth("new", "pass").encode()

    async def test_cookies_are_looked_up_for_each_hop(self, http1: str, script: Script) -> None:
        """Every response may set some, by path and host; each request asks the jar anew."""
        peer = await script(
            [
                (
                    b"GET /a ",
                    redirect("/x/b", 302, b"Set-Cookie: a=1", b"Set-Cookie: p=1; Path=/x"),
                ),
                (b"GET /x/b ", redirect("/c", 302, b"Set-Cookie: a=2; Path=/")),
                (b"GET /c ", redirect("/d", 302, b"Set-Cookie: a=; Max-Age=0; Path=/")),
                (b"GET /d ", OK),
                (b"GET /x/e ", OK),
            ]
        )
        async with client(http1, cookie_jar=CookieJar(unsafe=True)) as session:
            async with session.get(peer.url / "a") as response:
                assert response.history[1].cookies["a"].value == "2"
                assert not response.cookies
            await session.get(peer.url / "x" / "e")
        cookies = [fields(request).get("cookie") for request in requests_of(peer.requests[0])]
        assert cookies[0] is None
        assert sorted((cookies[1] or "").split("; ")) == ["a=1", "p=1"]
        assert cookies[2:] == ["a=2", None, "p=1"]
