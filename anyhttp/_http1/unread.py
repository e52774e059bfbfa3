"""Responses whose bodies are not read to their ends: their time limit, and who forgets one."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from weakref import ReferenceType, WeakSet, ref

from .connection import close_as_forgotten

if TYPE_CHECKING:
    from .._tasks import Watchdog
    from .connection import Connection

__all__ = ("OpenExchanges", "UnreadBody")


class Reading(Protocol):
    """What is needed of an exchange whose response is being read."""

    total_at: float

    def expire(self) -> None:
        """Make reads fail: the ``total`` time is over."""


E = TypeVar("E", bound=Reading)


class OpenExchanges(set[E], Generic[E]):
    """The exchanges of a session that hold a connection.

    Calls keep theirs alive.  When the body of a response is read, only the program does that.
    """

    # Made when a body is first read: few sessions that make one request need it.
    _being_read: WeakSet[E] | None = None

    def begin_reading(self, exchange: E) -> None:
        """From now on, do not keep *exchange* alive."""
        self.discard(exchange)
        if self._being_read is None:
            self._being_read = WeakSet()
        self._being_read.add(exchange)

    def end_reading(self, exchange: E) -> None:
        """Forget *exchange*, which has given its connection back after :meth:`begin_reading`."""
        assert self._being_read is not None
        self._being_read.discard(exchange)

    def all(self) -> list[E]:
        """Return all of them."""
        return [*self, *(self._being_read or ())]


class _TotalTime:
    """Makes reads of a body fail when the ``total`` time is over; the watchdog keeps it alive."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: ReferenceType[Reading]) -> None:
        self._exchange = exchange

    def expire(self) -> None:
        exchange = self._exchange()
        if exchange is not None:
            exchange.expire()


class UnreadBody(Generic[E]):
    """Closes the connection of a response that is forgotten before its end.

    The response warns of it, but a program may go on with the reader alone.  Only the exchange
    refers to this object, and only the response and its reader refer to the exchange.

    :param exchange: which has given its reader to the response
    :param connection: that of the exchange
    :param watchdog: of an entered session; lets reads fail when the ``total`` time is over
    :param registry: of the session
    """

    __slots__ = ("_connection", "_registry", "_total_time", "_watchdog")

    def __init__(
        self,
        exchange: E,
        connection: Connection,
        watchdog: Watchdog | None,
        registry: OpenExchanges[E] | None,
    ) -> None:
        self._connection = connection
        self._watchdog = watchdog
        self._registry = registry
        self._total_time: _TotalTime | None = None
        if watchdog is not None and exchange.total_at != math.inf:
            self._total_time = _TotalTime(ref(exchange))
            watchdog.watch(self._total_time, exchange.total_at)
        if registry is not None:
            registry.begin_reading(exchange)

    def discard(self, exchange: E) -> None:
        """End the time limit: *exchange* gives the connection back."""
        self._end_limit()
        if self._registry is not None:
            self._registry.end_reading(exchange)

    def _end_limit(self) -> None:
        if self._watchdog is not None and self._total_time is not None:
            self._watchdog.forget(self._total_time)

    def __del__(self) -> None:
        protocol = self._connection.protocol
        if protocol is not None:
            # The garbage collector may have been started by another thread.
            protocol.stream.call_in_loop(
                partial(_close, self._connection, self._watchdog, self._total_time)
            )


def _close(
    connection: Connection, watchdog: Watchdog | None, total_time: _TotalTime | None
) -> None:
    """Close the connection of a response that was forgotten, and end its time limits."""
    if watchdog is not None and total_time is not None:
        watchdog.forget(total_time)
    protocol = connection.protocol
    if protocol is not None:  # else it was closed meanwhile, with the session
        protocol.stream.end_deadline(watchdog)
        close_as_forgotten(connection)
