"""WebSockets whose other side is a function of the test."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest

from anyhttp import (
    BaseConnector,
    ClientConnectionError,
    ClientConnectorError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMsgType,
    WSServerHandshakeError,
)
from anyhttp.testing import (
    Answer,
    MockConnector,
    RequestMock,
    UnansweredRequest,
    WebSocketClosed,
    WebSocketPeer,
    mock_requests,
)
from tests.support.census import assert_no_tokens

FEED = "wss://api.test/feed"


async def echo(peer: WebSocketPeer) -> None:
    """Send back each message."""
    async for message in peer:
        await peer.send(message)


@pytest.mark.parametrize("compress", [False, True])
async def test_messages_go_both_ways(compress: bool, http1: str) -> None:
    """Text, bytes, JSON; compressed if both sides want that."""
    mock = MockConnector(http1=http1)
    mock.ws(FEED, echo, compress=compress)
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED, compress=15 if compress else 0) as websocket:
            assert bool(websocket.compress) == compress
            await websocket.send_str("text")
            assert await websocket.receive_str() == "text"
            await websocket.send_bytes(b"\x00" * 100_000)
            assert await websocket.receive_bytes() == b"\x00" * 100_000
            await websocket.send_json({"a": 1})
            assert await websocket.receive_json() == {"a": 1}
        assert_no_tokens(mock, idle=0)
    (call,) = mock.calls
    assert call.is_handshake
    assert str(call) == f"GET {FEED}"
    assert call.headers["Upgrade"] == "websocket"


async def test_the_script_ends_with_a_close() -> None:
    """When it returns, the WebSocket is closed with code 1000."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.send("only")

    mock = MockConnector()
    mock.ws(FEED, script)
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED) as websocket:
            assert [message.data async for message in websocket] == ["only"]
            assert websocket.close_code == 1000


@pytest.mark.parametrize("route", ["wss", "https"])
@pytest.mark.parametrize("asked", ["wss", "https"])
async def test_both_schemes_name_a_websocket(route: str, asked: str) -> None:
    """A session with a base URL asks for ``https:``, whatever the program writes elsewhere."""
    mock = MockConnector()
    mock.ws(f"{route}://api.test/feed", echo, times=1)
    mock.ws(re.compile(rf"{route}://api\.test/f"), echo)
    async with ClientSession(connector=mock) as session:
        for _ in mock.routes:
            async with session.ws_connect(f"{asked}://api.test/feed") as websocket:
                await websocket.send_str("text")
                assert await websocket.receive_str() == "text"
    mock.assert_all_called()


@pytest.mark.parametrize("code", [1001, 1011, 4000])
async def test_the_script_chooses_the_close_code(code: int) -> None:
    """And the reason."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.close(code, "enough")

    mock = MockConnector()
    mock.ws(FEED, script)
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED) as websocket:
            message = await websocket.receive()
            assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, code, "enough")
            assert websocket.close_code == code


async def test_an_abrupt_end() -> None:
    """Without a CLOSE frame: code 1006."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.send("last")
        await peer.abort()

    mock = MockConnector()
    mock.ws(FEED, script)
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED) as websocket:
            assert await websocket.receive_str() == "last"
            message = await websocket.receive()
            assert message.type in {WSMsgType.CLOSED, WSMsgType.ERROR}
            assert websocket.close_code == 1006
        assert_no_tokens(mock, idle=0)


async def test_the_script_sees_how_the_client_closes() -> None:
    """Its last steps run although the client has gone by then."""
    seen: list[int] = []

    async def script(peer: WebSocketPeer) -> None:
        assert await peer.receive() == "bye"
        with pytest.raises(WebSocketClosed) as caught:
            await peer.receive()
        seen.append(caught.value.code)

    mock = MockConnector()
    mock.ws(FEED, script)
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED) as websocket:
            await websocket.send_str("bye")
            await websocket.close(code=4001)
    assert seen == [4001]


async def test_a_subprotocol_and_headers_of_the_handshake() -> None:
    """As the route says."""
    mock = MockConnector()
    mock.ws(FEED, echo, protocol="chat.v2", accept_headers={"Set-Cookie": "k=v", "X-A": "1"})
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED, protocols=("chat.v1", "chat.v2")) as websocket:
            assert websocket.protocol == "chat.v2"
            assert websocket.get_extra_info("peername") is not None
        assert [cookie.value for cookie in session.cookie_jar] == ["v"]


