"""Bodies that are made while they are sent, and requests that functions of the program get."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from yarl import URL

from anyhttp import ClientResponseError, ClientSession, CookieJar, FormData, TCPConnector
from anyhttp.testing import Answer, MockConnector, ReceivedRequest, drip
from tests.support.census import assert_no_tokens
from tests.support.server import Server

API = "http://api.test"


class Pieces:
    """An asynchronous iterable that can be iterated again and again."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[bytes]:
        for piece in (b"a", b"", b"bc"):
            await anyio.lowlevel.checkpoint()
            yield piece


class Once:
    """An asynchronous iterator without ``aclose()``."""

    def __init__(self) -> None:
        self._pieces = iter([b"a", b"bc"])

    def __aiter__(self) -> Once:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


def generator() -> Iterator[bytes]:
    """Make a body."""
    yield b"a"
    yield b"bc"


@pytest.mark.parametrize("make", [lambda: [b"a", b"bc"], generator, Pieces, Once])
async def test_a_body_may_be_iterated(make: Any, http1: str) -> None:
    """It is sent in chunks; what is no iterator serves any number of requests."""
    mock = MockConnector(http1=http1)
    mock.get("/a", body=make())
    mock.get("/length", body=make(), headers={"Content-Length": "3"})
    async with ClientSession(connector=mock) as session:
        async with session.get(f"{API}/a") as response:
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert await response.read() == b"abc"
        async with session.get(f"{API}/length") as response:
            assert "Transfer-Encoding" not in response.headers
            assert await response.read() == b"abc"
        assert_no_tokens(mock, idle=0)


async def test_an_iterable_serves_any_number_of_requests_and_an_iterator_one() -> None:
    """The error says what to write instead of an iterator."""
    mock = MockConnector()
    mock.get("/again", body=Pieces())
    mock.get("/once", body=generator())
    mock.get("/each", answer=lambda request: Answer(body=generator()))
    async with ClientSession(connector=mock) as session:
        for path in ("again", "again", "once", "each", "each"):
            async with session.get(f"{API}/{path}") as response:
                assert await response.read() == b"abc"
        with pytest.raises(RuntimeError, match="a function that returns a new answer"):
            await session.get(f"{API}/once")


async def test_what_an_iterable_raises_comes_out_as_it_is() -> None:
    """After the pieces before it."""
    error = LookupError("no more")

    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise error

    mock = MockConnector()
    mock.get("/", body=failing())
    async with ClientSession(connector=mock) as session:
        async with session.get(API) as response:
            assert await response.content.readany() == b"a"
            with pytest.raises(LookupError) as caught:
                await response.read()
    assert caught.value is error


@pytest.mark.parametrize("piece", ["text", None, 1])
async def test_a_piece_that_is_no_bytes_is_told(piece: Any) -> None:
    """The error says what it is."""
    mock = MockConnector()
    mock.get("/", body=[piece])
    async with ClientSession(connector=mock) as session:
        with pytest.raises(TypeError, match="a piece of the body must be bytes, not"):
            await (await session.get(API)).read()


async def test_a_slow_reader_holds_an_iterable_back() -> None:
    """No more is made than the connection has room for; leaving ends the generator."""
    made = 0
    ended = anyio.Event()

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        try:
            while True:
                made += 1
                yield b"x" * 65536
        finally:
            ended.set()

    mock = MockConnector()
    mock.get("/", body=endless())
    async with ClientSession(connector=mock) as session:
        async with session.get(API) as response:
            assert await response.content.readexactly(100_000) == b"x" * 100_000
            await anyio.wait_all_tasks_blocked()
            assert made < 20
        await ended.wait()
        assert_no_tokens(mock, idle=0)


async def test_head_does_not_iterate_a_body() -> None:
    """It may be endless."""

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x"

    mock = MockConnector()
    mock.head("/", body=endless())
    async with ClientSession(connector=mock) as session:
        async with session.head(API) as response:
            assert await response.read() == b""


async def test_pieces_arrive_as_they_are_sent() -> None:
    """A client that reads piece by piece gets them so."""
    mock = MockConnector()
    mock.get("/", body=drip(b"abcde", size=2))
    async with ClientSession(connector=mock) as session:
        async with session.get(API) as response:
            assert response.content_length == 5
            assert [piece async for piece in response.content.iter_any()] == [b"ab", b"cd", b"e"]


# -- what was sent


