"""HTTP requests to ASGI applications in memory: what the application gets, and what it may send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from anyhttp import (
    ClientConnectionError,
    ClientOSError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ServerDisconnectedError,
    TCPConnector,
    TraceConfig,
)
from anyhttp.testing import ASGIConnector, ASGIProtocolError
from anyhttp.testing._http1_server import MalformedRequest
from anyhttp.testing._server_connection import ServerConnection
from tests.support.cancel import cancel_when
from tests.support.client import get

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Messages = list[dict[str, Any]]

URL = "http://app.test/"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain")],
}


def session_for(app: Any, **options: Any) -> ClientSession:
    """Return a session that calls *app*."""
    return ClientSession(connector=ASGIConnector(app, **options))


def sending(*messages: Any) -> Any:
    """Return an application that sends *messages*."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        for message in messages:
            await send(message)

    return app


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    """Return the message for a part of the body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


async def answer(send: Send, data: bytes = b"ok") -> None:
    """Send a whole response."""
    await send(START)
    await send(body(data))


class TestScope:
    async def test_a_request(self) -> None:
        """All that the specification lists is there."""
        seen: list[Any] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            seen.append((scope, await receive()))
            await answer(send)

        async with session_for(app, lifespan="off") as session:
            async with session.post(
                "https://app.test:8443/a%20b%2Fc/%C3%BC?x=1&y=%20",
                data=b"hello",
                headers={"X-One": "1"},
            ) as response:
                assert await response.read() == b"ok"
        [(scope, message)] = seen
        headers = dict(scope.pop("headers"))
        assert scope == {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": "/a b/c/ü",
            "raw_path": b"/a%20b%2Fc/%C3%BC",
            "query_string": b"x=1&y=%20",
            "root_path": "",
            "client": ("127.0.0.1", 50000),
            "server": ("app.test", 8443),
            "state": {},
            "extensions": {"http.response.trailers": {}, "http.response.early_hint": {}},
        }
        assert headers[b"host"] == b"app.test:8443"
        assert headers[b"x-one"] == b"1"
        assert headers[b"content-length"] == b"5"
        assert message == {"type": "http.request", "body": b"hello", "more_body": False}

    async def test_options(self) -> None:
        """The client's address and the place of the application are told as they are given."""
        seen: list[Any] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            seen.append(scope)
            await answer(send)

        connector = ASGIConnector(app, client=("192.0.2.1", 1234), root_path="/api/")
        async with ClientSession(connector=connector) as session:
            await get(session, "http://app.test/api/users")
        assert [each["type"] for each in seen] == ["lifespan", "http"]
        scope = seen[1]
        assert scope["client"] == ("192.0.2.1", 1234)
        assert scope["server"] == ("app.test", 80)
        assert (scope["root_path"], scope["path"]) == ("/api", "/api/users")

    async def test_the_context_of_the_request(self) -> None:
        """The application sees the caller's context variables; its own do not get out."""
        variable: ContextVar[str] = ContextVar("variable")
        seen = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            seen.append(variable.get())
            variable.set("the application's")
            await answer(send)

        async with session_for(app, lifespan="off") as session:
            for value in ("first", "second"):
                variable.set(value)
                await get(session, URL)
                assert variable.get() == value
        assert seen == ["first", "second"]

    async def test_each_request_is_a_connection(self) -> None:
        """There is nothing that a request could find in a bad state."""
        made = []
        config = TraceConfig()

        async def note(*args: object) -> None:
            made.append(args)

        config.on_connection_create_end.append(note)
        connector = ASGIConnector(sending(START, body(b"ok")), lifespan="off")
        async with ClientSession(connector=connector, trace_configs=[config]) as session:
            for _ in range(3):
                async with session.get(URL) as response:
                    assert response.headers.getall("Connection", []) == []
                    assert await response.text() == "ok"
        assert len(made) == 3


