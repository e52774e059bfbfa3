"""WebSockets under load and cancellation, against a real server and against rude ones."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

import anyio
import anyio.lowlevel
import pytest

from anyhttp import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    ClientWSTimeout,
    TCPConnector,
    TraceConfig,
    WSMsgType,
    WSServerHandshakeError,
)
from anyhttp._network.stream import NetworkStream
from tests.support import websocket
from tests.support.cancel import (
    How,
    Operation,
    act_at_every_checkpoint,
    cancel_at_every_checkpoint,
    cancel_when,
)
from tests.support.client import assert_free
from tests.support.links import Gone, Link, LinkThreads, Listener
from tests.support.peer import Flag, Script
from tests.support.programs import websocket_server
from tests.support.proxies import Proxies
from tests.support.tls import Authority
from tests.support.waiting import until, until_full
from tests.support.websocket import BINARY, Accept, Frame, take_frame

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of a server of the package websockets, in a process of its own."""
    with websocket_server() as port:
        yield f"ws://127.0.0.1:{port}"


class Rude:
    """A server that accepts the handshake, and then does *behave* in a thread."""

    def __init__(self, behave: Callable[[Link, Rude], None]) -> None:
        self.sent = 0
        self.behaving = Flag()
        self.stopping = threading.Event()
        self._behave = behave
        self._links = LinkThreads(self._serve)
        self._listener = Listener(self._links.start)
        self.url = f"ws://127.0.0.1:{self._listener.port}/"

    def _serve(self, link: Link) -> None:
        with suppress(Gone, OSError):
            link.send(Accept().data(link.take_until(b"\r\n\r\n")))
            self.behaving.set()
            self._behave(link, self)

    def stop(self) -> None:
        """Close everything."""
        self._listener.stop()
        self.stopping.set()
        self._links.stop()


def flood(link: Link, server: Rude) -> None:
    """Send messages for ever."""
    flood_of(link, server, websocket.frame(BINARY, bytes(16_000)) * 4)


def flood_with_pings(link: Link, server: Rude) -> None:
    """Send pings for ever, reading what comes in a thread of its own."""
    data = websocket.frame(websocket.PING, b"x" * 20) * 2000
    reader = threading.Thread(target=read_on, args=[link, server], daemon=True)
    reader.start()
    try:
        flood_of(link, server, data)
    finally:
        link.interrupt()
        reader.join()


def flood_of(link: Link, server: Rude, data: bytes) -> None:
    """Send *data* for ever."""
    while True:
        link.send(data)
        server.sent += len(data)


def drip(link: Link, server: Rude) -> None:
    """Send a large message, a byte at a time."""
    link.send(websocket.frame(BINARY, bytes(100_000))[:10])
    while not server.stopping.wait(0.005):
        link.send(b"\x00")


def read_on(link: Link, server: Rude) -> None:
    """Read and say nothing."""
    while link.fill():
        link.inbox.clear()
        link.received.clear()


def stare(link: Link, server: Rude) -> None:
    """Do nothing at all."""
    link.wait_hangup()


@pytest.fixture
def rude() -> Iterator[Callable[[Callable[[Link, Rude], None]], Rude]]:
    """Start rude servers."""
    servers: list[Rude] = []

    def start(behave: Callable[[Link, Rude], None]) -> Rude:
        servers.append(Rude(behave))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


Start = Callable[[Callable[[Link, Rude], None]], Rude]


# -- a real server ---------------------------------------------------------------------


@pytest.mark.parametrize("compress", [0, 9, 12, 15])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 300_000])
async def test_echo(url: str, size: int, compress: int) -> None:
    """What the server of another project returns is what was sent."""
    data = random.Random(size).randbytes(size)
    text = data.hex()[:size]
    async with ClientSession() as session:
        async with session.ws_connect(url + "/echo", compress=compress) as ws:
            assert (ws.compress > 0) == (compress > 0)
            for _ in range(2):
                await ws.send_bytes(data)
                await ws.send_str(text)
                assert await ws.receive_bytes() == data
                assert await ws.receive_str() == text
            await ws.send_stream(_pieces(data, 1000))
            message = await ws.receive_stream()
            assert b"".join([piece async for piece in message]) == data
        assert ws.close_code == 1000


