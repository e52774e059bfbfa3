"""WebSockets against scripted peers: each exchange of frames, and each way it can end."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import (
    BasicAuth,
    ClientConnectionError,
    ClientConnectionResetError,
    ClientOSError,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    CookieJar,
    ServerDisconnectedError,
    ServerTimeoutError,
    WebSocketError,
    WSMessage,
    WSMessageTypeError,
    WSMsgType,
    WSServerHandshakeError,
)
from tests.support import websocket
from tests.support.bombs import blocks_of_zeros
from tests.support.cancel import cancel_when
from tests.support.census import running_tasks
from tests.support.client import assert_free, client, wait_free
from tests.support.peer import (
    CLOSE,
    CUT,
    DEAF,
    RESET,
    STALL,
    Action,
    Flag,
    Script,
    SendUnasked,
    Step,
    Tell,
    Wait,
)
from tests.support.tls import Authority
from tests.support.waiting import until
from tests.support.websocket import BINARY, PING, PONG, TEXT, Accept, CloseWith, Frame

pytestmark = pytest.mark.http1_only("handshakes of HTTP/1.1; RFC 8441 has its own tests")

GET = b"GET / HTTP/1.1\r\n"
OPEN: Step = (GET, Accept())
BYE = Frame(websocket.CLOSE, b"\x03\xe8")
#: The peer's half of closing by the client.
FAREWELL: Step = (BYE, websocket.close(1000))
SHORT = ClientWSTimeout(ws_close=0.1)
CLOSED = WSMessage(WSMsgType.CLOSED, None, None)


def text(data: str) -> WSMessage:
    """Return a text message."""
    return WSMessage(WSMsgType.TEXT, data, "")


async def until_closed(ws: ClientWebSocketResponse) -> None:
    """Wait while the application does nothing."""
    await until(lambda: ws.closed, "the WebSocket to be closed")


@pytest.fixture(autouse=True)
def by_each_version(carried_by: str) -> None:
    """Run what says nothing of HTTP/1.1 over HTTP/2 as well (:rfc:`8441`)."""


# -- the handshake ---------------------------------------------------------------------


class TestHandshake:
    @pytest.fixture(autouse=True)
    def by_each_version(self) -> None:
        """The handshakes of HTTP/2 are tested elsewhere."""

    async def test_open_talk_close(self, script: Script, http1: str) -> None:
        """RFC 6455 §1.2: handshake, frames either way, CLOSE answered by CLOSE."""
        peer = await script(
            [OPEN, (Frame(TEXT, "grüß".encode()), websocket.frame(BINARY, b"\x00")), FAREWELL]
        )
        async with client(http1) as session:
            async with session.ws_connect(peer.url.with_scheme("ws")) as ws:
                assert not ws.closed
                assert (ws.close_code, ws.protocol, ws.compress) == (None, None, 0)
                await ws.send_str("grüß")
                assert await ws.receive() == WSMessage(WSMsgType.BINARY, b"\x00", "")
            assert ws.closed
            assert ws.close_code == 1000
            assert ws.exception() is None
            assert_free(session, idle=0)

    async def test_frames_right_behind_the_101(self, script: Script, http1: str) -> None:
        """What comes in one packet with the head is not lost."""
        more = websocket.frame(TEXT, b"one") + websocket.frame(TEXT, b"two")[:3]
        rest = websocket.frame(TEXT, b"two")[3:]
        peer = await script([(GET, [Accept(more), SendUnasked(rest)]), FAREWELL])
        async with client(http1) as session, session.ws_connect(peer.url) as ws:
            assert [await ws.receive_str() for _ in range(2)] == ["one", "two"]

    async def test_request(self, script: Script, http1: str) -> None:
        """The handshake is a request like any other, with a few headers more."""
        peer = await script([(b"GET /chat?a=1 ", Accept()), FAREWELL])
        jar = CookieJar(unsafe=True)
        async with client(
            http1, headers={"X-Session": "1"}, cookie_jar=jar, cookies={"c": "2"}
        ) as session:
            async with session.ws_connect(
                peer.url / "chat",
                params={"a": "1"},
                headers={"X-Own": "3", "connection": "keep-alive, Upgrade", "Origin": "x"},
                auth=BasicAuth("user", "secret"),
                origin="https://example.org",
                protocols=("a", "b"),
                compress=15,
            ):
                pass
        lines = peer.requests[0].split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        fields = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        headers = dict(fields)
        assert len(headers) == len(fields), "no header is sent twice"
        key = headers.pop("Sec-WebSocket-Key")
        assert len(key) == 24
        assert headers == {
            "Host": f"127.0.0.1:{peer.port}",
            "X-Session": "1",
            "X-Own": "3",
            "connection": "keep-alive, Upgrade",
            "Origin": "https://example.org",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "a,b",
            "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
            "Accept": "*/*",
            "Accept-Encoding": headers["Accept-Encoding"],
            "User-Agent": headers["User-Agent"],
            "Cookie": "c=2",
            "Authorization": "Basic dXNlcjpzZWNyZXQ=",
        }

    async def test_what_the_server_chose(self, script: Script, http1: str) -> None:
        """Subprotocol and compression are properties; a cookie goes to the jar."""
        fields = (
            "Sec-WebSocket-Protocol: b",
            (
                "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=11; "
                "client_no_context_takeover"
            ),
            "Set-Cookie: c=1",
        )
        peer = await script([(GET, Accept(fields=fields)), FAREWELL])
        async with client(http1, cookie_jar=CookieJar(unsafe=True)) as session:
            async with session.ws_connect(peer.url, protocols=["a", "b"], compress=11) as ws:
                pass
            assert (ws.protocol, ws.compress, ws.client_notakeover) == ("b", 11, True)
            assert [cookie.key for cookie in session.cookie_jar] == ["c"]

    @pytest.mark.parametrize(
        ("reply", "message"),
        [
            (b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "Invalid response status"),
            (b"HTTP/1.1 200 OK\r\n\r\n", "Invalid response status"),
            (
                b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
                "Invalid upgrade header",
            ),
        ],
    )
    async def test_refused(self, script: Script, http1: str, reply: bytes, message: str) -> None:
        """The error tells status and headers; the connection is gone, whatever raise_for_status."""
        peer = await script([(GET, reply)])
        async with client(http1, raise_for_status=True) as session:
            with pytest.raises(WSServerHandshakeError, match=message) as caught:
                await session.ws_connect(peer.url)
            assert caught.value.status == int(reply[9:12])
            assert caught.value.headers is not None
            assert caught.value.request_info.url == peer.url
            assert_free(session)

    async def test_a_wrong_proof_is_refused(self, script: Script, http1: str) -> None:
        """RFC 6455 §4.1: the server must have understood the key."""
        reply = (
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
        )
        peer = await script([(GET, reply)])
        async with client(http1) as session:
            with pytest.raises(WSServerHandshakeError, match="Invalid challenge response"):
                await session.ws_connect(peer.url)

    async def test_redirects_are_followed(self, script: Script, http1: str) -> None:
        """Up to the WebSocket, and not for ever."""
        moved = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(GET, moved), (b"GET /there ", Accept()), FAREWELL])
        async with client(http1) as session, session.ws_connect(peer.url) as ws:
            assert not ws.closed

    async def test_over_tls(self, script: Script, http1: str, tls_ca: Authority) -> None:
        """The scheme wss is TLS; get_extra_info() shows it."""
        peer = await script([OPEN, (Frame(TEXT, b"x"), websocket.frame(TEXT, b"y")), FAREWELL],
                            tls=tls_ca.server)  # fmt: skip
        url = peer.url.with_scheme("wss")
        async with client(http1) as session:
            async with session.ws_connect(url, ssl=tls_ca.client) as ws:
                await ws.send_str("x")
                assert await ws.receive_str() == "y"
                assert ws.get_extra_info("cipher")[1].startswith("TLS")
                assert ws.get_extra_info("sslcontext") is tls_ca.client
                assert "subject" in ws.get_extra_info("peercert")
                assert ws.get_extra_info("compression", "no") in {None, "no"}
                assert ws.get_extra_info("ssl_object") is not None

    async def test_extra_info(self, script: Script, http1: str) -> None:
        """Names of asyncio's transports; the default for others, and after the end."""
        peer = await script([OPEN, FAREWELL])
        async with client(http1) as session, session.ws_connect(peer.url) as ws:
            assert ws.get_extra_info("peername") == ("127.0.0.1", peer.port)
            assert ws.get_extra_info("sockname")[0] == "127.0.0.1"
            assert ws.get_extra_info("socket").fileno() >= 0
            assert ws.get_extra_info("cipher", "none") == "none"
            assert ws.get_extra_info("unheard of", 5) == 5
        assert ws.get_extra_info("peername", "gone") == "gone"

    async def test_total_limits_the_handshake_only(self, script: Script, http1: str) -> None:
        """A WebSocket may live longer than a request."""
        wait = Flag()
        peer = await script([(GET, [Accept(), Wait(wait), websocket.frame(TEXT, b"x")]), FAREWELL])
        timeout = ClientTimeout(total=0.5, sock_read=0.5)
        async with client(http1, timeout=timeout) as session:
            async with session.ws_connect(peer.url) as ws:
                with anyio.move_on_after(0.7):
                    await ws.receive()
                wait.set()
                assert await ws.receive_str() == "x"

    async def test_total_ends_a_handshake_that_gets_no_answer(
        self, script: Script, http1: str
    ) -> None:
        """The session's total holds for it as for any request."""
        peer = await script([(GET, STALL)])
        async with client(http1, timeout=ClientTimeout(total=0.1)) as session:
            with pytest.raises(TimeoutError, match="total"):
                await session.ws_connect(peer.url)
            assert_free(session, idle=0)

    async def test_the_slot_is_held_until_the_end(self, script: Script, http1: str) -> None:
        """An open WebSocket counts for the limits of the connector."""
        peer = await script([OPEN, FAREWELL])
        async with client(http1) as session:
            ws = await session.ws_connect(peer.url)
            assert session.connector is not None
            assert session.connector.statistics().in_use == 1
            assert await ws.close()
            assert_free(session, idle=0)

    async def test_without_a_session(self, script: Script) -> None:
        """The module's ws_connect() has a session of its own, which ends with the WebSocket."""
        peer = await script([OPEN, FAREWELL], [OPEN, FAREWELL])
        async with anyhttp.ws_connect(peer.url) as ws:
            assert not ws.closed
        ws = await anyhttp.ws_connect(peer.url)
        assert await ws.close()
        peer = await script(
            [(GET, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")] * 1, repeat=True
        )
        with pytest.raises(WSServerHandshakeError):
            await anyhttp.ws_connect(peer.url)
        with pytest.raises(WSServerHandshakeError):
            async with anyhttp.ws_connect(peer.url):
                pass

    async def test_a_class_of_ones_own(self, script: Script) -> None:
        """ws_response_class is made for each WebSocket."""

        class Own(ClientWebSocketResponse):
            pass

        peer = await script([OPEN, FAREWELL], [OPEN, FAREWELL])
        for given, made in ((Own, Own), (None, ClientWebSocketResponse)):
            async with ClientSession(ws_response_class=given) as session:
                async with session.ws_connect(peer.url) as ws:
                    assert type(ws) is made

    async def test_a_class_of_ones_own_that_receives(self, script: Script) -> None:
        """Iteration asks its method for every message, also for one that came with another."""

        class Shouting(ClientWebSocketResponse):
            async def receive(self, timeout: float | None = None) -> WSMessage:
                message = await super().receive(timeout)
                return message._replace(data=str(message.data).upper())

        wire = websocket.frame(TEXT, b"a") * 3 + websocket.close(1000)
        peer = await script([(GET, Accept(wire)), (BYE, CLOSE)])
        async with ClientSession(ws_response_class=Shouting) as session:
            async with session.ws_connect(peer.url) as ws:
                assert [message.data async for message in ws] == ["A", "A", "A"]

    @pytest.mark.parametrize("late", [True, False])
    async def test_a_class_of_ones_own_that_cannot_be_made(
        self, script: Script, late: bool
    ) -> None:
        """What its __init__() raises passes through, and the connection is closed."""

        class Own(ClientWebSocketResponse):
            def __init__(self, *args: Any, **options: Any) -> None:
                if late:
                    super().__init__(*args, **options)
                raise KeyError("mine")

        peer = await script([(GET, [Accept(), STALL])])
        async with ClientSession(ws_response_class=Own) as session:
            with pytest.raises(KeyError, match="mine"):
                await session.ws_connect(peer.url)
            gc.collect()  # whatever complains then is an error
            assert_free(session, idle=0)

    async def test_arguments(self) -> None:
        """Wrong ones are refused before anything is sent."""
        async with ClientSession() as session:
            url = "ws://127.0.0.1:1/"
            with pytest.raises(ValueError, match="compress"):
                await session.ws_connect(url, compress=8)
            with pytest.raises(TypeError, match="protocols"):
                await session.ws_connect(url, protocols="chat")
            with pytest.raises(ValueError, match="max_msg_size"):
                await session.ws_connect(url, max_msg_size=-1)
            with pytest.raises(TypeError, match="max_msg_size"):
                await session.ws_connect(url, max_msg_size=1.5)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="heartbeat"):
                await session.ws_connect(url, heartbeat=-1)
            with pytest.raises(TypeError, match="heartbeat"):
                await session.ws_connect(url, heartbeat="1")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="timeout"):
                await session.ws_connect(url, timeout="1")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="ws_close"):
                ClientWSTimeout(ws_close="1")  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="ws_receive"):
                ClientWSTimeout(ws_receive=-1)
            with pytest.raises(ValueError, match="control character"):
                await session.ws_connect(url, origin="a\r\nb: c")
        with pytest.raises(RuntimeError, match="Session is closed"):
            await session.ws_connect(url)

    async def test_old_spellings(self, script: Script) -> None:
        """A number as timeout, and receive_timeout, still work."""
        peer = await script([OPEN, FAREWELL])
        async with ClientSession() as session:
            with pytest.warns(DeprecationWarning, match="deprecated") as caught:
                ws = await session.ws_connect(peer.url, timeout=5, receive_timeout=0.05)
            assert len(caught) == 2
            with pytest.raises(TimeoutError):
                await ws.receive()
            assert await ws.close()


