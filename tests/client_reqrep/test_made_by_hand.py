"""Responses and readers that mocks, recorders and caches make, without a server."""

from __future__ import annotations

import copy
import gc
import inspect
import json
import pickle
import warnings
from http.cookies import SimpleCookie
from typing import Any, Self
from unittest.mock import Mock, create_autospec

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from anyhttp import (
    ClientConnectionError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    HttpVersion10,
    HttpVersion11,
    RequestInfo,
    StreamReader,
)
from anyhttp.client_proto import ResponseHandler
from anyhttp.helpers import TimerNoop
from tests.support.api import Api
from tests.support.client import assert_free
from tests.support.server import Server

URL_ASKED = URL("http://host.test/dir/file?a=b#part")
INFO = RequestInfo(
    URL_ASKED.with_fragment(None), "GET", CIMultiDictProxy(CIMultiDict(X="y")), URL_ASKED
)


def fed(*pieces: bytes) -> StreamReader:
    """Return a reader that a mocking library has made and filled."""
    reader = StreamReader(ResponseHandler(loop=None), limit=2**16, loop=None)
    for piece in pieces:
        reader.feed_data(piece)
    reader.feed_eof()
    return reader


def bare(kind: type[ClientResponse] = ClientResponse, **options: Any) -> ClientResponse:
    """Return a response as the constructor makes it, called as mocking libraries do."""
    given: dict[str, Any] = {
        "request_info": INFO,
        "writer": None,
        "continue100": None,
        "timer": TimerNoop(),
        "traces": [],
        "loop": Mock(),
        "session": None,
        **options,
    }
    return kind("GET", URL_ASKED, **given)


