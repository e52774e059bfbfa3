"""All connections of one connector: those in use, those kept for later, those being closed."""

from __future__ import annotations

import math
import os
from threading import enumerate as running_threads, get_ident
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final, cast
from weakref import ref

from .._common import ConnectionKey, EventLoop
from .._http1 import IDLE, Connection, Http1Connection, leave_to_parent
from .._network import NetworkStream, TlsSessions
from .._tasks import asyncio_loop
from ..client_exceptions import ClientConnectionError
from ._idle import IdleConnections
from ._slots import Slot, Slots
from ._substitute import OPEN_BLOCKS, is_network_replaced

if TYPE_CHECKING:
    from .._http2 import Http2Connection

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
    :param uses_network: whether its connections are those of the network, which may be replaced
    """

    #: whether requests share connections
    is_multiplexed: ClassVar[bool] = False

    __slots__ = ("__weakref__", "_closing", "_open", "_opening", "_thread", "_tls_sessions",
                 "_uses_network", "closed", "idle", "keepalive_timeout", "kept_slots", "limit",
                 "limit_per_host", "slots")  # fmt: skip

    def __init__(
        self,
        limit: int,
        limit_per_host: int,
        keepalive_timeout: float,
        *,
        uses_network: bool = False,
    ) -> None:
        self._uses_network = uses_network
        self.limit: int = limit
        self.limit_per_host: int = limit_per_host
        self._thread = get_ident()  # which uses the pool
        self.keepalive_timeout: float = keepalive_timeout
        #: whether :meth:`close` has been called
        self.closed: bool = False
        self.slots: Slots = Slots(limit, limit_per_host, self._evict)
        self.idle: IdleConnections[Slot] = IdleConnections(keepalive_timeout)
        #: how many idle connections hold their slot.  A connection that becomes idle does so if no
        #: task waits for a slot and endpoints have no limit, so that the next request on it need
        #: not check the limits.
        self.kept_slots: int = 0
        self._tls_sessions: TlsSessions | None = None  # made for the first connection with TLS
        self._opening: set[Slot] = set()  # held, for connections that are being made
        self._open: set[Slot] = set()  # those of open connections, lent or idle
        # Aborted streams, in the order of aborting: the event loop closes their sockets later.
        self._closing: dict[NetworkStream, None] = {}
        _pools.add(ref(self, _pools.discard))

    @property
    def tls_sessions(self) -> TlsSessions:
        """What connections that were closed leave to later ones."""
        if self._tls_sessions is None:
            self._tls_sessions = TlsSessions()
            if self.closed:
                self._tls_sessions.close()
        return self._tls_sessions

    @property
    def in_use(self) -> int:
        """How many connections are lent, or being made."""
        return len(self._open) - len(self.idle) + len(self._opening)

    @property
    def streams(self) -> int:
        """How many exchanges use an HTTP/2 connection."""
        return 0

    @property
    def lent(self) -> list[Connection]:
        """The rights to use connections that somebody has at this moment."""
        return [slot.lease for slot in self._open if slot.lease is not None]

    @property
    def loop(self) -> EventLoop | None:
        """Asyncio's event loop that the connections belong to; if there are none, the running one.

        One that has ended counts only if all others have.  ``None`` on trio, and if there are no
        connections and no event loop is running.
        """
        ended = None
        for slot in self._open:
            if slot.http1 is not None and (loop := slot.http1.stream.asyncio_loop) is not None:
                if not loop.is_closed():
                    return loop
                ended = loop
        if ended is not None:
            return ended
        try:
            return asyncio_loop()
        except RuntimeError:  # no event loop is running
            return None

    @property
    def is_empty(self) -> bool:
        """Whether no connection is in use, being made, or idle."""
        return not (self._open or self._opening)

    def check_open(self) -> None:
        """Raise an error if the connector is closed.

        :raises ClientConnectionError: the connector is closed
        """
        if self.closed:
            raise ClientConnectionError("Connector is closed.")

    # -- its limits, which programs change

    def change_limits(self, limit: int, limit_per_host: int) -> None:
        """Set the limits to others; idle connections are closed.

        :raises RuntimeError: connections are in use, being made, or waited for
        :raises ClientConnectionError: the connector is closed
        """
        self.check_open()
        if self.in_use or self.slots.waiting:
            raise RuntimeError(
                "the limits of a connector cannot be changed while requests use it: "
                "give limit and limit_per_host to its constructor, or set them earlier"
            )
        while self.idle:
            self.evict_idle()
        self.limit, self.limit_per_host = limit, limit_per_host
        self.slots = Slots(limit, limit_per_host, self._evict)

    def keep_for(self, seconds: float) -> None:
        """Keep connections for *seconds*, and those that are idle already for no longer."""
        self.keepalive_timeout = seconds
        self.idle.keep_for(seconds, monotonic())

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
        if OPEN_BLOCKS and self._uses_network and is_network_replaced():
            return None
        idle = self.idle
        now = monotonic()
        if now >= idle.due:
            self.close_expired(now)
        while (slot := idle.take(key)) is not None:
            http1 = slot.http1
            assert http1 is not None
            if now >= http1.usable_until or not http1.is_usable:
                self._close(slot)
                continue
            if slot.is_held:
                self.kept_slots -= 1
                if held is not None:
                    self.release_slot(held)
            else:
                # The connection gave its permission to a waiting task.  Take a new slot for it, as
                # the tokens of the old one still have its name wherever they are now.
                other = Slot(key) if held is None else held
                if not (other.is_held or self.slots.take(other)):
                    idle.put(key, slot, now)
                    return None
                self._open.remove(slot)
                return self._lend_whole(http1, other)
            slot.lease = lease = Connection(http1, slot, self)
            return lease
        return None

    def check_use(self) -> None:
        """Do the checks with which :meth:`take_idle` begins.

        :raises ClientConnectionError: the connector is closed
        :raises RuntimeError: another thread is using the pool
        """
        self.check_open()
        if self._thread != get_ident():
            self._change_thread()

    def _change_thread(self) -> None:
        """Let another thread use the pool, if the one before has ended or uses no connection."""
        is_used = self.in_use or self.slots.waiting
        if is_used and any(thread.ident == self._thread for thread in running_threads()):
            raise RuntimeError(
                "a session, or a connector, is being used by two threads at once: "
                "give each thread a session of its own"
            )
        self._thread = get_ident()

    def answers_of(self, key: ConnectionKey) -> int:
        """Return to how many requests by HTTP/2 the server of *key* has responded so far."""
        return 0

    def reserve(self, key: ConnectionKey, refusals: int = 0) -> Slot:
        """Return a slot for one more connection; if it is not held, call :meth:`wait`.

        :param refusals: how many times the server has refused the request
        """
        slot = Slot(key)
        if self.slots.take(slot):
            self._opening.add(slot)
        return slot

    def reserve_again(self, slot: Slot) -> Slot | None:
        """Return a slot to wait for, if the request of *slot* need not open a connection.

        ``None``: it needs the connection that it has failed to open with *slot*.
        """
        return None

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

    @property
    def has_room(self) -> bool:
        """Whether :meth:`make_room` has nothing to do."""
        is_full = self.limit and len(self._open) + len(self._opening) > self.limit
        return not (is_full or self._closing)

    async def make_room(self) -> None:
        """Close idle connections until one more may be opened."""
        while self.limit and len(self._open) + len(self._opening) > self.limit:
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
        room = self.limit - self.in_use - len(self.idle) if self.limit else math.inf
        if len(closing) > room or not all(stream.closes_by_itself for stream in closing):
            await self.finish_closing()

    def lend(self, new: Http1Connection | Http2Connection, slot: Slot) -> Connection:
        """Return the right to use a new connection; the slot belongs to it from now on."""
        # What the pool asks for, that of HTTP/2 has as well.
        return self._lend_whole(cast("Http1Connection", new), slot)

    def _lend_whole(self, http1: Http1Connection, slot: Slot) -> Connection:
        slot.http1 = http1
        slot.lease = lease = Connection(http1, slot, self)
        self._opening.discard(slot)
        self._open.add(slot)
        return lease

    def release_slot(self, slot: Slot, *, failed: bool = False) -> None:
        """Give *slot* back, unless it belongs to a connection that has been lent by now.

        :param failed: whether no connection could be made, for a reason that others may meet too
        """
        if slot in self._opening:
            self._opening.remove(slot)
            self.slots.release(slot)

    # -- WebSockets

    def must_ask_for_websockets(self, key: ConnectionKey) -> bool:
        """Whether only the server can tell if a WebSocket has to be opened by HTTP/2."""
        return False

    async def takes_websockets(self, connection: Connection) -> bool:
        """Return whether *connection*, which is lent, can open a WebSocket.

        The caller still has it, also after cancellation.
        """
        return True

    # -- taking back

    def take_back(self, slot: Slot, http1: Http1Connection | None) -> None:
        """Keep the connection of *slot* if it can be used again, else close it.

        :param http1: the connection; ``None`` if it was detached
        """
        slot.lease = None
        if http1 is not None:
            if http1.phase is IDLE and self.keepalive_timeout > 0 and not self.closed:
                self.idle.put(slot.key, slot, monotonic())
                # The limit of an endpoint counts connections in use: an idle one with other
                # options must not keep a slot of the endpoint.
                if self.slots.waiting or self.limit_per_host:
                    self.slots.release(slot)
                else:
                    self.kept_slots += 1
                return
            http1.abort()
            if not http1.stream.is_gone:
                self._closing[http1.stream] = None
        self._open.remove(slot)
        self.slots.release(slot)

    def _evict(self) -> bool:
        """Close the least recently used idle connection that has a slot, if there is one."""
        while self.kept_slots:
            oldest = self.idle.evict()
            assert oldest is not None
            had_slot = oldest.is_held
            self._close(oldest)
            if had_slot:
                return True
        return False

    def evict_idle(self) -> None:
        """Close the connection that has been idle longest; there has to be one."""
        oldest = self.idle.evict()
        assert oldest is not None
        self._close(oldest)

    def _close(self, slot: Slot) -> None:
        """Close the connection of *slot*, which was idle."""
        http1 = slot.http1
        assert http1 is not None
        http1.abort()
        self._closing[http1.stream] = None
        self._open.remove(slot)
        if slot.is_held:
            self.kept_slots -= 1
            self.slots.release(slot)

    # -- closing

    def close_expired(self, now: float) -> None:
        """Close the connections that have been idle for too long."""
        for slot in self.idle.expire(now):
            self._close(slot)

    def close(self) -> None:
        """Close all connections, and end every wait for one."""
        self.closed = True
        if self._tls_sessions is not None:
            self._tls_sessions.close()
        if self.slots.waiting:
            self.slots.cancel_all()
        for connection in self.lent:
            connection.close()
        self.close_idle()

    def close_idle(self) -> None:
        """Close the idle connections, and keep no others; it may be called in any thread."""
        self.closed = True
        if self._tls_sessions is not None:
            self._tls_sessions.close()
        for slot in self.idle.clear():
            self._close(slot)
        self.slots.keep_idle()  # or pool and slots would refer to each other

    def leave_to_parent(self) -> None:
        """Begin anew in a forked child: every connection is the parent's, and so is every wait."""
        self.idle.clear()
        for slot in self._open:
            if slot.lease is not None:
                leave_to_parent(slot.lease)
            else:
                assert slot.http1 is not None
                slot.http1.leave_to_parent()
        for stream in self._closing:
            stream.leave_to_parent()
        self._open.clear()
        self._opening.clear()
        self._closing.clear()
        self.kept_slots = 0
        if self._tls_sessions is not None:
            self._tls_sessions.clear()
        self.slots = Slots(self.limit, self.limit_per_host, self._evict)
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
        """Wait until the sockets of aborted streams are closed.

        The first error of a stream that the program has made is raised then.
        """
        error: Exception | None = None
        while self.is_closing:
            # The stream is removed only after that, so that concurrent calls wait for it too.
            stream = next(iter(self._closing))
            try:
                await stream.aclose()
            except Exception as exc:  # noqa: BLE001  (raised below)
                error = error or exc
            self._closing.pop(stream, None)
        if error is not None:
            raise error


#: All pools of this process, for its forked children.  A WeakSet would take longer.
_pools: Final[set[ref[ConnectionPool]]] = set()


def _leave_all_to_parent() -> None:
    """Use no connection in a process that did not open it, and leave its parent's as they are."""
    for reference in list(_pools):
        pool = reference()
        if pool is not None:
            pool.leave_to_parent()


if hasattr(os, "register_at_fork"):  # pragma: no branch  (Windows cannot fork)
    os.register_at_fork(after_in_child=_leave_all_to_parent)
