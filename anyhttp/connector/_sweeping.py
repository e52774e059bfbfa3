"""Closing idle connections when they expire, without waiting for the next request."""

from __future__ import annotations

import math
from time import monotonic

from .._tasks import Watchdog, current_loop
from ._pool import ConnectionPool

__all__ = ("Sweeper",)


class Sweeper:
    """Closes the idle connections of *pool* as they expire, by the watchdogs of entered sessions.

    Any of the sessions may be left first, so the watchdog of each looks after all connections.
    """

    __slots__ = ("_alarms", "_pool")

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._alarms: dict[Watchdog, _Alarm] = {}

    def sweep_by(self, watchdog: Watchdog) -> None:
        """Let *watchdog* close connections, from when the pool has one."""
        if 0 < self._pool.keepalive_timeout < math.inf:
            self._alarms[watchdog] = _Alarm(self._pool, watchdog)
            if not self._pool.is_empty:
                self.start()

    def sweep_no_more_by(self, watchdog: Watchdog) -> None:
        """Undo :meth:`sweep_by`."""
        alarm = self._alarms.pop(watchdog, None)
        if alarm is not None:
            watchdog.forget(alarm)

    def start(self) -> None:
        """Set the alarms, because a connection is being made."""
        for alarm in self._alarms.values():
            alarm.start()


class _Alarm:
    """Comes when a connection expires, and again for the next one, until the pool is empty."""

    __slots__ = ("_due", "_is_set", "_pool", "_watchdog")

    def __init__(self, pool: ConnectionPool, watchdog: Watchdog) -> None:
        self._pool = pool
        self._watchdog = watchdog
        self._is_set = False
        self._due = 0.0  # when it is to come, on the clock of the pool

    def start(self) -> None:
        """Set the alarm, if it is not set and the watchdog's event loop runs here."""
        if not self._is_set and self._watchdog.loop is current_loop():
            self._is_set = True
            self._set(self._pool.keepalive_timeout)

    def expire(self) -> None:
        """Close the connections that have expired, and set the next alarm."""
        pool = self._pool
        # The clock of an event loop in a test may run ahead of the pool's.  Looking at that alone,
        # the alarm would come again and again until real time has passed.
        pool.close_expired(max(monotonic(), self._due))
        self._is_set = not pool.is_empty
        if self._is_set:
            upcoming = pool.idle.next_expiry()
            self._set(pool.keepalive_timeout if upcoming is None else upcoming - monotonic())

    def _set(self, seconds: float) -> None:
        """Let the alarm come after *seconds*."""
        self._due = monotonic() + seconds
        self._watchdog.watch(self, self._watchdog.clock() + seconds)