async def _pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_senders_never_interleave(url: str) -> None:
    """Many tasks send at once, compressed and not: each message arrives whole, in some order."""
    async with ClientSession() as session:
        async with session.ws_connect(url + "/echo", compress=15) as ws:
            messages = [bytes([number]) * (number * number * 20) for number in range(60)]

            async def send(message: bytes, number: int) -> None:
                await ws.send_bytes(message, compress=0 if number % 3 else None)

            received: list[bytes] = []
            async with anyio.create_task_group() as tasks:
                for number, message in enumerate(messages):
                    tasks.start_soon(send, message, number)
                received += [await ws.receive_bytes() for _ in messages]
            assert sorted(received) == messages


async def test_a_second_receive_is_an_error(url: str) -> None:
    """Only one task may receive at a time; the first one is not disturbed."""
    async with ClientSession() as session, session.ws_connect(url + "/echo") as ws:

        async def receive() -> None:
            assert await ws.receive_str() == "x"

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            for method in (ws.receive, ws.receive_str, ws.receive_stream):
                with pytest.raises(RuntimeError, match="another task"):
                    await method()
            await ws.send_str("x")


async def test_limits_of_the_connector_hold(url: str) -> None:
    """An open WebSocket holds its slot; the next one waits until it is closed."""
    async with ClientSession(connector=TCPConnector(limit=1)) as session:
        ws = await session.ws_connect(url + "/echo")
        opened: list[ClientWebSocketResponse] = []

        async def another() -> None:
            opened.append(await session.ws_connect(url + "/echo"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(another)
            await anyio.wait_all_tasks_blocked()
            assert not opened
            await ws.close()
        await opened[0].close()


async def test_a_chat_as_the_documents_teach_it(url: str) -> None:
    """The loop of aiohttp's guide, with the import changed."""
    seen = []
    async with ClientSession() as session, session.ws_connect(url + "/echo") as ws:
        await ws.send_str("hello")
        async for msg in ws:
            if msg.type == WSMsgType.TEXT:
                seen.append(msg.data)
                if msg.data == "close cmd":
                    await ws.close()
                    break
                await ws.send_str("close cmd" if len(seen) == 3 else msg.data + "/answer")
            elif msg.type == WSMsgType.ERROR:
                break
    assert seen == ["hello", "hello/answer", "hello/answer/answer", "close cmd"]


async def test_a_response_class_with_a_block_of_its_own(url: str) -> None:
    """The response to the handshake is nobody's block: it is neither entered nor left."""

    class Entered(ClientResponse):
        async def __aenter__(self) -> NoReturn:
            raise AssertionError("entered")

    async with ClientSession(response_class=Entered) as session:
        async with session.ws_connect(url) as websocket:
            await websocket.send_str("a")
            assert await websocket.receive_str() == "a"


async def test_a_refusal(url: str) -> None:
    """A server that speaks another version of the protocol refuses; the error says so."""
    async with ClientSession() as session:
        with pytest.raises(WSServerHandshakeError, match="Invalid response status"):
            await session.ws_connect(url, headers={"Sec-WebSocket-Version": "8"})
        assert_free(session)


# -- cancellation ----------------------------------------------------------------------


async def test_cancelling_a_receive_loses_no_message(url: str) -> None:
    """20 000 messages, and cancellations at random moments: all arrive, in order."""
    count, cancelled = 20_000, 0
    dice = random.Random(1)
    received: list[int] = []
    async with ClientSession() as session:
        async with session.ws_connect(f"{url}/count/{count}") as ws:
            while len(received) < count:
                with anyio.CancelScope() as scope:
                    if dice.random() < 0.3:
                        scope.cancel()
                    else:
                        scope.deadline = anyio.current_time() + dice.random() * 0.0005
                    for _ in range(min(dice.randrange(1, 60), count - len(received))):
                        received.append(int(await ws.receive_str()))  # noqa: PERF401
                cancelled += scope.cancelled_caught
            assert received == list(range(count))
            assert cancelled > 100


@pytest.mark.parametrize("compress", [0, 15])
async def test_cancelling_a_receive_in_pieces_loses_no_piece(url: str, compress: int) -> None:
    """The same for the pieces of a large message."""
    data = random.Random(2).randbytes(200_000).hex().encode()
    dice = random.Random(3)
    async with ClientSession() as session:
        async with session.ws_connect(f"{url}/echo", compress=compress) as ws:
            got: list[bytes | None] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ws.send_stream, _pieces(data, 3000))
                message = await ws.receive_stream()
                over = False
                while not over:
                    with anyio.CancelScope() as scope:
                        if dice.random() < 0.3:
                            scope.cancel()
                        else:
                            scope.deadline = anyio.current_time() + dice.random() * 0.001
                        got.extend([await anext(message, None)])
                    over = bool(got) and got[-1] is None
            assert b"".join(piece for piece in got if piece is not None) == data


@pytest.mark.parametrize("how", ["scope", "native"])
@pytest.mark.parametrize(("size", "compress"), [(10, 0), (5_000_000, 0), (10, 15), (500_000, 15)])
async def test_a_cancelled_send_is_whole_or_not_begun_or_closes(
    url: str, size: int, compress: int, how: How
) -> None:
    """Cancelled at each suspension point: never a torn frame that reports success."""
    data = random.Random(size).randbytes(size)
    outcomes: set[str] = set()
    async with ClientSession() as session:
        target = url + "/echo"
        current: list[ClientWebSocketResponse] = [
            await session.ws_connect(target, compress=compress, max_msg_size=0)
        ]

        async def send() -> None:
            await current[0].send_bytes(data)

        async def after() -> None:
            ws = current[0]
            if ws.closed:
                outcomes.add("closed")
                assert ws.close_code == 1006
                with pytest.raises(ClientConnectionResetError):
                    await ws.send_str("x")
                current[0] = await session.ws_connect(target, compress=compress, max_msg_size=0)
                return
            await ws.send_str("marker")
            message = await ws.receive()
            if message.type is WSMsgType.BINARY:
                outcomes.add("whole")
                assert message.data == data
                message = await ws.receive()
            else:
                outcomes.add("not begun")
            assert message.data == "marker"

        await cancel_at_every_checkpoint(send, after=after, how=how)
        assert "whole" in outcomes, "the last run is not cancelled"
        await current[0].close()
        assert_free(session, idle=0)


async def test_waiting_for_ones_turn_is_cancelled_without_harm(rude: Start) -> None:
    """A sender that was only waiting leaves; the one that sends goes on."""
    server = rude(stare)
    async with ClientSession() as session:
        ws = await session.ws_connect(server.url, timeout=ClientWSTimeout(ws_close=0.1))
        async with anyio.create_task_group() as tasks:

            async def send() -> None:
                with suppress(ClientConnectionError):
                    await ws.send_bytes(bytes(20_000_000))

            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            for method in (ws.send_str, ws.ping):
                assert await cancel_when(partial(method, "x"), anyio.wait_all_tasks_blocked)
                assert not ws.closed
            await ws.close()
        assert ws.close_code == 1006


async def test_opening_cancelled_everywhere(url: str) -> None:
    """No slot, socket or task is left of a handshake that is cut short."""
    async with ClientSession() as session:

        async def operation() -> None:
            async with session.ws_connect(url + "/echo", heartbeat=30) as ws:
                await ws.send_str("x")
                assert await ws.receive_str() == "x"

        async def after() -> None:
            assert_free(session, idle=0)

        points = await cancel_at_every_checkpoint(operation, after=after)
        assert points >= 4


async def test_opening_cancelled_everywhere_in_a_session_not_entered(url: str) -> None:
    """The heartbeat's task belongs to the block then, and ends with it."""
    session = ClientSession()

    async def operation() -> None:
        async with session.ws_connect(url + "/echo", heartbeat=30) as ws:
            await ws.send_str("x")
            assert await ws.receive_str() == "x"

    async def after() -> None:
        assert_free(session, idle=0)

    await cancel_at_every_checkpoint(operation, after=after)
    await cancel_at_every_checkpoint(operation, after=after, how="every-task")
    await session.close()


@pytest.mark.parametrize("compress", [0, 15])
async def test_a_cancelled_stream_is_whole_or_not_begun_or_closes(url: str, compress: int) -> None:
    """The same for a message that goes out in pieces; its generator is closed."""
    data = b"abc" * 1000
    outcomes: set[str] = set()
    ended: list[bool] = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            for start in range(0, len(data), 1000):
                await anyio.lowlevel.checkpoint()
                yield data[start : start + 1000]
        finally:
            ended.append(True)

    async with ClientSession() as session:
        ws = await session.ws_connect(url + "/echo", compress=compress)

        async def send() -> None:
            await ws.send_stream(pieces())

        async def after() -> None:
            nonlocal ws
            if ws.closed:
                outcomes.add("closed")
                ws = await session.ws_connect(url + "/echo", compress=compress)
                return
            await ws.send_str("marker")
            message = await ws.receive()
            if message.type is WSMsgType.BINARY:
                outcomes.add("whole")
                assert message.data == data
                message = await ws.receive()
            else:
                outcomes.add("not begun")
            assert message.data == "marker"

        points = await cancel_at_every_checkpoint(send, after=after)
        assert outcomes == {"closed", "whole", "not begun"}
        assert points <= len(ended) + 1
        await ws.close()


@pytest.mark.parametrize(
    ("wire", "kind"),
    [(websocket.close(1001), WSMsgType.CLOSE), (b"\xff\xff", WSMsgType.ERROR)],
    ids=["CLOSE", "ERROR"],
)
async def test_the_last_message_is_not_lost(rude: Start, wire: bytes, kind: WSMsgType) -> None:
    """A receive() that is cancelled while it answers: the next one returns what it had."""
    taken = Flag()

    def behave(link: Link, server: Rude) -> None:
        link.send(wire)
        link.wait_read()
        taken.set()
        stare(link, server)

    server = rude(behave)
    async with ClientSession() as session:
        ws = await session.ws_connect(server.url)
        async with anyio.create_task_group() as tasks:

            async def send() -> None:
                with pytest.raises(ClientConnectionError):
                    await ws.send_bytes(bytes(20_000_000))

            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()

            async def answering() -> None:
                await taken.until_set()
                await anyio.wait_all_tasks_blocked()

            assert await cancel_when(ws.receive, answering)
            assert ws.closed
        assert (await ws.receive()).type is kind
        assert (await ws.receive()).type is WSMsgType.CLOSED
        assert_free(session, idle=0)


async def test_a_ping_is_answered_behind_the_message_that_is_being_sent(rude: Start) -> None:
    """Whoever receives does not wait for whoever sends, and the pong is not forgotten."""
    size = 20_000_000
    pinged, go_on = Flag(), Flag()
    frames: list[Frame] = []

    def behave(link: Link, server: Rude) -> None:
        link.send(websocket.frame(websocket.PING, b"?"))
        pinged.set()
        go_on.wait(10)
        frames.extend(take_frame(link) for _ in range(2))
        link.send(websocket.frame(BINARY, b"!"))
        read_on(link, server)

    server = rude(behave)
    async with ClientSession() as session:
        ws = await session.ws_connect(server.url, timeout=ClientWSTimeout(ws_close=0.1))
        received: list[bytes] = []

        async def receive() -> None:
            received.append(await ws.receive_bytes())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ws.send_bytes, bytes(size))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(receive)
            await pinged.until_set()
            await anyio.wait_all_tasks_blocked()
            go_on.set()
        assert received == [b"!"]
        await ws.close()
    assert [(each.opcode, len(each.data)) for each in frames] == [(BINARY, size), (10, 1)]


