from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from yarl import URL

from anyhttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ClientSession,
    ServerDisconnectedError,
    TCPConnector,
)
from anyhttp.testing import (
    Answer,
    LoopbackServer,
    ReceivedRequest,
    UnansweredRequest,
    WebSocketClosed,
    WebSocketPeer,
    drip,
    garbage,
    reset,
    serve,
    stall,
)
from tests.support.cancel import cancel_at_every_checkpoint
from tests.support.waiting import until


class Oops(Exception):
    """What a function of the program raises."""


def session_for(server: LoopbackServer) -> ClientSession:
    """Return a session for *server* alone."""
    tls = server.ssl_context is not None
    connector = TCPConnector(ssl=server.client_context) if tls else TCPConnector()
    return ClientSession(server.url, connector=connector)


pytestmark = pytest.mark.uvloop

# -- who answers


async def test_a_function_answers() -> None:
    """It gets the request, and returns what the answer is made of."""

    def handler(request: ReceivedRequest) -> dict[str, object]:
        assert request.proxy is None
        return {"method": request.method, "query": dict(request.query), "body": request.json()}

    async with serve(handler) as server, ClientSession(server.url) as session:
        async with session.post("/users?page=2", json=["Ada"]) as response:
            assert response.status == 200
            assert await response.json() == {
                "method": "POST",
                "query": {"page": "2"},
                "body": ["Ada"],
            }
        assert server.calls[0].url == server.url / "users" % {"page": "2"}
    server.assert_called_once_with("POST", "/users?page=2", json=["Ada"])


async def test_an_asynchronous_function_answers() -> None:
    """It may wait for something."""

    async def handler(request: ReceivedRequest) -> Answer:
        await anyio.lowlevel.checkpoint()
        return Answer(201, text=request.url.path, headers={"X": "y"})

    async with serve(handler) as server, ClientSession(server.url) as session:
        async with session.get("/a/b") as response:
            assert (response.status, response.headers["X"]) == (201, "y")
            assert await response.text() == "/a/b"


@pytest.mark.parametrize("source", [Answer(json={"id": 7}), {"id": 7}])
async def test_one_answer_for_all_requests(source: Answer | dict[str, Any]) -> None:
    """No function is needed for that."""
    async with serve(source) as server, ClientSession(server.url) as session:
        for path in ("/a", "/b"):
            async with session.get(path) as response:
                assert await response.json() == {"id": 7}


async def test_routes_come_before_the_function() -> None:
    """They are those of a mock."""
    async with serve(Answer(404)) as server, ClientSession(server.url) as session:
        route = server.get("/users/{id}", answer=lambda request: dict(request.path_params))
        server.post("/users", match_json={"name": "Ada"}, status=201)
        async with session.get("/users/7") as response:
            assert await response.json() == {"id": "7"}
        assert len(route.calls) == 1
        async with session.post("/users", json={"name": "Ada"}) as response:
            assert response.status == 201
        async with session.post("/users", json={"name": "Bob"}) as response:
            assert response.status == 404
        server.assert_all_called()


async def test_a_body_is_streamed_in_both_directions() -> None:
    """Each piece of the request is there when it comes, each of the answer when it is made."""
    received = anyio.Event()

    async def handler(request: ReceivedRequest) -> Answer:
        async def pieces() -> AsyncIterator[bytes]:
            async for piece in request.stream():
                yield piece.upper()
                received.set()

        return Answer(body=pieces())

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await received.wait()
        yield b"two"

    async with serve() as server, ClientSession(server.url) as session:
        server.put("/", answer=handler, stream_request=True)
        async with session.put("/", data=body()) as response:
            assert await response.read() == b"ONETWO"


async def test_a_websocket() -> None:
    """A script is the other side, as in a mock."""
    ended: list[object] = []

    async def echo(peer: WebSocketPeer) -> None:
        assert peer.url.path == "/feed"
        async for message in peer:
            await peer.send(message)
        ended.append(peer.close_code)

    async with serve() as server, ClientSession(server.url) as session:
        server.ws("/feed", echo, protocol="chat", compress=True)
        async with session.ws_connect("/feed", protocols=["chat"], compress=15) as websocket:
            assert (websocket.protocol, websocket.compress) == ("chat", 15)
            await websocket.send_str("hello")
            assert await websocket.receive_str() == "hello"
            await websocket.close(code=4000)
    assert ended == [4000]


