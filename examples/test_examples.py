"""Tests of the examples: ``python -m pytest examples``.

The examples make their sessions by themselves, and know nothing of these tests: inside the block
of ``mock_requests()`` their requests go to the routes that are given there.  No socket is opened.
Each test runs on asyncio and on trio.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from trio.testing import MockClock
from yarl import URL

from anyhttp import (
    ClientHandlerType,
    ClientProxyConnectionError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
)
from anyhttp.testing import (
    Answer,
    AutojumpEventLoop,
    MockConnector,
    ReceivedRequest,
    WebSocketPeer,
    mock_requests,
    stall,
)
from examples import (
    answers,
    cache,
    chat,
    cookies,
    digest,
    errors,
    get,
    many_at_once,
    middlewares,
    own_resolver,
    post_json,
    proxies,
    timeouts,
    tracing,
    upload,
    upload_tracker,
)

pytestmark = pytest.mark.anyio

API = "https://api.test/"


async def test_get(capsys: pytest.CaptureFixture[str]) -> None:
    """It shows status, type and content."""
    with mock_requests() as mock:
        mock.get(API, json={"hello": "world"})
        await get.main(API)
    assert capsys.readouterr().out == "200 application/json\n{'hello': 'world'}\n"


async def test_post_json(capsys: pytest.CaptureFixture[str]) -> None:
    """It sends what it should, and shows what came back."""
    with mock_requests() as mock:
        created = mock.post(f"{API}items?copies=2", status=201, json={"id": 7})
        await post_json.main(API)
        created.assert_called_once_with(json={"name": "pencil"})
    assert capsys.readouterr().out == "201 /items?copies=2\n{'id': 7}\n"


async def test_post_json_that_is_refused() -> None:
    """A status that means an error ends it."""
    with mock_requests() as mock:
        mock.post(f"{API}items", match_query={}, status=503)
        with pytest.raises(ClientResponseError, match="503"):
            await post_json.main(API)


async def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Each failure is the one that a real network would bring about."""
    with mock_requests() as mock:
        mock.get(f"{API}missing", status=404, text="nothing here")
        mock.get("http://127.0.0.1:1/", exception=ConnectionRefusedError())
        await errors.main(API)
    assert capsys.readouterr().out == (
        "the server said 404 Not Found b'nothing here'\n"
        "no connection to 127.0.0.1\n"
        "not sent: InvalidUrlClientError\n"
    )


async def test_cookies(capsys: pytest.CaptureFixture[str]) -> None:
    """The cookie that the redirect sets goes along to where it leads."""
    with mock_requests() as mock:
        login = {"Location": "/me", "Set-Cookie": "user=ada"}
        mock.post(f"{API}login", status=303, headers=login)
        mock.get(f"{API}me", match_headers={"Cookie": "user=ada"}, text="hello ada")
        await cookies.main(API)
    assert capsys.readouterr().out == "[303] /me\nhello ada\n"


async def test_digest(capsys: pytest.CaptureFixture[str]) -> None:
    """The second request is signed."""
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    with mock_requests() as mock:
        private = mock.get(f"{API}digest", answers=[Answer(401, headers=challenge), "welcome"])
        await digest.main(API)
        asked, signed = private.calls
    assert "Authorization" not in asked.headers
    assert signed.headers["Authorization"].startswith('Digest username="ada", realm="r"')
    assert capsys.readouterr().out == "200 welcome\n"


async def test_middlewares(capsys: pytest.CaptureFixture[str]) -> None:
    """A token is fetched once for all requests."""
    with mock_requests() as mock:
        mock.get(f"{API}private", match_headers={"Authorization": "Bearer fresh"}, text="for you")
        token = mock.get(f"{API}token", text="fresh")
        await middlewares.main(API)
        token.assert_called_once()
    assert capsys.readouterr().out == (
        "GET /token 200\nGET /private 200\nfor you\nGET /private 200\nfor you\n"
    )


async def test_middlewares_without_a_token() -> None:
    """The error of whoever gives tokens is the error of the request."""
    with mock_requests() as mock:
        mock.get(f"{API}token", status=503, text="<h1>not now</h1>")
        with pytest.raises(ClientResponseError, match="503") as caught:
            await middlewares.main(API)
        assert caught.value.request_info.url == URL(f"{API}token")