@pytest.mark.parametrize("in_pieces", [True, False])
async def test_a_receive_that_ends_while_it_answers_closes(rude: Start, in_pieces: bool) -> None:
    """A pong that the peer does not take is torn by the timeout, and nothing follows it."""
    pings = websocket.frame(websocket.PING, bytes(125)) * 1000
    server = rude(lambda link, server: flood_of(link, server, pings))
    async with ClientSession() as session:
        ws = await session.ws_connect(server.url)
        ws.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        receive = ws.receive_stream if in_pieces else ws.receive
        with anyio.fail_after(20):
            while not ws.closed:
                with pytest.raises(TimeoutError, match="within"):
                    await receive(timeout=0.3)
        assert ws.close_code == 1006
        for send in (ws.send_str, ws.ping, ws.pong):
            with pytest.raises(ClientConnectionResetError):
                await send("x")
        assert (await ws.receive()).type is WSMsgType.CLOSED
        assert_free(session, idle=0)


async def test_taking_over_from_the_heartbeat_is_cancelled_without_harm(rude: Start) -> None:
    """The heartbeat reads on, and what comes is there for the next receive()."""
    go_on = Flag()

    def behave(link: Link, server: Rude) -> None:
        take_frame(link)
        go_on.wait(10)
        link.send(websocket.frame(BINARY, b"!"))
        read_on(link, server)

    server = rude(behave)
    async with ClientSession() as session:
        timeout = ClientWSTimeout(ws_close=0.1)
        async with session.ws_connect(server.url, heartbeat=0.4, timeout=timeout) as ws:
            await until(lambda: ws._receiver.read_by is not None, "the heartbeat to read")
            with anyio.CancelScope() as scope:
                scope.cancel()
                await ws.receive()
            go_on.set()
            assert await ws.receive_bytes() == b"!"