async def test_a_script_that_ends_closes_the_websocket() -> None:
    """With the code for a normal end."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.send("only")

    async with serve() as server, ClientSession(server.url) as session:
        server.ws("/", script)
        async with session.ws_connect("/") as websocket:
            assert [message.data async for message in websocket] == ["only"]
            assert websocket.close_code == 1000


@pytest.mark.parametrize("source", [3.5, object(), True])
def test_what_cannot_answer(source: Any) -> None:
    """The error says what can."""
    with pytest.raises(TypeError, match="source must be an Answer, a status, str, bytes"):
        serve(source)


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"tls": "yes"}, TypeError),
        ({"port": "80"}, TypeError),
        ({"port": -1}, ValueError),
        ({"shutdown_timeout": -1}, ValueError),
        ({"raise_app_exceptions": 1}, TypeError),
        ({"root_path": "/api"}, ValueError),
        ({"lifespan": "on"}, ValueError),
    ],
)
def test_bad_options(option: dict[str, Any], error: type[Exception]) -> None:
    """The error names the option."""
    with pytest.raises(error, match=next(iter(option))):
        serve(**option)


# -- an application


class Application:
    """An ASGI application that knows its lifespan."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.scopes: list[dict[str, Any]] = []
        self.background = anyio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await self._echo(receive, send)
        else:
            await self._respond(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        for what in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{what}"
            self.events.append(what)
            await send({"type": f"lifespan.{what}.complete"})

    async def _echo(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        self.events.append(f"closed {message['code']}")

    async def _respond(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/fails":
            raise Oops("the application")
        if scope["path"] == "/hangs":
            await anyio.sleep_forever()
        message = await receive()
        await send({"type": "http.response.start", "status": 201})
        await send({"type": "http.response.body", "body": message["body"].upper()})
        if scope["path"] == "/background":
            await self.background.wait()
            self.events.append("background")


async def test_an_application() -> None:
    """It is started, called for what no route takes, and stopped."""
    app = Application()
    async with serve(app, root_path="/api") as server, ClientSession(server.url) as session:
        assert app.events == ["startup"]
        server.get("/route", text="route")
        async with session.get("/route") as response:
            assert await response.text() == "route"
        async with session.post("/api/x", data=b"hello") as response:
            assert (response.status, await response.read()) == (201, b"HELLO")
        scope = app.scopes[-1]
        assert scope["server"] == ("127.0.0.1", server.port)
        assert scope["client"][0] == "127.0.0.1"
        assert (scope["root_path"], scope["path"], scope["scheme"]) == ("/api", "/api/x", "http")
        assert [call.url.path for call in server.calls] == ["/route", "/api/x"]
    assert app.events == ["startup", "shutdown"]


async def test_an_application_gets_the_body_that_no_route_wants() -> None:
    """A route may have to know the body before it is clear who answers."""
    async with serve(Application()) as server, ClientSession(server.url) as session:
        server.post("/", match_json="Ada", text="route")
        for name, answer in (("Ada", b"route"), ("Bob", b'"BOB"')):
            async with session.post("/", json=name) as response:
                assert await response.read() == answer


async def test_a_websocket_of_an_application() -> None:
    """It learns that its client has left, though the block is over."""
    app = Application()
    async with serve(app) as server, ClientSession(server.url) as session:
        async with session.ws_connect("/") as websocket:
            await websocket.send_str("hello")
            assert await websocket.receive_str() == "hello"
    assert app.events == ["startup", "closed 1000", "shutdown"]


async def test_an_application_that_fails() -> None:
    """As a function does."""

    async def run() -> None:
        async with serve(Application()) as server, ClientSession(server.url) as session:
            async with session.get("/fails") as response:
                assert response.status == 500

    with pytest.raises(Oops, match="the application"):
        await run()


async def test_an_application_that_fails_to_start() -> None:
    """The exception is raised where the block is entered, and nothing is open."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise Oops("the startup")

    server = serve(app, lifespan="on")
    with pytest.raises(Oops, match="the startup"):
        await server.__aenter__()


async def test_an_application_that_goes_on_after_its_response() -> None:
    """It has the time that the caller gives it; what hangs is cancelled at once."""
    app = Application()
    async with ClientSession() as session, anyio.create_task_group() as tasks:

        async def hang(url: URL) -> None:
            with pytest.raises((ServerDisconnectedError, ClientOSError)):
                await session.get(url / "hangs")
            app.background.set()

        async with serve(app) as server:
            tasks.start_soon(hang, server.url)
            async with session.get(server.url / "background") as response:
                assert response.status == 201
            await until(lambda: len(server.calls) == 2, "both requests")
    assert app.events == ["startup", "background", "shutdown"]


async def test_an_application_that_is_cancelled_by_the_end_of_its_request() -> None:
    """Quart cancels the task that responds when another one learns of the end of the request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def respond() -> None:
            headers = [(b"content-length", b"1")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await send({"type": "http.response.body"})

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        await receive()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await anyio.wait_all_tasks_blocked()
            await respond()

    async with serve(app, lifespan="off") as server, ClientSession(server.url) as session:
        async with session.get("/") as response:
            assert await response.read() == b"x"


def test_a_function_that_does_not_tell_its_arguments() -> None:
    """It is taken for a function of a request."""
    assert serve(getattr).routes == ()


def test_what_may_be_an_application_as_well_as_a_function() -> None:
    """The error says how to tell it."""

    def either(*args: Any) -> Any:
        """Take anything."""

    with pytest.raises(TypeError, match="wrap it in a function of three arguments or of one"):
        serve(either)


# -- the connections


async def test_what_a_server_tells_of_itself() -> None:
    """URL and port are known while it runs; connections are counted."""
    server = serve(Answer())
    with pytest.raises(RuntimeError, match="use it in `async with`"):
        _ = server.url
    async with server:
        assert server.url == URL(f"http://127.0.0.1:{server.port}")
        assert (server.connections, server.open_connections) == (0, 0)
        async with ClientSession(server.url) as session:
            for _ in range(2):
                async with session.get("/"):
                    pass
            assert (server.connections, server.open_connections) == (1, 1)
        await until(lambda: not server.open_connections, "the connection to be closed")
        with pytest.raises(RuntimeError, match="the server has made no certificate"):
            _ = server.client_context
        assert server.ssl_context is None
    assert server.connections == 1
    with pytest.raises(RuntimeError, match="can be started once"):
        await server.__aenter__()


async def test_nobody_listens_afterwards() -> None:
    """While the server runs, no other can have its port."""
    async with serve(Answer()) as server:
        with pytest.raises(OSError, match="Address already in use"):
            await serve(Answer(), port=server.port).__aenter__()
    async with ClientSession() as session:
        with pytest.raises(ClientConnectorError):
            await session.get(server.url)


async def test_tls() -> None:
    """The client trusts the certificate of the server by a context of its own."""
    async with serve({"secure": True}, tls=True) as server, session_for(server) as session:
        assert server.url.scheme == "https"
        async with session.get("/") as response:
            assert await response.json() == {"secure": True}
        async with session.get(server.url.with_host("localhost")) as response:
            assert response.status == 200
        assert server.calls[0].url.scheme == "https"
        async with ClientSession() as distrustful:
            with pytest.raises(ClientConnectorCertificateError):
                await distrustful.get(server.url)


async def test_tls_with_a_context_of_the_program() -> None:
    """It may have another certificate; who trusts it is the program's business."""
    context = serve(tls=True).ssl_context
    async with serve(Answer(), tls=context or False) as server:
        assert server.ssl_context is context
        async with ClientSession(connector=TCPConnector(ssl=False)) as session:
            async with session.get(server.url) as response:
                assert response.status == 200


def test_tls_without_what_makes_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what to install."""
    from anyhttp.testing import _certificates

    monkeypatch.setitem(sys.modules, "trustme", None)
    _certificates.tls_contexts.cache_clear()
    with pytest.raises(
        RuntimeError, match=r"needs trustme: pip install 'anyhttp-client\[testing\]"
    ):
        serve(tls=True)


async def test_a_proxy() -> None:
    """A server may be taken for one; requests tell it."""
    async with serve(Answer(text="by proxy")) as server, ClientSession() as session:
        async with session.get("http://other.test/x", proxy=server.url) as response:
            assert await response.text() == "by proxy"
        assert server.calls[0].url == URL("http://other.test/x")
        assert server.calls[0].proxy == server.url


async def test_something_that_is_no_http() -> None:
    """It is refused with the reason."""
    async with serve(Answer()) as server:
        received = await raw_response(server, b"what?\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert received.endswith(b"not a request line: 'what?'")
        received = await raw_response(server, b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n")
        assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"not a URL: Port out of range" in received
        assert not server.calls


async def raw_response(server: LoopbackServer, data: bytes) -> bytes:
    """Send bytes on a connection of their own; return what comes until the server closes it."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        await stream.send(data)
        return b"".join([piece async for piece in stream])


async def test_a_body_that_is_no_http() -> None:
    """It is refused as a head is, while the function waits for the body."""
    chunked = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serve(Answer()) as server:
        received = await raw_response(server, chunked + b"what?\r\n")
        assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert received.endswith(b"not the size of a chunk: b'what?'")


async def test_a_client_that_leaves_in_the_middle_of_its_request() -> None:
    """That is no failure of the server."""
    async with serve(Answer()) as server:
        for data in (b"PUT / HTT", b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"):
            async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
                await stream.send(data)
        await until(lambda: server.connections == 2 and not server.open_connections, "the end")


# -- misbehaviour


@pytest.mark.parametrize("tls", [False, True])
async def test_a_reset(tls: bool) -> None:
    """RST, at once or after a part of the body."""
    async with serve(reset(), tls=tls) as server, session_for(server) as session:
        with pytest.raises(ClientOSError):
            await session.get("/")
        server.fallback(answer=reset(b"half"))
        response = await session.get("/")
        with pytest.raises(ClientPayloadError, match="reset"):
            await response.read()


@pytest.mark.parametrize("tls", [False, True])
async def test_a_response_that_breaks_off(tls: bool) -> None:
    """The server closes in the middle of the body, or before the head."""
    async with serve(tls=tls) as server, session_for(server) as session:
        server.fallback(body=b"half", exception=EOFError)
        with pytest.raises(ClientPayloadError):
            async with session.get("/") as response:
                await response.read()
        server.fallback(exception=ServerDisconnectedError)
        with pytest.raises(ServerDisconnectedError):
            await session.get("/")


async def test_a_drip() -> None:
    """The body comes in pieces."""
    async with serve(Answer(body=drip(b"abc", size=2))) as server:
        async with ClientSession(server.url) as session, session.get("/") as response:
            pieces = [piece async for piece in response.content.iter_any()]
    assert b"".join(pieces) == b"abc"


@pytest.mark.parametrize("after", [None, b"half"])
async def test_a_stall(after: bytes | None) -> None:
    """Nothing comes, until the client goes; then the connection is over."""
    async with serve(stall(after)) as server:
        async with ClientSession(server.url) as session:

            async def get() -> None:
                async with session.get("/") as response:
                    assert await response.content.readany() == b"half"
                    await response.content.readany()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(get)
                await until(lambda: bool(server.calls), "the request")
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
        await until(lambda: not server.open_connections, "the connection to be closed")


async def test_garbage() -> None:
    """Bytes that are no response."""
    async with serve(garbage(b"SSH-2.0\r\n")) as server, ClientSession(server.url) as session:
        with pytest.raises(ClientResponseError, match=r"not an HTTP/1.x response"):
            await session.get("/")


async def test_a_wrong_length() -> None:
    """The connection ends after it."""
    source = Answer(body=b"half", headers={"Content-Length": "10"})
    async with serve(source) as server, ClientSession(server.url) as session:
        with pytest.raises(ClientPayloadError):
            async with session.get("/") as response:
                await response.read()


async def test_a_failure_that_no_server_can_bring_about() -> None:
    """The message says what can."""
    server = serve(Answer(exception=ConnectionRefusedError))
    with pytest.raises(ValueError, match="a server that has got a request cannot answer by"):
        async with server, ClientSession(server.url) as session, session.get("/") as response:
            assert response.status == 500


async def test_an_exception_that_is_no_failure_of_a_connection() -> None:
    """A client of a mock would get it; here the test does."""

    async def run() -> None:
        async with serve(Oops("no socket can do that")) as server:
            async with ClientSession(server.url) as session, session.get("/") as response:
                assert response.status == 500

    with pytest.raises(Oops, match="no socket can do that"):
        await run()


# -- failures of the program


def failing(_: ReceivedRequest) -> Answer:
    """Fail."""
    raise Oops("the handler")


async def test_a_function_that_fails() -> None:
    """The client gets the status 500, and the exception is raised at the end of the block."""
    server = serve(failing)

    async def run() -> None:
        async with server, ClientSession(server.url) as session:
            for _ in range(2):
                async with session.get("/") as response:
                    assert response.status == 500
                    assert await response.text() == "Internal Server Error"

    with pytest.raises(Oops, match="the handler") as caught:
        await run()
    assert "Besides, the server has failed" in caught.value.__notes__[0]
    assert len(caught.value.__notes__) == 1


async def test_a_function_and_the_block_fail() -> None:
    """The exception of the block is raised, and notes tell the other."""
    server = serve(failing)
    with pytest.raises(AssertionError) as caught:
        async with server, ClientSession(server.url) as session, session.get("/") as response:
            assert response.status == 200
    assert "the server has failed" in caught.value.__notes__[-1]
    assert "Oops: the handler" in caught.value.__notes__[-1]
    assert "raise Oops" in caught.value.__notes__[-1]


async def test_failures_that_the_caller_does_not_want(caplog: pytest.LogCaptureFixture) -> None:
    """They are logged."""
    caplog.set_level(logging.ERROR, "anyhttp.testing")
    async with serve(failing, raise_app_exceptions=False) as server:
        async with ClientSession(server.url) as session, session.get("/") as response:
            assert response.status == 500
    assert "Oops: the handler" in caplog.text


async def test_a_body_that_fails() -> None:
    """The connection breaks, as the head has been sent."""

    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise Oops("the body")

    server = serve()

    async def run() -> None:
        async with server, ClientSession(server.url) as session:
            server.get("/", body=body())
            with pytest.raises(ClientPayloadError):
                async with session.get("/") as response:
                    await response.read()

    with pytest.raises(Oops, match="the body"):
        await run()


async def test_a_script_that_fails() -> None:
    """The WebSocket breaks."""

    async def script(peer: WebSocketPeer) -> None:
        assert await peer.receive() == "hello"
        raise Oops("the script")

    server = serve()

    async def run() -> None:
        async with server, ClientSession(server.url) as session:
            server.ws("/", script)
            async with session.ws_connect("/") as websocket:
                await websocket.send_str("hello")
                await websocket.receive()
                assert websocket.close_code == 1006

    with pytest.raises(Oops, match="the script"):
        await run()


async def test_a_script_finds_out_that_its_client_has_left() -> None:
    """What it asserts then counts, though the block is over."""

    async def script(peer: WebSocketPeer) -> None:
        with pytest.raises(WebSocketClosed):
            await peer.receive()
        raise Oops("after the end")

    server = serve()

    async def run() -> None:
        async with server, ClientSession(server.url) as session:
            server.ws("/", script)
            async with session.ws_connect("/"):
                pass

    with pytest.raises(Oops, match="after the end"):
        await run()


async def test_a_request_that_no_route_answers() -> None:
    """The client gets the status 500 with the reasons, and the block fails by them."""
    server = serve()

    async def run() -> None:
        async with server, ClientSession(server.url) as session:
            server.get("/users", json=[])
            async with session.get("/user") as response:
                assert response.status == 500
                assert "The only route is GET /users" in await response.text()

    with pytest.raises(UnansweredRequest, match=r"no route answers GET http://127.0.0.1"):
        await run()
    assert len(server.unanswered) == 1


async def test_a_handshake_that_is_none() -> None:
    """A request for a WebSocket that is not well formed is refused once."""
    async with serve() as server, ClientSession(server.url) as session:
        server.ws("/", WebSocketPeer.receive)
        headers = {"Upgrade": "websocket", "Connection": "upgrade"}
        async with session.get("/", headers=headers) as response:
            assert response.status == 400
            assert "Sec-WebSocket-Key" in await response.text()


# -- the end


async def test_a_function_ends_when_its_client_has_gone() -> None:
    """Nobody waits for the answer, so it is cancelled."""
    ended = anyio.Event()

    async def handler(_: ReceivedRequest) -> Answer:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    async with serve(handler) as server, ClientSession(server.url) as session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(session.get, "/")
            await until(lambda: bool(server.calls), "the request")
            tasks.cancel_scope.cancel()
        await ended.wait()


@pytest.mark.parametrize("fails", [False, True])
async def test_the_end_of_the_block_ends_all(fails: bool) -> None:
    """Functions are cancelled, and connections closed, though the client is still there."""
    ended: list[str] = []

    async def handler(_: ReceivedRequest) -> Answer:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("handler")
        raise AssertionError

    async with ClientSession() as session, anyio.create_task_group() as tasks:

        async def get(url: URL) -> None:
            with pytest.raises((ServerDisconnectedError, ClientOSError)):
                await session.get(url)

        server = serve(handler)
        async with AsyncExitStack() as idle:
            with suppress(Oops):
                async with server:
                    tasks.start_soon(get, server.url)
                    await until(lambda: bool(server.calls), "the request")
                    await idle.enter_async_context(
                        await anyio.connect_tcp("127.0.0.1", server.port)
                    )
                    if fails:
                        raise Oops
        assert ended == ["handler"]
        assert not server.open_connections


async def test_a_script_that_does_not_end() -> None:
    """It is cancelled after the time that the caller gives it."""

    async def script(_: WebSocketPeer) -> None:
        await anyio.sleep_forever()

    async with ClientSession() as session:
        async with serve(shutdown_timeout=0.01) as server:
            server.ws("/", script)
            websocket = await session.ws_connect(server.url)
        assert (await websocket.receive()).data != "x"


@pytest.mark.parametrize("how", ["scope", "every-task", "native"])
async def test_cancellation_at_each_step(how: Any) -> None:
    """Nothing is left open, and the port is free again."""

    async def run() -> None:
        async with serve(Answer(text="hi")) as server, ClientSession(server.url) as session:
            async with session.get("/") as response:
                await response.read()

    async def nothing() -> None:
        await anyio.lowlevel.checkpoint()

    assert await cancel_at_every_checkpoint(run, after=nothing, how=how)


@pytest.mark.parametrize("how", ["scope", "every-task", "native"])
async def test_cancellation_at_each_step_of_an_application(how: Any) -> None:
    """The application has ended, too."""
    running = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        running.append(scope["type"])
        try:
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await send({"type": "lifespan.shutdown.complete"})
            else:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"hi"})
        finally:
            running.remove(scope["type"])

    async def run() -> None:
        async with serve(app) as server, ClientSession(server.url) as session:
            async with session.get("/") as response:
                await response.read()

    async def after() -> None:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert running == []

    assert await cancel_at_every_checkpoint(run, after=after, how=how)


async def test_a_server_that_is_cancelled_while_it_ends() -> None:
    """It ends at once."""

    async def script(_: WebSocketPeer) -> None:
        await anyio.sleep_forever()

    server = serve()
    websockets = []
    with anyio.CancelScope() as scope:
        async with ClientSession() as session, server:
            server.ws("/", script)
            websockets.append(await session.ws_connect(server.url))
            scope.cancel()
    assert scope.cancelled_caught
    assert websockets[0].closed
    assert not server.open_connections


@pytest.mark.once
async def test_a_block_that_two_tasks_enter_and_leave() -> None:
    """Fixtures of pytest do that."""
    server = serve(Answer())
    await asyncio.create_task(server.__aenter__())
    async with ClientSession(server.url) as session, session.get("/") as response:
        assert response.status == 200
    await asyncio.create_task(server.__aexit__(None, None, None))


async def test_a_client_that_never_takes_the_end() -> None:
    """The server does not wait for it when it ends."""
    async with serve(Answer(headers={"Connection": "close"})) as server:
        stream = await anyio.connect_tcp("127.0.0.1", server.port)
        await stream.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        assert server.open_connections == 1
    await stream.aclose()


async def test_a_client_that_fails_in_the_handshake() -> None:
    """It is no failure of the server."""
    async with serve(Answer(), tls=True) as server:
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(anyio.BrokenResourceError):
                assert b"HTTP" not in b"".join([piece async for piece in stream])
        await until(lambda: server.connections == 1, "the connection")


@pytest.mark.parametrize("is_caught", [True, False])
async def test_an_application_that_fails_because_its_client_has_gone(
    is_caught: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It need not catch that; another failure is logged, as that may be the reason."""
    ended = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await receive()
            await send({"type": "websocket.accept"})
            while True:
                await send({"type": "websocket.send", "text": "more"})
                await anyio.sleep(0.001)
        except WebSocketClosed:
            if not is_caught:
                raise
            raise LookupError("nobody is there") from None
        finally:
            ended.set()

    async with serve(app, lifespan="off") as server, ClientSession(server.url) as session:
        async with session.ws_connect("/") as websocket:
            await websocket.receive_str()
        await ended.wait()
    assert ("nobody is there" in caplog.text) is is_caught
