"""WebSockets that are recorded and replayed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import hypothesis
import pytest
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from yarl import URL

from anyhttp import (
    ClientRequest,
    ClientSession,
    ClientWebSocketResponse,
    WSMsgType,
    WSServerHandshakeError,
)
from anyhttp.testing import (
    CassetteError,
    Filters,
    MockConnector,
    Recorder,
    UnrecordedRequest,
    WebSocketPeer,
)
from anyhttp.testing._har import read_har
from anyhttp.testing._websocket_observer import WebSocketObserver

URL_A = "ws://api.test/feed"

Client = Callable[[ClientWebSocketResponse], Awaitable[Any]]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the cassette is."""
    return str(tmp_path / "some.har")


def entries(path: str) -> list[dict[str, Any]]:
    """The entries of a file."""
    found: list[dict[str, Any]] = json.loads(Path(path).read_text("utf-8"))["log"]["entries"]
    return found


def write(path: str, *entries: dict[str, Any]) -> None:
    """Write a file as another tool does."""
    Path(path).write_text(json.dumps({"log": {"entries": entries}}), "utf-8")


def saved(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a browser saves of a WebSocket."""
    return {
        "_resourceType": "websocket",
        "_webSocketMessages": list(messages),
        "request": {"method": "GET", "url": URL_A},
        "response": {"status": 101, "statusText": "Switching Protocols"},
        **more,
    }


async def both(path: str, script: Any, use: Client, *, server: Any = None, **options: Any) -> Any:
    """Record what *use* does, replay it, and return what it saw in both."""
    seen, calls = [], []
    server_options: dict[str, Any] = server or {}
    for _ in range(2):
        mock = MockConnector()
        mock.ws(URL_A, script, **server_options)
        recorder = Recorder(path, mock)
        async with recorder, ClientSession(connector=recorder) as session:
            async with session.ws_connect(URL_A, **options) as ws:
                seen.append(await use(ws))
        calls.append((len(mock.calls), len(recorder.unplayed)))
    assert calls == [(1, 0), (0, 0)]
    return seen


async def echo(peer: WebSocketPeer) -> None:
    """Send each message back."""
    async for message in peer:
        await peer.send(message)


async def test_messages_are_replayed_in_their_order(path: str) -> None:
    """Texts and bytes of both sides, and a close of the client's."""

    async def server(peer: WebSocketPeer) -> None:
        await peer.send("welcome é")
        await peer.send(await peer.receive())
        await peer.ping()
        await peer.send(b"\x00\xff")
        await echo(peer)

    async def use(ws: ClientWebSocketResponse) -> Any:
        seen: list[Any] = [await ws.receive_str()]
        await ws.send_str("one")
        seen.append(await ws.receive_str())
        seen.append(await ws.receive_bytes())
        await ws.send_bytes(b"\x01")
        seen.append(await ws.receive_bytes())
        await ws.close(code=4000, message=b"enough")
        return [*seen, ws.close_code]

    recorded, replayed = await both(path, server, use)
    assert recorded == replayed
    assert recorded[:-1] == ["welcome é", "one", b"\x00\xff", b"\x01"]
    (entry,) = entries(path)
    assert entry["_webSocketMessages"] == [
        {"type": "receive", "time": 0, "opcode": 1, "data": "welcome é"},
        {"type": "send", "time": 0, "opcode": 1, "data": "one"},
        {"type": "receive", "time": 0, "opcode": 1, "data": "one"},
        {"type": "receive", "time": 0, "opcode": 2, "data": "AP8="},
        {"type": "send", "time": 0, "opcode": 2, "data": "AQ=="},
        {"type": "receive", "time": 0, "opcode": 2, "data": "AQ=="},
    ]
    assert entry["_webSocketClose"] == {"type": "send", "code": 4000, "reason": "enough"}
    assert entry["response"]["status"] == 101


@pytest.mark.parametrize("code", [1000, 1011, 4999, 1005])
async def test_a_close_of_the_server_is_replayed(path: str, code: int) -> None:
    """With its code; 1005 stands for none."""

    async def server(peer: WebSocketPeer) -> None:
        await peer.send("bye")
        if code == 1005:
            await peer.send_raw(b"\x88\x00")
            with pytest.raises(ConnectionError):
                await peer.receive()
        else:
            await peer.close(code, "for a reason")

    async def use(ws: ClientWebSocketResponse) -> Any:
        seen = [(await ws.receive()).data, (await ws.receive()).type, ws.close_code]
        await ws.close()
        return seen

    recorded, replayed = await both(path, server, use)
    assert recorded == replayed
    assert recorded[:2] == ["bye", WSMsgType.CLOSE]


async def test_a_connection_that_breaks_is_replayed_as_one_that_breaks(path: str) -> None:
    """Without a CLOSE frame."""

    async def server(peer: WebSocketPeer) -> None:
        await peer.send("bye")
        await peer.receive()
        await peer.abort()

    async def use(ws: ClientWebSocketResponse) -> Any:
        seen = [(await ws.receive()).data]
        await ws.send_str("go")
        return [*seen, (await ws.receive()).type, ws.close_code]

    recorded, replayed = await both(path, server, use)
    assert recorded == replayed
    assert recorded[0] == "bye"
    assert entries(path)[0]["response"]["_cut"] is True
    assert "_webSocketClose" not in entries(path)[0]


async def test_compression_and_a_subprotocol_are_those_of_the_handshake(path: str) -> None:
    """Messages are written uncompressed."""
    text = "long enough to be compressed " * 40

    async def use(ws: ClientWebSocketResponse) -> Any:
        await ws.send_str(text)
        await ws.send_str(text)
        assert [await ws.receive_str() for _ in range(2)] == [text] * 2
        return bool(ws.compress), ws.protocol

    server = {"compress": True, "protocol": "chat", "accept_headers": {"X-A": "1"}}
    recorded, replayed = await both(
        path, echo, use, server=server, compress=15, protocols=("other", "chat")
    )
    assert recorded == replayed == (True, "chat")
    assert [each["data"] for each in entries(path)[0]["_webSocketMessages"]] == [text] * 4


async def test_another_message_than_the_recorded_one_is_refused(path: str) -> None:
    """Where the program waits for the answer, and at the end of the block."""

    async def talk(ws: ClientWebSocketResponse, text: str) -> str:
        await ws.send_str(text)
        return await ws.receive_str()

    assert (await both(path, echo, lambda ws: talk(ws, "one")))[1] == "one"

    async def use() -> None:
        async with recorder, ClientSession(connector=recorder) as session:
            async with session.ws_connect(URL_A) as ws:
                with pytest.raises(UnrecordedRequest, match="message 0: recorded 'one', now 'two'"):
                    await talk(ws, "two")

    recorder = Recorder(path)
    with pytest.raises(UnrecordedRequest) as raised:
        await use()
    assert str(raised.value).startswith(f"{path}: log.entries[0] (GET {URL_A}): ")
    assert recorder.unrecorded == [raised.value]


async def test_a_message_after_the_last_recorded_one_is_refused(path: str) -> None:
    """The recorded client had closed the WebSocket then."""

    async def use(ws: ClientWebSocketResponse) -> Any:
        await ws.send_str("one")
        return await ws.receive_str()

    await both(path, echo, use)
    async with ClientSession(connector=Recorder(path)) as session:
        async with session.ws_connect(URL_A) as ws:
            await ws.send_str("one")
            assert await ws.receive_str() == "one"
            await ws.send_str("two")
            with pytest.raises(UnrecordedRequest, match="no message was recorded after the last"):
                await ws.receive()


async def test_a_program_may_leave_earlier_than_it_did(path: str) -> None:
    """As it may with the body of a response."""

    async def server(peer: WebSocketPeer) -> None:
        for number in range(3):
            await peer.send(str(number))
        await echo(peer)

    async def use(ws: ClientWebSocketResponse) -> Any:
        return [await ws.receive_str() for _ in range(3)]

    await both(path, server, use)
    async with Recorder(path) as recorder, ClientSession(connector=recorder) as session:
        async with session.ws_connect(URL_A) as ws:
            assert await ws.receive_str() == "0"


async def test_secrets_in_messages_are_filtered(path: str) -> None:
    """And match when they are replayed."""

    async def use(ws: ClientWebSocketResponse) -> Any:
        await ws.send_json({"token": "secret", "a": 1})
        return await ws.receive_json()

    seen = []
    for _ in range(2):
        mock = MockConnector()
        mock.ws(URL_A, echo)
        recorder = Recorder(path, mock, filters=Filters(json=["token"]))
        async with recorder, ClientSession(connector=recorder) as session:
            async with session.ws_connect(URL_A) as ws:
                seen.append(await use(ws))
    assert seen == [{"token": "secret", "a": 1}, {"token": "REDACTED", "a": 1}]
    assert "secret" not in json.dumps(entries(path))


async def test_a_file_of_chrome_is_replayed(path: str) -> None:
    """It has PINGs, and says nothing of the end."""
    write(
        path,
        saved(
            {"type": "receive", "time": 1.5, "opcode": 1, "data": "hello"},
            {"type": "receive", "time": 1.6, "opcode": 9, "data": ""},
            {"type": "send", "time": 1.7, "opcode": 2, "data": "AAE="},
        ),
    )
    async with Recorder(path) as recorder, ClientSession(connector=recorder) as session:
        async with session.ws_connect(URL_A) as ws:
            assert await ws.receive_str() == "hello"
            await ws.send_bytes(b"\x00\x01")
    recorder.assert_all_played()


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (saved(_webSocketMessages={}), '"_webSocketMessages" is not an array'),
        (saved({}), '_webSocketMessages[0] is not an object with the "type" send or receive'),
        (saved({"type": [], "data": ""}), "_webSocketMessages[0] is not an object with"),
        (saved({"type": "send", "opcode": 1}), '_webSocketMessages[0]: "data" is not text'),
        (saved({"type": "send", "opcode": 2, "data": "!"}), "[0]: it is not base64"),
        (saved({"type": "send", "opcode": 1, "data": "\ud800"}), "holds a lone surrogate"),
        (saved(_webSocketClose=1), '"_webSocketClose" is not an object'),
        (saved(_webSocketClose={"type": []}), '"_webSocketClose" needs a "type"'),
        (saved(_webSocketClose={"type": "send"}), '"_webSocketClose" needs a "type"'),
        (
            saved(_webSocketClose={"type": "send", "code": 1000, "reason": "\ud800"}),
            '"_webSocketClose" needs',
        ),
    ],
)
def test_damaged_messages_are_named(path: str, damaged: dict[str, Any], reason: str) -> None:
    """With the file and the entry."""
    write(path, damaged)
    with pytest.raises(CassetteError) as caught:
        read_har(path)
    assert str(caught.value).startswith(f"{path}: log.entries[0] (GET {URL_A}): ")
    assert reason in str(caught.value)