# -- messages --------------------------------------------------------------------------


class TestMessages:
    async def test_every_way_to_send(self, script: Script) -> None:
        """Each method makes one frame of the right kind."""
        peer = await script(
            [
                OPEN,
                *((Frame(opcode, data), []) for opcode, data in [
                    (TEXT, b"a"), (TEXT, b""), (BINARY, b"b"), (BINARY, b"c"),
                    (BINARY, b"\x01\x00\x02\x00"), (BINARY, b"ac"), (TEXT, b'{"a": 1}'),
                    (TEXT, b"J"), (BINARY, b"JB"), (TEXT, b"\xc3\xbc"), (BINARY, b"f"),
                    (PING, b"pf"), (PONG, b""), (PING, b""), (PING, b"\xc3\xbc"), (PONG, b"po"),
                ]),
                FAREWELL,
            ]
        )  # fmt: skip
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            await ws.send_str("a")
            await ws.send_str("")
            await ws.send_bytes(b"b")
            await ws.send_bytes(bytearray(b"c"))
            await ws.send_bytes(memoryview(b"\x01\x00\x02\x00").cast("H"))
            await ws.send_bytes(memoryview(b"abcd")[::2])
            await ws.send_json({"a": 1})
            await ws.send_json(None, dumps=lambda _: "J")
            await ws.send_json_bytes(None, dumps=lambda _: b"JB")
            await ws.send_frame("ü".encode(), WSMsgType.TEXT)
            await ws.send_frame(b"f", WSMsgType.BINARY)
            await ws.send_frame(b"pf", WSMsgType.PING)
            await ws.send_frame(b"", WSMsgType.PONG)
            await ws.ping()
            await ws.ping("ü")
            await ws.pong(b"po")

    async def test_wrong_input(self, script: Script) -> None:
        """Nothing is sent of what cannot be sent."""
        peer = await script([OPEN, FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            with pytest.raises(TypeError, match="str"):
                await ws.send_str(b"x")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="bytes-like"):
                await ws.send_bytes("x")  # type: ignore[arg-type]
            with pytest.raises(TypeError, match="bytes-like"):
                await ws.ping(5)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="125"):
                await ws.ping(bytes(126))
            for opcode in (WSMsgType.CLOSE, WSMsgType.CONTINUATION, WSMsgType.ERROR):
                with pytest.raises(ValueError, match="opcode"):
                    await ws.send_frame(b"", opcode)
            for bits in (8, 16, True, -1):
                with pytest.raises(ValueError, match="compress"):
                    await ws.send_str("x", compress=bits)
            with pytest.raises(ValueError, match="code"):
                await ws.close(code=1006)
            with pytest.raises(TypeError, match="code must be an int, not str"):
                await ws.close(code="1000")  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="123"):
                await ws.close(message="x" * 124)
            with pytest.raises(ValueError, match="UTF-8"):
                await ws.close(message=b"\xff")

    async def test_every_way_to_receive(self, script: Script) -> None:
        """Each method returns its type, and says so if the message is another one."""
        frames = [
            (TEXT, b"a"),
            (BINARY, b"b"),
            (TEXT, b"[1]"),
            (TEXT, b"2"),
            (BINARY, b"c"),
            (TEXT, b"d"),
        ]
        peer = await script(
            [(GET, Accept(b"".join(websocket.frame(*each) for each in frames))), FAREWELL]
        )
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            assert await ws.receive_str() == "a"
            assert await ws.receive_bytes() == b"b"
            assert await ws.receive_json() == [1]
            assert await ws.receive_json(loads=lambda data: data + "!") == "2!"
            with pytest.raises(WSMessageTypeError, match="TEXT"):
                await ws.receive_str()
            with pytest.raises(WSMessageTypeError, match="BINARY"):
                await ws.receive_bytes()

    async def test_iteration_ends_with_close(self, script: Script) -> None:
        """``async for`` yields messages, and stops when the peer closes."""
        peer = await script(
            [
                (GET, Accept(websocket.frame(TEXT, b"1") + websocket.frame(BINARY, b"2"))),
                (Frame(TEXT, b"go"), websocket.close(1001, b"bye")),
                (Frame(websocket.CLOSE, b"\x03\xe9"), CLOSE),
            ]
        )
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            seen = []
            async for message in ws:
                seen.append(message.data)
                if len(seen) == 2:
                    await ws.send_str("go")
            assert seen == ["1", b"2"]
            assert ws.closed
            assert ws.close_code == 1001

    @pytest.mark.parametrize(
        "last", [websocket.frame(TEXT, b"three"), b"\xff\xff"], ids=["message", "violation"]
    )
    async def test_a_failed_answer_loses_no_message(self, script: Script, last: bytes) -> None:
        """What had come before sending failed is received, and the end behind it."""
        wire = b"".join(websocket.frame(TEXT, word) for word in (b"one", b"two")) + last
        gone = Flag()
        peer = await script([(GET, [Accept(wire), Wait(gone), RESET])])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            assert await ws.receive() == text("one")
            gone.set()
            with anyio.fail_after(5):
                while not ws.closed:
                    with suppress(ClientConnectionError):
                        await ws.send_str("an answer")
                    await anyio.lowlevel.checkpoint()
            assert await ws.receive() == text("two")
            message = await ws.receive()
            if last == b"\xff\xff":
                assert (message.type, message.data.code) == (WSMsgType.ERROR, 1002)
            else:
                assert message == text("three")
            assert [await ws.receive() for _ in range(2)] == [CLOSED, CLOSED]

    @pytest.mark.parametrize("cancelled", [True, False])
    async def test_a_burst(self, script: Script, cancelled: bool) -> None:
        """What came at once is received in order; others get turns, and cancellation is noticed.

        For both, 64 calls in a row may find a message and return it.
        """
        burst = [websocket.frame(TEXT, str(number).encode()) for number in range(400)]
        burst[100:100] = [websocket.frame(PING, b"?")]
        wire = b"".join(burst) + websocket.frame(TEXT, b"\xff")
        pong: Step = (Frame(PONG, b"?"), [])
        peer = await script([(GET, Accept(wire)), pong, (CloseWith(1007), CLOSE)], partial=False)
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(take_turns)
                in_a_row = 0
                received: list[WSMessage] = []
                while len(received) < 400:
                    with anyio.CancelScope() as scope:
                        if cancelled and in_a_row != -1:
                            scope.cancel()
                        received.append(await ws.receive())
                    in_a_row = -1 if scope.cancelled_caught else in_a_row + 1
                    assert in_a_row <= 64 or not cancelled
                assert received == [text(str(number)) for number in range(400)]
                message = await ws.receive()
                assert message.type is WSMsgType.ERROR
                assert message.data.code == 1007
                tasks.cancel_scope.cancel()
            assert turns > 3

    async def test_pings_are_answered_in_order_and_pongs_hidden(self, script: Script) -> None:
        """RFC 6455 §5.5.2: with the same payload, by whoever receives."""
        pings = b"".join(websocket.frame(PING, b"%d" % number) for number in range(40))
        peer = await script(
            [
                (GET, Accept(pings + websocket.frame(PONG, b"x"))),
                *((Frame(PONG, b"%d" % number), []) for number in range(39)),
                (Frame(PONG, b"39"), websocket.frame(TEXT, b"done")),
                FAREWELL,
            ]
        )
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            assert await ws.receive_str() == "done"

    async def test_without_autoping_the_application_sees_them(self, script: Script) -> None:
        """It answers by itself, or does not."""
        frames = websocket.frame(PING, b"i") + websocket.frame(PONG, b"o")
        peer = await script([(GET, Accept(frames)), (Frame(PONG, b"i"), []), FAREWELL])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, autoping=False) as ws:
                assert await ws.receive() == WSMessage(WSMsgType.PING, b"i", "")
                await ws.pong(b"i")
                assert await ws.receive() == WSMessage(WSMsgType.PONG, b"o", "")

    async def test_text_as_bytes(self, script: Script) -> None:
        """decode_text=False leaves text encoded."""
        peer = await script([(GET, Accept(websocket.frame(TEXT, b'{"a":1}'))), FAREWELL])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, decode_text=False) as ws:
                message = await ws.receive()
                assert message == WSMessage(WSMsgType.TEXT, b'{"a":1}', "")
                assert message.json() == {"a": 1}
                assert message.tp is WSMsgType.text

    async def test_receive_timeout(self, script: Script) -> None:
        """It raises, and the WebSocket can be used on: it has no close code."""
        wait = Flag()
        peer = await script([(GET, [Accept(), Wait(wait), websocket.frame(TEXT, b"x")]), FAREWELL])
        timeout = ClientWSTimeout(ws_receive=0.05)
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, timeout=timeout) as ws:
                with pytest.raises(TimeoutError, match=r"0\.05"):
                    await ws.receive()
                with pytest.raises(TimeoutError, match=r"0\.02"):
                    await ws.receive_str(timeout=0.02)
                with pytest.raises(TimeoutError, match="began"):
                    await ws.receive_stream(timeout=0.02)
                assert (ws.closed, ws.close_code) == (False, None)
                wait.set()
                assert await ws.receive_str(timeout=5) == "x"
            assert ws.close_code == 1000

    @pytest.mark.parametrize("compress", [None, 0, 9])
    async def test_compressed_messages(self, script: Script, compress: int | None) -> None:
        """What was negotiated is used, unless a message says 0."""
        plain, packed = Frame(TEXT, b"hello"), Frame(TEXT, b"\xcaH\xcd\xc9\xc9\x07\x00", reserved=4)
        fields = ("Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover",)
        hello = websocket.frame(TEXT, bytes.fromhex("f248cdc9c90700"), reserved=4)
        peer = await script(
            [
                (GET, Accept(fields=fields)),
                (plain if compress == 0 else packed, hello),
                FAREWELL,
            ]
        )
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, compress=15) as ws:
                await ws.send_str("hello", compress)
                assert await ws.receive_str() == "Hello"

    async def test_a_message_asks_for_compression_that_there_is_not(self, script: Script) -> None:
        """It goes out plain: a server that declined must not see RSV1."""
        peer = await script([OPEN, (Frame(TEXT, b"hello"), []), FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            await ws.send_str("hello", compress=15)


# -- in pieces -------------------------------------------------------------------------


async def stream_of(*pieces: object) -> AsyncIterator[object]:
    """Yield *pieces*; raise those that are exceptions."""
    for piece in pieces:
        await anyio.lowlevel.checkpoint()
        if isinstance(piece, Exception):
            raise piece
        yield piece


class TestManyFrames:
    """A peer may send a hundred thousand frames of two bytes in what is received at once."""

    COUNT = 100_000
    FRAGMENTS = websocket.frame(TEXT, b"a", last=False) + b"\0\0" * COUNT + b"\x80\0"
    PONGS = b"\x8a\0" * COUNT + websocket.frame(TEXT, b"a")
    MESSAGES = b"\x81\0" * COUNT

    @staticmethod
    @asynccontextmanager
    async def others_run(at_least: int) -> AsyncIterator[None]:
        """Check that another task goes on meanwhile, *at_least* as many times."""
        turns = 0

        async def run() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            yield
            group.cancel_scope.cancel()
        assert turns >= at_least

    @pytest.mark.parametrize("frames", [FRAGMENTS, PONGS], ids=["fragments", "pongs"])
    @pytest.mark.parametrize("streamed", [False, True])
    async def test_others_run_while_they_are_read(
        self, script: Script, frames: bytes, streamed: bool
    ) -> None:
        """Also by whoever takes the message in pieces."""
        peer = await script([(GET, [Accept(), frames]), FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            await peer.settled()
            async with self.others_run(at_least=20):
                if streamed:
                    assert [piece async for piece in await ws.receive_stream()] == ["a"]
                else:
                    assert await ws.receive() == text("a")

    async def test_others_run_while_pieces_are_taken(self, script: Script) -> None:
        """Each of which is there already."""
        frames = [
            websocket.frame(TEXT, b"a", last=False),
            websocket.frame(0, b"x", last=False) * 1000 + websocket.frame(0),
        ]
        peer = await script([(GET, [Accept(), *frames]), FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            message = await ws.receive_stream()
            await peer.settled()
            async with self.others_run(at_least=10):
                assert "".join([piece async for piece in message]) == "a" + "x" * 1000

    async def test_others_run_while_they_are_thrown_away(self, script: Script) -> None:
        """On the way to the CLOSE of the peer."""
        peer = await script([(GET, [Accept(), self.MESSAGES]), FAREWELL])
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)
            await peer.settled()
            async with self.others_run(at_least=20):
                await ws.close()
            assert ws.close_code == 1000

    async def test_others_run_while_a_message_in_pieces_is_passed_over(
        self, script: Script
    ) -> None:
        """By a call that wants the next one."""
        frames = self.FRAGMENTS.replace(b"\0\0", b"\0\1x") + websocket.frame(TEXT, b"b")
        peer = await script([(GET, [Accept(), frames]), FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            await ws.receive_stream()
            await peer.settled()
            async with self.others_run(at_least=20):
                assert await ws.receive() == text("b")

    @pytest.mark.parametrize("read", [0, 1])
    async def test_others_run_while_a_compressed_message_is_passed_over(
        self, script: Script, read: int
    ) -> None:
        """A little input may inflate to much, which is only thrown away."""
        data = blocks_of_zeros(60)
        frames = websocket.frame(BINARY, data.removesuffix(b"\x00\x00\xff\xff"), reserved=4)
        fields = ("Sec-WebSocket-Extensions: permessage-deflate",)
        accept = Accept(fields=fields)
        peer = await script([(GET, [accept, frames, websocket.frame(TEXT, b"b")]), FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url, compress=15) as ws:
            message = await ws.receive_stream()
            for _ in range(read):
                await anext(message)
            with anyio.CancelScope() as scope:
                scope.cancel()
                await ws.receive()
            assert scope.cancelled_caught
            async with self.others_run(at_least=10):
                assert await ws.receive() == text("b")


class TestStreams:
    @pytest.mark.parametrize(
        ("pieces", "frames"),
        [
            (["a", "ü"], [Frame(TEXT, b"a", last=False), Frame(0, "ü".encode())]),
            ([b"a"], [Frame(BINARY, b"a")]),
            ([], [Frame(BINARY, b"")]),
            (
                [bytearray(b"a"), b"", memoryview(b"c")],
                [Frame(BINARY, b"a", last=False), Frame(0, b"", last=False), Frame(0, b"c")],
            ),
        ],
    )
    async def test_pieces_are_fragments(
        self, script: Script, pieces: list[object], frames: list[Frame]
    ) -> None:
        """RFC 6455 §5.4: the first says what the message is, the last that it is over."""
        peer = await script([OPEN, *((each, []) for each in frames), FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            await ws.send_stream(stream_of(*pieces))  # type: ignore[arg-type]

    async def test_others_wait_and_control_frames_do_not(self, script: Script) -> None:
        """A message that is sent meanwhile comes behind it, a ping in between."""
        reached, go_on = anyio.Event(), anyio.Event()
        peer = await script(
            [
                OPEN,
                (Frame(TEXT, b"a", last=False), []),
                (Frame(PING, b"!"), []),
                (Frame(0, b"b", last=False), []),
                (Frame(0, b"c"), []),
                (Frame(TEXT, b"other"), []),
                FAREWELL,
            ]
        )

        async def pieces() -> AsyncIterator[str]:
            yield "a"
            yield "b"
            reached.set()
            await go_on.wait()
            yield "c"

        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ws.send_stream, pieces())
                await reached.wait()
                tasks.start_soon(ws.send_str, "other")
                await anyio.wait_all_tasks_blocked()
                await ws.ping("!")
                go_on.set()

    @pytest.mark.parametrize("failure", [KeyError("mine"), "mixed", 5])
    async def test_a_failure_in_the_middle_closes(self, script: Script, failure: object) -> None:
        """A message cannot be taken back: 1011, and the error passes as it is."""
        peer = await script(
            [
                OPEN,
                (Frame(BINARY, b"a", last=False), []),
                (Frame(websocket.CLOSE, b"\x03\xf3"), CLOSE),
            ]
        )
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            with pytest.raises((KeyError, TypeError)) as caught:
                await ws.send_stream(stream_of(b"a", b"b", failure))  # type: ignore[arg-type]
            if isinstance(failure, Exception):
                assert caught.value is failure
            assert ws.closed
            assert ws.close_code == 1011

    @pytest.mark.parametrize("how", ["next piece", "failure", "cancelled"])
    async def test_one_that_comes_to_its_end_while_closing(self, script: Script, how: str) -> None:
        """Who closes at the same time still waits for the peer's CLOSE, and has its code."""
        go_on, told = anyio.Event(), Flag()
        peer = await script(
            [OPEN, (Frame(TEXT, b"a", last=False), []), (BYE, [Wait(told), websocket.close(1000)])]
        )

        async def pieces() -> AsyncIterator[str]:
            yield "a"
            yield "b"
            await go_on.wait()
            if how == "failure":
                raise KeyError
            yield "c"

        async def send(ws: ClientWebSocketResponse, scope: anyio.CancelScope) -> None:
            with scope:
                with pytest.raises((ClientConnectionResetError, KeyError)):
                    await ws.send_stream(pieces())

        closed: list[bool] = []

        async def close(ws: ClientWebSocketResponse) -> None:
            closed.append(await ws.close())

        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            async with anyio.create_task_group() as tasks:
                scope = anyio.CancelScope()
                tasks.start_soon(send, ws, scope)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(close, ws)
                await anyio.wait_all_tasks_blocked()
                if how == "cancelled":
                    scope.cancel()
                else:
                    go_on.set()
                await anyio.wait_all_tasks_blocked()
                told.set()
            assert closed == [True]
            assert (ws.close_code, ws.exception()) == (1000, None)

    async def test_a_failure_before_the_first_frame_does_not(self, script: Script) -> None:
        """Nothing has been said yet."""
        peer = await script([OPEN, (Frame(TEXT, b"x"), []), FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            with pytest.raises(KeyError):
                await ws.send_stream(stream_of(b"a", KeyError()))  # type: ignore[arg-type]
            await ws.send_str("x")

    async def test_reading_in_pieces(self, script: Script) -> None:
        """A message over the limit is fine in pieces; pings in between are answered."""
        frames = [
            websocket.frame(TEXT, b"abc", last=False),
            websocket.frame(PING, b"?") + websocket.frame(0, b"def"),
            websocket.frame(TEXT, b"x"),
        ]
        peer = await script([(GET, [Accept(), *frames]), (Frame(PONG, b"?"), []), FAREWELL])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, max_msg_size=2, autoping=False) as ws:
                message = await ws.receive_stream()
                assert (message.type, message.data, message.extra) == (WSMsgType.TEXT, None, "")
                pieces = [piece async for piece in message]
                assert "".join(pieces) == "abcdef"
                assert [piece async for piece in message] == []
                assert await ws.receive() == text("x")

    async def test_the_unread_rest_is_thrown_away(self, script: Script) -> None:
        """The next receive() goes on behind the message."""
        peer = await script(
            [
                (
                    GET,
                    [
                        Accept(),
                        websocket.frame(BINARY, b"a", last=False),
                        websocket.frame(PING) + websocket.frame(0, b"b"),
                        websocket.frame(TEXT, b"x") + websocket.frame(TEXT, b"y"),
                    ],
                ),
                (Frame(PONG), []),
                FAREWELL,
            ]
        )
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            message = await ws.receive_stream()
            async for piece in message:
                assert piece == b"a"
                break
            assert await ws.receive() == text("x")
            assert [piece async for piece in message] == []
            message = await ws.receive_stream()
            assert [piece async for piece in message] == ["y"]

    async def test_messages_that_came_at_once_whole_and_in_pieces(self, script: Script) -> None:
        """Those behind the one that was asked for have been read ahead, but not lost."""
        sent = ["a", "bü", "c" * 300, "d", ""]
        wire = b"".join(websocket.frame(TEXT, data.encode()) for data in sent)
        wire += websocket.frame(BINARY, bytes(1000)) + websocket.frame(TEXT, b"last")
        peer = await script([(GET, [Accept(), wire]), FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            assert await ws.receive() == text("a")
            assert [piece async for piece in await ws.receive_stream()] == ["bü"]
            assert await ws.receive() == text("c" * 300)
            unread = await ws.receive_stream()
            assert await ws.receive() == text("")
            assert [piece async for piece in unread] == []
            assert [piece async for piece in await ws.receive_stream()] == [bytes(1000)]
            assert await ws.receive() == text("last")

    async def test_other_messages_have_no_pieces(self, script: Script) -> None:
        """CLOSE and CLOSED come as they would from receive()."""
        peer = await script(
            [
                (GET, Accept(websocket.close(1001, b"x"))),
                (Frame(websocket.CLOSE, b"\x03\xe9"), CLOSE),
            ]
        )
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            message = await ws.receive_stream()
            assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 1001, "x")
            assert [piece async for piece in message] == []
            assert (await ws.receive_stream()).type is WSMsgType.CLOSED

    @pytest.mark.parametrize(
        ("rest", "error"),
        [
            (CLOSE, ClientConnectionError),
            (websocket.close(1001), ClientConnectionError),
            (websocket.frame(TEXT), WebSocketError),
        ],
        ids=["cut", "close", "violation"],
    )
    async def test_an_end_in_the_middle_is_an_error(
        self, script: Script, rest: object, error: type[Exception]
    ) -> None:
        """A message that did not end must not look as if it had."""
        more = websocket.frame(BINARY, b"a", last=False)
        peer = await script([(GET, [Accept(more), rest, *([] if rest is CLOSE else [STALL])])])  # type: ignore[list-item]
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            message = await ws.receive_stream()
            with pytest.raises(error):
                [piece async for piece in message]
            assert ws.closed


# -- how it ends -----------------------------------------------------------------------


class TestPeerCloses:
    @pytest.mark.parametrize(
        ("payload", "code", "reason"),
        [(b"", 0, ""), (b"\x03\xe8", 1000, ""), (b"\x0f\xa0why", 4000, "why")],
    )
    async def test_close_is_delivered_and_answered(
        self, script: Script, payload: bytes, code: int, reason: str
    ) -> None:
        """RFC 6455 §5.5.1: the answer has the same code; CLOSED follows for ever."""
        peer = await script(
            [
                (GET, Accept(websocket.frame(websocket.CLOSE, payload))),
                (Frame(websocket.CLOSE, payload[:2]), CLOSE),
            ]
        )
        async with ClientSession() as session:
            async with session.ws_connect(peer.url) as ws:
                assert await ws.receive() == WSMessage(WSMsgType.CLOSE, code, reason)
                assert_free(session, idle=0)
                assert ws.closed
                assert ws.close_code == code
                for _ in range(2):
                    assert await ws.receive() == CLOSED
                assert not await ws.close()
                with pytest.raises(ClientConnectionResetError, match="Cannot write"):
                    await ws.send_str("x")
                with pytest.raises(ClientConnectionResetError, match="Cannot write"):
                    await ws.ping()

    @pytest.mark.parametrize("again", ["close", "receive"])
    async def test_without_autoclose_the_application_answers(
        self, script: Script, again: str
    ) -> None:
        """By close(), with a code of its own; or by receiving on."""
        reply = b"\x0b\xb8" if again == "close" else b"\x03\xe8"
        peer = await script(
            [(GET, Accept(websocket.close(1001))), (Frame(websocket.CLOSE, reply), [])]
        )
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, autoclose=False) as ws:
                assert await ws.receive() == WSMessage(WSMsgType.CLOSE, 1001, "")
                assert not ws.closed
                if again == "close":
                    assert await ws.close(code=3000)
                else:
                    assert await ws.receive() == CLOSED
                assert ws.closed
                assert ws.close_code == 1001

    @pytest.mark.parametrize(
        ("end", "error"),
        [(CLOSE, ServerDisconnectedError), (RESET, ClientOSError)],
        ids=["FIN", "RST"],
    )
    async def test_a_lost_connection_is_closed_1006(
        self, script: Script, end: Step, error: type[Exception]
    ) -> None:
        """RFC 6455 §7.1.5: no CLOSE came; exception() says what happened."""
        peer = await script([(GET, [Accept(), end])])  # type: ignore[list-item]
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            assert await ws.receive() == CLOSED
            assert ws.close_code == 1006
            assert isinstance(ws.exception(), error)
            assert_free(session, idle=0)

    async def test_text_that_is_no_utf8_fails_at_once(self, script: Script, http1: str) -> None:
        """RFC 6455 §8.1: the fragment that shows it is enough, and within it the piece."""
        start = websocket.frame(TEXT, "κόσμε".encode(), last=False)
        rest = websocket.frame(0, b"\xf4\x90\x80\x80edited", last=False)
        peer = await script(
            [(GET, [Accept(start), rest[:2], rest[2:4]]), (websocket.CloseWith(1007), STALL)]
        )
        async with client(http1) as session, session.ws_connect(peer.url) as ws:
            message = await ws.receive()
            assert message.type is WSMsgType.ERROR
            assert message.data.code == ws.close_code == 1007

    async def test_tls_cut_without_notice_is_1006(self, script: Script, tls_ca: Authority) -> None:
        """An attacker who cuts the connection cannot make it look like CLOSE."""
        peer = await script([(GET, [Accept(), CUT])], tls=tls_ca.server)
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, ssl=tls_ca.client) as ws:
                assert await ws.receive() == CLOSED
                assert ws.close_code == 1006

    @pytest.mark.parametrize(
        ("wire", "code"),
        [
            (b"\x81\x82abcdxy", 1002),
            (websocket.frame(TEXT, b"\xff"), 1007),
            (websocket.frame(BINARY, bytes(11)), 1009),
            (websocket.close(1005), 1002),
        ],
        ids=["masked", "text", "size", "close code"],
    )
    async def test_a_violation_is_an_error_and_closes(
        self, script: Script, http1: str, wire: bytes, code: int
    ) -> None:
        """RFC 6455 §7.1.7: CLOSE with the code, and the connection is gone."""
        peer = await script(
            [
                (GET, Accept(websocket.frame(TEXT, b"before") + wire)),
                (websocket.CloseWith(code), STALL),
            ]
        )
        async with client(http1) as session:
            async with session.ws_connect(peer.url, max_msg_size=10) as ws:
                assert await ws.receive_str() == "before"
                message = await ws.receive()
                assert message.type is WSMsgType.ERROR
                assert isinstance(message.data, WebSocketError)
                assert message.data.code == code
                assert ws.close_code == code
                assert ws.exception() is message.data
                assert await ws.receive() == CLOSED
                assert_free(session, idle=0)


class TestClose:
    async def test_messages_that_have_been_read_ahead_are_gone(self, script: Script) -> None:
        """Whoever closes receives no more, as if they had come later."""
        peer = await script([(GET, Accept(websocket.frame(TEXT, b"x") * 3)), FAREWELL])
        async with ClientSession() as session, session.ws_connect(peer.url) as ws:
            assert await ws.receive() == text("x")
            assert await ws.close()
            assert await ws.receive() == CLOSED

    async def test_code_and_reason(self, script: Script) -> None:
        """What the peer answers is the code that counts."""
        peer = await script(
            [OPEN, (Frame(websocket.CLOSE, b"\x0f\xa1" + "tschüß".encode()), websocket.close(4002))]
        )
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)
            assert await ws.close(code=4001, message="tschüß".encode())
            assert ws.close_code == 4002
            assert not await ws.close()

    async def test_unread_messages_do_not_matter(self, script: Script) -> None:
        """They are thrown away on the way to the peer's CLOSE."""
        unread = websocket.frame(BINARY, bytes(50_000)) * 20
        peer = await script([(GET, Accept(unread)), (BYE, [unread, websocket.close(1000)])])
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url, max_msg_size=10)
            assert await ws.close()
            assert ws.close_code == 1000

    @pytest.mark.parametrize("end", [STALL, DEAF])
    async def test_a_mute_peer(self, script: Script, end: Step) -> None:
        """close() ends at its deadline: 1006, and exception() is a TimeoutError."""
        peer = await script([(GET, [Accept(), end])])  # type: ignore[list-item]
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url, timeout=SHORT)
            with anyio.fail_after(5):
                assert await ws.close()
            assert ws.close_code == 1006
            assert isinstance(ws.exception(), TimeoutError)
            assert_free(session, idle=0)

    async def test_a_peer_that_only_leaves(self, script: Script) -> None:
        """The connection ends without CLOSE: 1006, but this call closed it."""
        peer = await script([OPEN, (BYE, CLOSE)])
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)
            assert await ws.close()
            assert ws.close_code == 1006
            assert isinstance(ws.exception(), ServerDisconnectedError)

    async def test_a_peer_that_breaks_the_protocol_meanwhile(self, script: Script) -> None:
        """The same."""
        peer = await script([OPEN, (BYE, [b"\xff\xff", STALL])])
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)
            assert await ws.close()
            assert ws.close_code == 1006
            assert isinstance(ws.exception(), WebSocketError)

    async def test_it_wakes_a_pending_receive(self, script: Script) -> None:
        """receive() returns CLOSING at once, and close() reads on."""
        wait = Flag()
        peer = await script([OPEN, (BYE, [Wait(wait), websocket.close(1000)])])
        results: list[object] = []
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)

            async def receive() -> None:
                results.append((await ws.receive()).type)
                wait.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(receive)
                await anyio.wait_all_tasks_blocked()
                assert await ws.close()
            assert results == [WSMsgType.CLOSING]
            assert ws.close_code == 1000

    async def test_a_receive_that_begins_later_returns_closed(self, script: Script) -> None:
        """Also before the task that was receiving has returned."""
        wait = Flag()
        peer = await script([OPEN, (BYE, [Wait(wait), websocket.close(1000)])])
        results: list[object] = []
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)

            async def receive() -> None:
                results.append((await ws.receive()).type)

            async def receive_when_closing() -> None:
                while not ws.closed:
                    await anyio.lowlevel.checkpoint()
                for _ in range(3):
                    assert await ws.receive() == CLOSED
                wait.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(receive)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(receive_when_closing)
                for _ in range(3):
                    await anyio.lowlevel.checkpoint()
                assert await ws.close()
            assert results == [WSMsgType.CLOSING]

    async def test_two_at_once(self, script: Script) -> None:
        """One of them closes; both return when it is closed."""
        peer = await script([OPEN, FAREWELL])
        results: list[bool] = []
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)

            async def close() -> None:
                results.append(await ws.close())
                assert ws.close_code == 1000

            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(close)
        assert sorted(results) == [False, False, True]

    async def test_cancelled(self, script: Script) -> None:
        """The connection is dropped: 1006."""
        told = Flag()
        peer = await script([OPEN, (BYE, [Tell(told), STALL])])
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)
            assert await cancel_when(ws.close, told.until_set)
            assert ws.closed
            assert ws.close_code == 1006
            assert_free(session, idle=0)

    async def test_it_comes_between_the_fragments_of_a_message(self, script: Script) -> None:
        """A stream that is being sent does not keep anybody from closing."""
        peer = await script([OPEN, (Frame(TEXT, b"a", last=False), []), FAREWELL])
        waiting = anyio.Event()

        async def pieces() -> AsyncIterator[str]:
            yield "a"
            yield "b"
            waiting.set()
            await closed.wait()
            yield "c"

        closed = anyio.Event()
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)
            async with anyio.create_task_group() as tasks:

                async def send() -> None:
                    with pytest.raises(ClientConnectionResetError):
                        await ws.send_stream(pieces())

                tasks.start_soon(send)
                await waiting.wait()
                assert await ws.close()
                closed.set()

    async def test_the_session_closes_it(self, script: Script) -> None:
        """Leaving the session ends what waits, with 1006."""
        peer = await script([(GET, [Accept(), STALL])])
        results: list[WSMessage] = []
        async with anyio.create_task_group() as tasks:
            async with ClientSession() as session:
                ws = await session.ws_connect(peer.url, heartbeat=30)

                async def receive() -> None:
                    results.append(await ws.receive())

                tasks.start_soon(receive)
                await anyio.wait_all_tasks_blocked()
        assert results == [CLOSED]

    async def test_forgotten(self, script: Script) -> None:
        """A WebSocket that nobody closes warns when it is collected, and its slot is free."""
        peer = await script([(GET, [Accept(), STALL])])
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                del ws
                gc.collect()
            assert ["Unclosed websocket" in str(each.message) for each in caught] == [True]
            assert_free(session, idle=0)

    @pytest.mark.parametrize("heartbeat", [None, 30.0])
    async def test_forgotten_in_another_thread(
        self, script: Script, heartbeat: float | None, carried_by: str
    ) -> None:
        """The collector may find it in any; what belongs to the event loop is touched in that."""
        peer = await script([(GET, [Accept(), STALL])])
        async with ClientSession() as session:
            held = [await session.ws_connect(peer.url, heartbeat=heartbeat)]

            def forget() -> None:
                thread = threading.Thread(target=held.clear)
                thread.start()
                thread.join()  # which keeps the event loop from running

            with pytest.warns(ResourceWarning, match="Unclosed websocket"):
                forget()
            assert session.connector is not None
            if carried_by == "http1":  # the connection to the gateway counts nowhere
                assert session.connector.statistics().in_use == 1
            await wait_free(session)
            await peer.wait_closed()

    async def test_forgotten_with_a_heartbeat(self, script: Script) -> None:
        """The task of the heartbeat does not keep it alive."""
        peer = await script([(GET, [Accept(), STALL])])
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url, heartbeat=30)
            await anyio.lowlevel.checkpoint()
            with pytest.warns(ResourceWarning, match="Unclosed websocket"):
                del ws
            assert_free(session, idle=0)


