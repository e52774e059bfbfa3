"""The task beside a WebSocket, apart from any connection; tests/wire/test_websocket.py has both."""

from __future__ import annotations

import socket
import time

import anyio
import anyio.lowlevel
import pytest

from anyhttp import ServerTimeoutError
from anyhttp._websocket import BytesLike, Heartbeat, Lifecycle, Sender, WSState

pytestmark = pytest.mark.uvloop

PROBES = 30


class AnsweringSender(Sender):
    """Brings the answer to each ping, and keeps the event loop busy until it is late."""

    def __init__(self, peer: socket.socket) -> None:
        self.over = anyio.Event()
        self._probes = 0
        self._peer = peer

    async def send_control(self, opcode: int, message: BytesLike | str) -> None:
        """Be answered."""
        self._peer.send(b"x")
        time.sleep(0.003)  # noqa: ASYNC251
        self._probes += 1
        if self._probes == PROBES:
            self.over.set()


async def test_an_answer_counts_however_late_it_is_noticed() -> None:
    """The event loop finds it together with the end of the time that the peer had for it."""
    timeouts: list[ServerTimeoutError] = []
    here, there = socket.socketpair()
    here.setblocking(False)
    sender = AnsweringSender(there)

    async def receive() -> None:
        while True:
            await anyio.wait_readable(here)
            here.recv(1)
            heartbeat.note_activity()

    def time_out(reason: ServerTimeoutError) -> None:
        timeouts.append(reason)
        sender.over.set()

    life = Lifecycle(lambda: None, [])
    heartbeat = Heartbeat(0.002, life, sender, Heartbeat.wait_changed, time_out)
    with here, there, anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            tasks.start_soon(heartbeat.run)
            await sender.over.wait()
            life.end()
            tasks.cancel_scope.cancel()
    assert not timeouts


class CountingSender(Sender):
    """Counts the pings."""

    def __init__(self) -> None:
        self.pings = 0

    async def send_control(self, opcode: int, message: BytesLike | str) -> None:
        """Send nothing."""
        await anyio.lowlevel.checkpoint()
        self.pings += 1


async def test_whoever_receives_looks_for_an_answer_before_the_peer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may have come while that task did something else, so it gets a moment more."""
    now = 100.0
    monkeypatch.setattr("anyhttp._websocket.heartbeat.clock", lambda: lambda: now)
    timeouts: list[ServerTimeoutError] = []
    sender = CountingSender()
    life = Lifecycle(lambda: None, [])
    heartbeat = Heartbeat(10, life, sender, Heartbeat.wait_changed, timeouts.append)
    now += 4
    assert heartbeat.seconds_left == 6
    now += 8
    assert heartbeat.seconds_left == 0
    await heartbeat.beat()
    assert heartbeat.seconds_left == 5
    now += 20
    assert 0 < heartbeat.seconds_left < 1
    heartbeat.note_activity()
    assert heartbeat.seconds_left == 10
    now += 10
    await heartbeat.beat()
    assert (sender.pings, timeouts) == (2, [])
    now += 5
    await heartbeat.beat()
    assert (sender.pings, len(timeouts)) == (2, 1)


async def test_a_peer_is_not_given_up_when_closing_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Closing has its own time limit; the ping before it need not be answered."""
    now = 100.0
    monkeypatch.setattr("anyhttp._websocket.heartbeat.clock", lambda: lambda: now)
    timeouts: list[ServerTimeoutError] = []
    sender = CountingSender()
    life = Lifecycle(lambda: None, [])
    heartbeat = Heartbeat(10, life, sender, Heartbeat.wait_changed, timeouts.append)
    now += 10
    await heartbeat.beat()
    life.move(WSState.CLOSING)
    now += 5
    await heartbeat.beat()
    assert (sender.pings, timeouts) == (1, [])