async def test_what_a_request_holds() -> None:
    """As it was sent: with cookies, headers of the session, and the body."""
    mock = MockConnector()
    mock.post(f"{API}/users/{{id}}", match_query={}, status=201)
    jar = CookieJar()
    jar.update_cookies({"session": "s", "theme": "dark"}, URL(API))
    async with ClientSession(
        connector=mock, cookie_jar=jar, headers={"X-A": "1"}, auth=None
    ) as session:
        await session.post(f"{API}/users/7#part", params={"q": "ü"}, json={"name": "Ada"})
    (call,) = mock.calls
    assert call.method == "POST"
    assert call.url == URL(f"{API}/users/7?q=ü")
    assert call.path_params == {"id": "7"}
    assert dict(call.query) == {"q": "ü"}
    assert call.headers["x-a"] == "1"
    assert call.cookies == {"session": "s", "theme": "dark"}
    assert call.content_type == "application/json"
    assert call.body == call.content == b'{"name": "Ada"}'
    assert call.text == '{"name": "Ada"}'
    assert call.json() == {"name": "Ada"}
    assert call.proxy is None
    assert call.is_complete
    assert not call.is_handshake
    assert await call.read() == call.body
    assert [piece async for piece in call.stream()] == [call.body]
    with pytest.raises(ValueError, match="is not a form, but application/json"):
        _ = call.form


async def test_a_request_without_body() -> None:
    """It is empty, and no JSON."""
    request = ReceivedRequest("GET", URL(API))
    assert request.body == b""
    assert request.text == ""
    assert request.cookies == {}
    assert request.content_type == ""
    assert [piece async for piece in request.stream()] == []
    with pytest.raises(json.JSONDecodeError):
        request.json()
    with pytest.raises(ValueError, match="is not a form, but untyped"):
        _ = request.form


async def test_forms_and_text_in_other_charsets() -> None:
    """What the request says of its body counts."""
    mock = MockConnector()
    mock.post("/")
    async with ClientSession(connector=mock) as session:
        await session.post(API, data=FormData([("a", "1"), ("a", "ü&"), ("b", "")]))
        headers = {"Content-Type": "text/plain; charset=latin-1"}
        await session.post(API, data="ü".encode("latin-1"), headers=headers)
        await session.post(API, data='{"a": "ü"}'.encode("utf-16"))
    form, text, utf16 = mock.calls
    assert list(form.form.items()) == [("a", "1"), ("a", "ü&"), ("b", "")]
    assert text.text == "ü"
    assert utf16.json() == {"a": "ü"}


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_body_is_kept_as_it_was_sent(coding: str) -> None:
    """``content`` and what is made of it are decoded."""
    mock = MockConnector()
    mock.post("/")
    async with ClientSession(connector=mock) as session:
        await session.post(API, json=["a"] * 50, compress=coding)
    (call,) = mock.calls
    assert call.headers["Content-Encoding"] == coding
    assert len(call.body) < 100
    assert call.json() == ["a"] * 50


async def test_a_body_that_cannot_be_decoded() -> None:
    """The error names the request; a coding that nobody knows stays."""
    bad = ReceivedRequest("POST", URL(API), {"Content-Encoding": "gzip"}, b"no gzip")
    with pytest.raises(ValueError, match=r"cannot decode the body of POST http://api\.test"):
        _ = bad.content
    short = ReceivedRequest("POST", URL(API), {"Content-Encoding": "deflate"}, b"\x78\x9c")
    with pytest.raises(ValueError, match="end early"):
        _ = short.content
    unknown = ReceivedRequest("POST", URL(API), {"Content-Encoding": "rot13"}, b"nop")
    assert unknown.content == b"nop"


