"""What a response tells of itself, rule by rule."""

from __future__ import annotations

import gzip
import pickle
import tracemalloc
import zlib
from datetime import timedelta
from typing import Any
from unittest.mock import create_autospec

import anyio
import pytest
from multidict import MultiDict
from yarl import URL

from anyhttp import (
    ClientConnectionError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ContentTypeError,
)
from anyhttp.http_exceptions import LineTooLong
from anyhttp.testing import Answer
from tests.support.api import Api
from tests.support.client import assert_free, client, wait_free
from tests.support.cost import cheap
from tests.support.peer import CLOSE, STALL, Action, Flag, Head, Script, Until, Wait
from tests.support.responses import OK_LINE as OK
from tests.support.waiting import DEADLINE

BAD = b"HTTP/1.1 503 Busy\r\n"
TEXT = b"several words " * 1000


def whole(body: bytes, *fields: bytes, start: bytes = OK) -> bytes:
    """Return a response with a Content-Length."""
    lines = [start[:-2], *fields, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunks(body: bytes, size: int) -> bytes:
    """Return *body* in chunks of *size*, with the last chunk."""
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


async def answered(session: ClientSession, api: Api, *fields: bytes) -> ClientResponse:
    """Return a response with these header fields, and JSON in its body."""
    response = await session.get(answer(api, b'{"a": 1}', *fields))
    await response.read()
    return response


def answer(api: Api, body: bytes, *fields: bytes) -> URL:
    """Let the API answer so, with these header fields, at the URL that is returned."""
    url = api.url / "dir" / "file"
    api.mock.get(url, answer=Answer(raw=whole(body, *fields)))
    return url


class TestItsType:
    @pytest.mark.parametrize(
        ("field", "content_type"),
        [
            (b"Content-Type: Text/HTML; charset=x", "text/html"),
            (b"Content-Type: application/vnd.a+json", "application/vnd.a+json"),
            (b"X: y", "application/octet-stream"),
            (b"Content-Type: ", "application/octet-stream"),
            (b"Content-Type: text", "application/octet-stream"),
            (b"Content-Type: text/", "application/octet-stream"),
            (b"Content-Type: a b/c", "application/octet-stream"),
            (b"Content-Type: text/html, text/plain", "application/octet-stream"),
        ],
    )
    async def test_the_media_type(
        self, field: bytes, content_type: str, http1: str, api: Api
    ) -> None:
        """RFC 9110 §8.3: without one, or with something else, it is not known what it is."""
        async with client(http1) as session:
            response = await answered(session, api, field)
            assert response.content_type == content_type

    @pytest.mark.parametrize(
        ("field", "charset", "encoding"),
        [
            (b"Content-Type: text/html; charset=ISO-8859-1", "ISO-8859-1", "iso8859-1"),
            (b'Content-Type: text/html; CharSet="UTF-8"', "UTF-8", "utf-8"),
            (b"Content-Type: text/html; charset=", None, "fallback"),
            (b"Content-Type: text/html; charset=nope", "nope", "fallback"),
            (b"Content-Type: text/html; charset=base64", "base64", "fallback"),
            (b"Content-Type: text/html", None, "fallback"),
            (b"Content-Type: application/json", None, "utf-8"),
            (b"Content-Type: application/rdap+json", None, "utf-8"),
            (b"Content-Type: application/json; charset=latin-1", "latin-1", "iso8859-1"),
        ],
    )
    async def test_the_charset(
        self, field: bytes, charset: str | None, encoding: str, http1: str, api: Api
    ) -> None:
        """A valid parameter, else UTF-8 for JSON, else what the session's resolver says."""
        asked: list[bytes] = []

        def resolve(response: ClientResponse, body: bytes) -> str:
            assert response.status == 200
            asked.append(body)
            return "fallback"

        async with client(http1, fallback_charset_resolver=resolve) as session:
            response = await answered(session, api, field)
            assert response.charset == charset
            assert response.get_encoding() == encoding
            assert asked == ([b'{"a": 1}'] if encoding == "fallback" else [])

    async def test_a_guess_needs_the_body(self, http1: str, api: Api) -> None:
        """Before it has been read, ``get_encoding()`` says so."""
        async with client(http1) as session, session.get(api.url / "bytes/1") as response:
            with pytest.raises(RuntimeError, match="before the body has been read"):
                response.get_encoding()


class TestJson:
    @pytest.mark.parametrize(
        ("field", "expected", "fits"),
        [
            (b"application/json", None, True),
            (b"APPLICATION/JSON ; charset=utf-8", None, True),
            (b"application/problem+json", None, True),
            (b"application/json-seq", None, True),
            (b"application/json,charset=utf-8", None, True),
            (b"application/hal+json, */*", None, True),
            (b"application/x-ndjson", None, False),
            (b"text/json", None, False),
            (b"text/html", "text/html", True),
            (b"text/html; charset=utf-8", "charset=utf-8", True),
            (b"text/plain", "text/html", False),
            (b"application/problem+json", "application/problem", True),
        ],
    )
    async def test_the_type_it_must_have(
        self, field: bytes, expected: str | None, fits: bool, http1: str, api: Api
    ) -> None:
        """By default JSON or something that is JSON too; else what is asked for, in it."""
        options: dict[str, Any] = {} if expected is None else {"content_type": expected}
        async with client(http1) as session:
            response = await answered(session, api, b"Content-Type: " + field)
            if fits:
                assert await response.json(**options) == {"a": 1}
            else:
                with pytest.raises(ContentTypeError, match="unexpected mimetype") as caught:
                    await response.json(**options)
                assert (caught.value.status, caught.value.body) == (200, b'{"a": 1}')
            assert await response.json(content_type=None) == {"a": 1}

    @pytest.mark.once
    async def test_a_type_that_is_no_text(self, api: Api) -> None:
        """The error names the argument, and the body can be read with another one."""
        async with client("auto") as session:
            response = await answered(session, api, b"Content-Type: application/json")
            wrong: Any = 5
            with pytest.raises(TypeError, match=r"^content_type must be a str, not int$"):
                await response.json(content_type=wrong)
            assert await response.json() == {"a": 1}

    @pytest.mark.parametrize("charset", [b"", b"; charset=utf-8", b"; charset=nonsense"])
    @pytest.mark.parametrize(
        "encoding",
        ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"],
    )
    @pytest.mark.parametrize("text", ['{"a": "é"}', '\r\n{"a": "é"}\r\n'])
    async def test_it_shows_its_encoding(
        self, text: str, encoding: str, charset: bytes, http1: str, api: Api
    ) -> None:
        """A byte order mark, UTF-16 and UTF-32 cannot be mistaken, whatever the header says."""
        field = b"Content-Type: application/json" + charset
        url = answer(api, text.encode(encoding), field)
        async with client(http1) as session, session.get(url) as response:
            assert await response.json() == {"a": "é"}

    @pytest.mark.parametrize(
        "body", [b"", b" \r\n\t", b"\xef\xbb\xbf", "\ufeff ".encode("utf-16-le")]
    )
    async def test_nothing_is_none(self, body: bytes, http1: str, api: Api) -> None:
        """An empty body is not JSON, but many servers answer so."""
        url = answer(api, body, b"Content-Type: application/json")
        async with client(http1) as session, session.get(url) as response:
            assert await response.json() is None


LINKS: list[tuple[bytes, dict[str, tuple[str, Any]]]] = [
    (b'<a>; rel=next; title="x, y"', {"next": ("/dir/a", {"rel": "next", "title": "x, y"})}),
    (b"<a>; rel=next, </b>; rel=prev", {"next": ("/dir/a", None), "prev": ("/b", None)}),
    (b"<a>", {"a": ("/dir/a", {})}),
    (b"<a>; Rel=first; rel=second", {"first": ("/dir/a", {"rel": "first"})}),
    (b"<a>; rel='single'; x", {"single": ("/dir/a", {"rel": "single", "x": ""})}),
    (b"<a>; title=it's; rel=x", {"x": ("/dir/a", {"title": "it's", "rel": "x"})}),
    (rb'<a>; rel="a \"b\""', {'a "b"': ("/dir/a", None)}),
    (b'<a,b;c>; rel="x y"', {"x y": ("/dir/a,b;c", None)}),
    (b"<http://[bad/>; rel=x, <c>; rel=y", {"y": ("/dir/c", None)}),
    (b"<//[d:]:99/>; rel=x, <c>; rel=y", {"y": ("/dir/c", None)}),
    (b"no link", {}),
    (b"<http://" + b"a" * 2000 + b"/>; rel=x, <c>; rel=y", {"y": ("/dir/c", None)}),
    (b"<\x01/\t/" + b"a" * 2000 + b">; rel=x, <c>; rel=y", {"y": ("/dir/c", None)}),
]


class TestLinks:
    @pytest.mark.parametrize(("field", "expected"), LINKS)
    async def test_they_are_found_by_relation(
        self, field: bytes, expected: dict[str, tuple[str, Any]], http1: str, api: Api
    ) -> None:
        """RFC 8288: with their parameters, and resolved; of two ``rel`` the first counts."""
        async with client(http1) as session:
            response = await answered(session, api, b"Link: " + field)
            assert set(response.links) == set(expected)
            for relation, (target, parameters) in expected.items():
                link = MultiDict(response.links[relation])
                assert link.pop("url") == response.url.join(URL(target))
                assert parameters is None or link == parameters

    @pytest.mark.once
    async def test_several_fields(self, api: Api) -> None:
        """They are one list (RFC 9110 §5.3)."""
        async with ClientSession() as session:
            response = await answered(session, api, b"Link: <a>; rel=x", b"link: <b>; rel=x")
            urls = [link["url"] for link in response.links.getall("x")]
            assert urls == [response.url.with_name("a"), response.url.with_name("b")]

    @pytest.mark.once
    @pytest.mark.parametrize("host", ["\N{LATIN SMALL LETTER E WITH ACUTE}" * 20 + ".", "xn--9ca."])
    async def test_international_hosts_take_bounded_time(self, host: str, api: Api) -> None:
        """CVE-2026-45409: one host is bounded, and so are all of them together."""
        links = ", ".join(f"<//x{number}.{host * 4}test>; rel=x" for number in range(14))
        async with ClientSession() as session:
            response = await answered(session, api, *[b"Link: " + links.encode()] * 100)
            with cheap():
                assert 14 < len(response.links) < 1400

    @pytest.mark.once
    async def test_a_target_with_bytes_that_are_no_utf8(self, api: Api) -> None:
        """They are percent-encoded, as in a ``Location``."""
        async with ClientSession() as session:
            response = await answered(session, api, b"Link: </caf\xe9>; rel=x")
            link = response.links["x"]["url"]
            assert isinstance(link, URL)
            assert link.raw_path == "/caf%E9"


async def test_what_is_shown_can_be_printed(http1: str, script: Script) -> None:
    """A reason may hold what terminals obey, what turns the direction round, and any byte."""
    evil = "\x9b31m\u202e".encode() + b"\xff"
    peer = await script(
        [(b"GET ", b"HTTP/1.1 404 " + evil + b"\r\nX: " + evil + b"\r\nContent-Length: 0\r\n\r\n")]
    )
    async with client(http1) as session:
        async with session.get(peer.url) as response:
            with pytest.raises(ClientResponseError) as caught:
                response.raise_for_status()
    shown = (repr(response), repr(caught.value), str(caught.value))
    assert all(text.isprintable() for text in shown)
    assert r"404 \x9b31m\u202e\udcff" in shown[0]
    assert response.reason == evil.decode("utf-8", "surrogateescape")


class TestItsBody:
    @pytest.mark.parametrize(
        ("reply", "raw"),
        [
            (whole(TEXT), len(TEXT)),
            ([whole(TEXT)[:100], whole(TEXT)[100:]], len(TEXT)),
            ([OK + b"Transfer-Encoding: chunked\r\n\r\n", chunks(TEXT, 999)], len(TEXT)),
            (whole(gzip.compress(TEXT), b"Content-Encoding: gzip"), len(gzip.compress(TEXT))),
            ([OK + b"\r\n", TEXT, CLOSE], len(TEXT)),
        ],
    )
    async def test_bytes_are_counted_as_received_and_as_decoded(
        self, reply: bytes | list[Action], raw: int, http1: str, script: Script
    ) -> None:
        """``total_raw_bytes`` and ``total_bytes``, the framing in neither."""
        peer = await script([(b"GET ", reply)])
        async with client(http1) as session, session.get(peer.url) as response:
            assert await response.content.read() == TEXT
            assert response.content.total_raw_bytes == raw
            assert response.content.total_bytes == len(TEXT)

    async def test_chunk_ends_are_those_of_http_also_when_decoded(
        self, http1: str, script: Script
    ) -> None:
        """``iter_chunks`` tells what the first chunk decodes to from what the second does."""
        first, second = gzip.compress(b"first"), gzip.compress(b"second")
        head = OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        frames = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (first, second, b""))
        peer = await script([(b"GET ", [head, frames])])
        async with client(http1) as session, session.get(peer.url) as response:
            pieces = [pair async for pair in response.content.iter_chunks()]
        ends, data = [], b""
        for piece, end in pieces:
            data += piece
            if end:
                ends.append(len(data))
        assert data == b"firstsecond"
        assert ends == [5, 11]

    async def test_a_body_of_known_length_has_no_chunk_ends(self, http1: str, api: Api) -> None:
        """The pieces are those that came."""
        url = answer(api, b"hi")
        async with client(http1) as session, session.get(url) as response:
            assert [pair async for pair in response.content.iter_chunks()] == [(b"hi", False)]

    async def test_read_bufsize_bounds_what_is_buffered(self, http1: str, script: Script) -> None:
        """Of a session or of a request: no piece is larger than its high-water mark."""
        peer = await script([(b"GET ", [OK + b"\r\n", bytes(500_000), CLOSE])], repeat=True)
        async with client(http1, read_bufsize=2048) as session:
            for options, low in (({}, 2048), ({"read_bufsize": 4096}, 4096)):
                async with session.get(peer.url, **options) as response:  # type: ignore[arg-type]
                    assert response.content.get_read_buffer_limits() == (low, 2 * low)
                    largest = total = 0
                    async for piece in response.content.iter_any():
                        total += len(piece)
                        largest = max(largest, len(piece))
                    assert total == 500_000
                    assert largest <= 2 * low

    async def test_read_bufsize_bounds_lines(self, http1: str, script: Script) -> None:
        """Whether the body comes with the head or after it makes no difference."""
        head, body = OK + b"Content-Length: 101\r\n\r\n", b"x" * 100 + b"\n"
        replies = [[head + body], [head, body]]
        peer = await script([(b"GET ", reply) for reply in replies for _ in range(3)])
        async with client(http1) as session:
            for _ in replies:
                async with session.get(peer.url) as response:
                    assert response.content.get_read_buffer_limits() == (2**18, 2**19)
                    assert await response.content.readline() == body
                async with session.get(peer.url, read_bufsize=50) as response:
                    assert response.content.get_read_buffer_limits() == (50, 100)
                    with pytest.raises(LineTooLong):
                        await response.content.readline()
                    assert await response.content.read() == body
                async with session.get(peer.url, read_bufsize=51) as response:
                    assert await response.content.readline() == body


