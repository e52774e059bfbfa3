"""Private attributes of aiohttp's connectors that packages use.

``docs/compatibility.md`` names the packages.  They are computed of what the pool knows anyway.
What is set before the constructor runs has no effect, as in aiohttp, where that sets them.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from .._common import ConnectionKey, check_count, check_flag, check_seconds, computed
from .._http1 import Connection, Http1Connection
from .._tasks import PendingWaits
from ._pool import ConnectionPool

if TYPE_CHECKING:
    from .._common import EventLoop

__all__ = ("PackageNames",)


class PackageNames:
    """Base of the connectors."""

    _pool: ConnectionPool
    _dialing: PendingWaits
    #: how long idle connections are kept, unless all are closed after their requests
    _chosen_keepalive: float
    _closes_all: bool

    #: aiohttp stores where a connector was made in debug mode; here a ``ResourceWarning`` says it
    _source_traceback: None = None

    @computed
    def _loop(self) -> EventLoop | None:
        """That of the open connections; without one, the running one; ``None`` on trio."""
        return self._pool.loop

    @computed
    def _closed(self) -> bool:
        """Whether it has been closed."""
        return self._pool.closed

    @computed
    def _conns(self) -> dict[ConnectionKey, deque[tuple[Http1Connection, float]]]:
        """A copy: the idle connections, and when each expires, on the clock ``monotonic()``."""
        connections: dict[ConnectionKey, deque[tuple[Http1Connection, float]]] = {}
        for slot, expiry in self._pool.idle.with_expiry():
            assert slot.http1 is not None  # as the slot is that of an open connection
            connections.setdefault(slot.key, deque()).append((slot.http1, expiry))
        return connections

    @computed
    def _acquired(self) -> set[Connection]:
        """A copy: the connections that are lent."""
        return set(self._pool.lent)

    @property
    def _limit(self) -> int:
        """How many connections may be open in all; set while no request uses the connector."""
        return self._pool.limit

    @_limit.setter
    def _limit(self, limit: int | None) -> None:
        check_count("limit", limit, optional=True)
        if "_pool" in vars(self):
            self._pool.change_limits(limit or 0, self._pool.limit_per_host)

    @property
    def _limit_per_host(self) -> int:
        """How many connections to one endpoint may be in use; set as :attr:`_limit` is."""
        return self._pool.limit_per_host

    @_limit_per_host.setter
    def _limit_per_host(self, limit: int | None) -> None:
        check_count("limit_per_host", limit, optional=True)
        if "_pool" in vars(self):
            self._pool.change_limits(self._pool.limit, limit or 0)

    @property
    def _keepalive_timeout(self) -> float | None:
        """Seconds that an idle connection is kept; ``None`` for ever."""
        return None if self._chosen_keepalive == math.inf else self._chosen_keepalive

    @_keepalive_timeout.setter
    def _keepalive_timeout(self, seconds: float | None) -> None:
        check_seconds("keepalive_timeout", seconds)
        self._chosen_keepalive = math.inf if seconds is None else seconds
        self._apply_keepalive()

    @property
    def _force_close(self) -> bool:
        """Whether every connection is closed after its request."""
        return self._closes_all

    @_force_close.setter
    def _force_close(self, force_close: bool) -> None:
        check_flag("force_close", force_close)
        self._closes_all = force_close
        self._apply_keepalive()

    def _apply_keepalive(self) -> None:
        if "_pool" in vars(self):
            self._pool.keep_for(0 if self._closes_all else self._chosen_keepalive)

    def _close(self) -> None:
        """Close all connections at once, also after the event loop has ended."""
        self._pool.close()
        self._dialing.cancel()
