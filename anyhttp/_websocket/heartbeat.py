"""Pings a silent peer, and ends the WebSocket if the peer does not answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import anyio
from anyio.lowlevel import cancel_shielded_checkpoint

from .._tasks import OwnTask, clock, start_own_task
from ..client_exceptions import ClientConnectionError, ServerTimeoutError
from .lifecycle import Lifecycle
from .models import WSMsgType
from .sender import Sender

__all__ = ("Heartbeat",)

#: How long the task that receives looks for an answer at least, in seconds: the answer may have
#: come while the task did something else.
LAST_LOOK: Final = 0.05


class Heartbeat:
    """Keeps the time of the peer's last activity, and pings the peer when it is silent.

    Activity means: a byte was received, or the peer has taken a part of a large frame.

    The pinging is done by a task, in :meth:`run`.  It belongs to the session or to the block;
    after a bare ``await`` in a session that has not been entered it belongs to the WebSocket on
    asyncio (:meth:`start_task`).  On trio there is none then: whoever receives calls :meth:`beat`.

    :param seconds: after this time without activity the peer is pinged; it then has half of the
        time to show activity
    :param wait_for_bytes: waits until bytes may have been received; it reads from the connection
        if no other task does
    :param time_out: ends the WebSocket with an exception as the reason
    """

    __slots__ = ("_active_at", "_changed", "_clock", "_life", "_pinged_at", "_scope", "_seconds",
                 "_sender", "_task", "_time_out", "_wait_for_bytes")  # fmt: skip

    def __init__(
        self,
        seconds: float,
        life: Lifecycle,
        sender: Sender,
        wait_for_bytes: Callable[[Heartbeat], Awaitable[None]],
        time_out: Callable[[ServerTimeoutError], None],
    ) -> None:
        self._seconds = seconds
        self._life = life
        self._sender = sender
        self._wait_for_bytes = wait_for_bytes
        self._time_out = time_out
        # The clock of the waits below: that of a test may not go with real time.
        self._clock = clock()
        self._active_at = self._pinged_at = self._clock()
        self._task: OwnTask | None = None
        self._changed: anyio.Event | None = None
        self._scope = anyio.CancelScope()

    # -- by a task

    def start_task(self) -> bool:
        """Start a task of the WebSocket's own; return whether there is one, as on asyncio."""
        self._task = start_own_task(self.run)
        return self._task is not None

    async def wait_over(self) -> None:
        """Wait until the WebSocket's own task has ended, if there is one, after :meth:`stop`."""
        if self._task is not None:
            await self._task.wait_over()

    async def run(self) -> None:
        """Ping the peer whenever it is silent, until closing begins.

        This runs as a task.  It ends when closing begins, because that has its own time limit.
        """
        with self._scope:
            while self._life.state.can_send:
                silence = self._clock() - self._active_at
                if silence < self._seconds:
                    await anyio.sleep(self._seconds - silence)
                else:
                    await self._ping_peer(self._seconds / 2)

    async def _ping_peer(self, limit: float) -> None:
        """Send a ping, and end the WebSocket if there is no activity within *limit* seconds."""
        before, sent = self._active_at, False
        with anyio.move_on_after(limit) as scope:
            try:
                await self._sender.send_control(WSMsgType.PING, b"")
                sent = True
                while self._is_silent_since(before):
                    await self._wait_for_bytes(self)
            except ClientConnectionError:
                return  # the WebSocket has ended already
            finally:
                if sent and scope.cancel_called:
                    # If the program blocked the event loop, the pong may have arrived although the
                    # time is over.  Let the task that receives run before the check below.
                    await cancel_shielded_checkpoint()
                # The time may also be over while the ping is still being sent.
                if scope.cancel_called and self._is_silent_since(before):
                    self._give_up()

    def _give_up(self) -> None:
        """End the WebSocket, because the peer has not answered a ping."""
        limit = self._seconds / 2
        self._time_out(ServerTimeoutError(f"the peer was silent for {limit} s after a ping"))

    # -- by the task that receives

    @property
    def seconds_left(self) -> float:
        """How long to wait for bytes before :meth:`beat` has to be called."""
        now = self._clock()
        if self._pinged_at <= self._active_at:
            return max(self._active_at + self._seconds - now, 0)
        return max(self._pinged_at + self._seconds / 2 - now, LAST_LOOK)

    async def beat(self) -> None:
        """Ping the peer, or end the WebSocket if a ping has been sent before.

        :raises ClientConnectionError: the WebSocket has ended
        """
        before = self._active_at
        if self._pinged_at <= before:
            with anyio.move_on_after(self._seconds / 2):
                await self._sender.send_control(WSMsgType.PING, b"")
                self._pinged_at = self._clock()
                return
        if self._is_silent_since(before):
            self._give_up()

    # -- for both

    def _is_silent_since(self, before: float) -> bool:
        """Whether there was no activity since *before*, and closing has not begun."""
        return self._active_at == before and self._life.state.can_send

    def note_activity(self) -> None:
        """Note that the peer has just been active."""
        self._active_at = self._clock()
        self.wake()

    async def wait_changed(self) -> None:
        """Wait until there was activity, or the task that was reading has stopped reading."""
        self._changed = anyio.Event()
        await self._changed.wait()
        self._changed = None

    def wake(self) -> None:
        """End :meth:`wait_changed`."""
        if self._changed is not None:
            self._changed.set()

    def stop(self) -> None:
        """End :meth:`run`; if it has not begun, it will end at once.

        If the garbage collector has found the WebSocket, its event loop may have ended before.
        """
        with suppress(RuntimeError):  # the event loop has ended, and the task with it
            self._scope.cancel()
