"""All connections of one connector: those in use, those kept for later, those being closed."""

from __future__ import annotations

import math
import os
from threading import enumerate as running_threads, get_ident
from time import monotonic
from typing import Final
from weakref import WeakSet

from .._common import ConnectionKey
from .._http1 import IDLE, Connection, Http1Connection, leave_to_parent
from .._network import NetworkStream, TlsSessions
from ..client_exceptions import ClientConnectionError
from ._idle import IdleConnections
from ._slots import Slot, Slots

__all__ = ("ConnectionPool",)


class ConnectionPool:
    """Lends connections and takes them back, within the limits.

    The pool opens no sockets.  The connector opens them, in these steps: it gets a slot from
    :meth:`reserve`; if the slot is not held yet, it calls :meth:`wait`; it opens the socket; it
    gives slot and socket to :meth:`lend`, or, if it failed, the slot to :meth:`release_slot`.
    Decisions are made in plain calls, so that no other task can run between a decision and the
    change that follows from it.

    :param limit: open connections in all, idle ones included; 0 for no limit
    :param limit_per_host: connections in use to one endpoint; 0 for no limit
    :param keepalive_timeout: seconds an idle connection is kept, 0 not at all
    """

    __slots__ = ("__weakref__", "_closing", "_lent", "_limit", "_limit_per_host", "_opening",
                 "_thread", "closed", "idle", "idle_slots", "keepalive_timeout",
                 "slots", "tls_sessions")  # fmt: skip

    def __init__(self, limit: int, limit_per_host: int, keepalive_timeout: float) -> None:
        self._limit = limit
        self._limit_per_host = limit_per_host
        self._thread = get_ident()  # which uses the pool
        self.keepalive_timeout: float = keepalive_timeout
        #: whether :meth:`close` has been called
        self.closed: bool = False
        self.slots: Slots = Slots(limit, limit_per_host, self._evict)
        self.idle: IdleConnections[Http1Connection] = IdleConnections(keepalive_timeout)
        #: the slots of idle connections.  A connection that becomes idle keeps its slot if no task
        #: waits for a slot and endpoints have no limit, so that the next request on it need not
        #: check the limits.
        self.idle_slots: dict[Http1Connection, Slot] = {}
        #: what connections that were closed leave to later ones
        self.tls_sessions: TlsSessions = TlsSessions()
        self._opening: set[Slot] = set()  # held, for connections that are being made
        self._lent: dict[Connection, Slot] = {}
        # Aborted streams, in the order of aborting: the event loop closes their sockets later.
        self._closing: dict[NetworkStream, None] = {}
        _pools.add(self)

    @property
    def in_use(self) -> int:
        """How many connections are lent, or being made."""
        return len(self._lent) + len(self._opening)

    @property
    def is_empty(self) -> bool:
        """Whether no connection is in use, being made, or idle."""
        return not (self._lent or self._opening or len(self.idle))

    def check_open(self) -> None:
        """Raise an error if the connector is closed.

        :raises ClientConnectionError: the connector is closed
        """
        if self.closed:
            raise ClientConnectionError("Connector is closed.")

    # -- lending

    def take_idle(self, key: ConnectionKey, held: Slot | None = None) -> Connection | None:
        """Lend the usable idle connection that was used last; ``None`` if there is none.

        :param held: a slot for the connection; released if the connection still has its own slot
        :raises ClientConnectionError: the connector is closed
        :raises RuntimeError: another thread is using the pool
        """
        if self.closed:
            self.check_open()
        if self._thread != get_ident():
            self._change_thread()
        idle = self.idle
        now = monotonic()
        if now >= idle.due:
            self.close_expired(now)
        while (http1 := idle.take(key)) is not None:
            if now >= http1.usable_until or not http1.is_usable:
                self._close(http1)
                continue
            slot = self.idle_slots.pop(http1, None)
            if slot is not None:
                if held is not None:
                    self.release_slot(held)
            elif held is not None:
                slot = held
            else:
                slot = Slot(key)
                if not self.slots.take(slot):
                    # The connection gave its slot to a waiting task, and no other slot is free.
                    idle.put(key, http1, now)
                    return None
            return self.lend(http1, slot)
        return None

    def _change_thread(self) -> None:
        """Let another thread use the pool, if the one before has ended or uses no connection."""
        is_used = self._lent or self._opening or self.slots.waiting
        if is_used and any(thread.ident == self._thread for thread in running_threads()):
            raise RuntimeError(
                "a session, or a connector, is being used by two threads at once: "
                "give each thread a session of its own"
            )
        self._thread = get_ident()

    def reserve(self, key: ConnectionKey) -> Slot:
        """Return a slot for one more connection; if it is not held, call :meth:`wait`."""
        slot = Slot(key)
        if self.slots.take(slot):
            self._opening.add(slot)
        return slot

    async def wait(self, slot: Slot) -> bool:
        """Wait until *slot* is held.

        :returns: ``False`` if the wait was ended by :meth:`Slot.expire`
        :raises ClientConnectionError: the connector is closed

        Unless this returns ``True``, the slot is not held.  The same holds after cancellation.
        """
        held = await self.slots.wait(slot)
        if self.closed:
            self.slots.release(slot)
            self.check_open()
        if held:
            self._opening.add(slot)
        return held

    async def make_room(self) -> None:
        """Close idle connections until one more may be opened."""
        while self._limit and self.in_use + len(self.idle) > self._limit:
            oldest = self.idle.evict()
            assert oldest is not None  # connections in use alone never exceed the limit
            self._close(oldest)
        closing = self._closing
        if not closing:
            return
        for stream in [stream for stream in closing if stream.is_gone]:
            del closing[stream]
        # The event loop closes the others soon.  To wait for that takes an iteration of it, and is
        # only needed if they exceed the limit, or are of a kind that closes by awaiting.
        room = self._limit - self.in_use - len(self.idle) if self._limit else math.inf
        if len(closing) > room or not all(stream.closes_by_itself for stream in closing):
            await self.finish_closing()

    def lend(self, http1: Http1Connection, slot: Slot) -> Connection:
        """Return the right to use *http1*; the slot belongs to it from now on."""
        connection = Connection(http1, slot.key, self._take_back)
        self._opening.discard(slot)
        self._lent[connection] = slot
        return connection

    def release_slot(self, slot: Slot) -> None:
        """Give *slot* back, unless it belongs to a connection that has been lent by now."""
        if slot in self._opening:
            self._opening.remove(slot)
            self.slots.release(slot)

    # -- taking back

    def _take_back(self, connection: Connection, http1: Http1Connection | None) -> None:
        """Keep *http1* if it can be used again, else close it; ``None`` if it was detached."""
        slot = self._lent.pop(connection)
        if http1 is None:
            pass
        elif http1.phase is IDLE and self.keepalive_timeout > 0 and not self.closed:
            self.idle.put(slot.key, http1, monotonic())
            # The limit of an endpoint counts connections in use: an idle one with other options
            # must not keep a slot of the endpoint.
            if not (self.slots.waiting or self._limit_per_host):
                self.idle_slots[http1] = slot
                return
        else:
            self._close(http1)
        self.slots.release(slot)

    def _evict(self) -> bool:
        """Close the least recently used idle connection that has a slot, if there is one."""
        while self.idle_slots:
            oldest = self.idle.evict()
            assert oldest is not None
            had_slot = oldest in self.idle_slots
            self._close(oldest)
            if had_slot:
                return True
        return False

    def _close(self, http1: Http1Connection) -> None:
        http1.abort()
        self._closing[http1.stream] = None
        slot = self.idle_slots.pop(http1, None)
        if slot is not None:
            self.slots.release(slot)

    # -- closing

    def close_expired(self, now: float) -> None:
        """Close the connections that have been idle for too long."""
        for http1 in self.idle.expire(now):
            self._close(http1)

    def close(self) -> None:
        """Close all connections, and end every wait for one."""
        self.closed = True
        if self.slots.waiting:
            self.slots.cancel_all()
        for connection in list(self._lent):
            connection.close()
        self.close_idle()

    def close_idle(self) -> None:
        """Close the idle connections, and keep no others; it may be called in any thread."""
        self.closed = True
        self.tls_sessions.close()
        for http1 in self.idle.clear():
            self._close(http1)

    def leave_to_parent(self) -> None:
        """Begin anew in a forked child: every connection is the parent's, and so is every wait."""
        for http1 in self.idle.clear():
            http1.leave_to_parent()
        for connection in self._lent:
            leave_to_parent(connection)
        for stream in self._closing:
            stream.leave_to_parent()
        self._lent.clear()
        self._opening.clear()
        self._closing.clear()
        self.idle_slots.clear()
        self.tls_sessions.clear()
        self.slots = Slots(self._limit, self._limit_per_host, self._evict)
        self._thread = get_ident()

    @property
    def is_closing(self) -> bool:
        """Whether there is an aborted stream whose socket is not closed yet."""
        for stream in self._closing:
            if not stream.is_gone:
                return True
        self._closing.clear()
        return False

    async def finish_closing(self) -> None:
        """Wait until the sockets of aborted streams are closed."""
        while self.is_closing:
            # The stream is removed only after that, so that concurrent calls wait for it too.
            stream = next(iter(self._closing))
            await stream.aclose()
            self._closing.pop(stream, None)


#: All pools of this process, for its forked children.
_pools: Final[WeakSet[ConnectionPool]] = WeakSet()


def _leave_all_to_parent() -> None:
    """Use no connection in a process that did not open it, and leave its parent's as they are."""
    for pool in list(_pools):
        pool.leave_to_parent()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_leave_all_to_parent)
