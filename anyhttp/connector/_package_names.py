"""Private attributes of aiohttp's connectors that packages use.

``docs/compatibility.md`` names the packages.  They are computed of what the pool knows anyway.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .._common import ConnectionKey, computed
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
            if slot.http1 is not None:
                connections.setdefault(slot.key, deque()).append((slot.http1, expiry))
        return connections

    @computed
    def _acquired(self) -> set[Connection]:
        """A copy: the connections that are lent."""
        return set(self._pool.lent)

    def _close(self) -> None:
        """Close all connections at once, also after the event loop has ended."""
        self._pool.close()
        self._dialing.cancel()