async def test_a_script_knows_the_request() -> None:
    """Its URL, header fields, and the named parts of the route."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.send_json([peer.url.query["q"], peer.headers["X-A"], dict(peer.path_params)])

    mock = MockConnector()
    mock.ws("wss://api.test/rooms/{room}", script, match_query={})
    async with ClientSession(connector=mock) as session:
        url = "wss://api.test/rooms/7?q=1"
        async with session.ws_connect(url, headers={"X-A": "a"}) as websocket:
            assert await websocket.receive_json() == ["1", "a", {"room": "7"}]


async def test_a_mistake_in_a_script_comes_out_where_the_client_receives() -> None:
    """The very exception, not an end of the WebSocket."""
    error = AssertionError("expected another message")

    async def script(peer: WebSocketPeer) -> None:
        await peer.receive()
        raise error

    mock = MockConnector()
    mock.ws(FEED, script)
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED) as websocket:
            await websocket.send_str("a message")
            with pytest.raises(AssertionError) as caught:
                await websocket.receive()
    assert caught.value is error


async def test_a_mistake_in_a_script_comes_out_where_the_client_sends() -> None:
    """If it has not received any more."""

    async def script(peer: WebSocketPeer) -> None:
        raise LookupError("before there was a message")

    mock = MockConnector()
    mock.ws(FEED, script)
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED) as websocket:
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(LookupError, match="before there was a message"):
                await websocket.send_str("a message")


async def test_a_script_has_to_be_asynchronous() -> None:
    """A function that lacks the word is told by its name."""

    def forgotten(peer: WebSocketPeer) -> None:
        pass

    mock = MockConnector()
    mock.ws(FEED, forgotten)  # type: ignore[arg-type]  # that is the mistake
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED) as websocket:
            with pytest.raises(TypeError, match=r"forgotten\(\), the script of a WebSocket"):
                await websocket.receive()


async def test_a_mistake_in_a_script_comes_out_even_if_the_client_does_not_receive() -> None:
    """Whoever closes the mock gets it: here the session."""
    error = AssertionError("expected another message")
    another = LookupError("in another script")

    async def script(peer: WebSocketPeer) -> None:
        assert await peer.receive() == "a message"
        raise error

    async def other_script(peer: WebSocketPeer) -> None:
        await peer.receive()
        raise another

    mock = MockConnector()
    mock.ws(FEED, answers=[script, other_script])
    session = ClientSession(connector=mock)
    for _ in range(2):
        with anyio.CancelScope() as scope:
            async with session.ws_connect(FEED) as websocket:
                await websocket.send_str("a message")
                scope.cancel()
    with pytest.raises(AssertionError) as caught:
        await session.close()
    assert caught.value is error
    assert error.__notes__ == [f"Besides, code that answers in a mock has raised {another!r}"]
    await session.close()


@pytest.mark.parametrize("in_child", [True, False])
@pytest.mark.parametrize("with_connector", [True, False])
async def test_a_mistake_in_a_script_comes_out_of_a_handler_of_exceptions(
    with_connector: bool, in_child: bool
) -> None:
    """What is handled around a block is dropped at its end, so it cannot tell of the mistake."""
    error = AssertionError("expected another message")

    async def script(peer: WebSocketPeer) -> None:
        await peer.receive()
        raise error

    kept: list[ClientWebSocketResponse] = []

    async def talk(session: ClientSession) -> None:
        websocket = await session.ws_connect(FEED)
        kept.append(websocket)  # the session closes it
        await websocket.send_str("a message")

    async def talk_to(mock: RequestMock, connector: BaseConnector | None) -> None:
        mock.ws(FEED, script)
        async with ClientSession(connector=connector) as session:
            if in_child:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(talk, session)
            else:
                await talk(session)

    try:
        raise LookupError("before")
    except LookupError:
        with pytest.raises(AssertionError) as caught:  # noqa: PT012  (both are about the end)
            if with_connector:
                mock = MockConnector()
                await talk_to(mock, mock)
            else:
                async with mock_requests() as requests:
                    await talk_to(requests, None)
    assert caught.value is error


async def test_what_the_block_itself_raises_comes_first() -> None:
    """If it is the session that learns of the mistake, the exception gets a note of it."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.receive()
        raise LookupError("in the script")

    async def run() -> None:
        async with ClientSession(connector=mock) as session:
            with anyio.CancelScope() as scope:
                async with session.ws_connect(FEED) as websocket:
                    await websocket.send_str("a message")
                    scope.cancel()
            raise ZeroDivisionError

    mock = MockConnector()
    mock.ws(FEED, script)
    with pytest.raises(ZeroDivisionError) as caught:
        await run()
    assert "LookupError('in the script')" in caught.value.__notes__[0]


