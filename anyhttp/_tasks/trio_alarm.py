"""The alarm of a watchdog on trio: see :class:`anyhttp._tasks.timeouts.Watchdog`."""

from __future__ import annotations

from collections.abc import Callable

import trio

__all__ = ("TrioAlarm",)


class TrioAlarm:
    """A task that calls *ring* at a time, which may be changed.

    Trio cancels this task when the main task has ended.  A shield would keep the program from
    ending, if a session was never closed.

    :param ring: returns the time of the next alarm
    """

    __slots__ = ("_at", "_ring", "_scope", "_stopped")

    def __init__(self, at: float, ring: Callable[[], float]) -> None:
        self._at = at
        self._ring = ring
        self._scope: trio.CancelScope | None = None  # in which the task sleeps
        self._stopped = False

    def set(self, at: float) -> None:
        """Ring at *at*, and not when it was to ring before."""
        self._at = at
        if self._scope is not None:
            self._scope.deadline = at

    def stop(self) -> None:
        """End the task."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    async def run(self) -> None:
        """Be the task."""
        while not self._stopped:
            with trio.CancelScope(deadline=self._at) as self._scope:
                await trio.sleep_forever()
            if not self._stopped:
                self._at = self._ring()
