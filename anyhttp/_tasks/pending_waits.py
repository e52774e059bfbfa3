"""The waits of a session or a connector, which are ended when it is closed."""

from __future__ import annotations

from typing import Protocol

import anyio

__all__ = ("Cancellable", "PendingWaits")


class Cancellable(Protocol):
    """A wait that can be ended, such as a cancel scope."""

    def cancel(self) -> None:
        """End the wait."""


class PendingWaits:
    """A set of present waits, which can be cancelled together."""

    __slots__ = ("_none_left", "_waits", "cancelled")

    def __init__(self) -> None:
        self._waits: set[Cancellable] = set()
        self._none_left: anyio.Event | None = None  # set when the last wait ends; made if needed
        #: whether :meth:`cancel_all` has been called; it would not cancel a wait that begins now
        self.cancelled: bool = False

    def add(self, wait: Cancellable) -> None:
        """Note that *wait* begins."""
        self._waits.add(wait)

    def discard(self, wait: Cancellable) -> None:
        """Note that *wait* has ended."""
        self._waits.discard(wait)
        if self._none_left is not None and not self._waits:
            self._none_left.set()

    async def cancel_all(self) -> None:
        """Cancel every wait, and return when the last has ended."""
        self.cancelled = True
        if not self._waits:
            return
        for wait in list(self._waits):
            wait.cancel()
        if self._none_left is None:
            self._none_left = anyio.Event()
        await self._none_left.wait()