async def test_streams_of_a_connector_of_ones_own(url: str) -> None:
    """They are anyio's; a pending receive() is woken on them, too."""

    class Own(TCPConnector):
        async def _create_connection(
            self, req: ClientRequest, traces: object, timeout: ClientTimeout
        ) -> NetworkStream:
            assert req.port is not None
            return NetworkStream(await anyio.connect_tcp(req.host, req.port))

    kinds: list[WSMsgType] = []
    async with ClientSession(connector=Own()) as session:
        ws = await session.ws_connect(url + "/echo")
        await ws.send_bytes(bytes(1_000_000))
        assert len(await ws.receive_bytes()) == 1_000_000

        async def receive() -> None:
            kinds.append((await ws.receive()).type)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            assert await ws.close()
        assert kinds == [WSMsgType.CLOSING]
        assert ws.close_code == 1000


# -- peers that mean ill ---------------------------------------------------------------


@pytest.mark.parametrize(
    "behave", [stare, read_on, flood, flood_with_pings, drip], ids=lambda each: each.__name__
)
@pytest.mark.parametrize("receiving", [True, False])
async def test_close_ends_within_its_time(
    rude: Start, behave: Callable[[Link, Rude], None], receiving: bool
) -> None:
    """Neither silence nor unread messages nor slowness extend it."""
    server = rude(behave)
    async with ClientSession() as session:
        ws = await session.ws_connect(server.url, timeout=ClientWSTimeout(ws_close=0.3))

        async def receive() -> None:
            while (await ws.receive()).type not in {WSMsgType.CLOSING, WSMsgType.CLOSED}:
                pass

        async with anyio.create_task_group() as tasks:
            if receiving:
                tasks.start_soon(receive)
            await server.behaving.until_set()
            start = time.monotonic()
            with anyio.fail_after(10):
                assert await ws.close()
            assert 0.2 < time.monotonic() - start < 5
        assert ws.close_code == 1006
        assert isinstance(ws.exception(), TimeoutError)
        assert_free(session, idle=0)


