"""The task beside a WebSocket that pings a silent peer, and ends the WebSocket if none answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic

import anyio
from anyio.lowlevel import cancel_shielded_checkpoint

from ..client_exceptions import ClientConnectionError, ServerTimeoutError
from .lifecycle import Lifecycle
from .models import WSMsgType
from .sender import Sender

__all__ = ("Heartbeat",)


class Heartbeat:
    """Knows when the peer was active last, and checks that it is alive in :meth:`run`.

    Any byte that is received, and any part of a large frame that the peer takes, is activity.

    :param seconds: without activity after which the peer is pinged; it has half of that to answer
    :param wait_for_bytes: waits until something may have been received, reading if nobody else
        does
    :param time_out: ends the WebSocket, for the reason that it is given
    """

    __slots__ = ("_active_at", "_changed", "_life", "_scope", "_seconds", "_sender", "_time_out",
                 "_wait_for_bytes")  # fmt: skip

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
        self._active_at = monotonic()
        self._changed: anyio.Event | None = None
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Ping the peer whenever it is silent, until closing begins; the body of a task.

        Closing has a time limit of its own.
        """
        with self._scope:
            while self._life.state.can_send:
                silence = monotonic() - self._active_at
                if silence < self._seconds:
                    await anyio.sleep(self._seconds - silence)
                else:
                    await self._ping_peer(self._seconds / 2)

    async def _ping_peer(self, limit: float) -> None:
        """Send a ping; end the WebSocket if there is no activity in time."""
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
                    # If the program kept the event loop busy, the answer and the end of the time
                    # are noticed together: the task that receives has to run first.
                    await cancel_shielded_checkpoint()
                # Also if the ping was still being sent: it is cut short then.
                if scope.cancel_called and self._is_silent_since(before):
                    what = f"the peer was silent for {limit} s after a ping"
                    self._time_out(ServerTimeoutError(what))

    def _is_silent_since(self, before: float) -> bool:
        """Whether there was no activity, and closing has not begun."""
        return self._active_at == before and self._life.state.can_send

    def note_activity(self) -> None:
        """Note that the peer is alive."""
        self._active_at = monotonic()
        self.wake()

    async def wait_changed(self) -> None:
        """Wait until there was activity, or nobody reads any more."""
        self._changed = anyio.Event()
        await self._changed.wait()
        self._changed = None

    def wake(self) -> None:
        """End :meth:`wait_changed`."""
        if self._changed is not None:
            self._changed.set()

    def stop(self) -> None:
        """End :meth:`run` where it waits, or before it has begun."""
        self._scope.cancel()
