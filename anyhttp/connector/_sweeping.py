"""A task that closes idle connections when they expire, without waiting for the next request."""

from __future__ import annotations

import math
from time import monotonic

import anyio

from .._tasks import TaskOwner
from ._pool import ConnectionPool

__all__ = ("Sweeper",)


class Sweeper:
    """Closes the idle connections of *pool* as they expire, in tasks of entered sessions."""

    __slots__ = ("_owners", "_pool")

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._owners: list[TaskOwner] = []  # those that have not started their task yet

    def sweep_in(self, owner: TaskOwner) -> None:
        """Let *owner* run a sweeping task, as soon as the pool has a connection."""
        self._owners.append(owner)
        if not self._pool.is_empty:
            self.start()

    def sweep_no_more_in(self, owner: TaskOwner) -> None:
        """Do not start a task in *owner* any more."""
        if owner in self._owners:
            self._owners.remove(owner)

    def start(self) -> None:
        """Start the sweeping tasks, because a connection is being made."""
        for owner in self._owners:
            owner.start(self._sweep)
        self._owners.clear()

    async def _sweep(self) -> None:
        """Close connections as they expire, until cancelled."""
        pool = self._pool
        while 0 < pool.keepalive_timeout < math.inf:
            now = monotonic()
            pool.close_expired(now)
            await pool.finish_closing()
            upcoming = pool.idle.next_expiry()
            await anyio.sleep(pool.keepalive_timeout if upcoming is None else upcoming - now)