async def test_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """What the middleware answers by itself is not sent."""
    with mock_requests() as mock:
        mock.get(API, text="from the server")
        await answers.main(API)
        mock.assert_called_once_with("GET", API)
    assert capsys.readouterr().out == ("200 5 euro\n200 from the server\n['GET /price', 'GET /']\n")


def news(request: ReceivedRequest) -> Answer:
    """Answer with a tag that says the language and the user; the content is that of the tag."""
    tag = f'"{request.headers.get("Accept-Language")} {request.headers.get("Authorization")}"'
    if request.headers.get("If-None-Match") == tag:
        return Answer(304, headers={"ETag": tag, "Date": "later", "Content-Type": "of no body"})
    headers = {"ETag": tag, "Date": "now", "Set-Cookie": "number=1"}
    return Answer(text=tag, headers=headers)


async def test_cache(capsys: pytest.CaptureFixture[str]) -> None:
    """The body is sent once."""
    with mock_requests() as mock:
        tag = {"ETag": '"1"'}
        mock.get(API, answers=[Answer(json={"hello": "world"}, headers=tag), Answer(304)])
        await cache.main(API)
        first, second = mock.calls
    assert "If-None-Match" not in first.headers
    assert second.headers["If-None-Match"] == '"1"'
    assert capsys.readouterr().out == "200 application/json 18\n" * 2


async def test_cache_of_what_depends_on_headers() -> None:
    """Nobody gets what was kept for somebody else, or in another language."""
    mock = MockConnector()
    mock.get("/news", answer=news)
    dated = None
    async with ClientSession(API, connector=mock, middlewares=[cache.Cache()]) as session:
        for user in ("Ann", "Ben") * 2:
            async with session.get("news", headers={"Authorization": user}) as response:
                assert await response.text() == f'"None {user}"'
                dated = response.headers["Date"]
                assert response.content_type == "text/plain"
            session.cookie_jar.clear()
        async with session.get("news", headers={"Accept-Language": "fr"}) as response:
            assert await response.text() == '"fr None"'
    assert dated == "later"
    assert [call.headers.get("If-None-Match") for call in mock.calls] == [
        None,
        None,
        '"None Ann"',
        '"None Ben"',
        None,
    ]


