"""Stream objects without sockets."""

from __future__ import annotations

from typing import Any

import anyio

from anyhttp._network.stream import NetworkStream
from anyhttp._tasks.timeouts import TimedStream, Watchdog

from .waiting import DEADLINE


class FakeStream(TimedStream):
    """A stream that records when it was expired, and lets tests wait for that."""

    expired_at: float | None = None

    def __init__(self) -> None:
        self._expiry = anyio.Event()

    def expire(self) -> None:
        """Record the time."""
        assert self.expired_at is None
        self.expired_at = anyio.current_time()
        self._expiry.set()

    async def until_expired(self) -> float:
        """Wait for :meth:`expire`, and return the time of its call."""
        with anyio.fail_after(DEADLINE):
            await self._expiry.wait()
        assert self.expired_at is not None
        return self.expired_at

    def interrupt(self) -> None:
        """Not used here."""

    def abort(self) -> None:
        """Do nothing."""

    def leave_to_parent(self) -> None:
        """Do nothing."""

    @property
    def loop(self) -> object:
        """Not used here."""
        return None

    @property
    def is_gone(self) -> bool:
        """Not used here."""
        return False

    def has_unread(self) -> bool:
        """Tell that nothing has arrived."""
        return False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Not used here."""
        raise NotImplementedError

    async def send(self, item: bytes) -> None:
        """Not used here."""
        raise NotImplementedError

    async def send_eof(self) -> None:
        """Not used here."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Not used here."""
        raise NotImplementedError

    def send_nowait(self, item: bytes | memoryview) -> bool:
        """Not used here."""
        raise NotImplementedError

    @property
    def has_unsent(self) -> bool:
        """Not used here."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Not used here."""
        raise NotImplementedError

    @property
    def _raw_socket(self) -> Any:
        return None


def watch(watchdog: Watchdog, stream: FakeStream, deadline: float) -> None:
    """Set a deadline as an exchange does."""
    NetworkStream(stream).set_deadline(deadline, watchdog)