async def test_a_refused_handshake_is_replayed(path: str) -> None:
    """It is a response like others; its connection carries nothing else."""
    calls = []
    for _ in range(2):
        mock = MockConnector()
        mock.ws(URL_A, status=403)
        async with ClientSession(connector=Recorder(path, mock)) as session:
            with pytest.raises(WSServerHandshakeError, match="403"):
                await session.ws_connect(URL_A)
            assert session.connector is not None
            assert session.connector.statistics().idle == 0
        calls.append(len(mock.calls))
    assert calls == [1, 0]


async def test_a_request_is_no_websocket(path: str) -> None:
    """And the other way round, although their URLs may be the same."""
    await both(path, echo, lambda ws: ws.send_str("one"))
    async with ClientSession(connector=Recorder(path, match_on=["path"])) as session:
        with pytest.raises(UnrecordedRequest, match=r"log.entries.0. .*: it is a WebSocket"):
            await session.get("http://api.test/feed")
    plain = {"request": {"method": "GET", "url": URL_A}, "response": {"status": 200}}
    write(path, plain)
    async with ClientSession(connector=Recorder(path)) as session:
        with pytest.raises(UnrecordedRequest, match="it is not a WebSocket"):
            await session.ws_connect(URL_A)


async def test_a_rule_of_a_programs_own_decides_on_websockets_too(path: str) -> None:
    """They have no bodies."""
    write(path, saved())

    def never(recorded: Any, now: Any) -> bool:
        return False

    async with ClientSession(connector=Recorder(path, match_on=[never])) as session:
        with pytest.raises(UnrecordedRequest, match="never: it says no"):
            await session.ws_connect(URL_A)