async def test_cache_inside_of_another_middleware() -> None:
    """One that sends the request again gets what it would get without the cache."""

    async def twice(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await handler(request)
        return await handler(request)

    mock = MockConnector()
    tag = {"ETag": '"1"', "Set-Cookie": "old=1"}
    again = Answer(304, headers={"Set-Cookie": "new=1"})
    mock.get("/news", answers=[Answer(text="today's", headers=tag), Answer(503), again, again])
    async with ClientSession(API, connector=mock, middlewares=[twice, cache.Cache()]) as session:
        async with session.get("news") as response:
            assert response.status == 503
        session.cookie_jar.clear()
        async with session.get("news") as response:
            assert await response.text() == "today's"
        assert [cookie.key for cookie in session.cookie_jar] == ["new"]


async def test_cache_of_what_is_missing() -> None:
    """Of a part of a program, a session of the test's own is made, with a mock as its connector."""
    mock = MockConnector()
    answers = [
        Answer(404),
        Answer(text="today's", headers={"ETag": '"1"'}),
        Answer(503),
        Answer(304, headers={"ETag": '"1"'}),
        Answer(text="tomorrow's", headers={"ETag": '"2"', "Cache-Control": "No-Store"}),
        Answer(text="later", headers={"ETag": '"3"'}),
    ]
    mock.get("/news", answers=answers)
    async with ClientSession(API, connector=mock, middlewares=[cache.Cache()]) as session:
        found = []
        for _ in answers:
            async with session.get("news") as response:
                found.append((response.status, await response.text()))
    assert found == [
        (404, ""),
        (200, "today's"),
        (503, ""),
        (200, "today's"),
        (200, "tomorrow's"),
        (200, "later"),
    ]
    asked = [call.headers.get("If-None-Match") for call in mock.calls]
    assert asked == [None, None, '"1"', '"1"', '"1"', None]


def pieces() -> Iterator[bytes]:
    """Yield a body that is sent without its length."""
    yield b"too "
    yield b"large"


async def test_cache_that_is_full() -> None:
    """It has a limit of entries, and one of the size of each."""
    mock = MockConnector()
    for path, body in (("/a", b"a"), ("/b", b"b"), ("/large", b"too large")):
        mock.get(path, body=body, headers={"ETag": path})
    mock.get("/pieces", answer=lambda _: Answer(body=pieces(), headers={"ETag": "/pieces"}))
    mock.post("/a")
    keeper = cache.Cache(entries=1, size=5)
    async with ClientSession(API, connector=mock, middlewares=[keeper]) as session:
        for path in ("a", "a", "b", "large", "pieces", "pieces", "b", "a"):
            async with session.get(path) as response:
                assert await response.read() in (path.encode(), b"too large")
        async with session.get("a", headers={"If-None-Match": "of the caller"}) as response:
            await response.read()
        async with session.post("a") as response:
            await response.read()
    asked = [call.headers.get("If-None-Match") for call in mock.calls]
    assert asked == [None, "/a", *[None] * 4, "/b", None, "of the caller", None]


async def test_many_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """The answers are put in order, whenever they come."""
    with mock_requests() as mock:
        echo = mock.get(
            f"{API}echo", match_query={}, answer=lambda request: request.query["number"]
        )
        await many_at_once.main(API)
        assert len(echo.calls) == 10
    assert capsys.readouterr().out == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n"


async def test_upload(capsys: pytest.CaptureFixture[str]) -> None:
    """The generator is sent to its end."""
    with mock_requests() as mock:
        uploaded = mock.put(f"{API}upload", text="thank you")
        await upload.main(API)
        (call,) = uploaded.calls
    assert call.headers["Transfer-Encoding"] == "chunked"
    assert call.body.splitlines()[-1] == b"line 999"
    assert capsys.readouterr().out == "thank you\n"


async def test_upload_tracker(capsys: pytest.CaptureFixture[str]) -> None:
    """The other task learns when the upload is over."""
    with mock_requests() as mock:
        mock.put(f"{API}upload")
        await upload_tracker.main(API)
    assert capsys.readouterr().out == "sent 8890 bytes\n"


# When every task waits, these clocks go on to the next moment at which something is due.
JUMPING_CLOCKS = [
    pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
    pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
]


@pytest.mark.parametrize("anyio_backend", JUMPING_CLOCKS)
async def test_timeouts(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that never answers costs the time that it is given, and the test takes none."""
    with mock_requests() as mock:
        mock.get(f"{API}never", answer=stall())
        mock.get(f"{API}echo?number=1")
        await timeouts.main(API)
    assert capsys.readouterr().out == "timed out\ncancelled\nstill usable: 200\n"


async def test_tracing(capsys: pytest.CaptureFixture[str]) -> None:
    """Handlers are told of these requests as of others; each has a connection of its own."""
    with mock_requests() as mock:
        page = mock.get(API, text="hello")
        await tracing.main(API)
        names = [call.headers["X-Request-ID"] for call in page.calls]
    assert names == ["first", "second"]
    assert capsys.readouterr().out == (
        "first: GET / 200 on a new connection in less than a minute\n"
        "second: GET / 200 on a new connection in less than a minute\n"
    )


async def test_proxies(capsys: pytest.CaptureFixture[str]) -> None:
    """Requests through a proxy are answered as if it let them through, unless it cannot be had."""
    with mock_requests() as mock:
        clear = mock.get("http://example.test/")
        mock.get("https://example.test/", exception=ClientProxyConnectionError)
        await proxies.main("http://proxy.test:3128/")
        call = clear.assert_called_once_with()
    assert call.proxy == URL("http://proxy.test:3128/")
    first, second = capsys.readouterr().out.splitlines()
    assert first == "http://example.test/ 200"
    assert second.startswith("no connection to the proxy: ")


async def test_chat(capsys: pytest.CaptureFixture[str]) -> None:
    """The other side of a WebSocket is a function, too."""

    async def echo(peer: WebSocketPeer) -> None:
        async for word in peer:
            await peer.send(f"you said {word!s}")
            if word == "bye":
                await peer.close(1000)

    with mock_requests() as mock:
        mock.ws("wss://api.test/chat", echo)
        await chat.main(API)
    assert capsys.readouterr().out == (
        "you said hello\nyou said how are you\nyou said bye\nclosed with 1000\n"
    )


async def test_own_resolver() -> None:
    """A resolver needs no request to be tested."""
    resolver = own_resolver.Pinned({"shop.test": "127.0.0.1"})
    (found,) = await resolver.resolve("shop.test", 80)
    assert (found["host"], found["port"]) == ("127.0.0.1", 80)
    await resolver.close()