def compressed(coding: str, size: int) -> bytes:
    """Return *size* zeros in this coding, or skip the test."""
    if coding == "deflate":
        return zlib.compress(bytes(size))
    if coding == "gzip":
        return gzip.compress(bytes(size))
    if coding == "gzip, gzip":
        return gzip.compress(gzip.compress(bytes(size)))
    if coding == "br":
        brotli = pytest.importorskip("brotli", reason="Brotli is not installed")
        data: bytes = brotli.compress(bytes(size), quality=5)
    else:
        zstd = pytest.importorskip("backports.zstd", reason="backports.zstd is not installed")
        data = zstd.compress(bytes(size))
    return data


class TestBombs:
    SIZE = 2**25  # the benchmark of memory does the same with a gigabyte

    @pytest.mark.once
    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
    async def test_a_stream_holds_a_few_buffers(self, coding: str, script: Script) -> None:
        """CVE-2025-69223: in every coding, each step has a bound, and memory with it."""
        bomb = compressed(coding, self.SIZE)
        peer = await script([(b"GET ", whole(bomb, b"Content-Encoding: " + coding.encode()))])
        async with ClientSession(read_bufsize=2**16) as session:
            async with session.get(peer.url) as response:
                tracemalloc.start()
                try:
                    total = largest = 0
                    async for piece in response.content.iter_any():
                        total += len(piece)
                        largest = max(largest, len(piece))
                    _, peak = tracemalloc.get_traced_memory()
                finally:
                    tracemalloc.stop()
        assert total == self.SIZE
        assert largest <= 2**17
        assert peak < 2**21

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
    async def test_the_limit_stops_it_whatever_the_coding(
        self, coding: str, http1: str, script: Script
    ) -> None:
        """``max_body_size`` counts decoded bytes; the error names it."""
        bomb = compressed(coding, 2**23)
        peer = await script(
            [(b"GET ", whole(bomb, b"Content-Encoding: " + coding.encode()))], partial=True
        )
        async with client(http1, max_body_size=2**20) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError, match=r"max_body_size \(1048576 bytes\)"):
                    await response.read()
                assert response.content.total_bytes <= 2**20
            assert_free(session)


