"""WebSockets to ASGI applications in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from anyhttp import ClientConnectionError, ClientSession, WSMsgType, WSServerHandshakeError
from anyhttp.testing import ASGIConnector, ASGIProtocolError
from tests.support.cancel import cancel_when

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

URL = "wss://app.test/chat%20room?x=1"
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
DENY = {
    "type": "websocket.http.response.start",
    "status": 418,
    "headers": [(b"content-type", b"text/plain")],
}


def session_for(app: Any, **options: Any) -> ClientSession:
    """Return a session that calls *app*."""
    return ClientSession(connector=ASGIConnector(app, lifespan="off", **options))


def sending(*messages: Any) -> Any:
    """Return an application that sends *messages* after websocket.connect."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        assert await receive() == {"type": "websocket.connect"}
        for message in messages:
            await send(message)

    return app


def deny_body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    """Return the message for a part of the body of a refusal."""
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


async def echo(scope: Any, receive: Receive, send: Send) -> None:
    """Accept, and send back what comes."""
    assert (await receive())["type"] == "websocket.connect"
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


class TestAccepted:
    async def test_scope(self) -> None:
        seen: list[Any] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            seen.append(scope)
            await echo(scope, receive, send)

        async with session_for(app) as session:
            async with session.ws_connect(URL, protocols=["chat", "superchat"]):
                pass
        [scope] = seen
        headers = dict(scope.pop("headers"))
        assert headers[b"host"] == b"app.test"
        assert headers[b"upgrade"] == b"websocket"
        assert scope == {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "wss",
            "path": "/chat room",
            "raw_path": b"/chat%20room",
            "query_string": b"x=1",
            "root_path": "",
            "client": ("127.0.0.1", 50000),
            "server": ("app.test", 443),
            "subprotocols": ["chat", "superchat"],
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }

    @pytest.mark.parametrize("scheme", ["ws", "http"])
    async def test_messages(self, scheme: str) -> None:
        """Text and bytes of any size go both ways."""
        schemes: list[str] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            schemes.append(scope["scheme"])
            await echo(scope, receive, send)

        async with session_for(app) as session:
            async with session.ws_connect(f"{scheme}://app.test/", compress=15) as ws:
                for text in ("hello", "", "ü" * 100_000):
                    await ws.send_str(text)
                    assert await ws.receive_str() == text
                for data in (b"\xff", b"", bytes(300_000)):
                    with anyio.fail_after(5):
                        await ws.send_bytes(data)
                        assert await ws.receive_bytes() == data
        assert schemes == ["ws"]

    async def test_headers_and_subprotocol(self) -> None:
        """The application chooses them."""
        app = sending({**ACCEPT, "subprotocol": "chat", "headers": [(b"set-cookie", b"a=b")]})
        async with session_for(app) as session:
            async with session.ws_connect(URL, protocols=["chat"]) as ws:
                assert ws.protocol == "chat"
                assert [(each.key, each.value) for each in session.cookie_jar] == [("a", "b")]

    async def test_backpressure(self) -> None:
        """The application waits for a client that does not receive."""
        sent = 0

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            nonlocal sent
            await receive()
            await send(ACCEPT)
            for _ in range(20):
                await send({"type": "websocket.send", "bytes": bytes(50_000)})
                sent += 1

        async with session_for(app) as session:
            async with session.ws_connect(URL) as ws:
                await anyio.wait_all_tasks_blocked()
                assert sent < 10
                for _ in range(20):
                    assert len(await ws.receive_bytes()) == 50_000
                assert (await ws.receive()).type is WSMsgType.CLOSE

    async def test_the_application_closes(self) -> None:
        """The client gets code and reason."""
        app = sending(ACCEPT, {**CLOSE, "code": 4000, "reason": "enough"})
        async with session_for(app) as session:
            async with session.ws_connect(URL) as ws:
                message = await ws.receive()
                assert (message.type, message.data, message.extra) == (
                    WSMsgType.CLOSE, 4000, "enough",
                )  # fmt: skip
                assert ws.close_code == 4000

    @pytest.mark.parametrize("reason", [{}, {"reason": None}])
    async def test_no_code(self, reason: Any) -> None:
        async with session_for(sending(ACCEPT, {**CLOSE, **reason})) as session:
            async with session.ws_connect(URL) as ws:
                assert (await ws.receive()).type is WSMsgType.CLOSE
                assert ws.close_code == 1000

    async def test_closing_does_not_wait_for_the_client(self) -> None:
        """The application goes on, as with a server; other tasks may be receiving."""
        seen = []
        closed = anyio.Event()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(ACCEPT)
            async with anyio.create_task_group() as group:

                async def wait() -> None:
                    seen.append(await receive())

                group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await send(CLOSE)
                closed.set()

        async with session_for(app) as session:
            async with session.ws_connect(URL) as ws:
                await closed.wait()
                assert (await ws.receive()).type is WSMsgType.CLOSE
        assert seen == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    async def test_what_comes_after_that_is_dropped(self) -> None:
        """The client may have sent it before it knew."""
        seen: list[Any] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(ACCEPT)
            await send(CLOSE)
            seen.append((await receive())["type"])

        async with session_for(app) as session, session.ws_connect(URL) as ws:
            await ws.send_str("late")
            await ws.send_str("and more")
            assert (await ws.receive()).type is WSMsgType.CLOSE
            assert ws.close_code == 1000
            await anyio.wait_all_tasks_blocked()
            assert seen == ["websocket.disconnect"]

    async def test_it_returns(self) -> None:
        """Returning closes the WebSocket."""
        async with session_for(sending(ACCEPT)) as session:
            async with session.ws_connect(URL) as ws:
                assert (await ws.receive()).type is WSMsgType.CLOSE
                assert ws.close_code == 1000

    async def test_a_task_that_receives_before_accept(self) -> None:
        """It gets what comes after."""
        seen = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            async with anyio.create_task_group() as group:

                async def wait() -> None:
                    seen.append(await receive())

                group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await send(ACCEPT)

        async with session_for(app) as session:
            async with session.ws_connect(URL) as ws:
                await ws.send_str("hello")
        assert seen == [{"type": "websocket.receive", "text": "hello"}]