class TestRequestBody:
    async def test_it_is_streamed(self) -> None:
        """The application gets the pieces as they come, and the client waits for it."""
        seen: list[int] = []
        go = anyio.Event()
        produced = 0

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await go.wait()
            while (message := await receive())["more_body"]:
                seen.append(len(message["body"]))
            await answer(send, str(sum(seen) + len(message["body"])).encode())

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal produced
            for _ in range(20):
                produced += 1
                yield bytes(50_000)

        async with session_for(app, lifespan="off") as session, anyio.create_task_group() as group:

            async def post() -> None:
                async with session.post(URL, data=pieces()) as response:
                    assert await response.text() == "1000000"

            group.start_soon(post)
            await anyio.wait_all_tasks_blocked()
            assert 1 <= produced < 5  # the application has not taken anything yet
            go.set()
        assert len(seen) > 5

    async def test_nobody_reads_it(self) -> None:
        """The application may answer without it."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await answer(send, b"no, thanks")

        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield bytes(50_000)

        async with session_for(app, lifespan="off") as session:
            async with session.post(URL, data=pieces()) as response:
                assert await response.text() == "no, thanks"

    async def test_expect_continue(self) -> None:
        """The body comes when the application asks for it."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await anyio.wait_all_tasks_blocked()
            await answer(send, (await receive())["body"])

        async with session_for(app, lifespan="off") as session:
            async with session.post(URL, data=b"hello", expect100=True) as response:
                assert await response.text() == "hello"

    async def test_after_the_body(self) -> None:
        """A call waits for the end of the response, or of the connection."""
        seen = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            seen.append(await receive())
            async with anyio.create_task_group() as group:

                async def wait() -> None:
                    seen.append(await receive())

                group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                assert len(seen) == 1
                await answer(send)
            seen.append(await receive())

        async with session_for(app, lifespan="off") as session:
            async with session.get(URL) as response:
                assert await response.text() == "ok"
        assert seen == [
            {"type": "http.request", "body": b"", "more_body": False},
            {"type": "http.disconnect"},
            {"type": "http.disconnect"},
        ]

    async def test_an_answer_while_the_body_is_awaited(self) -> None:
        """Whoever waits for more of the body is told that nobody needs it."""
        seen = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            async with anyio.create_task_group() as group:

                async def read() -> None:
                    while (message := await receive())["type"] == "http.request":
                        seen.append(message["body"])

                group.start_soon(read)
                await anyio.wait_all_tasks_blocked()
                await answer(send)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await anyio.sleep_forever()

        async with session_for(app, lifespan="off") as session:
            async with session.post(URL, data=pieces()) as response:
                assert await response.text() == "ok"
        assert seen == [b"first"]


