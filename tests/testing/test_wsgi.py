"""WSGI applications in memory."""

from __future__ import annotations

import threading
import wsgiref.validate
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import flask
import pytest

from anyhttp import ClientConnectionError, ClientPayloadError, ClientSession
from anyhttp.testing import WSGIConnector, WSGIProtocolError
from tests.support.cancel import cancel_when
from tests.support.client import get

URL = "http://app.test/"
Start = Callable[..., Callable[[bytes], object]]
TEXT = [("Content-Type", "text/plain")]


def session_for(app: Any, **options: Any) -> ClientSession:
    """Return a session that calls *app*."""
    return ClientSession(connector=WSGIConnector(app, **options))


def answering(*pieces: Any, status: Any = "200 OK", headers: Any = TEXT) -> Any:
    """Return an application that answers so."""

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[Any]:
        start_response(status, headers)
        return pieces

    return app


class TestEnvironment:
    async def test_a_request(self) -> None:
        seen: list[dict[str, Any]] = []

        def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
            seen.append(environ)
            start_response("200 OK", TEXT)
            return [environ["wsgi.input"].read()]

        async with session_for(app, root_path="/api/", client=("192.0.2.1", 1234)) as session:
            async with session.post(
                "https://app.test/api/%C3%BC/x%20y?a=1&b=%20",
                data=b"hello",
                headers=[("X-One", "1"), ("X-One", "2"), ("Content-Type", "text/plain")],
                cookies={"a": "b", "c": "d"},
            ) as response:
                assert await response.read() == b"hello"
        [environ] = seen
        shown = {
            name: value
            for name, value in environ.items()
            if isinstance(value, (str, bool)) and name not in {"HTTP_USER_AGENT", "HTTP_ACCEPT"}
        }
        assert shown == {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "/api",
            "PATH_INFO": "/ü/x y".encode().decode("latin-1"),
            "QUERY_STRING": "a=1&b=%20",
            "CONTENT_TYPE": "text/plain",
            "CONTENT_LENGTH": "5",
            "SERVER_NAME": "app.test",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "REMOTE_PORT": "1234",
            "HTTP_HOST": "app.test",
            "HTTP_X_ONE": "1,2",
            "HTTP_COOKIE": "a=b; c=d",
            "HTTP_ACCEPT_ENCODING": environ["HTTP_ACCEPT_ENCODING"],
            "wsgi.url_scheme": "https",
            "wsgi.input_terminated": True,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        assert environ["wsgi.version"] == (1, 0)

    async def test_the_rules(self) -> None:
        """The validator of the standard library has nothing to complain of."""
        app = wsgiref.validate.validator(answering(b"o", b"k"))
        async with session_for(app) as session:
            assert await get(session, f"{URL}path?x=1") == b"ok"

    async def test_the_context_of_the_request(self) -> None:
        variable: ContextVar[str] = ContextVar("variable")

        def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
            start_response("200 OK", TEXT)
            return [variable.get().encode()]

        variable.set("here")
        async with session_for(app) as session:
            assert await get(session, URL) == b"here"


class TestBodies:
    async def test_an_upload_is_streamed(self) -> None:
        """The application reads it in whatever pieces it likes."""

        def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
            stream = environ["wsgi.input"]
            read = [stream.readline(), stream.read(3), *stream]
            start_response("200 OK", TEXT)
            return [repr([read[:3], len(read)]).encode()]

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(1_000):
                yield b"line of text\n"

        async with session_for(app) as session:
            async with session.post(URL, data=pieces()) as response:
                assert (
                    await response.text() == "[[b'line of text\\n', b'lin', b'e of text\\n'], 1001]"
                )

    async def test_a_response_is_streamed(self) -> None:
        """The client gets what is there; the application waits for the client."""
        sent = 0
        closed = []
        go = threading.Event()

        class Pieces:
            def __iter__(self) -> Iterator[bytes]:
                nonlocal sent
                yield b"first"
                go.wait(10)
                for _ in range(20):
                    yield bytes(50_000)
                    sent += 1

            def close(self) -> None:
                closed.append(True)

        def app(environ: dict[str, Any], start_response: Start) -> Any:
            start_response("200 OK", TEXT)
            return Pieces()

        async with session_for(app) as session:
            async with session.get(URL) as response:
                assert await response.content.readany() == b"first"
                assert sent == 0
                go.set()
                assert len(await response.content.readexactly(50_000)) == 50_000
                assert sent < 10
                assert len(await response.read()) == 950_000
                assert closed == [True]

    async def test_write(self) -> None:
        """The old way to send a body."""

        def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
            write = start_response("200 OK", TEXT)
            write(b"one ")
            write(b"two ")
            return [b"three"]

        async with session_for(app) as session:
            assert await get(session, URL) == b"one two three"

    @pytest.mark.parametrize("pieces", [[b"hel", b"lo"], [b"hello"], [b"", b"hello", b""]])
    async def test_content_length(self, pieces: list[bytes]) -> None:
        app = answering(*pieces, headers=[*TEXT, ("Content-Length", "5")])
        async with session_for(app) as session:
            async with session.get(URL) as response:
                assert response.content_length == 5
                assert await response.read() == b"hello"
            async with session.head(URL) as response:
                assert response.content_length == 5
                assert await response.read() == b""

    async def test_no_body(self) -> None:
        async with session_for(answering(status="204 No Content", headers=[])) as session:
            async with session.get(URL) as response:
                assert (response.status, await response.read()) == (204, b"")

    async def test_the_reason(self) -> None:
        async with session_for(answering(b"x", status="418 Short and Stout")) as session:
            async with session.get(URL) as response:
                assert response.reason == "Short and Stout"


class Failure(Exception):
    """What applications fail with here."""


class TestFailures:
    @pytest.mark.parametrize("error", [Failure("no"), FileNotFoundError(2, "no such file")])
    @pytest.mark.parametrize("when", ["before", "within", "at the end"])
    async def test_it_comes_out_of_the_request(self, error: Exception, when: str) -> None:
        class Pieces:
            def __iter__(self) -> Iterator[bytes]:
                yield b"half"
                if when == "within":
                    raise error

            def close(self) -> None:
                if when == "at the end":
                    raise error

        def app(environ: dict[str, Any], start_response: Start) -> Any:
            if when == "before":
                raise error
            start_response("200 OK", [("Content-Length", "4")] if when == "at the end" else TEXT)
            return Pieces()

        async with session_for(app) as session:
            with pytest.raises(type(error)) as caught:  # noqa: PT012
                async with session.get(URL) as response:
                    assert when == "within"
                    await response.read()
        assert caught.value is error

    async def test_as_a_server(self, caplog: pytest.LogCaptureFixture) -> None:
        def app(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
            start_response("200 OK", TEXT)
            if environ["PATH_INFO"] == "/half":
                yield b"half"
            raise Failure("no")

        async with session_for(app, raise_app_exceptions=False) as session:
            async with session.get(URL) as response:
                assert (response.status, await response.text()) == (500, "Internal Server Error")
            async with session.get(f"{URL}half") as response:
                assert await response.content.readany() == b"half"
                with pytest.raises(ClientPayloadError):
                    await response.read()
        assert "Failure: no" in caplog.text

    async def test_another_response(self) -> None:
        """An application may change its mind, with exc_info, while nothing has been sent."""

        def app(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
            start_response("200 OK", TEXT)
            if environ["PATH_INFO"] == "/sent":
                yield b"half"
            try:
                raise Failure("no")
            except Failure as exc:
                start_response("503 Busy", TEXT, (type(exc), exc, exc.__traceback__))
            yield b"later"

        async with session_for(app) as session:
            async with session.get(URL) as response:
                assert (response.status, await response.text()) == (503, "later")
            with pytest.raises(Failure):
                async with session.get(f"{URL}sent") as response:
                    await response.read()

    @pytest.mark.parametrize(
        ("app", "text"),
        [
            (lambda environ, start_response: [], "has not called start_response"),
            (lambda environ, start_response: [b"x"], "has not called start_response"),
            (answering("x"), "sent a body of str, not bytes"),
            (answering(status=200), "called start_response with the status 200"),
            (answering(status="OK"), "called start_response with the status 'OK'"),
            (answering(headers=[(b"a", "b")]), "the header b'a': 'b'; both must be str"),
            (answering(headers=[("a b", "c")]), "start_response with a bad header: .*'a b'"),
            (answering(b"abc", headers=[("Content-Length", "2")]), "1 bytes more than its Content"),
            (answering(b"abc", headers=[("Content-Length", "4")]), "1 bytes less than its Content"),
            (
                lambda environ, start_response: (
                    start_response("200 OK", []) and start_response("200 OK", [])
                ),
                "called start_response a second time, without exc_info",
            ),
        ],
    )
    @pytest.mark.once
    async def test_rules(self, app: Any, text: str) -> None:
        async with session_for(app) as session:
            with pytest.raises(WSGIProtocolError, match=text) as caught:
                await get(session, f"{URL}path")
        assert str(caught.value).endswith("(in answer to GET /path)")

    @pytest.mark.once
    async def test_arguments(self) -> None:
        with pytest.raises(TypeError, match="app must be a callable, not str"):
            WSGIConnector("x")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="root_path must begin with a slash, not be 'api'"):
            WSGIConnector(answering(), root_path="api")


class TestEndings:
    async def test_the_client_leaves(self) -> None:
        """The application learns of it when it next sends."""
        errors = []

        def app(environ: dict[str, Any], start_response: Start) -> Iterator[bytes]:
            start_response("200 OK", TEXT)
            try:
                while True:
                    yield bytes(50_000)
            except GeneratorExit as exc:  # what has raised the error closes the iterator
                errors.append(exc)
                raise

        async with session_for(app) as session:
            async with session.get(URL) as response:
                await response.content.readany()
        assert len(errors) == 1

    async def test_it_waits_for_the_body(self) -> None:
        """The wait of a thread ends with the request."""
        errors = []
        over = anyio.Event()

        def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
            try:
                environ["wsgi.input"].read()
            except ConnectionError as exc:
                errors.append(str(exc))
                raise
            finally:
                anyio.from_thread.run_sync(over.set)
            return []

        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await anyio.sleep_forever()

        async with session_for(app) as session:

            async def post() -> None:
                await session.post(URL, data=pieces())

            await cancel_when(post, anyio.wait_all_tasks_blocked)
            await over.wait()
        assert len(errors) == 1

    async def test_the_session_is_closed(self) -> None:
        """Its end waits for the thread."""
        done = []
        started = anyio.Event()
        go = threading.Event()

        def app(environ: dict[str, Any], start_response: Start) -> list[bytes]:
            anyio.from_thread.run_sync(started.set)
            go.wait(10)
            done.append(True)
            return []

        session = session_for(app)

        async def ask() -> None:
            with pytest.raises(ClientConnectionError):
                await get(session, URL)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await started.wait()
            group.start_soon(session.close)
            await anyio.lowlevel.checkpoint()
            go.set()
        assert done == [True]


class TestFlask:
    async def test_an_application(self) -> None:
        app = flask.Flask(__name__)
        app.secret_key = "secret"

        @app.post("/login")
        def login() -> Any:
            flask.session["user"] = flask.request.form["name"]
            return flask.redirect(flask.url_for("me"))

        @app.get("/me")
        def me() -> Any:
            return {"user": flask.session["user"]}

        @app.get("/count")
        def count() -> Any:
            return (f"{number}\n" for number in range(1000))

        @app.get("/fail")
        def fail() -> Any:
            raise KeyError("typo")

        async with session_for(app) as session:
            async with session.post(f"{URL}login", data={"name": "ada"}) as response:
                assert await response.json() == {"user": "ada"}
            async with session.get(f"{URL}count") as response:
                assert [int(line) async for line in response.content] == list(range(1000))
            async with session.get(f"{URL}fail") as response:
                assert response.status == 500
            app.testing = True  # Flask passes exceptions on
            with pytest.raises(KeyError, match="typo"):
                await get(session, f"{URL}fail")