class TestBlock:
    @pytest.mark.parametrize("heartbeat", [None, 30.0])
    @pytest.mark.parametrize("entered", [True, False])
    async def test_what_is_raised_leaves_as_the_same_object(
        self, script: Script, entered: bool, heartbeat: float | None
    ) -> None:
        """Not inside a group, and with its context."""
        peer = await script([OPEN, FAREWELL])
        mine = KeyError("mine")
        session = ClientSession()
        if entered:
            await session.__aenter__()
        with pytest.raises(KeyError) as caught:
            async with session.ws_connect(peer.url, heartbeat=heartbeat):
                raise mine
        assert caught.value is mine
        assert mine.__context__ is None
        await (session.__aexit__(None, None, None) if entered else session.close())

    async def test_leaving_by_cancellation(self, script: Script) -> None:
        """The connection is dropped; the cancellation goes to whom it belongs."""
        peer = await script([(GET, [Accept(), STALL])])
        async with ClientSession() as session:
            with anyio.CancelScope() as scope:
                async with session.ws_connect(peer.url):
                    scope.cancel()
                    await anyio.sleep_forever()
            assert scope.cancelled_caught
            assert_free(session, idle=0)

    async def test_an_error_beats_a_cancellation_while_closing(self, script: Script) -> None:
        """A scope that expires while the block is left must not swallow the error."""
        peer = await script([OPEN, (BYE, STALL)])
        async with ClientSession() as session:

            async def fail() -> None:
                with anyio.CancelScope() as scope:
                    async with session.ws_connect(peer.url):
                        scope.deadline = anyio.current_time() + 0.1
                        raise KeyError

            with pytest.raises(KeyError):
                await fail()
            assert_free(session, idle=0)

    async def test_entering_a_websocket_itself(self, script: Script) -> None:
        """What a bare await returned can be entered, too."""
        peer = await script([OPEN, FAREWELL])
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)
            async with ws as same:
                assert same is ws
            assert ws.closed


