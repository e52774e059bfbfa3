from __future__ import annotations

import base64
import gc
import gzip
import warnings
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import anyio
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import anyhttp
from anyhttp import (
    BasicAuth,
    ClientConnectionError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ContentTypeError,
    HttpVersion10,
    InvalidURL,
    StreamReader,
    TCPConnector,
    UploadTracker,
)
from anyhttp._http1 import Exchange, Upload
from anyhttp.typedefs import StrOrURL
from tests.support.api import Api
from tests.support.peer import CLOSE, DEAF, RESET, Action, Head, Script
from tests.support.server import Server


class Request(ClientRequest):
    """A request class of an application."""


class Response(ClientResponse):
    """A response class of an application."""


async def test_classes_of_a_session(api: Api) -> None:
    """Each hop has a request and a response of the classes given."""
    made = []

    class Counted(Request):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on
            made.append(self.url.path)

    async with ClientSession(request_class=Counted, response_class=Response) as session:
        async with session.get(api.url / "redirect/1") as response:
            assert type(response) is Response
            assert [type(each) for each in response.history] == [Response]
    assert made == ["/redirect/1", "/redirect/0"]


async def test_none_for_a_class(api: Api) -> None:
    """It stands for the usual one."""
    classes: Any = {"request_class": None, "response_class": None}
    async with ClientSession(**classes) as session:
        async with session.get(api.url / "json") as response:
            assert type(response) is ClientResponse
    async with anyhttp.request("GET", api.url / "json", **classes) as response:
        assert type(response) is ClientResponse


async def test_an_option_of_a_subclass(api: Api) -> None:
    """A session that overrides ``_request()`` gets what its caller gave, unchecked."""
    given: list[dict[str, Any]] = []

    class Cached(ClientSession):
        async def _request(self, method: str, str_or_url: StrOrURL, **options: Any) -> Any:
            given.append(
                {name: options.pop(name, None) for name in ("expire_after", "ssl_context")}
            )
            return await super()._request(method, str_or_url, **options)

    async with Cached(api.url) as session:
        options: Any = {"expire_after": 5, "ssl_context": "seen"}
        async with session.get("json", **options) as response:
            assert response.status == 200
        await session.request("GET", "json", **options)
        options = {"nonsense": 1}
        with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
            await session.get("json", **options)
    assert given[:2] == [{"expire_after": 5, "ssl_context": "seen"}] * 2


def test_a_subclass_with_a_way_of_sending_of_its_own() -> None:
    """It would get no connection, so it is refused; who wraps the method of the base is called."""
    cases: list[tuple[tuple[type, ...], dict[str, object]]] = [
        ((ClientRequest,), {"send": lambda self, conn: None}),
        ((type("Mixin", (), {"send": None}), ClientRequest), {}),
    ]
    for bases, own in cases:
        with pytest.raises(TypeError, match=r"Mine\.send would be passed over"):
            type("Mine", bases, own)

    class Later(ClientRequest):
        pass

    Later.send = None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError, match=r"Later\.send would be passed over"):
        ClientSession(request_class=Later)


