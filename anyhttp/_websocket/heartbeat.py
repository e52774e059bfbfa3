"""A task beside a WebSocket: it pings a peer that keeps silent, and gives it up in the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic

import anyio
from anyio.lowlevel import cancel_shielded_checkpoint

from ..client_exceptions import (
    ClientConnectionError,
    ServerTimeoutError,
)
from .models import WSMsgType
from .sender import Sender

__all__ = ("Heartbeat",)


class Heartbeat:
    """Knows when the peer was heard last, and does something about it in :meth:`run`.

    :param seconds: silence after which the peer is pinged; it has half of that to be heard again
    :param listen: waits until the peer may have been heard, reading if nobody else does
    :param give_up: drops the connection, for the reason that it is given
    """

    __slots__ = ("_give_up", "_heard_at", "_listen", "_news", "_over", "_scope", "_seconds",
                 "_sender")  # fmt: skip

    def __init__(
        self,
        seconds: float,
        sender: Sender,
        listen: Callable[[Heartbeat], Awaitable[None]],
        give_up: Callable[[ServerTimeoutError], None],
    ) -> None:
        self._seconds = seconds
        self._sender = sender
        self._listen = listen
        self._give_up = give_up
        self._heard_at = monotonic()
        self._news: anyio.Event | None = None
        self._scope = anyio.CancelScope()
        self._over = False  # nothing depends on the peer's life any more

    async def run(self) -> None:
        """Ping the peer whenever it is silent, until it is over; the body of a task."""
        with self._scope:
            while not self._over:
                silence = monotonic() - self._heard_at
                if silence < self._seconds:
                    await anyio.sleep(self._seconds - silence)
                else:
                    await self._probe(self._seconds / 2)

    async def _probe(self, patience: float) -> None:
        """Send a ping; give the peer up unless it shows a sign of life in time."""
        before, sent = self._heard_at, False
        with anyio.move_on_after(patience) as scope:
            try:
                await self._sender.send_control(WSMsgType.PING, b"")
                sent = True
                while self._heard_at == before and not self._over:
                    await self._listen(self)
            except ClientConnectionError:
                return  # dropped already, or about to be
            finally:
                if sent and scope.cancel_called:
                    # A program that has kept the event loop busy meanwhile finds the answer
                    # when it finds that the time is over: whoever receives comes first.
                    await cancel_shielded_checkpoint()
                # Also when this was still sending, and the ping is torn now.
                if scope.cancel_called and self._heard_at == before and not self._over:
                    what = f"the peer was silent for {patience} s after a ping"
                    self._give_up(ServerTimeoutError(what))

    def hear(self) -> None:
        """Note a sign of life."""
        self._heard_at = monotonic()
        self.look_up()

    async def wait_news(self) -> None:
        """Wait for :meth:`look_up`."""
        self._news = anyio.Event()
        await self._news.wait()
        self._news = None

    def look_up(self) -> None:
        """Have it look again at what has changed."""
        if self._news is not None:
            self._news.set()

    def finish(self) -> None:
        """End :meth:`run` without cutting off a ping that is being sent."""
        self._over = True
        self.look_up()

    def stop(self) -> None:
        """End :meth:`run` where it waits, or before it has begun."""
        self._scope.cancel()