class TestStatusesThatRaise:
    async def test_the_callable_sees_every_final_response(self, http1: str, api: Api) -> None:
        """Whatever its status, after redirects, with its head there and its body unread."""
        api.mock.get(api.url / "a", status=302, headers={"Location": "/b"})
        api.mock.get(api.url / "b", body=b"hi")
        seen: list[tuple[int, int, bytes]] = []

        async def judge(response: ClientResponse) -> None:
            seen.append((response.status, len(response.history), await response.read()))

        async with client(http1, raise_for_status=judge) as session:
            async with session.get(api.url / "a") as response:
                assert await response.read() == b"hi"
        assert seen == [(200, 1, b"hi")]

    async def test_history_is_in_the_error(self, http1: str, api: Api) -> None:
        """The way there is part of what went wrong."""
        api.mock.get(api.url / "a", status=302, headers={"Location": "/b"})
        api.mock.get(api.url / "b", status=503)
        async with client(http1) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(api.url / "a", raise_for_status=True)
        assert [past.status for past in caught.value.history] == [302]
        assert caught.value.headers is not None

    async def test_in_a_block_the_method_releases_nothing(self, http1: str, script: Script) -> None:
        """Outside of one it releases first: nobody else would."""
        peer = await script(
            [(b"GET ", [BAD + b"Content-Length: 9\r\n\r\n", b"x"])], repeat=True, partial=True
        )
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientResponseError):
                    response.raise_for_status()
                assert not response.closed
            other = await session.get(peer.url)
            with pytest.raises(ClientResponseError):
                other.raise_for_status()
            assert other.closed
            assert_free(session, idle=0)