class TestResponse:
    async def test_it_is_streamed(self) -> None:
        """The client gets what the application has sent; the application waits for the client."""
        sent = 0

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            nonlocal sent
            await send(START)
            for _ in range(20):
                await send(body(bytes(50_000), more=True))
                sent += 1
            await send(body(b""))

        async with session_for(app, lifespan="off") as session:
            async with session.get(URL) as response:
                assert response.headers["Content-Type"] == "text/plain"
                await anyio.wait_all_tasks_blocked()
                assert 1 <= sent < 10
                assert len(await response.read()) == 1_000_000

    async def test_a_conversation(self) -> None:
        """Both directions can be open at the same time."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(START)
            while (message := await receive())["more_body"]:
                await send(body(message["body"].upper(), more=True))
            await send(body(b""))

        wrote, read = anyio.create_memory_object_stream[bytes]()
        async with session_for(app, lifespan="off") as session, wrote, read:

            async def pieces() -> AsyncIterator[bytes]:
                async for piece in read:
                    yield piece

            async with anyio.create_task_group() as group:
                group.start_soon(wrote.send, b"one")
                async with session.post(URL, data=pieces()) as response:
                    assert await response.content.readany() == b"ONE"
                    await wrote.send(b"two")
                    assert await response.content.readany() == b"TWO"
                    await wrote.aclose()
                    assert await response.content.readany() == b""

    @pytest.mark.parametrize("value", [b"x", bytearray(b"x"), memoryview(b"x")])
    async def test_kinds_of_bytes(self, value: bytes) -> None:
        """Frameworks send them as they have them."""
        async with session_for(sending(START, body(value))) as session:
            async with session.get(URL) as response:
                assert await response.read() == b"x"

    async def test_defaults(self) -> None:
        """Headers, body and more_body may be left out; a status may be an HTTPStatus."""
        app = sending(
            {"type": "http.response.start", "status": HTTPStatus.ACCEPTED},
            {"type": "http.response.body"},
        )
        async with session_for(app) as session:
            async with session.get(URL) as response:
                assert response.status == 202
                assert await response.read() == b""

    async def test_head(self) -> None:
        """The body is not sent, whatever the application does."""
        head = {**START, "headers": [(b"content-length", b"5")]}
        for parts in ([body(b"hello")], [body(b"")], [body(b"hel", more=True), body(b"lo")]):
            async with session_for(sending(head, *parts), lifespan="off") as session:
                async with session.head(URL) as response:
                    assert response.headers["Content-Length"] == "5"
                    assert await response.read() == b""

    @pytest.mark.parametrize("status", [204, 304])
    async def test_no_body(self, status: int) -> None:
        """Some statuses have none."""
        head = {"type": "http.response.start", "status": status}
        async with session_for(sending(head, body(b"")), lifespan="off") as session:
            async with session.get(URL) as response:
                assert response.status == status
                assert await response.read() == b""

    async def test_transfer_encoding(self) -> None:
        """It is the server's business, so that of the application is not sent."""
        head = {**START, "headers": [(b"Transfer-Encoding", b"chunked"), (b"content-length", b"2")]}
        async with session_for(sending(head, body(b"ok")), lifespan="off") as session:
            async with session.get(URL) as response:
                assert "Transfer-Encoding" not in response.headers
                assert await response.read() == b"ok"

    async def test_trailers(self) -> None:
        """They come after the body, in one message or several."""
        app = sending(
            {**START, "trailers": True},
            body(b"ok"),
            {
                "type": "http.response.trailers",
                "headers": [(b"x-one", b"1")],
                "more_trailers": True,
            },
            {"type": "http.response.trailers", "headers": [(b"x-two", b"2")]},
        )
        async with session_for(app, lifespan="off") as session:
            async with session.get(URL) as response:
                assert await response.text() == "ok"
                assert dict(response.trailers) == {"x-one": "1", "x-two": "2"}

    async def test_early_hints(self) -> None:
        """They come before the response, which is what the client shows."""
        app = sending(
            {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
            START,
            body(b"ok"),
        )
        async with session_for(app, lifespan="off") as session:
            async with session.get(URL) as response:
                assert (response.status, await response.text()) == (200, "ok")

    async def test_the_end_waits_for_the_application(self) -> None:
        """What it does after the response has happened when the test goes on."""
        done = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await answer(send)
            await anyio.wait_all_tasks_blocked()
            done.append("mail")

        async with session_for(app, lifespan="off") as session:
            async with session.get(URL):
                assert done == ["mail"]

    async def test_the_end_does_not_wait(self) -> None:
        """As a server does it, if the caller wants that."""
        done = []
        go = anyio.Event()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await answer(send)
            await go.wait()
            done.append("mail")

        async with session_for(app, lifespan="off", wait_for_background=False) as session:
            async with session.get(URL) as response:
                assert await response.text() == "ok"
                assert done == []
                go.set()
        assert done == ["mail"]  # the connector's end has waited


class Failure(Exception):
    """What applications fail with here."""


class TestFailures:
    """Applications that raise exceptions."""

    @pytest.mark.parametrize(
        "error",
        [
            Failure("no"),
            KeyError("x"),
            FileNotFoundError(2, "no such file"),
            ConnectionRefusedError(111, "no database"),
            TimeoutError("too slow"),
            ClientOSError(104, "another service"),
            ServerDisconnectedError(),
            BaseExceptionGroup("two", [Failure("one"), KeyboardInterrupt()]),
            pytest.fail.Exception("a failure of the test"),
            anyio.EndOfStream(),
            anyio.BrokenResourceError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("when", ["before", "within", "after"])
    async def test_it_comes_out_of_the_request(self, error: BaseException, when: str) -> None:
        """The very exception is raised, with its context, whatever it looks like."""
        error.__context__ = context = LookupError("context")
        error.__cause__ = None

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            if when == "within":
                await send(START)
                await send(body(b"half", more=True))
            elif when == "after":
                await answer(send)
            raise error

        async with session_for(app, lifespan="off") as session:
            with pytest.raises(type(error)) as caught:  # noqa: PT012
                async with session.get(URL) as response:
                    assert when == "within"
                    assert await response.content.readany() == b"half"
                    await response.read()
        assert caught.value is error
        assert error.__context__ is context
        assert error.__cause__ is None

    async def test_during_an_upload(self) -> None:
        """The application's exception is what the caller sees, not the broken pipe."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            raise Failure("no")

        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield bytes(50_000)

        async with session_for(app, lifespan="off") as session:
            with pytest.raises(Failure):
                await session.post(URL, data=pieces())
            with pytest.raises(Failure):
                await session.post(URL, data=bytes(1_000_000))

    async def test_a_request_that_is_no_http(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is wrong with it comes out of the request."""

        async def next_request(self: object) -> None:
            raise MalformedRequest("not a request line")

        monkeypatch.setattr(ServerConnection, "next_request", next_request)
        async with session_for(sending(START, body(b"ok")), lifespan="off") as session:
            with pytest.raises(MalformedRequest, match="not a request line"):
                await get(session, URL)

    async def test_it_is_told_as_a_failure(self) -> None:
        """Traces and middlewares see it."""
        told: list[BaseException] = []
        config = TraceConfig()

        async def note(session: object, context: object, params: Any) -> None:
            told.append(params.exception)

        config.on_request_exception.append(note)

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            raise Failure("no")

        connector = ASGIConnector(app, lifespan="off")
        async with ClientSession(connector=connector, trace_configs=[config]) as session:
            with pytest.raises(Failure) as caught:
                await get(session, URL)
        assert told == [caught.value]

    async def test_a_status_500(self, caplog: pytest.LogCaptureFixture) -> None:
        """A server answers so if nothing has been sent; the head alone does not count."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(START)
            raise Failure("no")

        async with session_for(app, lifespan="off", raise_app_exceptions=False) as session:
            async with session.get(URL) as response:
                assert (response.status, await response.text()) == (500, "Internal Server Error")
        assert "the application failed in answer to GET http://app.test/" in caplog.text
        assert "Failure: no" in caplog.text

    async def test_a_broken_response(self) -> None:
        """Later the server can only break the connection."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(START)
            await send(body(b"half", more=True))
            raise Failure("no")

        async with session_for(app, lifespan="off", raise_app_exceptions=False) as session:
            async with session.get(URL) as response:
                assert await response.content.readany() == b"half"
                with pytest.raises(ClientPayloadError):
                    await response.read()

    @pytest.mark.parametrize("wait", [True, False])
    async def test_after_a_whole_response(self, wait: bool) -> None:
        """It is the response, as servers have sent it by then."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await answer(send)
            raise Failure("no")

        async with session_for(
            app, lifespan="off", raise_app_exceptions=False, wait_for_background=wait
        ) as session:
            async with session.get(URL) as response:
                assert await response.text() == "ok"

    async def test_after_a_response_that_has_been_read(self) -> None:
        """No request can raise it any more, so closing the session does."""
        go = anyio.Event()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await answer(send)
            await go.wait()
            raise Failure(scope["path"])

        async def get(*paths: str) -> None:
            async with session_for(app, lifespan="off", wait_for_background=False) as session:
                for path in paths:
                    async with session.get(f"http://app.test/{path}") as response:
                        assert await response.text() == "ok"
                go.set()

        with pytest.raises(Failure, match="/one"):
            await get("one")
        with pytest.raises(ExceptionGroup, match="calls of the application failed") as caught:
            await get("one", "two")
        assert sorted(map(str, caught.value.exceptions)) == ["/one", "/two"]

    async def test_a_response_that_is_not_read(self) -> None:
        """Closing the session raises what the request would have raised."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await send(START)
            await send(body(b"half", more=True))
            raise Failure("no")

        session = session_for(app, lifespan="off")
        async with session.get(URL):
            await anyio.wait_all_tasks_blocked()
        with pytest.raises(Failure):
            await session.close()
        await session.close()

    async def test_after_the_client_has_left(self, caplog: pytest.LogCaptureFixture) -> None:
        """Many applications fail because of that, so the exception is only logged."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            if (await receive())["type"] == "http.disconnect":
                raise Failure("the client has left")

        async with session_for(app, lifespan="off") as session:
            await cancel_when(lambda: get(session, URL), anyio.wait_all_tasks_blocked)
            await anyio.wait_all_tasks_blocked()
        assert "the client has left" in caplog.text

    async def test_the_application_cancels_itself(self) -> None:
        """The connection breaks, as with a server."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            raise anyio.get_cancelled_exc_class()

        if anyio.get_cancelled_exc_class().__module__.startswith("trio"):
            pytest.skip("trio has no such exceptions")
        async with session_for(app, lifespan="off") as session:
            with pytest.raises(ClientConnectionError):
                await get(session, URL)


RULES = [
    ([], "returned without sending a response"),
    ([START], "returned before the end of the response: it has sent no http.response.body"),
    ([START, body(b"x", more=True)], "returned before the end of the response"),
    ([body(b"x")], "sent http.response.body before http.response.start"),
    ([START, START], "sent http.response.start after http.response.start"),
    ([START, body(b""), START], "sent http.response.start after the end of the response"),
    ([START, body(b""), body(b"")], "sent http.response.body after the end of the response"),
    (["hello"], "sent a str, not a dictionary"),
    ([{}], "sent a message whose 'type' is None: {}"),
    ([{"type": b"x"}], "sent a message whose 'type' is b'x'"),
    ([{"type": "websocket.send"}], "'websocket.send', which is not a message for an HTTP response"),
    ([{**START, "status": "200"}], "with the status '200', not a number from 200 to 999"),
    ([{**START, "status": True}], "with the status True, not a number"),
    ([{**START, "status": 101}], "with the status 101, not a number from 200 to 999"),
    ([{"type": "http.response.start"}], "with the status None, not a number"),
    ([{**START, "headers": {"a": "b"}}], "whose 'headers' is a dict, not a list of pairs"),
    ([{**START, "headers": None}], "whose 'headers' is a NoneType, not a list of pairs"),
    ([{**START, "headers": [b"ab"]}], r"with b'ab' in place of a pair in 'headers'"),
    ([{**START, "headers": [("a", "b")]}], "with the header 'a': 'b'; both must be bytes"),
    ([{**START, "headers": [(b"a", b"b\r\nc: d")]}, body(b"")], "start with a bad header: .*'?a'?"),
    ([{**START, "headers": [(b"a b", b"c")]}, body(b"")], "start with a bad header: .*'a b'"),
    ([{**START, "headers": [(b"content-length", b"x")]}], "Content-Length b'x', not a number"),
    ([START, body("text")], "sent http.response.body whose 'body' is a str, not bytes"),  # type: ignore[arg-type]
    ([{**START, "headers": [(b"Content-Length", b"2")]}, body(b"abc")], "1 bytes more than its"),
    (
        [{**START, "headers": [(b"Content-Length", b"2")]}, body(b"ab", more=True), body(b"c")],
        "1 bytes more than its Content-Length",
    ),
    ([{**START, "headers": [(b"Content-Length", b"4")]}, body(b"abc")], "1 bytes less than its"),
    ([{**START, "status": 204}, body(b"abc")], "3 bytes of body with the status 204, which"),
    ([{**START, "trailers": True}, body(b"")], "returned without the trailers that it had"),
    (
        [START, body(b""), {"type": "http.response.trailers"}],
        "sent http.response.trailers without announcing them by 'trailers': True",
    ),
    ([START, {"type": "http.response.trailers"}], "trailers after http.response.start"),
    ([START, {"type": "http.response.early_hint"}], "early_hint after http.response.start"),
    ([{"type": "http.response.early_hint", "links": ["x"]}], "whose 'links' is not a list of"),
    ([{"type": "http.response.early_hint", "links": b"x"}], "whose 'links' is not a list of"),
    (
        [{**START, "trailers": True, "headers": [(b"content-length", b"0")]}, body(b""),
         {"type": "http.response.trailers", "headers": [(b"a", b"b")]}],
        "sent http.response.trailers for a body with Content-Length",
    ),
    (
        [{**START, "trailers": True}, body(b""),
         {"type": "http.response.trailers", "headers": [(b"a b", b"c")]}],
        "sent http.response.trailers with a bad header: .*'a b'",
    ),
]  # fmt: skip


class TestRules:
    """Applications that break the rules are told what they did."""

    @pytest.mark.parametrize(("messages", "text"), RULES)
    @pytest.mark.once
    async def test_messages(self, messages: Messages, text: str) -> None:
        async with session_for(sending(*messages), lifespan="off") as session:
            with pytest.raises(ASGIProtocolError, match=text) as caught:
                async with session.get(f"{URL}path") as response:
                    await response.read()
        assert str(caught.value).startswith("the application ")
        assert str(caught.value).endswith("(in answer to GET /path)")

    async def test_a_server_answers(self) -> None:
        """A server has a status 500 for it."""
        async with session_for(sending(), lifespan="off", raise_app_exceptions=False) as session:
            async with session.get(URL) as response:
                assert response.status == 500

    async def test_not_awaitable(self) -> None:
        """A function that is not async, for instance."""

        def app(scope: Any, receive: Receive, send: Send) -> int:
            return 5

        async with session_for(app, lifespan="off") as session:
            with pytest.raises(
                ASGIProtocolError, match=r"must return an awaitable .* returned a int"
            ):
                await get(session, URL)


def wsgi_app(environ: Any, start_response: Any) -> list[bytes]:
    """Take what WSGI applications take."""
    return []


class TestArguments:
    @pytest.mark.once
    async def test_bad_ones(self) -> None:
        """The message names the argument."""
        for app, text in (
            ("x", "app must be a callable, not str"),
            (wsgi_app, r"app must be an ASGI 3 application, .* takes \(environ: .* WSGIConnector"),
            (lambda scope: None, "app must be an ASGI 3 application"),
        ):
            with pytest.raises(TypeError, match=text):
                ASGIConnector(app)  # type: ignore[arg-type]
        app = sending()
        with pytest.raises(ValueError, match="root_path must begin with a slash, not be 'api'"):
            ASGIConnector(app, root_path="api")
        with pytest.raises(ValueError, match="lifespan must be 'auto', 'on' or 'off', not 'yes'"):
            ASGIConnector(app, lifespan="yes")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="client must be a tuple of host and port, not '::1'"):
            ASGIConnector(app, client="::1")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="shutdown_timeout"):
            ASGIConnector(app, shutdown_timeout=-1)
        with pytest.raises(TypeError, match="raise_app_exceptions"):
            ASGIConnector(app, raise_app_exceptions=1)  # type: ignore[arg-type]

    async def test_a_callable_without_a_signature(self) -> None:
        """What it returns is judged when it is called."""
        async with session_for(type, lifespan="off") as session:
            with pytest.raises(TypeError):
                await get(session, URL)

    async def test_callable_objects(self) -> None:
        """An application is often an object."""

        class App:
            async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
                await answer(send)

        async with session_for(App(), lifespan="off") as session:
            response: ClientResponse = await session.get(URL)
            assert await response.text() == "ok"

    async def test_the_network_is_not_used(self) -> None:
        """A session with another connector of its own is not concerned."""
        async with session_for(sending(START, body(b"ok")), lifespan="off") as session:
            async with ClientSession(connector=TCPConnector()) as other:
                assert await get(session, URL) == b"ok"
                assert not other.closed