class TestDisconnect:
    @pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4001, "bye")])
    async def test_the_client_closes(self, code: int, reason: str) -> None:
        """The application is told how, and again if it asks again; sending fails."""
        seen: list[Any] = []
        errors: list[Exception] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(ACCEPT)
            seen.extend([await receive(), await receive()])
            for message in ({"type": "websocket.send", "text": "x"}, CLOSE):
                try:
                    await send(message)
                except OSError as exc:
                    errors.append(exc)

        async with session_for(app) as session:
            async with session.ws_connect(URL) as ws:
                await ws.close(code=code, message=reason.encode())
        message = {"type": "websocket.disconnect", "code": code, "reason": reason}
        assert seen == [message, message]
        assert [str(error) for error in errors] == [
            f"the WebSocket is closed: {code} {reason}".rstrip()
        ] * 2

    async def test_the_connection_ends(self) -> None:
        """The code says that there was no CLOSE frame."""
        seen = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(ACCEPT)
            seen.append(await receive())

        session = session_for(app)
        ws = await session.ws_connect(URL)
        await session.close()
        await ws.close()
        assert seen == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    async def test_during_the_handshake(self) -> None:
        """The client gives up before the application has decided."""
        seen = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            seen.extend([await receive(), await receive()])
            with pytest.raises(OSError, match="1006"):
                await send(ACCEPT)

        async with session_for(app) as session:

            async def connect() -> None:
                await session.ws_connect(URL)

            await cancel_when(connect, anyio.wait_all_tasks_blocked)
            await anyio.wait_all_tasks_blocked()
        assert [each["type"] for each in seen] == ["websocket.connect", "websocket.disconnect"]

    async def test_a_sending_application(self) -> None:
        """Whoever only sends learns of it by an exception."""
        errors = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(ACCEPT)
            try:
                while True:
                    await send({"type": "websocket.send", "text": "x" * 1000})
            except OSError as exc:
                errors.append(exc)

        async with session_for(app) as session:
            async with session.ws_connect(URL):
                pass
        assert len(errors) == 1


class TestTheEndOfTheSession:
    async def test_an_application_that_does_something_else(self) -> None:
        """It is cancelled, and so is what reads for it."""
        cancelled = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(ACCEPT)
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                cancelled.append(True)
                raise

        async with session_for(app) as session:
            ws = await session.ws_connect(URL)
            await ws.send_str("nobody reads this")
            await session.close()
            assert ws.closed
        assert cancelled == [True]