async def test_close_ends_within_its_time_though_somebody_is_sending(rude: Start) -> None:
    """A message that the peer does not take holds the turn; the deadline ends both."""
    server = rude(stare)
    async with ClientSession() as session:
        ws = await session.ws_connect(server.url, timeout=ClientWSTimeout(ws_close=0.2))
        async with anyio.create_task_group() as tasks:

            async def send() -> None:
                with pytest.raises(ClientConnectionError):
                    await ws.send_bytes(bytes(30_000_000))

            for _ in range(3):
                tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            with anyio.fail_after(10):
                assert await ws.close()
        assert ws.close_code == 1006


async def test_a_flood_is_held_back(rude: Start) -> None:
    """While nobody receives the peer is made to wait: TCP's own backpressure."""
    server = rude(flood)
    async with ClientSession() as session:
        ws = await session.ws_connect(
            server.url, heartbeat=0.2, timeout=ClientWSTimeout(ws_close=0.1)
        )
        sent = -1
        with anyio.fail_after(20):
            while sent != server.sent or not sent:
                sent = server.sent
                await anyio.sleep(0.3)  # the peer had time, so it cannot send any more
        assert sent < 20_000_000  # what the kernels hold, which is not ours to choose
        assert ws._frames.buffered <= 512 * 1024
        assert not ws.closed
        assert (await ws.receive()).type is WSMsgType.BINARY
        await ws.close()