class TestItsEnd:
    async def test_wait_for_close_waits_for_the_upload(self, http1: str, script: Script) -> None:
        """And gives the connection back then."""
        peer = await script([(Head(b"POST "), [whole(b"hi")]), (Until(b"0\r\n\r\n"), [])])
        ready = anyio.Event()

        async def body() -> Any:
            yield b"x"
            await ready.wait()

        async with client(http1) as session:
            async with session.post(peer.url, data=body()) as response:
                assert await response.read() == b"hi"
                ended: list[bool] = []

                async def wait() -> None:
                    await response.wait_for_close()
                    ended.append(response.closed)

                async with anyio.create_task_group() as group:
                    group.start_soon(wait)
                    await anyio.wait_all_tasks_blocked()
                    assert not ended
                    ready.set()
                assert ended == [True]
            await wait_free(session)

    async def test_wait_for_close_releases_after_cancellation(
        self, http1: str, script: Script
    ) -> None:
        """Whoever waits is done with the response, whatever ends the wait."""
        peer = await script([(Head(b"POST "), [whole(b"hi")]), (Until(b"x"), [STALL])])

        async def body() -> Any:
            yield b"x"
            await anyio.sleep_forever()

        async with client(http1) as session, session.post(peer.url, data=body()) as response:
            assert await response.read() == b"hi"
            with anyio.move_on_after(0) as scope:
                await response.wait_for_close()
            assert scope.cancelled_caught
            assert response.closed
            await wait_free(session)

    async def test_what_can_be_done_after_the_release(self, http1: str, api: Api) -> None:
        """``read()`` says that it is over; ``text()`` and ``json()`` use what was read."""
        url = answer(api, b"[1]", b"Content-Type: application/json")
        async with client(http1) as session:
            async with session.get(url) as response:
                await response.read()
            with pytest.raises(ClientConnectionError, match="Connection closed"):
                await response.read()
            assert await response.text() == "[1]"
            assert await response.json() == [1]
            async with session.get(url) as response:
                pass
            for method in (response.read, response.text, response.json):
                with pytest.raises(ClientConnectionError, match="Connection closed"):
                    await method()

    async def test_a_body_that_fails_closes_the_connection(
        self, http1: str, script: Script
    ) -> None:
        """And fails again when it is asked for again."""
        peer = await script([(b"GET ", [OK + b"Content-Length: 9\r\n\r\nx", CLOSE])])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError, match="not completed"):
                    await response.read()
                assert response.closed
                assert response.connection is None
            assert_free(session, idle=0)