async def test_a_script_that_waits_for_ever_is_ended_with_the_session() -> None:
    """Nothing waits for it."""
    ended = anyio.Event()

    async def script(peer: WebSocketPeer) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    mock = MockConnector()
    mock.ws(FEED, script)
    timeout = ClientWSTimeout(ws_close=0.01)
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED, timeout=timeout):
            pass
        assert not ended.is_set()
    assert ended.is_set()


@pytest.mark.parametrize(
    ("options", "error", "status"),
    [
        ({"status": 403, "text": "no"}, WSServerHandshakeError, 403),
        ({"answers": [Answer(503)]}, WSServerHandshakeError, 503),
        ({"exception": ConnectionRefusedError()}, ClientConnectorError, None),
        ({"exception": ConnectionResetError()}, ClientConnectionError, None),
        ({"status": 200}, WSServerHandshakeError, 200),
    ],
)
async def test_a_handshake_can_be_refused(
    options: Any, error: type[Exception], status: int | None
) -> None:
    """By an answer, or a failure."""
    mock = MockConnector()
    mock.ws(FEED, **options)
    async with ClientSession(connector=mock) as session:
        with pytest.raises(error) as caught:
            await session.ws_connect(FEED)
        assert getattr(caught.value, "status", None) == status
        assert_no_tokens(mock, idle=0)


async def test_a_client_that_connects_again() -> None:
    """A sequence of scripts and refusals."""

    async def once(peer: WebSocketPeer) -> None:
        await peer.send("once")
        await peer.abort()

    mock = MockConnector()
    mock.ws(FEED, answers=[once, ConnectionRefusedError(), 503, echo])
    async with ClientSession(connector=mock) as session:
        async with session.ws_connect(FEED) as websocket:
            assert await websocket.receive_str() == "once"
        with pytest.raises(ClientConnectorError):
            await session.ws_connect(FEED)
        with pytest.raises(WSServerHandshakeError):
            await session.ws_connect(FEED)
        async with session.ws_connect(FEED) as websocket:
            await websocket.send_str("again")
            assert await websocket.receive_str() == "again"
    mock.assert_all_called()


async def test_routes_for_requests_take_no_handshakes_and_the_other_way_round() -> None:
    """The same URL may have both."""
    mock = MockConnector()
    mock.get("https://api.test/feed", text="plain")
    mock.ws(FEED, echo)
    async with ClientSession(connector=mock) as session:
        async with session.get("https://api.test/feed") as response:
            assert await response.text() == "plain"
        async with session.ws_connect("https://api.test/feed") as websocket:
            await websocket.send_str("a")
            assert await websocket.receive_str() == "a"
        with pytest.raises(UnansweredRequest, match="is WebSocket wss") as caught:
            await session.ws_connect("wss://api.test/other")
        assert "it is the handshake of a WebSocket: mock.ws() makes routes" in str(caught.value)
        with pytest.raises(UnansweredRequest, match="it is not the handshake of a WebSocket"):
            await session.get("https://api.test/other")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((FEED,), {}, TypeError, "a script is missing"),
        ((FEED, "script"), {}, TypeError, "script must be a callable"),
        ((FEED, echo), {"status": 403}, ValueError, "give a script, or an answer"),
        ((FEED, echo), {"answers": [echo]}, ValueError, "give a script, or an answer"),
        ((FEED,), {"answers": []}, ValueError, "answers is empty"),
        ((FEED,), {"answers": [None]}, TypeError, "an item of answers must be"),
        ((FEED, echo), {"match_json": 1}, TypeError, "there is no option 'match_json'"),
        ((FEED, echo), {"compress": 15}, TypeError, "compress must be a bool"),
        ((FEED, echo), {"accept_headers": {"a b": ""}}, ValueError, "accept_headers"),
        (("feed", echo), {}, ValueError, "url must be absolute"),
    ],
)
def test_a_mistake_is_told_where_the_route_is_made(
    arguments: Any, options: Any, error: type[Exception], text: str
) -> None:
    """The error names the call."""
    with pytest.raises(error, match=text) as caught:
        MockConnector().ws(*arguments, **options)
    assert str(caught.value).startswith("mock.ws('")
