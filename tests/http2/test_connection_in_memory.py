"""Connections whose server is in memory: rules that a socket shows only by chance."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from anyhttp import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientResponseError,
    ClientSession,
)

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from anyhttp._http1 import Limits, ParseError
from anyhttp._http2 import Http2Connection, Http2Options
from anyhttp._http2.shared_io import Wait
from anyhttp._http2.tunnel import Http2Tunnel
from tests.support.http2_client import one_connection
from tests.support.http2_core import PING, raw_frame
from tests.support.http2_memory import MemoryServer
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop

ROOT = "http://127.0.0.1/"


async def ask(session: ClientSession, path: str, answers: list[str]) -> None:
    """Make a request, and note what came of it."""
    try:
        async with session.get(ROOT + path) as response:
            answers.append(await response.text())
    except ClientConnectionError as exc:
        answers.append(str(exc))
    except ClientResponseError as exc:
        answers.append(exc.message)


class ReluctantServer(MemoryServer):
    """Takes what is left over, and then nothing again until :meth:`take_more`."""

    def _send_left(self) -> bool:
        is_all = super()._send_left()
        self.is_full = True
        return is_all


class FailingServer(MemoryServer):
    """Fails to take what is left over when :attr:`fails` is set."""

    fails = False

    async def drain(self) -> None:
        while not self.fails:
            await self._changed.wait()
        raise ClientConnectionResetError("broken")


async def test_a_closed_connection_is_not_checked() -> None:
    """It cannot give a sign of life, and there is nobody to send a PING to."""
    async with one_connection(MemoryServer()) as (_, connector):
        http2 = await connector.open()
        assert await http2.check()
        http2.abort()
        assert not await http2.check()
        assert http2._pings_sent == 1


async def test_a_plain_call_reads_a_bounded_number_of_times() -> None:
    """A server that sends without end cannot hold up whoever looks at an idle connection."""
    server = MemoryServer()  # of which each read gets 500 bytes
    async with one_connection(server) as (_, connector):
        http2 = await connector.open()
        assert await http2.check()
        assert not server._output
        server._output += raw_frame(0xEE, 0, 0, bytes(10_000))  # of a type that means nothing
        size = len(server._output)
        assert http2.is_usable
        assert len(server._output) == size - 16 * 500
        assert http2.is_usable
        assert not server._output


async def test_the_last_number_of_a_stream() -> None:
    """RFC 9113 §5.1.1: no exchange follows, and the connection ends with the last one."""
    server = MemoryServer()
    answers: list[str] = []
    async with one_connection(server) as (session, connector):
        http2 = await connector.open()
        await ask(session, "first", answers)  # nothing else comes from the server later
        http2._core._streams._next = 2**31 - 1
        assert http2.has_room
        async with anyio.create_task_group() as group:
            group.start_soon(ask, session, "held", answers)
            await until(lambda: server.held, "the request")
            await anyio.wait_all_tasks_blocked()
            assert not http2.has_room
            assert not http2.is_open
            server.let_go()
        assert answers == ["/first", "held"]
        assert http2.phase.name == "CLOSED"


async def test_a_server_that_reads_none_of_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its PINGs are answered as far as it reads; then the connection ends with its exchanges."""
    monkeypatch.setattr("anyhttp._http2.shared_io.MAX_OWED", 10 * 17)
    server = MemoryServer()
    answers: list[str] = []
    async with one_connection(server) as (session, connector):
        http2 = await connector.open()
        async with anyio.create_task_group() as group:
            group.start_soon(ask, session, "held", answers)
            await until(lambda: server.held, "the request")
            await anyio.wait_all_tasks_blocked()
            server.is_full = True
            for count in range(1, 12):
                assert http2.is_open
                server._output += raw_frame(PING, 0, 0, b"%08d" % count)
                server.interrupt()
                await anyio.wait_all_tasks_blocked()
            # The first one is on its way, and then ten may wait.
            assert http2._owed == 10 * 17
            assert http2.is_open
            server._output += raw_frame(PING, 0, 0, b"too many")
            server.interrupt()
        assert answers == ["the server reads none of the answers"]
        assert http2.phase.name == "CLOSED"