class TestRefused:
    async def test_close_before_accept(self) -> None:
        """It is a status 403."""
        async with session_for(sending(CLOSE)) as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect(URL)
            assert caught.value.status == 403

    async def test_a_response(self) -> None:
        """The application may send one, in parts."""
        app = sending(DENY, deny_body(b"I am ", more=True), deny_body(b"a teapot"))
        async with session_for(app) as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect(URL)
            assert caught.value.status == 418
            assert caught.value.headers is not None
            assert caught.value.headers["Content-Type"] == "text/plain"

    async def test_a_response_does_not_wait_for_the_application(self) -> None:
        """Unless the connector waits for what it does in the background."""
        go_on, over = anyio.Event(), anyio.Event()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(DENY)
            await send(deny_body(b"no"))
            await go_on.wait()
            over.set()

        async with session_for(app, wait_for_background=False) as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect(URL)
            assert caught.value.status == 418
            assert caught.value.body == b"no"
            assert not over.is_set()
            go_on.set()
            await over.wait()

    async def test_a_response_to_a_client_that_has_gone(self) -> None:
        """Sending it is an error, from which the application learns that."""
        errors: list[OSError] = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(DENY)
            try:
                while True:
                    await send(deny_body(bytes(100_000), more=True))
            except OSError as exc:
                errors.append(exc)
                raise

        async with session_for(app) as session:
            with pytest.raises(WSServerHandshakeError) as caught:  # with a part of the body
                await session.ws_connect(URL)
            assert caught.value.status == 418
            await anyio.wait_all_tasks_blocked()
            assert len(errors) == 1

    async def test_afterwards(self) -> None:
        """Nothing more can be received."""
        seen = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(CLOSE)
            seen.append(await receive())

        async with session_for(app) as session:
            with pytest.raises(WSServerHandshakeError):
                await session.ws_connect(URL)
        assert seen == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]

    async def test_no_handshake(self) -> None:
        """A request that only looks like one is refused, with the reason."""
        errors = []

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            try:
                await send(ACCEPT)
            except OSError as exc:
                errors.append(exc)

        async with session_for(app) as session:
            headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
            async with session.get("http://app.test/", headers=headers) as response:
                assert response.status == 400
                assert "Sec-WebSocket" in await response.text()
        assert len(errors) == 1


class Failure(Exception):
    """What applications fail with here."""


