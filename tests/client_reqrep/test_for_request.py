"""Responses that middlewares make by themselves, by ``ClientResponse.for_request()``."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict
from yarl import URL

import anyhttp
from anyhttp import (
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ContentTypeError,
    DigestAuthMiddleware,
    RequestInfo,
    TCPConnector,
    TooManyRedirects,
    TraceConfig,
    UploadAbortedError,
    UploadTracker,
    WSServerHandshakeError,
    guess_charset,
)
from anyhttp.client_reqrep import ClientRequest as RequestClass
from tests.support.canned import CannedConnector
from tests.support.client import assert_free, get
from tests.support.names import Names
from tests.support.server import Server

URL_TEXT = "http://host.test/a?b=c#part"


def asked(method: str = "GET", **options: Any) -> ClientRequest:
    """Return a request that was made by hand."""
    return RequestClass(method, URL(URL_TEXT), **options)


def answering(**answer: Any) -> ClientMiddlewareType:
    """Return a middleware that gives the same answer to every request."""

    async def answers(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        return ClientResponse.for_request(request, **answer)

    return answers


def offline(*middlewares: ClientMiddlewareType, **options: Any) -> ClientSession:
    """Return a session that has no network."""
    connector = CannedConnector(AssertionError("something was sent"))
    return ClientSession(connector=connector, middlewares=middlewares, **options)


class TestWhatItSays:
    def test_by_default(self) -> None:
        request = asked()
        response = ClientResponse.for_request(request)
        assert (response.status, response.reason, response.ok) == (200, "OK", True)
        assert response.version == anyhttp.HttpVersion11
        assert (response.method, response.host) == ("GET", "host.test")
        assert (str(response.url), str(response.real_url)) == (URL_TEXT[:-5], URL_TEXT)
        assert isinstance(response.request_info, RequestInfo)
        assert response.request_info == request.request_info
        assert response.headers == {"Content-Length": "0"}
        assert response.raw_headers == ((b"Content-Length", b"0"),)
        assert response.content_length == 0
        assert response.closed
        assert response.connection is None
        assert repr(response) == "<ClientResponse(http://host.test/a?b=c) [200 OK]>"

    @pytest.mark.parametrize(
        ("status", "reason", "shown"),
        [
            (404, None, "Not Found"),
            (599, None, ""),
            (200, "", ""),
            (200, "Très bien", "Très bien"),
        ],
    )
    def test_reasons(self, status: int, reason: str | None, shown: str) -> None:
        response = ClientResponse.for_request(asked(), status=status, reason=reason)
        assert response.reason == shown

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-A": "1", "Content-Type": "text/csv; charset=latin-1"},
            [("X-A", "1"), ("Content-Type", "text/csv; charset=latin-1")],
            CIMultiDict({"X-A": "1", "Content-Type": "text/csv; charset=latin-1"}),
        ],
    )
    async def test_headers(self, headers: Any) -> None:
        """They come before those that are added; the charset is that of the text."""
        response = ClientResponse.for_request(asked(), headers=headers, text="é")
        assert list(response.headers.items()) == [
            ("X-A", "1"),
            ("Content-Type", "text/csv; charset=latin-1"),
            ("Content-Length", "1"),
        ]
        assert (response.content_type, response.charset) == ("text/csv", "latin-1")
        assert await response.read() == b"\xe9"
        assert await response.text() == "é"

    def test_headers_of_another_response(self) -> None:
        """Bytes that are no UTF-8 are lone surrogates there."""
        headers = {"X-Name": b"\xe9".decode("utf-8", "surrogateescape")}
        response = ClientResponse.for_request(asked(), headers=headers)
        assert response.raw_headers[0] == (b"X-Name", b"\xe9")

    @pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding"])
    def test_given_framing(self, name: str) -> None:
        """It stays as it is, as a cache gives it that has decoded the body."""
        response = ClientResponse.for_request(asked(), headers={name: "7"}, body=b"more")
        assert response.headers == {name: "7"}

    def test_cookies(self) -> None:
        headers = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2")]
        response = ClientResponse.for_request(asked(), headers=headers)
        assert {name: morsel.value for name, morsel in response.cookies.items()} == {
            "a": "1",
            "b": "2",
        }


class TestBody:
    async def test_json(self) -> None:
        response = ClientResponse.for_request(asked(), json={"a": ["é", None]})
        assert response.headers["Content-Type"] == "application/json"
        assert response.content_length == len(await response.read())
        assert await response.json() == {"a": ["é", None]}

    async def test_json_null(self) -> None:
        """``None`` is a value; left out means that there is no body."""
        response = ClientResponse.for_request(asked(), json=None)
        assert await response.read() == b"null"
        assert await response.json() is None

    async def test_json_of_another_type(self) -> None:
        headers = {"content-type": "application/problem+json"}
        response = ClientResponse.for_request(asked(), status=400, headers=headers, json={})
        assert response.headers.getall("Content-Type") == ["application/problem+json"]
        assert await response.json() == {}

    async def test_text(self) -> None:
        response = ClientResponse.for_request(asked(), text="né")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await response.text() == "né"
        with pytest.raises(ContentTypeError):
            await response.json()

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    async def test_bytes(self, kind: Callable[[bytes], Any]) -> None:
        response = ClientResponse.for_request(asked(), body=kind(b"body"))
        assert "Content-Type" not in response.headers
        assert response.content_type == "application/octet-stream"
        assert await response.read() == b"body"
        assert await response.read() == b"body"

    async def test_a_coding_counts_as_undone(self) -> None:
        """So that a cache can pass on what it has read."""
        headers = {"Content-Encoding": "gzip"}
        response = ClientResponse.for_request(asked(), headers=headers, body=b"plain")
        assert await response.read() == b"plain"

    async def test_streamed(self) -> None:
        response = ClientResponse.for_request(asked(), body=b"one\ntwo")
        assert [line async for line in response.content] == [b"one\n", b"two"]
        assert response.content.at_eof()
        assert await response.read() == b""
        response = ClientResponse.for_request(asked(), body=b"12345")
        assert [part async for part in response.content.iter_chunked(2)] == [b"12", b"34", b"5"]

    @pytest.mark.parametrize("method", ["HEAD", "head"])
    async def test_head(self, method: str) -> None:
        """The headers are those of the answer to ``GET``."""
        response = ClientResponse.for_request(asked(method), json=[1])
        assert response.headers == {"Content-Type": "application/json", "Content-Length": "3"}
        assert await response.read() == b""

    @pytest.mark.parametrize("status", [204, 304])
    async def test_statuses_without_a_body(self, status: int) -> None:
        response = ClientResponse.for_request(asked(), status=status, headers={"ETag": '"a"'})
        assert response.headers == {"ETag": '"a"'}
        assert await response.read() == b""

    async def test_released(self) -> None:
        """As every response, it can be read no more, unless it has been read before."""
        response = ClientResponse.for_request(asked(), body=b"body")
        await response.release()
        with pytest.raises(anyhttp.ClientConnectionError, match="was released before"):
            await response.read()
        response = ClientResponse.for_request(asked(), body=b"body")
        async with response:
            await response.read()
        assert await response.text() == "body"

    @pytest.mark.parametrize("read", [False, True])
    async def test_pickled(self, read: bool) -> None:
        response = ClientResponse.for_request(asked(), json=[1], headers={"Set-Cookie": "a=1"})
        if read:
            await response.read()
        again = pickle.loads(pickle.dumps(response))
        assert (again.status, again.headers) == (200, response.headers)
        assert again.cookies["a"].value == "1"
        assert await again.json() == [1]


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("answer", "error", "message"),
        [
            ({"status": "200"}, TypeError, "status must be an int, not str"),
            ({"status": True}, TypeError, "status must be an int, not bool"),
            ({"status": 101}, ValueError, "status must be .* from 200 to 999, not 101"),
            ({"status": 1000}, ValueError, "status must be .* not 1000"),
            ({"reason": b"OK"}, TypeError, "reason must be a str"),
            ({"reason": "O\r\nK"}, ValueError, "reason holds a control character"),
            ({"headers": "a: b"}, TypeError, "headers must be a mapping"),
            ({"headers": {"a": 1}}, TypeError, "headers: a must be a str, not int"),
            ({"headers": {1: "a"}}, TypeError, "headers: a name must be a str, not int"),
            ({"headers": {"a": "b\r\nc: d"}}, ValueError, "headers: the value of a holds a con"),
            ({"headers": {"a b": "c"}}, ValueError, "headers: 'a b' is not a valid header name"),
            ({"json": {1, 2}}, TypeError, "json cannot be serialised: .* set "),
            ({"json": 1, "text": "a"}, ValueError, "json and text cannot be combined"),
            ({"json": 1, "text": "a", "body": b""}, ValueError, "json and text and body cannot"),
            ({"text": b"a"}, TypeError, "text must be a str, not bytes"),
            ({"body": "a"}, TypeError, "body must be bytes, not str"),
            ({"body": io.BytesIO()}, TypeError, "body must be bytes, not _io.BytesIO"),
            ({"status": 204, "json": None}, ValueError, "json cannot .* status 204 has no body"),
            ({"status": 304, "body": b""}, ValueError, "body cannot .* status 304 has no body"),
            (
                {"text": "ł", "headers": {"Content-Type": "text/plain; charset=latin-1"}},
                ValueError,
                "text cannot be encoded as",
            ),
        ],
    )
    def test_they_are_named(self, answer: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            ClientResponse.for_request(asked(), **answer)

    def test_json_that_refers_to_itself(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        with pytest.raises(ValueError, match="json cannot be serialised: Circular reference"):
            ClientResponse.for_request(asked(), json=loop)

    @pytest.mark.parametrize("request_", [None, "GET", RequestClass])
    def test_no_request(self, request_: Any) -> None:
        with pytest.raises(TypeError, match=r"request must be an anyhttp\.ClientRequest, not"):
            ClientResponse.for_request(request_)


class Mine(ClientResponse):
    """A class of a program."""

    def shout(self) -> str:
        return self.reason.upper()


class MadeItself(ClientResponse):
    """A class with the constructor of a subclass for aiohttp."""

    def __init__(self, method: str, url: URL, *, session: Any, **options: Any) -> None:
        super().__init__(method, url, session=session, **options)
        self.given = session


class TestClasses:
    def test_of_the_session(self) -> None:
        """A middleware need not know it."""
        response = ClientResponse.for_request(asked(response_class=Mine))
        assert isinstance(response, Mine)
        assert response.shout() == "OK"

    def test_of_the_call(self) -> None:
        """If it is called on another class, that is the one."""
        assert type(Mine.for_request(asked())) is Mine
        assert type(Mine.for_request(asked(response_class=MadeItself))) is Mine

    async def test_with_a_constructor(self) -> None:
        """It is called as aiohttp calls it."""
        async with offline(answering(text="a"), response_class=MadeItself) as session:
            async with session.get(URL_TEXT) as response:
                assert isinstance(response, MadeItself)
                assert response.given is session
                assert await response.text() == "a"


class Kept:
    """A cache, as a program would write it."""

    def __init__(self) -> None:
        self.kept: dict[URL, tuple[int, Any, bytes]] = {}

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if request.url in self.kept:
            status, headers, body = self.kept[request.url]
            return ClientResponse.for_request(request, status=status, headers=headers, body=body)
        response = await handler(request)
        self.kept[request.url] = response.status, response.headers, await response.read()
        return response


class TestInASession:
    @pytest.mark.parametrize("entered", [True, False])
    async def test_nothing_is_sent(self, entered: bool) -> None:
        session = offline(answering(json={"a": 1}))
        if entered:
            await session.__aenter__()
        async with session.get(URL_TEXT) as response:
            assert await response.json() == {"a": 1}
        response = await session.post(URL_TEXT, json={"b": 2})
        assert await response.json() == {"a": 1}
        assert response.request_info.headers["Content-Type"] == "application/json"
        assert_free(session, idle=0)
        await session.close()

    async def test_cookies_go_to_the_jar(self) -> None:
        """Those of redirects too; the next request sends them."""
        seen: list[str | None] = []

        async def answers(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            seen.append(request.headers.get("Cookie"))
            number = len(seen)
            headers = {"Set-Cookie": f"c{number}={number}", "Location": "/next"}
            return ClientResponse.for_request(
                request, status=302 if number == 1 else 200, headers=headers
            )

        async with offline(answers) as session:
            async with session.get(URL_TEXT) as response:
                assert response.cookies["c2"].value == "2"
                assert response.history[0].cookies["c1"].value == "1"
            await get(session, URL_TEXT)
            jar = {morsel.key: (morsel.value, morsel["domain"]) for morsel in session.cookie_jar}
        assert seen == [None, "c1=1", "c1=1; c2=2"]
        assert jar == {f"c{number}": (str(number), "host.test") for number in (1, 2, 3)}

    async def test_redirects(self) -> None:
        """Methods change as they do for a server's redirect."""
        seen: list[tuple[str, str]] = []

        async def answers(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            seen.append((request.method, str(request.url)))
            if request.url.host == "other.test":
                return ClientResponse.for_request(request, text="there")
            headers = {"Location": "http://other.test/b"}
            return ClientResponse.for_request(request, status=303, headers=headers)

        async with offline(answers) as session:
            async with session.post(URL_TEXT, data=b"x") as response:
                assert await response.text() == "there"
                assert [past.status for past in response.history] == [303]
                assert str(response.real_url) == "http://other.test/b"
            async with session.post(URL_TEXT, allow_redirects=False) as response:
                assert response.status == 303
        assert [method for method, _ in seen] == ["POST", "GET", "POST"]

    async def test_too_many_redirects(self) -> None:
        async with offline(answering(status=302, headers={"Location": "/a"})) as session:
            with pytest.raises(TooManyRedirects) as caught:
                await session.get(URL_TEXT, max_redirects=3)
        assert len(caught.value.history) == 3

    async def test_a_redirect_to_a_server(self, server: Server) -> None:
        """Only what the middleware answers is not sent."""

        async def answers(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            if request.url.host == "host.test":
                headers = {"Location": str(server.url / "json")}
                return ClientResponse.for_request(request, status=307, headers=headers)
            return await handler(request)

        async with ClientSession(middlewares=[answers]) as session:
            async with session.get(URL_TEXT) as response:
                assert response.url == server.url / "json"
                assert (await response.json())["title"]

    @pytest.mark.parametrize("where", ["session", "request", "callback", "method"])
    async def test_raise_for_status(self, where: str) -> None:
        async def judge(response: ClientResponse) -> None:
            response.raise_for_status()

        answers = answering(status=503, text="later", headers={"Retry-After": "9"})

        async def ask(session: ClientSession) -> None:
            response = await session.get(URL_TEXT, **of_request)
            response.raise_for_status()

        options: Any = {"raise_for_status": judge if where == "callback" else True}
        of_session = options if where == "session" else {}
        of_request = options if where in {"request", "callback"} else {}
        async with offline(answers, **of_session) as session:
            with pytest.raises(ClientResponseError) as caught:
                await ask(session)
            assert_free(session, idle=0)
        error = caught.value
        assert (error.status, error.message, error.body) == (503, "Service Unavailable", b"later")
        assert error.headers is not None
        assert error.headers["Retry-After"] == "9"
        assert str(error.request_info.real_url) == URL_TEXT

    async def test_traces(self) -> None:
        """Handlers are told of the request and of its end, and of the body when it is read."""
        told: list[Any] = []
        config = TraceConfig()

        def note(signal: str) -> None:
            async def handler(session: Any, context: Any, params: Any) -> None:
                told.append((signal, getattr(params, "chunk", None)))

            getattr(config, signal).append(handler)

        for signal in (
            "on_request_start",
            "on_request_headers_sent",
            "on_request_chunk_sent",
            "on_connection_create_start",
            "on_request_redirect",
            "on_response_chunk_received",
            "on_request_end",
        ):
            note(signal)

        async def answers(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            if request.url.path == "/b":
                return ClientResponse.for_request(request, text="body")
            return ClientResponse.for_request(request, status=302, headers={"Location": "/b"})

        async with offline(answers, trace_configs=[config]) as session:
            assert await get(session, URL_TEXT, data=b"sent") == b"body"
        assert told == [
            ("on_request_start", None),
            ("on_request_redirect", None),
            ("on_request_end", None),
            ("on_response_chunk_received", b"body"),
        ]

    async def test_the_charset_that_the_session_guesses(self) -> None:
        pytest.importorskip("charset_normalizer")
        answers = answering(body="né".encode("utf-16"), headers={"Content-Type": "text/plain"})
        async with offline(answers, fallback_charset_resolver=guess_charset) as session:
            async with session.get(URL_TEXT) as response:
                assert await response.text() == "né"

    async def test_a_websocket_is_refused(self) -> None:
        async with offline(answering(status=403, text="no")) as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect("ws://host.test/")
        assert (caught.value.status, caught.value.body) == (403, b"no")

    async def test_a_body_that_is_not_sent(self, tmp_path: Path) -> None:
        """It is closed, as after a request that was sent; a generator has not begun."""
        begun: list[int] = []

        async def body() -> AsyncIterator[bytes]:
            begun.append(1)
            yield b"x"

        (tmp_path / "file").write_bytes(b"x")
        file = (tmp_path / "file").open("rb")
        async with offline(answering()) as session:
            for entered in (file, body()):
                async with session.post(URL_TEXT, data=entered) as response:
                    assert response.ok
        assert file.closed
        assert begun == []

    async def test_an_upload_tracker(self) -> None:
        """It learns that the request is over, and that the body has not been sent."""
        tracker = UploadTracker()
        async with offline(answering()) as session:
            async with session.post(URL_TEXT, data=b"x" * 100, upload_tracker=tracker) as response:
                assert response.ok
        assert tracker.bytes_written == 0
        with pytest.raises(UploadAbortedError):
            await tracker.upload_complete

    async def test_without_a_session(self) -> None:
        async with anyhttp.request("GET", URL_TEXT, middlewares=[answering(text="a")]) as response:
            assert await response.text() == "a"
        response = await anyhttp.request("GET", URL_TEXT, middlewares=[answering(text="a")])
        assert await response.text() == "a"

    async def test_an_exception_of_the_middleware(self) -> None:
        """Wrong arguments come out of the request."""
        async with offline(answering(json={1})) as session:
            with pytest.raises(TypeError, match="json cannot be serialised"):
                await session.get(URL_TEXT)
            assert_free(session, idle=0)


class TestAmongMiddlewares:
    async def test_a_cache(self, server: Server) -> None:
        """The second answer is that of the first request, however it was sent."""
        cache = Kept()
        async with ClientSession(server.url, middlewares=[cache]) as session:
            for path in ("json", "gzip", "cookies/set?a=1"):
                answers = []
                for _ in range(2):
                    async with session.get(path, allow_redirects=False) as response:
                        answers.append((response.status, response.headers, await response.read()))
                assert answers[0] == answers[1]
        assert len(cache.kept) == 3

    async def test_a_digest_around_it(self) -> None:
        """The middleware answers its challenge, and gets the signed request."""
        seen: list[str | None] = []

        async def answers(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            seen.append(request.headers.get("Authorization"))
            if seen[-1] is None:
                headers = {
                    "WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5',
                    "Set-Cookie": "seen=1",
                }
                return ClientResponse.for_request(request, status=401, headers=headers)
            return ClientResponse.for_request(request, text="in")

        digest = DigestAuthMiddleware("login", "password")
        async with offline(digest, answers) as session:
            assert await get(session, URL_TEXT) == b"in"
            assert await get(session, URL_TEXT) == b"in"
            assert [morsel.key for morsel in session.cookie_jar] == ["seen"]
        first, second, third = seen
        assert first is None
        assert second is not None
        assert second.startswith('Digest username="login"')
        assert third is not None
        assert "nc=00000002" in third

    async def test_a_digest_inside(self) -> None:
        """An answer outside of it is nothing to it."""
        digest = DigestAuthMiddleware("login", "password")
        async with offline(answering(status=401), digest) as session:
            async with session.get(URL_TEXT) as response:
                assert response.status == 401

    async def test_in_the_place_of_a_server_s_response(self, server: Server) -> None:
        """The connection of that one is given back."""

        async def instead(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            response = await handler(request)
            kept = json.loads(await response.read())
            return ClientResponse.for_request(request, json={"title": kept["title"], "mine": True})

        async with ClientSession(server.url, middlewares=[instead]) as session:
            async with session.get("json") as response:
                assert (await response.json())["mine"]
            assert_free(session, idle=1)

    async def test_after_a_failure(self) -> None:
        """As a stale answer of a cache."""

        async def stale(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            try:
                return await handler(request)
            except anyhttp.ClientConnectorError:
                return ClientResponse.for_request(request, text="stale")

        connector = TCPConnector(resolver=Names())
        async with ClientSession(connector=connector, middlewares=[stale]) as session:
            assert await get(session, "http://unknown.test/") == b"stale"
            assert_free(session, idle=0)