async def test_no_request_is_added_to_what_a_server_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pool is told when there is room again."""
    monkeypatch.setattr("anyhttp._http2.shared_io.MAX_UNSENT", 0)
    server = MemoryServer()
    answers: list[str] = []
    told: list[bool] = []
    async with one_connection(server) as (session, connector):
        http2 = await connector.open()
        await ask(session, "zero", answers)  # and acknowledge the settings
        http2.on_change = lambda: told.append(http2.has_room)
        async with anyio.create_task_group() as group:
            server.is_full = True
            for path in ("one", "two"):  # the first one is on its way
                assert http2.has_room
                group.start_soon(ask, session, path, answers)
                await anyio.wait_all_tasks_blocked()
            assert not http2.has_room
            told.clear()
            server.take_more()
        assert sorted(answers) == ["/one", "/two", "/zero"]
        assert told[0] is True


async def test_a_server_that_takes_a_little_at_a_time() -> None:
    """What was queued meanwhile is sent in its order, each time as far as it goes."""
    server = ReluctantServer()
    answers: list[str] = []
    async with one_connection(server) as (session, connector):
        http2 = await connector.open()
        async with anyio.create_task_group() as group:
            server.is_full = True
            for number in range(3):
                group.start_soon(ask, session, f"{number}", answers)
                await anyio.wait_all_tasks_blocked()
            for _ in range(3):
                server.take_more()
                await anyio.wait_all_tasks_blocked()
        assert sorted(answers) == ["/0", "/1", "/2"]
        assert not http2._unsent


async def test_bodies_do_not_pile_up_while_the_system_takes_nothing() -> None:
    """Frames are made of one of them at most, so there is room for other requests."""
    server = ReluctantServer()
    answers: list[bytes] = []

    async def send(number: int) -> None:
        async with session.post(ROOT, data=bytes([number]) * 100_000) as response:
            answers.append(await response.read())

    async with one_connection(server) as (session, connector):
        http2 = await connector.open()
        async with anyio.create_task_group() as group:
            server.is_full = True
            for number in range(5):
                group.start_soon(send, number)
            await anyio.wait_all_tasks_blocked()
            while len(answers) < 5:
                server.take_more()
                await anyio.lowlevel.checkpoint()
                assert http2.has_room
        assert sorted(answers) == [bytes([number]) * 100_000 for number in range(5)]


async def test_sending_leaves_the_reader_alone() -> None:
    """It goes on receiving, unless it has to send what the system has not taken."""

    class CountingServer(MemoryServer):
        interrupts = 0

        def interrupt(self) -> None:
            self.interrupts += 1
            super().interrupt()

    server = CountingServer()
    answers: list[str] = []
    async with one_connection(server) as (session, connector):
        http2 = await connector.open()
        async with anyio.create_task_group() as group:
            for path in ("held", "first"):
                group.start_soon(ask, session, path, answers)
                await anyio.wait_all_tasks_blocked()
            before = server.interrupts
            stream = http2.open_stream()
            state = stream.start(Limits())
            state.send_head("GET", "/second", [("Host", "127.0.0.1")])
            state.send_end()
            await stream.send(b"")
            assert server.interrupts == before
            await stream.receive()
            stream.keep(state)
            server.let_go()
        assert answers == ["/first", "held"]


async def test_sending_fails_while_another_task_reads() -> None:
    """All exchanges learn that at the end, as the server may have answered before."""
    server = FailingServer()
    answers: list[str] = []
    async with one_connection(server) as (session, connector):
        http2 = await connector.open()
        async with anyio.create_task_group() as group:
            group.start_soon(ask, session, "held", answers)
            await until(lambda: server.held, "the request")
            await anyio.wait_all_tasks_blocked()
            server.is_full = True
            group.start_soon(ask, session, "small", answers)
            await anyio.wait_all_tasks_blocked()
            server.fails = True
            server.take_more()
            await anyio.wait_all_tasks_blocked()
            assert str(http2.send_error) == "broken"
            assert answers == []
            server.has_ended = True
            server.interrupt()
        assert answers == ["broken", "broken"]


async def test_one_task_receives_on_a_stream() -> None:
    """A second one is told so at once, and the first goes on."""
    async with one_connection(server := MemoryServer()) as (_, connector):
        http2 = await connector.open()
        stream = http2.open_stream()
        state = stream.start(Limits())
        state.send_head("GET", "/held", [("Host", "127.0.0.1")])
        state.send_end()
        await stream.send(b"")
        async with anyio.create_task_group() as group:
            group.start_soon(stream.receive)
            await until(lambda: server.held, "the request")
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(ClientConnectionError, match="another task"):
                await stream.receive()
            server.let_go()
        assert state.complete
        stream.keep(state)
        assert http2.exchanges == 0


@pytest.mark.parametrize("is_full", [False, True])
async def test_the_last_bytes_on_a_stream_that_has_ended(is_full: bool) -> None:
    """They are dropped at once, also while the system takes nothing: the server wants no more."""
    async with one_connection(server := MemoryServer()) as (_, connector):
        http2 = await connector.open()
        stream = http2.open_stream()
        state = stream.start(Limits())
        state.send_head("GET", "/held", [("Host", "127.0.0.1")])
        state.send_end()
        server.is_full = is_full
        await stream.send(b"")
        assert state.end_sent
        stream.send_last(b"more")
        assert not stream._unsent
        assert not http2._senders
        server.take_more()
        await http2.check()
        stream.abort()
        assert (server.resets, http2.exchanges) == (1, 0)


def test_a_task_whose_event_loop_is_closed_is_passed_by() -> None:
    """Whoever reads for all leaves at that time, and the next one will never run."""

    async def begin() -> list[asyncio.Task[None]]:
        waits = [Wait(), Wait()]
        for wait in waits:
            wait.is_over = False
        tasks = [asyncio.create_task(http2.wait(wait)) for wait in waits]
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        assert http2._reader is waits[0]
        assert list(http2._sleepers) == waits[1:]
        return tasks

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it complains of the tasks
    http2 = Http2Connection(MemoryServer().as_stream(), Http2Options(), "http")
    tasks = loop.run_until_complete(begin())
    loop.close()
    for task in tasks:
        coroutine: Any = task.get_coro()
        coroutine.close()
        assert not http2._sleepers
    assert http2._reader is None


class FakeExchange:
    """A stream that has received, or fails to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def receive(self) -> None:
        if self.error is not None:
            raise self.error

    def is_failure(self, exc: BaseException) -> bool:
        return exc is self.error