@pytest.mark.parametrize("size", [0, 1000, 1_000_000])
async def test_a_streamed_upload_arrives_whole(size: int) -> None:
    """Whoever answers, the body is in ``calls``."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(size // 1000):
            yield b"0123456789" * 100

    mock = MockConnector()
    mock.post("/canned", text="canned")
    mock.post("/function", answer=lambda request: str(len(request.body)))
    async with ClientSession(connector=mock) as session:
        async with session.post(f"{API}/canned", data=body()) as response:
            assert await response.text() == "canned"
        async with session.post(f"{API}/function", data=body()) as response:
            assert await response.text() == str(size)
        assert_no_tokens(mock, idle=0)
    assert [len(call.body) for call in mock.calls] == [size, size]
    assert mock.calls[0].headers["Transfer-Encoding"] == "chunked"


async def test_a_function_can_take_the_body_as_it_comes() -> None:
    """With ``stream_request=True`` it is called when the head has come."""
    sent: list[bytes] = []
    go_on = anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await go_on.wait()
        yield b"second"

    async def answer(request: ReceivedRequest) -> Answer:
        assert not request.is_complete
        with pytest.raises(RuntimeError, match=r"has not been received to its end: `await"):
            _ = request.body
        pieces = request.stream()
        sent.append(await anext(pieces))
        with pytest.raises(RuntimeError, match="is being received"):
            await anext(request.stream())
        go_on.set()
        sent.extend([piece async for piece in pieces])
        assert request.body == await request.read() == b"firstsecond"
        return Answer(text="done")

    mock = MockConnector()
    mock.post("/", answer=answer, stream_request=True)
    async with ClientSession(connector=mock) as session:
        async with session.post(API, data=body()) as response:
            assert await response.text() == "done"
    assert sent == [b"first", b"second"]


async def test_a_function_can_answer_before_the_body_has_come() -> None:
    """The client gets the response at once, and stops sending."""

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await anyio.sleep_forever()

    mock = MockConnector()
    mock.post("/", answer=lambda request: Answer(413), stream_request=True)
    async with ClientSession(connector=mock) as session:
        async with session.post(API, data=body()) as response:
            assert response.status == 413
        assert_no_tokens(mock, idle=0)
    assert not mock.calls[0].is_complete


@pytest.mark.parametrize("answer", [Answer(text="done"), lambda request: Answer(text="done")])
async def test_a_client_that_waits_is_told_to_send_the_body(answer: Any, http1: str) -> None:
    """RFC 9110 §10.1.1: "Expect: 100-continue"."""
    mock = MockConnector(http1=http1)
    mock.post("/", answer=answer)
    async with ClientSession(connector=mock) as session:
        async with session.post(API, data=b"body", expect100=True) as response:
            assert await response.text() == "done"
    assert mock.calls[0].body == b"body"


async def test_a_client_that_waits_may_be_refused_instead() -> None:
    """A canned answer of 400 or more comes without the body."""
    mock = MockConnector()
    mock.post("/", status=413, text="too large")
    async with ClientSession(connector=mock) as session:
        async with session.post(API, data=b"body", expect100=True) as response:
            assert response.status == 413
            assert await response.text() == "too large"
        assert_no_tokens(mock, idle=0)
    assert mock.calls[0].body == b""


async def test_both_directions_at_once() -> None:
    """An echo, piece by piece."""

    async def body() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number
            await echoed[number].wait()

    async def answer(request: ReceivedRequest) -> Answer:
        return Answer(body=request.stream())

    echoed = [anyio.Event() for _ in range(3)]
    mock = MockConnector()
    mock.post("/", answer=answer, stream_request=True)
    got: list[bytes] = []
    async with ClientSession(connector=mock) as session:
        async with session.post(API, data=body()) as response:
            async for piece in response.content.iter_any():
                echoed[len(got)].set()
                got.append(piece)
    assert got == [b"0", b"1", b"2"]


# -- hosts that are reached for real


async def test_requests_to_chosen_hosts_go_over_the_network(server: Server) -> None:
    """Routes come first, then these hosts, then the fallback; each connection serves once."""
    mock = MockConnector()
    mock.pass_through("127.0.0.1")
    mock.get(server.url / "mocked", text="mocked")
    mock.fallback(status=404)
    async with ClientSession(connector=mock) as session:
        for _ in range(2):
            async with session.post(server.url / "echo-body", data=b"over the network") as response:
                assert await response.read() == b"over the network"
        async with session.get(server.url / "mocked") as response:
            assert await response.text() == "mocked"
        async with session.get("http://other.test/") as response:
            assert response.status == 404
        assert_no_tokens(mock, idle=0)
    assert server.connections == 2
    assert [call.url.host for call in mock.calls] == ["127.0.0.1", "other.test"]


async def test_the_connector_for_the_network_can_be_given(server: Server) -> None:
    """The mock closes it."""
    real = TCPConnector(ssl=False)
    mock = MockConnector(real=real)
    mock.pass_through(f"localhost:{server.https_url.port}")
    async with ClientSession(connector=mock) as session:
        async with session.post(server.https_url / "echo-body", data=b"tls") as response:
            assert await response.read() == b"tls"
    assert real.closed


async def test_the_connector_for_the_network_is_closed_after_cancellation() -> None:
    """Nobody else would close it: closing the mock again does nothing."""
    real = TCPConnector()
    mock = MockConnector(real=real)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await mock.close()
    assert scope.cancelled_caught
    assert (mock.closed, real.closed) == (True, True)


@pytest.mark.parametrize(
    ("host", "error"),
    [
        ("http://a", ValueError),
        ("a/b", ValueError),
        ("", ValueError),
        ("a:b", ValueError),
        ("user@a", ValueError),
        (1, TypeError),
    ],
)
def test_what_is_no_host_is_refused(host: Any, error: type[Exception]) -> None:
    """With an example of one."""
    with pytest.raises(error, match=r"mock.pass_through\(\): a host must be"):
        MockConnector().pass_through(host)


def test_the_real_connector_is_a_connector() -> None:
    """Not a session, nor a class."""
    with pytest.raises(TypeError, match="real must be an"):
        MockConnector(real=TCPConnector)  # type: ignore[arg-type]  # the mistake


async def test_an_error_response_of_a_function_is_one_for_the_client() -> None:
    """``raise_for_status`` sees it."""
    mock = MockConnector()
    mock.get("/", answer=lambda request: Answer(500, text="no"))
    async with ClientSession(connector=mock, raise_for_status=True) as session:
        with pytest.raises(ClientResponseError) as caught:
            await session.get(API)
    assert caught.value.body == b"no"