@pytest.mark.parametrize(
    ("parent", "names"),
    [
        (ClientSession, ["_build_url", "_get_netrc_auth", "_prepare_headers"]),
        (
            ClientRequest,
            [
                *("port", "write_bytes", "update_auth", "update_body_from_data"),
                *("update_cookies", "update_headers", "update_host", "update_proxy"),
            ],
        ),
        (ClientResponse, ["start"]),
    ],
    ids=["session", "request", "response"],
)
def test_a_subclass_with_a_step_of_aiohttp_that_nobody_calls(
    parent: type, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may sign requests, check responses or choose where they go, so it is refused."""
    for name in names:
        match = rf"Mine\.{name} would be passed over"
        with pytest.raises(TypeError, match=match):
            type("Mine", (parent,), {name: lambda self: None})
        with pytest.raises(TypeError, match=match):
            type("Mine", (type("Mixin", (), {name: None}), parent), {})
        type("Mine", (parent, type("Mixin", (), {name: None})), {})  # aiohttp's comes first
        with monkeypatch.context() as patch:
            patch.setattr(parent, name, lambda self: None, raising=False)
            with pytest.raises(TypeError, match=rf"{parent.__name__}\.{name} would be"):
                ClientSession()


@pytest.mark.parametrize("name", ["_build_url", "_prepare_headers", "_get_netrc_auth"])
async def test_a_step_of_aiohttp_that_is_put_onto_a_session(name: str) -> None:
    """It is refused there, too; what the session has of them can be called as before."""
    async with ClientSession("http://peer.test/a/", headers={"A": "b"}) as session:
        with pytest.raises(TypeError, match=rf"ClientSession\.{name} would be passed over"):
            setattr(session, name, lambda *args: None)
        assert session._build_url("c") == URL("http://peer.test/a/c")
        assert session._prepare_headers({"C": "d"}) == {"A": "b", "C": "d"}
        assert ClientSession._build_url(session, "c") == URL("http://peer.test/a/c")


@pytest.mark.parametrize(
    ("parent", "name"),
    [
        (ClientRequest, "terminate"),
        (ClientRequest, "update_transfer_encoding"),
        (ClientRequest, "_on_chunk_request_sent"),
        (ClientResponse, "_response_eof"),
    ],
)
def test_a_subclass_with_a_step_that_has_no_effect(parent: type, name: str) -> None:
    """There is a warning, which Python shows: its class is not one that is hidden."""
    with pytest.warns(RuntimeWarning, match=rf"Mine\.{name} would be passed over"):
        type("Mine", (parent,), {name: lambda self: None})


@pytest.mark.parametrize(
    ("params", "query"),
    [
        ("a=%20b", "a=%20b"),
        ("a=%2F%2f%7e", "a=%2F%2f%7e"),
        ("a=b+c&d", "a=b+c&d"),
        ("a=b c", "a=b+c"),
        ("a=%&b=%zz&c=%4", "a=%25&b=%25zz&c=%254"),
        ("a=#b", "a=%23b"),
        ("gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n", "gr%C3%BCn"),
        ('a[]={"b"}|\\^`<>', "a%5B%5D=%7B%22b%22%7D%7C%5C%5E%60%3C%3E"),
        ("a=\r\n\x00", "a=%0D%0A%00"),
        ("?a=!$'()*,;:@/-._~", "?a=!$'()*,;:@/-._~"),
    ],
)
@pytest.mark.parametrize("have", ["", "have=%2F1"])
async def test_params_that_are_text(params: str, query: str, have: str, api: Api) -> None:
    """They are sent as they stand; only what no URL can hold is quoted (RFC 3986 §3.4)."""
    url = URL(f"{api.url}echo?{have}#there", encoded=True)
    async with ClientSession() as session:
        async with session.get(url, params=params) as response:
            expected = f"{have}&{query}" if have else query
            assert (await response.json())["target"] == f"/echo?{expected}"
            assert response.real_url.raw_fragment == "there"


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"A": "b"}, [("A", "b")]),
        ({"host": "elsewhere", "A": "b"}, [("A", "b")]),
        ({"Expect": "100-continue"}, []),
    ],
    ids=["another", "host", "expect"],
)
async def test_default_headers_of_a_request_class(
    api: Api, headers: dict[str, str], sent: list[tuple[str, str]]
) -> None:
    """They go out as if they had been given: one ``Host``, and nothing to wait for."""

    class Described(Request):
        DEFAULT_HEADERS = headers

    async with ClientSession(request_class=Described) as session:
        async with session.get(api.url / "echo") as response:
            got = [(name, value) for name, value in (await response.json())["headers"]]
    assert got == [("Host", api.url.authority), *sent]


@pytest.mark.parametrize(
    "headers",
    [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}],
    ids=["length", "chunks"],
)
async def test_default_headers_that_announce_a_body(api: Api, headers: dict[str, str]) -> None:
    """A request that has none is refused, or ends the body, and never waits for an answer."""

    class Described(Request):
        DEFAULT_HEADERS = headers

    async with ClientSession(request_class=Described) as session:
        if "Content-Length" in headers:
            with pytest.raises(ValueError, match="Content-Length announces a body"):
                await session.get(api.url / "echo")
        else:
            async with session.get(api.url / "echo") as response:
                assert (await response.json())["body"] == ""


@pytest.mark.parametrize("headers", [None, {"A": "b"}], ids=["plain", "with headers"])
async def test_a_request_class_that_goes_elsewhere(
    api: Api, headers: dict[str, str] | None
) -> None:
    """A constructor that changes the URL does not change the host that is asked for."""

    class Redirected(Request):
        def __init__(self, method: str, url: URL, *args: Any, **options: Any) -> None:
            super().__init__(method, url, *args, **options)
            self.url = self.url.with_host("127.0.0.1")

    async with ClientSession(request_class=Redirected) as session:
        async with session.get(
            (api.url / "echo").with_host("name.test"), headers=headers
        ) as response:
            got = dict((await response.json())["headers"])
    assert got["Host"] == f"name.test:{api.url.port}"


def test_the_target_of_connect_has_no_zone() -> None:
    """RFC 6874 §4: a caller's own ``CONNECT`` tells a peer no zone."""
    request = ClientRequest("CONNECT", URL("http://[fe80::1%25lo]:81/"), CIMultiDict())
    assert request.target() == "[fe80::1]:81"


def test_the_host_after_a_change_has_no_zone() -> None:
    """RFC 6874 §4: a middleware may ask another link-local host, which is told no zone."""
    request = ClientRequest("GET", URL("http://[fe80::1%25lo]:81/"), CIMultiDict())
    assert request.headers["Host"] == "[fe80::1]:81"
    request.url = URL("http://[fe80::2%25lo]:82/")
    request.settle(frozenset({"http"}))
    assert dict(request.fields())["Host"] == "[fe80::2]:82"


async def test_version_of_a_session(server: Server) -> None:
    """All its requests are made by it."""
    async with ClientSession(version=HttpVersion10) as session:
        assert session.version == HttpVersion10
        async with session.get(server.url / "echo") as response:
            assert (await response.json())["version"] == "HTTP/1.0"


@pytest.mark.parametrize("way", ["read", "release", "close"])
async def test_request_without_a_block_closes_its_session(server: Server, way: str) -> None:
    """When the response is read to its end, released or closed; nothing is left to close."""
    response = await anyhttp.request("GET", server.url / "bytes/100000")
    if way == "read":
        assert len(await response.read()) == 100000
    else:
        getattr(response, way)()
    assert response.closed


async def test_request_without_a_block_leaves_a_connector_as_it_is(server: Server) -> None:
    """The one that it is given stays open, and so do the connections that it keeps."""
    async with TCPConnector() as connector:
        async with ClientSession(connector=connector, connector_owner=False) as session:
            large = server.url / "bytes/1000000"
            async with session.get(large) as first, session.get(large) as second:
                assert await first.read() == await second.read()
        assert connector.statistics().idle == 2
        response = await anyhttp.request("GET", large, connector=connector)
        assert await response.read()
        assert not connector.closed
        assert connector.statistics().idle == 2
    assert server.connections == 2


async def test_request_without_a_block_ends_with_its_last_exchange(server: Server) -> None:
    """A middleware may have sent something else with its session, and not have read it yet."""
    sessions: list[ClientSession] = []
    others: list[ClientResponse] = []

    async def ask_more(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        sessions.append(request.session)
        others.append(await request.session.get(server.url / "bytes/1000000"))
        return await handler(request)

    response = await anyhttp.request("GET", server.url / "bytes/300000", middlewares=[ask_more])
    assert len(await response.read()) == 300_000
    assert not sessions[0].closed
    assert len(await others[0].read()) == 1_000_000
    assert sessions[0].closed


async def test_request_takes_the_options_of_a_session(server: Server) -> None:
    """Each has the effect that it has there; a connector that is given stays open."""
    async with TCPConnector() as connector:
        async with anyhttp.request(
            "POST",
            server.url / "echo",
            params={"a": "b"},
            data=b"body",
            headers={"X-A": "b"},
            cookies={"c": "d"},
            auth=BasicAuth("user", "password"),
            allow_redirects=False,
            max_redirects=1,
            compress="gzip",
            expect100=True,
            connector=connector,
            read_until_eof=False,
        ) as response:
            seen = await response.json()
        assert not connector.closed
        assert connector.statistics().idle == 1
        async with anyhttp.request(
            "PUT", server.url / "echo", json={"a": 1}, connector=connector
        ) as response:
            assert base64.b64decode((await response.json())["body"]) == b'{"a": 1}'
    headers = dict(seen["headers"])
    assert (seen["method"], seen["query"]) == ("POST", [["a", "b"]])
    assert gzip.decompress(base64.b64decode(seen["body"])) == b"body"
    assert headers["X-A"] == "b"
    assert headers["Cookie"] == "c=d"
    assert headers["Authorization"] == "Basic dXNlcjpwYXNzd29yZA=="
    assert headers["Expect"] == "100-continue"


async def test_release_can_be_awaited(api: Api) -> None:
    """It was a coroutine once; both ways to write it release."""
    async with ClientSession() as session:
        response = await session.get(api.url / "bytes/100000")
        await response.release()
        assert response.closed
        response = await session.get(api.url / "bytes/100000")
        response.release()
        assert response.closed


async def test_encoding_of_json_by_position(api: Api) -> None:
    """It can be given by its name as well; the other arguments cannot be by position."""
    async with ClientSession() as session:
        body = '"ü"'.encode("latin-1")
        async with session.post(api.url / "echo-body", data=body) as response:
            assert await response.json("latin-1", content_type=None) == "ü"
            assert await response.json(encoding="latin-1", content_type=None) == "ü"
            with pytest.raises(TypeError):
                await response.json("latin-1", len)  # type: ignore[call-arg]  # is tested


async def test_a_body_that_is_compressed_already(api: Api) -> None:
    """A Content-Encoding given by hand describes the body, which is sent as it is."""
    body = gzip.compress(b"text")
    headers = {"Content-Encoding": "gzip"}
    async with ClientSession() as session:
        async with session.post(api.url / "echo", data=body, headers=headers) as response:
            seen = await response.json()
    assert base64.b64decode(seen["body"]) == body
    assert ["Content-Encoding", "gzip"] in seen["headers"]


class TestAResponseClass:
    async def test_that_enters_as_something_else(self, api: Api) -> None:
        """``async with`` binds what ``__aenter__`` of the response returns."""

        class Entering(Response):
            async def __aenter__(self) -> Any:
                return await super().__aenter__(), "more"

        async with ClientSession(response_class=Entering) as session:
            entered: Any
            async with session.get(api.url / "echo") as entered:
                response, more = entered
                assert (type(response), more) == (Entering, "more")
            assert response.closed

    async def test_with_headers_of_its_own(self, api: Api) -> None:
        """They say what the body is, as the peer's would."""

        class Corrected(Response):
            @property
            def headers(self) -> CIMultiDictProxy[str]:
                headers = super().headers.copy()
                headers["Content-Type"] = "application/xml; charset=latin-1"
                return CIMultiDictProxy(headers)

        async with ClientSession(response_class=Corrected) as session:
            async with session.get(api.url / "echo") as response:
                assert (response.content_type, response.charset) == ("application/xml", "latin-1")
                assert response.get_encoding() == "iso8859-1"
                with pytest.raises(ContentTypeError, match="application/xml"):
                    await response.json()
                assert (await response.json(content_type="application/xml"))["method"] == "GET"

    async def test_with_a_charset_of_its_own(self, api: Api) -> None:
        """Text is decoded by it."""

        class Corrected(Response):
            @property
            def charset(self) -> str:
                return "latin-1"

        async with ClientSession(response_class=Corrected) as session:
            async with session.get(api.url / "echo") as response:
                assert response.get_encoding() == "iso8859-1"


class TestARequestThatNobodyAwaits:
    @pytest.mark.parametrize("url", ["http://host.test/", "none"], ids=["good", "bad"])
    def test_of_a_function(self, url: str) -> None:
        """Python says so once."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            anyhttp.request("GET", url)
            gc.collect()
            said = [str(each.message) for each in caught if each.category is RuntimeWarning]
            caught.clear()  # which holds the session, and its end is told too
        assert said == ["coroutine 'request' was never awaited"]

    @pytest.mark.parametrize("url", ["http://host.test/", "none"], ids=["good", "bad"])
    async def test_of_a_session(self, url: str) -> None:
        """Python says so in words that are the caller's, too."""
        async with ClientSession() as session:
            with pytest.warns(RuntimeWarning) as caught:
                session.get(url)
        assert [str(each.message) for each in caught] == [
            "coroutine 'ClientSession.request' was never awaited"
        ]

    @pytest.mark.parametrize("url", ["http://host.test/", "none"], ids=["good", "bad"])
    @pytest.mark.parametrize("end", ["close", "throw"])
    def test_of_a_function_that_is_ended(self, end: str, url: str) -> None:
        """Whoever ends it before it has begun knows, as tasks do that are cancelled so early."""
        request = anyhttp.request("GET", url)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if end == "close":
                request.close()
            else:
                with pytest.raises(LookupError):
                    request.throw(LookupError("enough"))
            del request
            gc.collect()
        assert not [each for each in caught if each.category is RuntimeWarning]

    async def test_that_nobody_could_make_leaves_no_garbage(self) -> None:
        """Its error does not keep itself alive, and with it session and body."""
        errors: list[weakref.ref[InvalidURL]] = []
        async with ClientSession() as session:
            gc.collect()
            gc.disable()
            try:
                try:
                    await session.get("none")
                except InvalidURL as exc:
                    errors.append(weakref.ref(exc))
                assert [error() for error in errors] == [None]
            finally:
                gc.enable()


def living() -> Counter[str]:
    """Count the objects of which each request makes one."""
    kinds = (Exchange, StreamReader, Upload, UploadTracker)
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds))