class FakeState:
    """What has come for it."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = deque(pieces)
        self.reset_code: int | None = None


def tunnel(exchange: Any, *pieces: bytes) -> Http2Tunnel:
    """Return the bytes of another protocol, of which *pieces* have come."""
    state: Any = FakeState(*pieces)
    return Http2Tunnel(exchange, state, lambda: None)


class TestTunnels:
    async def test_pieces_are_cut(self) -> None:
        """To the size that is asked for; nothing is lost."""
        stream = tunnel(FakeExchange(), b"abcdefgh", b"ij")
        sizes = (3, 100, 1, 1, 1)
        assert [await stream.receive(size) for size in sizes] == [b"abc", b"defgh", b"i", b"j", b""]

    async def test_a_server_that_breaks_the_protocol(self) -> None:
        """For the other protocol that is a broken connection."""
        stream = tunnel(FakeExchange(ParseError("a wrong frame")))
        with pytest.raises(ClientConnectionError, match="a wrong frame") as caught:
            await stream.receive()
        assert isinstance(caught.value.__cause__, ParseError)

    async def test_a_failure_of_a_stream_that_the_program_has_made(self) -> None:
        """It is known for one."""
        error = ClientConnectionError("of the program")
        stream = tunnel(FakeExchange(error))
        assert stream.is_failure(error)
        assert not stream.is_failure(ClientConnectionError("another"))