async def test_the_traffic_of_a_websocket_has_times(tmp_path: Path) -> None:
    """Whether it was real or replayed."""
    har = str(tmp_path / "traffic.har")
    path = str(tmp_path / "some.har")
    for _ in range(2):
        mock = MockConnector()
        mock.ws(URL_A, echo)
        async with ClientSession(connector=Recorder(path, mock, har=har)) as session:
            async with session.ws_connect(URL_A) as ws:
                await ws.send_str("hello")
                assert await ws.receive_str() == "hello"
        (entry,) = entries(har)
        assert [each["data"] for each in entry["_webSocketMessages"]] == ["hello"] * 2
        assert all(each["time"] > 1e9 for each in entry["_webSocketMessages"])


async def test_cancelling_a_program_in_the_middle_leaves_nothing_running(path: str) -> None:
    """The other side ends with the recorder."""
    await both(path, echo, lambda ws: ws.send_str("one"))
    recorder = Recorder(path)
    with anyio.CancelScope() as scope:
        async with recorder, ClientSession(connector=recorder) as session:
            async with session.ws_connect(URL_A) as ws:
                scope.cancel()
                await ws.receive()
    assert recorder.closed


async def test_a_handshake_that_is_not_sent_begins_nothing(path: str) -> None:
    """The connection was made, and given up."""
    write(path, saved())
    recorder = Recorder(path)
    request = ClientRequest("GET", URL(URL_A))
    request.is_handshake = True
    connection = await recorder.connect(request)
    connection.close()
    await recorder.close()