async def garbage_of(
    ask: Callable[[ClientSession], Awaitable[None]], url: URL, *, entered: bool
) -> Counter[str]:
    """Return what *ask* leaves to the collector of cycles, with a session of its own."""
    async with AsyncExitStack() as stack:
        session = ClientSession(url)
        if entered:
            await stack.enter_async_context(session)
        else:
            stack.push_async_callback(session.close)
        gc.collect()
        gc.disable()
        try:
            before = living()
            await ask(session)
            await anyio.wait_all_tasks_blocked()
            return living() - before
        finally:
            gc.enable()


@pytest.mark.parametrize("entered", [False, True], ids=["unentered", "entered"])
@pytest.mark.parametrize("end", [CLOSE, RESET, None], ids=["closed", "reset", "body fails"])
@pytest.mark.parametrize("answer", [b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", b""])
async def test_an_upload_that_fails_leaves_no_garbage(
    script: Script, answer: bytes, end: Action | None, entered: bool
) -> None:
    """The error of the connection does not keep itself alive, and with it all of the request."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(100_000)
            if end is None:
                raise LookupError

    async def ask(session: ClientSession) -> None:
        with suppress(ClientConnectionError):
            async with session.post("", data=body()) as response:
                assert response.status == 413

    peer = await script([(Head(b"POST "), [answer, end or DEAF])])
    assert not await garbage_of(ask, peer.url, entered=entered)


@pytest.mark.uvloop
@pytest.mark.parametrize("steps", range(4))
@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"])
async def test_an_upload_fails_just_before_the_session_is_closed(
    script: Script, head: bytes, steps: int
) -> None:
    """The request fails with one error or the other, at whichever step the closing comes."""
    go_on, failing = anyio.Event(), anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        if head:
            await go_on.wait()
        failing.set()
        raise LookupError("no more")

    async def close() -> None:
        await failing.wait()
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        await session.close()

    async def ask() -> None:
        async with session.post(peer.url, data=body()) as response:
            go_on.set()
            await response.read()

    peer = await script([(Head(b"POST "), [head, DEAF])])
    async with ClientSession() as session, anyio.create_task_group() as group:
        group.start_soon(close)
        with pytest.raises(ClientConnectionError, match=r"no more|closed") as caught:
            await ask()
        assert not isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("bare", [False, True], ids=["block", "bare"])
@pytest.mark.parametrize("entered", [False, True], ids=["unentered", "entered"])
@pytest.mark.parametrize("streamed", [False, True], ids=["get", "upload"])
async def test_a_request_leaves_no_garbage(
    script: Script, streamed: bool, entered: bool, bare: bool
) -> None:
    """What it was made of goes with it, and does not wait for the collector of cycles."""

    async def body() -> AsyncIterator[bytes]:
        yield b"hello"

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    peer = await script([(b"POST " if streamed else b"GET ", [head, b"ok"])])

    async def ask(session: ClientSession) -> None:
        tracker = UploadTracker() if streamed else None
        request = session.request(
            "POST" if streamed else "GET",
            "",
            data=body() if streamed else None,
            upload_tracker=tracker,
        )
        if bare:
            assert await (await request).read() == b"ok"
        else:
            async with request as response:
                assert await response.read() == b"ok"

    assert not await garbage_of(ask, peer.url, entered=entered)


@pytest.mark.parametrize("how", ["block", "bare", "session", "unentered", "unused"])
async def test_a_session_leaves_no_garbage(server: Server, how: str) -> None:
    """Nor does that of a lone request; what asyncio's transports leave is their own."""

    async def ask() -> None:
        if how == "bare":
            await (await anyhttp.request("GET", url)).read()
        elif how == "block":
            async with anyhttp.request("GET", url) as response:
                await response.read()
        elif how == "unentered":
            session = ClientSession()
            await (await session.get(url)).read()
            await session.close()
        else:
            async with ClientSession() as session:
                if how == "session":
                    await (await session.get(url)).read()

    url = server.url / "echo"
    await ask()  # modules that are imported late make garbage of their own
    await anyio.wait_all_tasks_blocked()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await ask()
        await anyio.wait_all_tasks_blocked()
        gc.collect()
        kinds = {f"{type(each).__module__}.{type(each).__name__}" for each in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not {kind for kind in kinds if kind.startswith("anyhttp.")}
