"""Receiving and sending over a stream that does what a test says, at the moment that it says."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from anyhttp import (
    ClientConnectionResetError,
    ServerDisconnectedError,
    WebSocketError,
    WSMsgType,
)
from anyhttp._websocket import (
    CLOSED_MESSAGE,
    FrameReader,
    Heartbeat,
    Lifecycle,
    Receiver,
    Sender,
    WSState,
    close_payload,
)
from tests.support import websocket as peer
from tests.support.websocket import BINARY, PING, PONG, TEXT, Frame, take_frame


class Stream:
    """What a WebSocket has of its connection.

    :ivar steps: what each receive does: returns bytes, raises, or calls something before
    :ivar gate: lets bytes go out, when it is set
    :ivar send_error: raised instead of sending
    """

    sends_nowait = True
    receive_size = 1000
    checkpoint_if_cancelled = staticmethod(anyio.lowlevel.checkpoint_if_cancelled)

    def __init__(self, *steps: bytes | Exception | Callable[[], bytes]) -> None:
        self.steps = list(steps)
        self.sent = bytearray()
        self.gate = anyio.Event()
        self.gate.set()
        self.send_error: Exception | None = None
        self._unsent = b""

    async def receive(self, max_bytes: int = 1000) -> bytes:
        """Do the next step."""
        await anyio.lowlevel.checkpoint()
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, bytes) else step()

    def send_nowait(self, data: bytes | memoryview) -> bool:
        """Send, if the gate is open."""
        if self.send_error is not None:
            raise self.send_error
        if not self.gate.is_set():
            self._unsent += data
            return False
        self.sent += data
        return True

    async def drain(self) -> None:
        """Wait for the gate."""
        await self.gate.wait()
        if self.send_error is not None:
            raise self.send_error
        self.sent += self._unsent
        self._unsent = b""

    def send_last(self, data: bytes) -> None:
        """Send."""
        self.sent += data

    def finish_sending(self) -> None:
        """Do nothing."""

    def interrupt(self) -> None:
        """Do nothing."""

    def is_failure(self, exc: BaseException) -> bool:
        """Tell that nothing is."""
        return False

    def extra_info(self, name: str, default: Any = None) -> Any:
        """Know nothing."""
        return default

    def take(self, count: int) -> bytes:
        """Return what was sent first."""
        assert len(self.sent) >= count
        data = bytes(self.sent[:count])
        del self.sent[:count]
        return data


class Ends:
    """A WebSocket's parts on top of a :class:`Stream`."""

    def __init__(self, *steps: bytes | Exception | Callable[[], bytes]) -> None:
        self.stream = Stream(*steps)
        self.frames = FrameReader(0, None, decode_text=True)
        self.life = Lifecycle(lambda: None, self.frames.ready)
        self.sender = Sender(self.stream, self.life, None, 1)
        self.receiver = Receiver(
            self.stream, self.frames, self.sender, self.life, autoclose=True, autoping=True
        )
        self.heartbeat = Heartbeat(
            60, self.life, self.sender, self.receiver.read_ahead, self.receiver.time_out
        )


def reset() -> ClientConnectionResetError:
    """Return what a stream raises."""
    return ClientConnectionResetError(errno.ECONNRESET, "reset")


class TestReceiving:
    async def test_an_answer_that_was_cancelled(self) -> None:
        """Whoever receives next sends it, before waiting for anything."""

        def cancel() -> bytes:
            scope.cancel()
            return peer.frame(PING, b"ping")

        def answered() -> bytes:
            answers.append(take_frame(ends.stream))
            return peer.frame(TEXT, b"text")

        answers: list[Frame] = []
        ends = Ends(cancel, answered)
        with anyio.CancelScope() as scope:
            await ends.receiver.receive(ends.frames.next_message)
        assert scope.cancelled_caught
        assert not ends.stream.sent
        found = await ends.receiver.receive(ends.frames.next_message)
        assert answers == [Frame(PONG, b"ping")]
        assert getattr(found, "data", None) == "text"

    async def test_a_violation_that_cannot_be_answered(self) -> None:
        """It stays the reason for the end, whatever sending fails of."""
        ends = Ends(peer.frame(TEXT, b"text", reserved=2))
        ends.stream.send_error = reset()
        found = await ends.receiver.receive(ends.frames.next_message)
        assert found.type is WSMsgType.ERROR
        assert ends.life.exception is found.data
        assert isinstance(found.data, WebSocketError)
        assert ends.life.close_code == 1002

    async def test_waiting_for_the_peers_close_while_another_task_ends_it(self) -> None:
        """The connection is gone, and no code will come."""

        def end() -> bytes:
            ends.life.end()
            return peer.frame(TEXT, b"text")

        ends = Ends(end)
        ends.life.move(WSState.CLOSING)
        assert await ends.receiver.wait_closed() == 1006