def made(
    *pieces: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> ClientResponse:
    """Return a response with all that a mocking library sets."""
    response = bare()
    fields = CIMultiDict({"Content-Type": "application/json", **(headers or {})})
    response._headers = fields  # type: ignore[assignment]  # as they do
    response._raw_headers = tuple((k.encode(), v.encode()) for k, v in fields.items())
    response.status = status
    response.reason = "Phrase"
    response.content = fed(*pieces)
    return response


class TestHead:
    def test_what_it_says(self) -> None:
        """All that describes a response follows from what has been set."""
        response = made(headers={"Link": '</next>; rel="next"', "Content-Length": "5"})
        assert (response.status, response.reason, response.ok) == (200, "Phrase", True)
        assert (response.method, response.version) == ("GET", HttpVersion11)
        assert response.url == URL("http://host.test/dir/file?a=b")
        assert response.real_url == URL_ASKED
        assert response.host == "host.test"
        assert response.content_type == "application/json"
        assert response.content_length == 5
        assert response.headers["content-length"] == "5"
        assert response.raw_headers[0] == (b"Content-Type", b"application/json")
        assert response.links["next"]["url"] == URL("http://host.test/next")
        assert response.history == ()
        assert response.request_info is INFO
        assert (response.closed, response.connection) == (True, None)
        assert repr(response) == "<ClientResponse(http://host.test/dir/file?a=b) [200 Phrase]>"

    def test_before_anything_is_set(self) -> None:
        """A method and a URL are enough to make one."""
        response = ClientResponse("PUT", URL("http://host.test/"))
        assert (response.method, response.status, response.reason) == ("PUT", 0, "")
        assert response.headers == {}
        assert response.raw_headers == ()
        assert response.cookies == {}
        assert response.content.at_eof()
        assert repr(response) == "<ClientResponse(http://host.test/) [0 ]>"

    def test_without_a_summary_of_the_request(self) -> None:
        """One without headers is made."""
        response = bare(request_info=None)
        assert response.request_info == RequestInfo(
            URL_ASKED.with_fragment(None), "GET", CIMultiDictProxy(CIMultiDict()), URL_ASKED
        )

    def test_a_url_as_text(self) -> None:
        """It is refused by its name, as aiohttp's class refuses it by an assertion."""
        url: Any = "http://a.test/"
        with pytest.raises(TypeError, match=r"url must be a yarl\.URL, not str"):
            ClientResponse("GET", url)

    def test_its_summary_of_the_request_can_be_replaced(self) -> None:
        """By the private name that wrappers use; a mock may stand for it."""
        response = bare(request_info=Mock())
        assert response._request_info is response.request_info
        assert response._request_info is not INFO
        response._request_info = INFO
        assert response.request_info is INFO
        assert response.real_url == URL_ASKED

    def test_only_fields_as_text(self) -> None:
        """The raw ones follow from them."""
        response = bare()
        response._headers = CIMultiDictProxy(CIMultiDict([("A", "1"), ("A", "é\udcff")]))
        assert response.raw_headers == ((b"A", b"1"), (b"A", b"\xc3\xa9\xff"))

    def test_only_raw_fields(self) -> None:
        """Those as text follow from them."""
        response = bare()
        response._raw_headers = ((b"Content-Type", b"text/html; charset=latin-1"),)
        assert response.content_type == "text/html"
        assert response.charset == "latin-1"
        assert response.headers == {"Content-Type": "text/html; charset=latin-1"}
        assert response._raw_headers == response.raw_headers

    async def test_a_plain_dictionary_of_headers(self) -> None:
        """Tests set one; its names are those of the standard, then."""
        response = bare(request_info=Mock())
        response._headers = {"Content-Type": "text/html; charset=latin-1"}  # type: ignore[assignment]
        response._body = b"\xe9"
        assert await response.text() == "é"
        assert response.cookies == {}

    def test_cookies(self) -> None:
        """Whoever makes the response fills them, as with aiohttp; a recorder changes some."""
        response = made(headers={"Set-Cookie": "a=1"})
        assert response.cookies == {}
        response.cookies.load("b=2; Path=/")
        assert response.cookies["b"].value == "2"
        response.cookies = SimpleCookie("c=3")
        assert list(response.cookies) == ["c"]

    def test_its_parameters(self) -> None:
        """Libraries look at them, to find out what a version of aiohttp takes."""
        names = set(inspect.signature(ClientResponse.__init__).parameters)
        assert {"method", "url", "stream_writer", "session", "loop"} <= names
        mock = create_autospec(ClientResponse)
        mock("GET", URL_ASKED, writer=None)
        with pytest.raises(TypeError):
            mock("GET", URL_ASKED, unknown=None)


class TestBody:
    async def test_read_whole(self) -> None:
        """Once, and again from memory; as bytes, as text, as JSON."""
        response = made(b'{"a"', b": 1}")
        assert await response.read() == b'{"a": 1}'
        assert await response.read() == b'{"a": 1}'
        assert await response.text() == '{"a": 1}'
        assert await response.json() == {"a": 1}
        assert response.get_encoding() == "utf-8"
        assert await response.content.read() == b""

    async def test_streamed(self) -> None:
        """In each way that a reader offers."""
        assert [line async for line in made(b"a\nb", b"\nc").content] == [b"a\n", b"b\n", b"c"]
        assert [piece async for piece in made(b"abc").content.iter_chunked(2)] == [b"ab", b"c"]
        assert [piece async for piece in made(b"ab", b"c").content.iter_any()] == [b"abc"]
        chunks = [chunk async for chunk in made(b"ab", b"c").content.iter_chunks()]
        assert b"".join(data for data, _ in chunks) == b"abc"
        reader = made(b"abcdef").content
        assert await reader.readexactly(2) == b"ab"
        assert await reader.readuntil(b"d") == b"cd"
        assert await reader.readany() == b"ef"
        assert reader.at_eof()

    async def test_set_as_bytes(self) -> None:
        """Recorders set nothing else of the body."""
        response = bare()
        response._body = b'{"a": 1}'
        assert await response.read() == b'{"a": 1}'
        response.release()
        assert await response.json(content_type=None) == {"a": 1}
        with pytest.raises(ClientConnectionError, match="released before"):
            await response.read()

    async def test_of_another_class(self) -> None:
        """A test's own object in the place of a stream is read, and left alone otherwise."""

        class Stream:
            async def read(self) -> bytes:
                return b"own"

        response = made(status=500)
        response.content = Stream()  # type: ignore[assignment]
        assert await response.read() == b"own"
        response.close()
        other = made(status=500)
        other.content = Stream()  # type: ignore[assignment]
        with pytest.raises(ClientResponseError) as caught:
            other.raise_for_status()
        assert caught.value.body is None

    async def test_in_a_block(self) -> None:
        """What is left after the block cannot be read, as of one from a server."""
        async with made(b"abc") as response:
            assert await response.content.read(1) == b"a"
        with pytest.raises(ClientConnectionError, match="released before"):
            await response.content.read()
        await response.wait_for_close()
        await response.release()

    async def test_a_body_set_after_the_end(self) -> None:
        """A release before does not count for it, and one afterwards does nothing."""
        response = made()
        response.close()
        response.content = fed(b"abc")
        response.release()
        assert await response.content.read() == b"abc"

    def test_nothing_is_left_over(self) -> None:
        """One that is forgotten unread, or whose constructor fails, is no reason for a warning."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made(b"unread")
            with pytest.raises(TypeError):
                ClientResponse(unknown=1)  # type: ignore[call-arg]
            gc.collect()


class TestErrors:
    async def test_a_bad_status(self) -> None:
        """The error tells all there is to tell, and releases the response."""
        response = made(b"why", status=503, headers={"Retry-After": "1"})
        with pytest.raises(ClientResponseError) as caught:
            response.raise_for_status()
        error = caught.value
        assert (error.status, error.message, error.body) == (503, "Phrase", b"why")
        assert (error.request_info, error.history) == (INFO, ())
        assert error.headers is not None
        assert error.headers["Retry-After"] == "1"
        assert "http://host.test/dir/file" in str(error)
        with pytest.raises(ClientConnectionError, match="released before"):
            await response.read()

    async def test_in_a_block_it_can_be_read_on(self) -> None:
        """There the end of the block is the release."""
        async with made(b"why", status=404) as response:
            with pytest.raises(ClientResponseError):
                response.raise_for_status()
            assert await response.text() == "why"


class TestCopies:
    @pytest.mark.parametrize(
        "copied", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))]
    )
    async def test_whole(self, copied: Any) -> None:
        """A copy has what the response has, and is read by itself."""
        first = made(b"moved", status=302)
        response = made(b'{"a"', b": 1}", status=201)
        response.version = HttpVersion10
        response._history = (first,)
        other = copied(response)
        assert type(other) is ClientResponse
        assert (other.status, other.reason, other.version) == (201, "Phrase", HttpVersion10)
        assert other.headers == response.headers
        assert other.request_info == INFO
        assert [each.status for each in other.history] == [302]
        assert await other.json() == await response.json() == {"a": 1}
        assert await other.read() == b'{"a": 1}'
        assert await other.history[0].read() == b"moved"

    async def test_in_part(self) -> None:
        """Nothing is kept of a body of which something has been read, or is to come."""
        begun, unfinished = made(b"abc"), bare()
        await begun.content.read(1)
        unfinished.content = StreamReader()
        unfinished.content.feed_data(b"abc")
        for response in (begun, unfinished):
            assert await copy.copy(response).read() == b""

    async def test_released(self) -> None:
        """It stays so."""
        response = made(b"abc")
        response.release()
        with pytest.raises(ClientConnectionError, match="released before"):
            await copy.copy(response).read()


class Static(ClientResponse):
    """A response class with aiohttp's constructor, written out."""

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        writer: Any,
        continue100: Any,
        timer: Any,
        request_info: RequestInfo,
        traces: list[Any],
        loop: Any,
        session: ClientSession,
        stream_writer: Any,
    ) -> None:
        super().__init__(
            method,
            url,
            writer=writer,
            continue100=continue100,
            timer=timer,
            request_info=request_info,
            traces=traces,
            loop=loop,
            session=session,
            stream_writer=stream_writer,
        )
        self.given = (method, url, request_info, session, traces)