async def test_a_peer_that_does_not_read_makes_send_wait(rude: Start) -> None:
    """The wait can be cancelled, and closes the WebSocket, as the frame is torn."""
    server = rude(stare)
    async with ClientSession() as session:
        ws = await session.ws_connect(server.url)

        async def send() -> None:
            await ws.send_bytes(bytes(50_000_000))  # more than the buffers can hold

        full = partial(until_full, ws.get_extra_info("socket"))
        assert await cancel_when(send, full)
        assert ws.closed
        assert ws.close_code == 1006
        with pytest.raises(ClientConnectionResetError):
            await ws.send_str("x")


async def test_small_messages_wait_as_well(rude: Start) -> None:
    """Memory does not grow with messages that the peer does not take."""
    server = rude(stare)
    sent = 0
    async with ClientSession() as session:
        ws = await session.ws_connect(server.url)
        with anyio.move_on_after(1):
            while True:
                await ws.send_bytes(bytes(1000))
                sent += 1
        assert sent < 50_000


async def test_everything_at_once(url: str) -> None:
    """Closing, cancelling and the peer's death, at random moments: nothing hangs or leaks."""
    dice = random.Random(4)

    async def one(session: ClientSession) -> None:
        target = f"{url}/die/{dice.random() * 0.03:.4f}"
        with anyio.move_on_after(dice.random() * 0.06):
            async with session.ws_connect(
                target, heartbeat=0.02, compress=15, timeout=ClientWSTimeout(ws_close=0.05)
            ) as ws:

                async def send() -> None:
                    with suppress(ClientConnectionError):
                        while True:
                            await ws.send_bytes(bytes(dice.randrange(100_000)))
                            await anyio.lowlevel.checkpoint()

                async def receive() -> None:
                    while (await ws.receive()).type is WSMsgType.BINARY:
                        pass

                async def close() -> None:
                    await anyio.sleep(dice.random() * 0.05)
                    await ws.close()

                async with anyio.create_task_group() as tasks:
                    for job in (send, receive, close):
                        tasks.start_soon(job)

    async with ClientSession() as session:
        with anyio.fail_after(30):
            for _ in range(20):
                async with anyio.create_task_group() as tasks:
                    for _ in range(5):
                        tasks.start_soon(_forgiving, one, session)
        assert_free(session, idle=0)


async def _forgiving(
    one: Callable[[ClientSession], Awaitable[None]], session: ClientSession
) -> None:
    """Run it; a peer that dies in the handshake is part of the game."""
    with suppress(ClientConnectionError):
        await one(session)