class TestFailures:
    @pytest.mark.parametrize("error", [Failure("no"), FileNotFoundError(2, "no such file")])
    async def test_before_accept(self, error: Exception) -> None:
        """The exception comes out of the handshake."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            raise error

        async with session_for(app) as session:
            with pytest.raises(type(error)) as caught:
                await session.ws_connect(URL)
        assert caught.value is error

    @pytest.mark.parametrize("error", [Failure("no"), FileNotFoundError(2, "no such file")])
    async def test_after_accept(self, error: Exception) -> None:
        """The exception comes out of receive(), after the messages that were sent before."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(ACCEPT)
            await send({"type": "websocket.send", "text": "hello"})
            raise error

        async with session_for(app) as session:
            async with session.ws_connect(URL) as ws:
                assert await ws.receive_str() == "hello"
                with pytest.raises(type(error)) as caught:
                    await ws.receive()
        assert caught.value is error

    async def test_a_heartbeat_meets_it(self) -> None:
        """The exception waits for the next call of receive()."""
        go = anyio.Event()

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(ACCEPT)
            await go.wait()
            raise Failure("no")

        async with session_for(app) as session, anyio.create_task_group() as group:
            async with session.ws_connect(URL, heartbeat=3600) as ws:
                heartbeat: Any = ws._heartbeat
                group.start_soon(ws._receiver.read_ahead, heartbeat)  # as it does after a ping
                await anyio.wait_all_tasks_blocked()
                go.set()
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(Failure):
                    await ws.receive()

    async def test_in_a_group(self) -> None:
        """That of an application with tasks of its own is raised as it is."""
        group = ExceptionGroup("of tasks", [Failure("no")])

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            raise group

        async with session_for(app) as session:
            with pytest.raises(ExceptionGroup) as caught:
                await session.ws_connect(URL)
            assert caught.value is group

    async def test_as_a_server(self) -> None:
        """A status 500, or the code 1011."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            if scope["path"] == "/accept":
                await send(ACCEPT)
            raise Failure("no")

        async with session_for(app, raise_app_exceptions=False) as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect("ws://app.test/")
            assert caught.value.status == 500
            async with session.ws_connect("ws://app.test/accept") as ws:
                assert (await ws.receive()).type is WSMsgType.CLOSE
                assert ws.close_code == 1011

    @pytest.mark.parametrize("more", [True, False])
    async def test_while_refusing(self, more: bool) -> None:
        """What has been sent decides, as for other responses."""

        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(DENY)
            await send(deny_body(b"no", more=more))
            raise Failure("no")

        async with session_for(app, raise_app_exceptions=False) as session:
            with pytest.raises(WSServerHandshakeError) as caught:
                await session.ws_connect(URL)
            assert caught.value.status == 418

    async def test_after_refusing(self) -> None:
        async def app(scope: Any, receive: Receive, send: Send) -> None:
            await receive()
            await send(CLOSE)
            raise Failure("no")

        async with session_for(app, raise_app_exceptions=False) as session:
            with pytest.raises((WSServerHandshakeError, ClientConnectionError)):
                await session.ws_connect(URL)


RULES = [
    ([], "returned without accepting or refusing the WebSocket"),
    ([{"type": "websocket.send", "text": ""}], "sent websocket.send before websocket.accept"),
    ([DENY], "returned before the end of the response: .* no websocket.http.response.body"),
    ([DENY, ACCEPT], "sent websocket.accept before websocket.accept"),
    ([DENY, DENY], "sent websocket.http.response.start after websocket.http.response.start"),
    ([deny_body(b"")], "sent websocket.http.response.body before websocket.http.response.start"),
    ([{"type": "http.response.start"}], "'http.response.start', which is not a message for a WebS"),
    ([{"type": "websocket.http.response.trailers"}], "not a message for a WebSocket"),
    ([{**ACCEPT, "subprotocol": b"x"}], "whose 'subprotocol' is a bytes, not a str"),
    ([{**ACCEPT, "headers": [("a", "b")]}], "with the header 'a': 'b'; both must be bytes"),
    ([{**ACCEPT, "headers": [(b"a b", b"c")]}], "websocket.accept with a bad header: .*'a b'"),
]  # fmt: skip
RULES_LATER = [
    ([ACCEPT], "sent websocket.accept after websocket.accept"),
    ([DENY], "sent websocket.http.response.start after websocket.accept"),
    ([{"type": "websocket.send"}], "must have either 'text' or 'bytes', and has neither"),
    ([{"type": "websocket.send", "text": "", "bytes": b""}], "'bytes', and has both"),
    ([{"type": "websocket.send", "text": b""}], "whose 'text' is a bytes, not a str"),
    ([{"type": "websocket.send", "bytes": ""}], "websocket.send whose 'bytes' is a str, not bytes"),
    ([{**CLOSE, "code": "1000"}], "websocket.close with the code '1000' and reason ''"),
    ([{**CLOSE, "code": 5}], "websocket.close with what may not be sent: .*5"),
    ([CLOSE, CLOSE], "sent websocket.close after websocket.close"),
    ([CLOSE, {"type": "websocket.send", "text": ""}], "sent websocket.send after websocket.close"),
]  # fmt: skip


class TestRules:
    """Applications that break the rules are told what they did."""

    @pytest.mark.parametrize(("messages", "text"), RULES)
    @pytest.mark.once
    async def test_before_accept(self, messages: list[Any], text: str) -> None:
        async with session_for(sending(*messages)) as session:
            with pytest.raises(ASGIProtocolError, match=text) as caught:
                await session.ws_connect(URL)
        assert str(caught.value).endswith("(in answer to GET /chat%20room?x=1)")

    @pytest.mark.parametrize(("messages", "text"), RULES_LATER)
    @pytest.mark.once
    async def test_after_accept(self, messages: list[Any], text: str) -> None:
        with pytest.raises(ASGIProtocolError, match=text):  # noqa: PT012
            async with session_for(sending(ACCEPT, *messages)) as session:
                async with session.ws_connect(URL) as ws:
                    while (await ws.receive()).type is not WSMsgType.CLOSED:
                        pass
