"""The waits of a session or a connector, which are ended when it is closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import anyio

from .event_loop import call_elsewhere, current_loop
from .leaving import closable_scope

__all__ = ("Cancellable", "PendingWaits")


class Cancellable(Protocol):
    """A wait that can be ended, such as a cancel scope."""

    def cancel(self) -> None:
        """End the wait."""


class PendingWaits:
    """A set of present waits, which can be cancelled together."""

    __slots__ = ("_none_left", "_waits", "cancelled")

    def __init__(self) -> None:
        self._waits: dict[Cancellable, object] = {}  # with the event loop of each
        self._none_left: anyio.Event | None = None  # set when the last wait ends; made if needed
        #: whether :meth:`cancel` has been called; it would not cancel a wait that begins now
        self.cancelled: bool = False

    def add(self, wait: Cancellable, loop: object = None) -> None:
        """Note that *wait* begins, in the running event loop.

        :param loop: what :func:`current_loop` returns, if the caller knows it
        """
        self._waits[wait] = current_loop() if loop is None else loop

    def discard(self, wait: Cancellable) -> None:
        """Note that *wait* has ended."""
        self._waits.pop(wait, None)
        if self._none_left is not None and not self._waits:
            self._none_left.set()

    @contextmanager
    def leaving(self) -> Iterator[anyio.CancelScope]:
        """Leave a block, which does nothing but wait, when the waits are cancelled."""
        with closable_scope() as scope:
            if self.cancelled:
                scope.cancel()
            self.add(scope)
            try:
                yield scope
            finally:
                self.discard(scope)

    def cancel(self) -> bool:
        """Cancel every wait, and return whether one is left that :meth:`cancel_all` waits for."""
        self.cancelled = True
        if not self._waits:
            return False
        try:
            here = current_loop()
        except RuntimeError:
            here = None  # the loops of the waits have ended, or run in other threads
        for wait, loop in list(self._waits.items()):
            if loop is here:
                wait.cancel()
            else:
                del self._waits[wait]
                call_elsewhere(loop, wait.cancel)
        return bool(self._waits)

    async def cancel_all(self) -> None:
        """Cancel every wait, and return when the last has ended.

        This does not wait for those of other event loops, which may never run again.
        """
        if not self.cancel():
            return
        if self._none_left is None:
            self._none_left = anyio.Event()
        await self._none_left.wait()