# -- reading along ----------------------------------------------------------------------


def frames(messages: list[tuple[bool, bytes]], *, mask: bool, deflate: Any, size: int) -> bytes:
    """The bytes of messages, each in fragments of *size* bytes."""
    data = b""
    extensions = [] if deflate is None else [deflate]
    for is_text, message in messages:
        parts = [message[at : at + size] for at in range(0, len(message), size)] or [b""]
        for number, part in enumerate(parts):
            opcode = Opcode.CONT if number else Opcode.TEXT if is_text else Opcode.BINARY
            frame = Frame(opcode, part, number == len(parts) - 1)
            data += frame.serialize(mask=mask, extensions=extensions)
    return data


DEFLATE = (
    "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9; "
    "server_no_context_takeover; client_no_context_takeover"
)


@hypothesis.given(
    st.lists(
        st.tuples(st.just(True), st.text(max_size=40).map(str.encode))
        | st.tuples(st.just(False), st.binary(max_size=40)),
        max_size=5,
    ),
    st.booleans(),
    st.sampled_from(["", "x-other", "permessage-deflate", DEFLATE]),
    st.integers(1, 50),
    st.integers(1, 60),
)  # fmt: skip
def test_messages_are_read_from_any_frames(
    messages: list[tuple[bool, bytes]], is_sent: bool, extensions: str, size: int, split: int
) -> None:
    """Fragmented, compressed, and in pieces of any size."""
    bits, resets = (9, True) if "9" in extensions else (15, False)
    deflates = extensions.startswith("permessage-deflate")
    deflate = PerMessageDeflate(False, resets, 15, bits) if deflates else None
    data = frames(messages, mask=is_sent, deflate=deflate, size=size)
    observer = WebSocketObserver(extensions)
    take = observer.sent if is_sent else observer.received
    for start in range(0, len(data), split):
        take(data[start : start + split])
    found = observer.socket(Filters()).messages
    assert [each.data for each in found] == [
        message.decode() if is_text else message for is_text, message in messages
    ]
    assert all(each.is_sent == is_sent for each in found)
    assert not observer.is_lost


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x81\x81", b"\x81\x01\xff"])
def test_what_is_no_websocket_is_not_recorded(data: bytes) -> None:
    """It could not be replayed."""
    observer = WebSocketObserver("")
    observer.received(data)
    observer.received(b"\x81\x01a")
    assert observer.is_lost
    assert observer.socket(Filters()).messages == ()


@pytest.mark.parametrize("extensions", [";", "permessage-deflate; client_max_window_bits=x"])
def test_extensions_that_are_not_understood(extensions: str) -> None:
    """Nothing is read then."""
    assert WebSocketObserver(extensions).is_lost