class Silent(ClientResponse):
    """A mock whose constructor does not call ours."""

    def __init__(self, status: int, text: str = "") -> None:
        self.status = status
        self._body = text.encode()


class Passing(ClientResponse):
    """A response class that passes on what it gets."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        response = super().__new__(cls)
        response.calls = 1
        return response

    calls = 0


class TestSubclasses:
    async def test_in_a_session(self, server: Server) -> None:
        """Their constructors get what aiohttp gives them, and the rest is as ever."""
        url = (server.url / "json").with_fragment("part")
        async with ClientSession(response_class=Static) as session:
            async with session.get(url, headers={"X-Own": "1"}) as response:
                assert isinstance(response, Static)
                method, asked, info, of, traces = response.given
                assert (method, asked, of, traces) == ("GET", url, session, [])
                assert info == response.request_info
                assert info.headers["X-Own"] == "1"
                assert (await response.json())["title"]
                assert (response.url, response.real_url) == (url.with_fragment(None), url)
            async with session.get(server.url / "cookies/set", params={"a": "1"}) as response:
                assert response.history[0].cookies["a"].value == "1"
            assert_free(session, idle=1)

    async def test_with_a_way_of_its_own_to_be_made(self, api: Api) -> None:
        """``__new__`` is called as well."""
        async with (
            ClientSession(response_class=Passing) as session,
            session.get(api.url / "json") as response,
        ):
            assert isinstance(response, Passing)
            assert response.calls == 1
            assert json.loads(await response.read())

    async def test_that_do_not_call_our_constructor(self) -> None:
        """They have the state of a response of which nothing is known."""
        response = Silent(404, "gone")
        assert not response.ok
        assert repr(response) == "<Silent() [404 ]>"
        assert response.headers == {}
        assert await response.text("ascii") == "gone"
        assert response.get_encoding() == "utf-8"
        async with response:
            with pytest.raises(ClientResponseError) as caught:
                response.raise_for_status()
        assert (caught.value.status, caught.value.body) == (404, b"gone")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            del response
            gc.collect()


class TestInASession:
    async def test_a_stream_in_the_place_of_one_that_has_been_read(self, server: Server) -> None:
        """Caches and recorders read a body and let the caller read it again, to the block's end."""
        async with ClientSession() as session:
            async with session.get(server.url / "bytes" / "300000") as response:
                body = await response.read()
                response.content = fed(body)
                assert await response.content.read(100) == body[:100]
                assert len(await response.content.read()) == 299_900
                response.content = fed(b"not read")
            with pytest.raises(ClientConnectionError, match="released before"):
                await response.content.read()
            assert_free(session, idle=1)

    async def test_a_stream_in_the_place_of_one_that_has_not(self, api: Api) -> None:
        """The connection is closed with the block, as for any body that is not read."""
        async with ClientSession() as session:
            async with session.get(api.url / "bytes" / "5000000") as response:
                response.content = fed(b"instead")
                assert await response.read() == b"instead"
                assert response.trailers == {}
            assert_free(session, idle=0)