# -- heartbeat -------------------------------------------------------------------------


class TestHeartbeat:
    async def test_a_block_in_a_session_not_entered(self, script: Script) -> None:
        """The block has the task."""
        pinged = Flag()
        answer: list[Action] = [websocket.frame(PONG), Tell(pinged)]
        peer = await script([OPEN, (Frame(PING), answer), FAREWELL])
        session = ClientSession()
        async with session.ws_connect(peer.url, heartbeat=0.3) as ws:
            await pinged.until_set()
            await ws.close()
        await session.close()

    @pytest.mark.parametrize("lone", [False, True])
    async def test_a_bare_await_in_a_session_not_entered(self, script: Script, lone: bool) -> None:
        """On asyncio it has a task of its own, until it is closed; on trio the receiver pings."""
        beats: list[Step] = [(Frame(PING), websocket.frame(PONG))] * 3
        peer = await script(
            [OPEN, *beats, (Frame(PING), websocket.frame(TEXT, b"x")), FAREWELL],
        )
        session = ClientSession()
        before = running_tasks()
        connect = anyhttp.ws_connect if lone else session.ws_connect
        ws = await connect(peer.url, heartbeat=0.4)
        with anyio.fail_after(5):
            assert await ws.receive_str() == "x"
        assert await ws.close()
        assert running_tasks() == before
        await session.close()

    @pytest.mark.once
    @pytest.mark.parametrize("end", ["peer", "session", "collected", "error"])
    async def test_the_task_of_its_own_ends_with_the_connection(
        self, script: Script, end: str
    ) -> None:
        """Whatever ends that, and while nobody receives."""
        pinged, go_on = Flag(), Flag()
        peer = await script(
            [OPEN, (Frame(PING), [Tell(pinged), Wait(go_on), CLOSE if end == "peer" else STALL])]
        )
        session = ClientSession()
        before = running_tasks()
        ws = await session.ws_connect(peer.url, heartbeat=0.8)
        await pinged.until_set()
        assert len(running_tasks() - before) == 1
        if end == "session":
            await session.close()
        elif end == "collected":
            with pytest.warns(ResourceWarning, match="Unclosed websocket"):
                del ws
        elif end == "error":
            with suppress(KeyError):
                async with ws:
                    go_on.set()
                    raise KeyError from TimeoutError()
        go_on.set()
        await until(lambda: running_tasks() == before, "the task to be over")
        await session.close()

    async def test_whoever_receives_pings_if_there_is_no_task(
        self, script: Script, anyio_backend_name: str
    ) -> None:
        """The time of the peer's silence goes on from one call to the next."""
        if anyio_backend_name != "trio":
            pytest.skip("there is a task")
        peer = await script([OPEN, (Frame(PING), websocket.frame(PONG)), (Frame(PING), STALL)])
        session = ClientSession()
        ws = await session.ws_connect(peer.url, heartbeat=0.4)
        message = None
        with anyio.fail_after(5):
            while message is None:
                with suppress(TimeoutError):
                    message = await ws.receive(timeout=0.15)
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, ServerTimeoutError)
        assert await ws.receive() == CLOSED
        assert (ws.closed, ws.close_code) == (True, 1006)
        await session.close()

    @pytest.mark.parametrize(
        ("end", "size"),
        [(CLOSE, 1), (RESET, 1), (RESET, 200_000)],  # the last are more than it reads ahead
        ids=["FIN", "RST", "much"],
    )
    async def test_a_peer_that_leaves_behind_a_message_is_noticed(
        self, script: Script, end: Action, size: int
    ) -> None:
        """Although nobody has received the message; it still can be."""
        said = websocket.frame(TEXT, b"x") + websocket.frame(BINARY, bytes(size))
        peer = await script([OPEN, (Frame(PING), said), (Frame(PING), end)])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=1.0) as ws:
                await until_closed(ws)
                assert_free(session, idle=0)
                assert (ws.close_code, await ws.receive_str()) == (1006, "x")
                while (message := await ws.receive()).type is WSMsgType.BINARY:
                    pass
                assert message == CLOSED
                assert isinstance(ws.exception(), ClientConnectionError)

    @pytest.mark.parametrize("doing", ["receive", "nothing", "send"])
    async def test_a_silent_peer_is_dropped(self, script: Script, doing: str) -> None:
        """A ping, half the time, and it is over: whatever the application does."""
        peer = await script([(GET, [Accept(), STALL])])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.1) as ws:
                with anyio.fail_after(5):
                    if doing == "receive":
                        message = await ws.receive()
                        assert message.type is WSMsgType.ERROR
                        assert isinstance(message.data, ServerTimeoutError)
                    elif doing == "send":

                        async def send() -> None:
                            while True:
                                await ws.send_str("x")
                                await anyio.sleep(0.01)

                        with pytest.raises(ClientConnectionError):
                            await send()
                    else:
                        await until_closed(ws)
                assert await ws.receive() == CLOSED
                assert ws.close_code == 1006
                assert isinstance(ws.exception(), ServerTimeoutError)
                assert_free(session, idle=0)

    async def test_a_sender_that_is_stuck_is_freed(self, script: Script) -> None:
        """A peer that takes nothing and says nothing is dropped under a large message."""
        peer = await script([(GET, [Accept(), DEAF])])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.2) as ws:
                with anyio.fail_after(5), pytest.raises(ClientConnectionError):
                    await ws.send_bytes(bytes(50_000_000))
                assert isinstance(ws.exception(), ServerTimeoutError)

    @pytest.mark.parametrize("receiving", [True, False])
    async def test_a_peer_that_answers_stays(self, script: Script, receiving: bool) -> None:
        """Pongs are read by the heartbeat itself if nobody else does."""
        beats: list[Step] = [(Frame(PING), websocket.frame(PONG))] * 3
        peer = await script(
            [
                OPEN,
                *beats,
                (Frame(PING), websocket.frame(PONG) + websocket.frame(TEXT, b"x")),
                FAREWELL,
            ]
        )
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.3) as ws:
                if not receiving:
                    await until(lambda: peer.requests[0].count(b"\x89\x80") >= 4, "four pings")
                with anyio.fail_after(5):
                    assert await ws.receive_str() == "x"

    async def test_a_slow_frame_counts_as_life(self, script: Script) -> None:
        """Any byte is a sign of life, not only a whole frame: no ping is sent."""
        wire = websocket.frame(TEXT, b"slowly")
        flags = [Flag() for _ in wire]
        actions = [
            action
            for flag, byte in zip(flags, wire, strict=True)
            for action in (Wait(flag), bytes([byte]))
        ]
        peer = await script([(GET, [Accept(), *actions]), FAREWELL])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.5) as ws:

                async def drip() -> None:
                    for flag in flags:
                        await anyio.sleep(0.15)
                        flag.set()

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(drip)
                    assert await ws.receive_str() == "slowly"

    async def test_it_answers_pings_and_keeps_messages(self, script: Script) -> None:
        """While nobody receives, the heartbeat answers what is answered without the application."""
        more = websocket.frame(PING, b"1") + websocket.frame(TEXT, b"kept")
        peer = await script(
            [OPEN, (Frame(PING), more), (Frame(PONG, b"1"), []), FAREWELL], partial=False
        )
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=1.0) as ws:
                await until(lambda: b"\x8a\x81" in peer.requests[0], "the pong")
                assert await ws.receive_str() == "kept"
                await ws.close()

    async def test_a_receive_that_is_cancelled_at_once_leaves_it_reading(
        self, script: Script
    ) -> None:
        """Whoever only looks whether something is there does not make the peer seem silent."""
        flags = [(Flag(), Flag()) for _ in range(6)]
        beats: list[Step] = [
            (Frame(PING), [Tell(reached), Wait(wait), websocket.frame(PONG)])
            for reached, wait in flags
        ]
        last: Step = (Frame(PING), websocket.frame(PONG) + websocket.frame(TEXT, b"x"))
        peer = await script([OPEN, *beats, last, FAREWELL])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.4) as ws:
                for reached, wait in flags:
                    await reached.until_set()
                    await anyio.wait_all_tasks_blocked()
                    with anyio.CancelScope() as scope:
                        scope.cancel()
                        await ws.receive()
                    wait.set()
                assert await ws.receive_str() == "x"

    async def test_what_it_has_read_ahead_outlasts_the_connection(self, script: Script) -> None:
        """A peer that says its last and leaves is understood, however late one receives."""
        last = websocket.frame(TEXT, b"x") + websocket.frame(TEXT, b"y") + websocket.close(1000)
        peer = await script([OPEN, (Frame(PING), last), (Frame(PING), RESET)])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.2) as ws:
                await peer.wait_closed()
                await anyio.wait_all_tasks_blocked()  # the event loop has seen it, too
                assert [(await ws.receive()).data for _ in range(3)] == ["x", "y", 1000]
                assert await ws.receive() == CLOSED
                assert ws.close_code == 1000
                assert_free(session, idle=0)

    @pytest.mark.parametrize("autoclose", [True, False])
    @pytest.mark.parametrize(
        ("last", "code"),
        [(websocket.close(1000), 1000), (b"", 1006), (b"\x81\x02c", 1006)],
        ids=["CLOSE", "nothing", "half"],
    )
    async def test_what_it_has_read_ahead_outlasts_a_peer_that_falls_silent(
        self, script: Script, last: bytes, code: int, autoclose: bool
    ) -> None:
        """Nobody received while the peer was given up: the end comes behind what it had said."""
        said = websocket.frame(TEXT, b"one") + websocket.frame(TEXT, b"two") + last
        peer = await script([(GET, [Accept(), said, STALL])])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.1, autoclose=autoclose) as ws:
                await until_closed(ws)
                assert_free(session, idle=0)
                assert ws.close_code == 1006
                assert isinstance(ws.exception(), ServerTimeoutError)
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    await ws.receive()
                assert [await ws.receive() for _ in range(2)] == [text("one"), text("two")]
                if code == 1000:
                    assert await ws.receive() == WSMessage(WSMsgType.CLOSE, 1000, "")
                assert [await ws.receive() for _ in range(2)] == [CLOSED, CLOSED]
                assert ws.close_code == code

    async def test_what_it_has_read_ahead_outlasts_a_ping_that_fails(self, script: Script) -> None:
        """The connection broke while nobody looked, and the next ping finds that out."""
        said = websocket.frame(TEXT, b"one") + websocket.frame(TEXT, b"two")
        peer = await script([OPEN, (Frame(PING), [said, RESET])])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.8) as ws:
                await until_closed(ws)
                assert_free(session, idle=0)
                assert [await ws.receive() for _ in range(3)] == [text("one"), text("two"), CLOSED]
                assert isinstance(ws.exception(), ClientOSError)

    async def test_a_violation_that_it_has_read_ahead_outlasts_the_peer(
        self, script: Script
    ) -> None:
        """What breaks the protocol behind a message is an error, also when all is over."""
        said = websocket.frame(TEXT, b"one") + b"\xff\xff"
        peer = await script([(GET, [Accept(), said, STALL])])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.1) as ws:
                await until_closed(ws)
                assert await ws.receive() == text("one")
                assert (await ws.receive()).type is WSMsgType.ERROR
                assert await ws.receive() == CLOSED
                assert ws.close_code == 1002

    async def test_a_message_in_pieces_outlasts_a_peer_that_falls_silent(
        self, script: Script
    ) -> None:
        """What had come of it can be read; that there is no more is an error."""
        said = websocket.frame(TEXT, b"one", last=False)
        more = websocket.frame(0, b"two", last=False)
        peer = await script([(GET, [Accept(), said, more, STALL])])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.1) as ws:
                message = await ws.receive_stream()
                await until_closed(ws)
                assert [await anext(message), await anext(message)] == ["one", "two"]
                with pytest.raises(ClientConnectionError, match="in the middle"):
                    await anext(message)
                assert await ws.receive() == CLOSED

    async def test_closing_throws_away_what_it_has_read_ahead(self, script: Script) -> None:
        """close() says that nobody wants to receive any more, also when all is over."""
        peer = await script([(GET, [Accept(), websocket.frame(TEXT, b"one"), STALL])])
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.1) as ws:
                await until_closed(ws)
                assert not await ws.close()
                assert await ws.receive() == CLOSED

    async def test_a_receive_takes_over_from_it(self, script: Script) -> None:
        """The heartbeat stops waiting for bytes when the application begins."""
        reached = Flag()
        wait = Flag()
        peer = await script(
            [
                OPEN,
                (Frame(PING), [Tell(reached), Wait(wait), websocket.frame(TEXT, b"x")]),
                FAREWELL,
            ]
        )
        async with ClientSession() as session:
            async with session.ws_connect(peer.url, heartbeat=0.6) as ws:
                await reached.until_set()
                await anyio.wait_all_tasks_blocked()
                async with anyio.create_task_group() as tasks:

                    async def receive() -> None:
                        assert await ws.receive_str() == "x"

                    tasks.start_soon(receive)
                    await anyio.wait_all_tasks_blocked()
                    wait.set()


@pytest.mark.parametrize("method", ["receive", "receive_str", "receive_stream"])
async def test_a_timeout_that_is_no_number(script: Script, method: str) -> None:
    """The error names the argument, and no message is lost."""
    wait = Flag()
    peer = await script([(GET, [Accept(), Wait(wait), websocket.frame(TEXT, b"x")]), FAREWELL])
    async with ClientSession() as session, session.ws_connect(peer.url) as ws:
        message = r"^timeout must be a number of seconds or None, not '5'$"
        with pytest.raises(TypeError, match=message):
            await getattr(ws, method)(timeout="5")
        wait.set()
        assert await ws.receive_str() == "x"
