"""Chooses which idle connection to take, keep or close, without ``await`` and without a clock."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Generic, TypeVar

from .._common import ConnectionKey

__all__ = ("IdleConnections",)

C = TypeVar("C")


class IdleConnections(Generic[C]):
    """Idle connections by key, the newest first; every operation costs O(1).

    The newest of all is mostly the next one to be taken, by the next request of the same task.
    So it is stored apart until another one becomes idle, which saves two thirds of the cost.

    :param keepalive_timeout: seconds a connection may be idle
    """

    def __init__(self, keepalive_timeout: float) -> None:
        self._keepalive_timeout = keepalive_timeout
        # The newest connection, its key and its expiry time.
        self._newest: C | None = None
        self._newest_key: ConnectionKey | None = None
        self._newest_expiry = math.inf
        # All others with their expiry times, in the order in which they became idle: the first one
        # has been idle longest and expires first.
        self._idle: OrderedDict[C, tuple[ConnectionKey, float]] = OrderedDict()
        # The same connections by key, in the same order; take() returns the last one.
        self._stacks: dict[ConnectionKey, dict[C, None]] = {}
        #: no connection expires before this moment
        self.due = math.inf

    def __len__(self) -> int:
        return len(self._idle) + (self._newest is not None)

    def take(self, key: ConnectionKey) -> C | None:
        """Return the connection to *key* that became idle last; ``None`` if there is none.

        Call :meth:`expire` before, if :attr:`due` has come.
        """
        newest = self._newest
        # Requests to the same URL have the same key; to compare the parts of two takes longer.
        if newest is not None and (self._newest_key is key or self._newest_key == key):
            self._newest = None
            return newest
        stack = self._stacks.get(key)
        if not stack:
            return None
        connection, _ = stack.popitem()
        if not stack:
            del self._stacks[key]
        del self._idle[connection]
        return connection

    def newest(self, key: ConnectionKey) -> C | None:
        """Return what :meth:`take` would return, without taking it."""
        if self._newest is not None and self._newest_key == key:
            return self._newest
        return next(reversed(self._stacks.get(key, {})), None)

    def put(self, key: ConnectionKey, connection: C, now: float) -> None:
        """Keep a connection that may be used again."""
        if self._newest is not None:
            self._settle()
        self._newest = connection
        self._newest_key = key
        self._newest_expiry = expiry = now + self._keepalive_timeout
        if not self._idle:
            self.due = expiry

    def _settle(self) -> None:
        """Store the newest connection with the others."""
        connection, key, self._newest = self._newest, self._newest_key, None
        if connection is None or key is None:
            return
        self._idle[connection] = (key, self._newest_expiry)
        stack = self._stacks.get(key)
        if stack is None:
            self._stacks[key] = {connection: None}
        else:
            stack[connection] = None

    def expire(self, now: float) -> list[C]:
        """Drop and return the connections that were idle for too long; *now* is in seconds."""
        self._settle()
        expired: list[C] = []
        self.due = math.inf
        while self._idle:
            connection, (key, expiry) = next(iter(self._idle.items()))
            if expiry > now:
                self.due = expiry
                break
            expired.append(connection)
            self._drop(connection, key)
        return expired

    def evict(self) -> C | None:
        """Drop and return the least recently used connection, to make room for another."""
        self._settle()
        if not self._idle:
            return None
        connection, (key, _) = next(iter(self._idle.items()))
        self._drop(connection, key)
        return connection

    def clear(self) -> list[C]:
        """Drop and return all of them."""
        self._settle()
        connections = list(self._idle)
        self._idle.clear()
        self._stacks.clear()
        self.due = math.inf
        return connections

    def keep_for(self, seconds: float, now: float) -> None:
        """Keep connections for *seconds* from now on, and those that are here for no longer."""
        self._settle()
        self._keepalive_timeout, latest = seconds, now + seconds
        for connection, (key, expiry) in self._idle.items():
            self._idle[connection] = (key, min(expiry, latest))
        self.due = min(self.due, latest)

    def with_expiry(self) -> list[tuple[C, float]]:
        """Return all of them, the first to expire first, each with the moment when it expires."""
        self._settle()
        return [(connection, expiry) for connection, (_, expiry) in self._idle.items()]

    def next_expiry(self) -> float | None:
        """Return when the next connection expires, in seconds; ``None`` if there is none."""
        self._settle()
        for _, expiry in self._idle.values():
            return expiry
        return None

    def _drop(self, connection: C, key: ConnectionKey) -> None:
        del self._idle[connection]
        stack = self._stacks[key]
        del stack[connection]
        if not stack:
            del self._stacks[key]