class TestHeartbeat:
    """What it reads ahead."""

    async def test_a_violation(self) -> None:
        """It is left to whoever receives: the messages before it come first."""
        ends = Ends(peer.frame(PING, b"x" * 126))
        await ends.receiver.read_ahead(ends.heartbeat)
        assert ends.life.state is WSState.OPEN
        found = await ends.receiver.receive(ends.frames.next_message)
        assert found.type is WSMsgType.ERROR
        assert isinstance(found.data, WebSocketError)
        assert found.data.code == 1002
        assert take_frame(ends.stream).data[:2] == close_payload(1002, "")

    async def test_an_error_that_is_not_the_connections(self) -> None:
        """It is raised as it is, and others can read again."""
        error = LookupError("a fault")
        ends = Ends(error, peer.frame(TEXT, b"text"))
        with pytest.raises(LookupError) as caught:
            await ends.receiver.read_ahead(ends.heartbeat)
        assert caught.value is error
        found = await ends.receiver.receive(ends.frames.next_message)
        assert getattr(found, "data", None) == "text"


class TestSending:
    async def test_a_close_behind_a_frame_that_fails(self) -> None:
        """Nothing is sent after that: the peer would take it for the rest of the frame."""
        ends = Ends()
        ends.stream.gate = anyio.Event()

        async def send() -> None:
            with pytest.raises(ClientConnectionResetError):
                await ends.sender.send_control(PING, b"")

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            ends.life.move(WSState.CLOSING)
            group.start_soon(ends.sender.send_close, close_payload(1000, ""))
            await anyio.wait_all_tasks_blocked()
            ends.stream.send_error = reset()
            ends.stream.gate.set()
        assert ends.life.state is WSState.CLOSED
        assert not ends.stream.sent

    async def test_a_turn_that_comes_to_a_task_that_is_cancelled(self) -> None:
        """The next task has it; nothing is sent of the one in between."""
        ends = Ends()
        ends.stream.gate = anyio.Event()

        async def first() -> None:
            await ends.sender.send_control(PING, b"first")
            scope.cancel()

        async def second() -> None:
            with scope:
                await ends.sender.send_control(PING, b"second")

        scope = anyio.CancelScope()
        async with anyio.create_task_group() as group:
            for task in (first, second):
                group.start_soon(task)
                await anyio.wait_all_tasks_blocked()
            group.start_soon(ends.sender.send_control, PING, b"third")
            await anyio.wait_all_tasks_blocked()
            ends.stream.gate.set()
        assert scope.cancelled_caught
        assert take_frame(ends.stream) == Frame(PING, b"first")
        assert take_frame(ends.stream) == Frame(PING, b"third")
        assert not ends.stream.sent

    async def test_an_answer_that_fails(self) -> None:
        """What has come before is received all the same; then receiving tells of the end."""
        error = ServerDisconnectedError()
        ends = Ends(peer.frame(PING, b"ping"), peer.frame(TEXT, b"text"), error)
        ends.stream.send_error = reset()
        found = await ends.receiver.receive(ends.frames.next_message)
        assert getattr(found, "data", None) == "text"
        assert await ends.receiver.receive(ends.frames.next_message) == CLOSED_MESSAGE
        assert (ends.life.close_code, ends.life.exception) == (1006, error)

    async def test_an_answer_that_is_cancelled_after_its_first_bytes(self) -> None:
        """The rest of the frame never comes, so the WebSocket ends."""
        ends = Ends()
        ends.stream.gate = anyio.Event()
        ends.sender.note_ping(b"ping")
        async with anyio.create_task_group() as group:
            group.start_soon(ends.sender.send_pongs)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert (ends.life.state, ends.life.close_code) == (WSState.CLOSED, 1006)

    async def test_pieces_of_an_object_that_cannot_be_closed(self) -> None:
        """Any asynchronous iterable will do."""

        class Pieces:
            def __init__(self) -> None:
                self._left = [b"a", b"b"]

            def __aiter__(self) -> AsyncIterator[bytes]:
                return self

            async def __anext__(self) -> bytes:
                if not self._left:
                    raise StopAsyncIteration
                return self._left.pop(0)

        ends = Ends()
        await ends.sender.send_stream(Pieces(), None)
        assert take_frame(ends.stream) == Frame(BINARY, b"a", last=False)
        assert take_frame(ends.stream) == Frame(0, b"b")