async def test_both_directions_over_tls(tls_ca: Authority, script: Script) -> None:
    """Sending and receiving at once, with large messages, through one TLS stream."""
    count, data = 30, bytes(200_000)
    incoming = websocket.frame(BINARY, data) * count
    outgoing = Frame(BINARY, data)
    peer = await script(
        [
            (b"GET / ", [Accept(), incoming]),
            *((outgoing, []) for _ in range(count)),
            (Frame(websocket.CLOSE, b"\x03\xe8"), websocket.close(1000)),
        ],
        tls=tls_ca.server,
    )
    async with ClientSession() as session:
        async with session.ws_connect(peer.url, ssl=tls_ca.client) as ws:

            async def send() -> None:
                for _ in range(count):
                    await ws.send_bytes(data)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                for _ in range(count):
                    assert await ws.receive_bytes() == data


@pytest.mark.parametrize("closed", ["session", "connector"])
async def test_a_session_that_is_closed_between_the_handshake_and_the_websocket(
    script: Script, closed: str
) -> None:
    """Code of the application runs there, and so may other tasks."""
    peer = await script([(b"GET / ", Accept())])

    async def end(*_: object) -> None:
        assert session.connector is not None
        await (session if closed == "session" else session.connector).close()

    config = TraceConfig()
    config.on_request_end.append(end)
    async with ClientSession(trace_configs=[config]) as session:
        with pytest.raises(ClientConnectionResetError):
            await session.ws_connect(peer.url)


# -- what other tasks do ---------------------------------------------------------------


async def opening(session: ClientSession, url: str, _: ClientWebSocketResponse | None) -> None:
    """Open one, and close it."""
    async with session.ws_connect(url):
        pass


async def echoing(_: ClientSession, url: str, ws: ClientWebSocketResponse | None) -> None:
    """Send a message, and receive it."""
    assert ws is not None
    await ws.send_bytes(bytes(300_000))
    await ws.receive()
    await ws.ping()


async def reading(_: ClientSession, url: str, ws: ClientWebSocketResponse | None) -> None:
    """Send a message in pieces, and receive it so."""
    assert ws is not None
    await ws.send_stream(pieces_of(b"ab"))
    with suppress(StopAsyncIteration):
        stream = await ws.receive_stream()
        while True:
            await anext(stream)


async def closing(_: ClientSession, url: str, ws: ClientWebSocketResponse | None) -> None:
    """Leave its block."""
    assert ws is not None
    async with ws:
        pass


async def pieces_of(data: bytes) -> AsyncIterator[bytes]:
    """Yield each byte."""
    for byte in data:
        await anyio.lowlevel.checkpoint()
        yield bytes([byte])


@pytest.mark.uvloop
@pytest.mark.parametrize("closed", ["session", "connector", "websocket", "block"])
@pytest.mark.parametrize("doing", [opening, echoing, reading, closing])
@pytest.mark.parametrize("way", ["direct", "proxy"])
async def test_another_task_closes_at_any_point(
    url: str, proxies: Proxies, doing: Callable[..., Awaitable[None]], closed: str, way: str
) -> None:
    """The operation ends at once, and raises an error of the client, if any."""
    proxy = proxies("http").url if way == "proxy" else None

    @asynccontextmanager
    async def prepare() -> AsyncIterator[tuple[Operation, Operation]]:
        async with ClientSession(proxy=proxy) as session:
            ws = None if doing is opening else await session.ws_connect(url + "/echo")

            async def operate() -> None:
                with suppress(ClientError, TimeoutError):
                    await doing(session, url + "/echo", ws)

            async def close() -> None:
                assert session.connector is not None
                if ws is None or closed in {"session", "connector"}:
                    await (session if closed == "session" else session.connector).close()
                elif closed == "websocket":
                    await ws.close()
                else:
                    with suppress(asyncio.CancelledError):
                        async with ws:
                            raise asyncio.CancelledError

            with anyio.fail_after(30):
                yield operate, close
            assert session.connector is not None
            if ws is not None:
                await ws.close()
            assert_free(session)

    assert await act_at_every_checkpoint(prepare)