class TestReaders:
    @pytest.mark.parametrize(
        "options",
        [
            {"limit": 4},
            {"protocol": Mock(_reading_paused=False), "limit": 4, "loop": Mock()},
            {"protocol": None, "limit": 4, "timer": TimerNoop()},
            {"protocol": ResponseHandler(Mock()), "limit": 4, "loop": None},
            {"protocol": create_autospec(ResponseHandler), "limit": 4},
        ],
    )
    async def test_its_parameters(self, options: dict[str, Any]) -> None:
        """Whatever stands for the protocol is not asked for anything."""
        reader = StreamReader(**options)
        assert reader.get_read_buffer_limits() == (4, 8)
        reader.feed_data(b"abc\n")
        assert await reader.readline() == b"abc\n"
        reader.feed_eof()
        assert await reader.read() == b""

    async def test_a_subclass_with_its_body(self) -> None:
        """Recorders and caches make one with a body that is all there."""

        class Stream(StreamReader):
            def __init__(self, body: bytes) -> None:
                super().__init__(Mock(), max(len(body), 2**16), loop=Mock())
                self.feed_data(body)
                self.feed_eof()

        line = b"x" * 200_000 + b"\n"
        assert await Stream(line).readline() == line
        assert [each async for each in Stream(b"a\nb").iter_any()] == [b"a\nb"]
        response = bare()
        response.content = Stream(b"body")
        assert await response.read() == b"body"


def test_cookies_that_are_not_for_this_url() -> None:
    """A Secure one is not added to a request without TLS, and those that are there stay."""
    cookies = SimpleCookie("a=b; Secure")
    for headers in ({}, {"Cookie": "c=d"}):
        request = ClientRequest("GET", URL("http://host.test/"), headers)
        request.update_cookies(cookies)
        assert dict(request.fields()).get("Cookie") == headers.get("Cookie")
        secure = ClientRequest("GET", URL("https://host.test/"), headers)
        secure.update_cookies(cookies)
        assert dict(secure.fields())["Cookie"] == "; ".join([*headers.values(), "a=b"])