def test_a_mock_of_a_response() -> None:
    """What describes a response belongs to the class, for mock objects that are made after it."""
    mock = create_autospec(ClientResponse, spec_set=True, instance=True)
    mock.status, mock.reason = 404, "Not Found"
    mock.method, mock.version = "GET", None
    assert {"headers", "raw_headers", "content", "cookies", "url", "ok"} <= set(dir(mock))


async def test_how_long_it_took(script: Script) -> None:
    """The time until the head has arrived, of the last hop; reading the body adds nothing."""
    go = Flag()
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
    late = b"Content-Length: 4\r\n\r\nbody"
    peer = await script([(b"GET /a", redirect), (b"GET /b", [OK, late[:-4], Wait(go), late[-4:]])])
    async with ClientSession(peer.url) as session:
        async with session.get("/a") as response:
            elapsed = response.elapsed
            assert timedelta(0) < elapsed < timedelta(seconds=DEADLINE)
            assert response.history[0].elapsed > timedelta(0)
            go.set()
            await response.read()
            assert response.elapsed == elapsed
        request = ClientRequest("GET", peer.url, session=session)
        assert ClientResponse.for_request(request).elapsed == timedelta(0)
        assert pickle.loads(pickle.dumps(response)).elapsed == timedelta(0)


async def test_the_stream_of_a_body_that_has_been_read(api: Api) -> None:
    """It is at its end, however the body came, and still tells how long that was."""
    async with ClientSession(api.url) as session, session.get("json") as response:
        body = await response.read()
        assert len(body) > 0
        assert response.content.at_eof()
        assert await response.content.read() == b""
        assert response.content.total_raw_bytes == len(body)
