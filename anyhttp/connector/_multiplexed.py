"""The pool of a connector that speaks HTTP/2: requests share connections."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final

import anyio
from anyio.lowlevel import checkpoint

from .._common import ConnectionKey
from .._http1 import Connection, Http1Connection
from .._tasks import current_loop, make_waiter
from ._origin import (
    HandshakeKey,
    Http1Key,
    MultiplexedConnection,
    Origin,
    OriginSlot,
    SharedConnection,
)
from ._pool import ConnectionPool
from ._slots import Slot
from ._substitute import OPEN_BLOCKS, is_network_replaced

if TYPE_CHECKING:
    from .._http2 import Http2Connection

__all__ = ("MultiplexedPool",)

#: How many origins are remembered that nobody uses at the moment.
MOST_ORIGINS: Final = 1000


class MultiplexedPool(ConnectionPool):
    """Lends streams of HTTP/2 connections; connections of HTTP/1.1 as its base class does.

    The base class has one right for each connection in use, and so has this one.  What a request
    gets of an HTTP/2 connection is the right to use one of its streams.

    :param speaks_without_tls: whether servers are expected to speak HTTP/2 in clear text
    """

    is_multiplexed: ClassVar[bool] = True

    __slots__ = ("_loop", "_origins", "_speaks_without_tls")

    def __init__(
        self,
        limit: int,
        limit_per_host: int,
        keepalive_timeout: float,
        *,
        uses_network: bool = False,
        speaks_without_tls: bool = False,
    ) -> None:
        super().__init__(limit, limit_per_host, keepalive_timeout, uses_network=uses_network)
        self._speaks_without_tls = speaks_without_tls
        # Those that were used last come last.
        self._origins: dict[ConnectionKey, Origin] = {}
        self._loop: object = None  # the event loop of the origins

    @property
    def streams(self) -> int:
        """How many exchanges use an HTTP/2 connection."""
        return sum(
            len(shared.leases) for origin in self._origins.values() for shared in origin.in_use
        )

    def _origin_of(self, key: ConnectionKey) -> Origin:
        """Return what is known about *key* in this event loop."""
        loop = current_loop()
        if self._loop is not loop:
            self._loop = loop
            self._origins.clear()  # no task of another event loop can be waited for
        origin = self._origins.pop(key, None)
        if origin is None:
            if len(self._origins) >= MOST_ORIGINS:
                self._forget_origins()
            origin = Origin(key, self)
        self._origins[key] = origin
        return origin

    def _forget_origins(self) -> None:
        """Forget half of the origins that nobody uses, those first that were used first."""
        unused = [key for key, origin in self._origins.items() if not origin.is_used]
        for key in unused[: len(unused) // 2 + 1]:
            del self._origins[key]

    def _may_share(self, key: ConnectionKey) -> bool:
        """Whether a connection to *key* may speak HTTP/2."""
        if isinstance(key, Http1Key):
            return False
        if not key.is_ssl and not (self._speaks_without_tls and key.proxy is None):
            return False
        return not (OPEN_BLOCKS and self._uses_network and is_network_replaced())

    # -- lending

    def take_idle(self, key: ConnectionKey, held: Slot | None = None) -> Connection | None:
        """Lend a stream of a connection that has room, or else an idle connection of HTTP/1.1.

        :param held: a slot for the connection; released if it is not needed
        :raises ClientConnectionError: the connector is closed
        :raises RuntimeError: another thread is using the pool
        """
        if not isinstance(held, OriginSlot):
            return self._take(key, held)
        connection, held.connection = held.connection, None
        if connection is None:
            connection = self._take(key, held)
            if connection is not None:
                held.origin.end_opening(held)
                held.origin.serve()
        return connection

    def _take(self, key: ConnectionKey, held: Slot | None) -> Connection | None:
        if isinstance(key, HandshakeKey):
            shared = self._shared_for_handshake(key)
        else:
            origin = self._origins.get(key)
            if origin is None or origin.loop is not current_loop() or not self._may_share(key):
                return super().take_idle(key, held)
            self.check_use()
            shared = origin.ready()
            if shared is None:
                kept = self.idle.newest(origin.kept_as)
                if kept is not None and not _needs_check(kept.http1):
                    shared = self.take_kept(origin, held)
        if shared is None:
            return super().take_idle(key, held)
        connection = shared.lend()
        if held is not None:
            super().release_slot(held)
        return connection

    def _shared_for_handshake(self, key: ConnectionKey) -> SharedConnection | None:
        """Return an open connection that carries WebSockets (:rfc:`8441`)."""
        self.check_use()
        origin = self._origins.get(key)
        if origin is None or origin.loop is not current_loop():
            return None
        shared = origin.ready()
        if shared is None:
            kept = self.idle.newest(origin.kept_as)
            if kept is None or not _carries_websockets(kept.http1):
                return None
            return self.take_kept(origin)
        return shared if _carries_websockets(shared.http2) else None

    def take_kept(self, origin: Origin, held: Slot | None = None) -> SharedConnection | None:
        """Return an idle HTTP/2 connection, if there is one and the limits allow it."""
        whole = super().take_idle(origin.kept_as, held)
        if whole is None:
            return None
        http2: Any = whole.protocol
        if held is not None and held.http1 is http2:
            held.key = origin.kept_as  # the slot is that of the connection now
        return origin.share(http2, whole)

    def answers_of(self, key: ConnectionKey) -> int:
        """Return to how many requests by HTTP/2 the server of *key* has responded so far."""
        origin = self._origins.get(key)
        return 0 if origin is None else origin.answers

    def reserve(self, key: ConnectionKey, refusals: int = 0) -> Slot:
        """Return a slot for one more connection; if it is not held, call :meth:`wait`.

        :param refusals: how many times the server has refused the request
        """
        if not self._may_share(key):
            return super().reserve(key)
        origin = self._origin_of(key)
        if origin.speaks_http1:
            return super().reserve(key)
        slot = OriginSlot(key, origin, refusals)
        if origin.may_open() and not self.idle.newest(origin.kept_as) and self.slots.take(slot):
            origin.make_opener(slot)
            origin.note_opening(slot)
            self._opening.add(slot)
        return slot

    def reserve_again(self, slot: Slot) -> Slot | None:
        """Return a slot to wait for, if the request of *slot* need not open a connection.

        It will then be the first in the queue, as it was before.
        """
        if self.closed or not isinstance(slot, OriginSlot) or not slot.origin.has_other():
            return None
        return OriginSlot(slot.key, slot.origin, slot.refusals, is_first=True)

    async def wait(self, slot: Slot) -> bool:
        """Wait until *slot* is held, or :meth:`take_idle` returns a connection for it.

        :returns: ``False`` if the wait was ended by :meth:`Slot.expire`
        :raises ClientConnectionError: the connector is closed

        Unless this returns ``True``, the slot is not held.  The same holds after cancellation.
        """
        if not isinstance(slot, OriginSlot):
            return await super().wait(slot)
        self.slots.waiting += 1
        try:
            await self._wait_in_queue(slot)
        except BaseException:
            self._drop(slot)
            raise
        finally:
            self.slots.waiting -= 1
        if self.closed:
            self._drop(slot)
            self.check_open()
        if slot.is_held:
            slot.origin.note_opening(slot)
            self._opening.add(slot)
        elif slot.connection is None:
            self._drop(slot)
            return False
        return True

    async def _wait_in_queue(self, slot: OriginSlot) -> None:
        if slot.origin.enter(slot):
            await checkpoint()
        else:
            await self._sleep(slot)
        while (shared := slot.unchecked) is not None:
            if not await self._check(slot, shared):
                await self._sleep(slot)

    async def _sleep(self, slot: OriginSlot) -> None:
        """Wait until *slot* has got something, or the wait has been ended."""
        origin = slot.origin
        while slot.waits:
            deadline = origin.deadline_of(slot)
            if deadline == math.inf:
                slot._waiter = make_waiter()
                await slot._waiter
                continue
            with anyio.CancelScope(deadline=deadline):
                slot._waiter = make_waiter()
                await slot._waiter
            slot._waiter = None
            if slot.waits:
                origin.look()

    async def _check(self, slot: OriginSlot, shared: SharedConnection) -> bool:
        """Wait for a sign of life of *shared*; return whether the wait for *slot* is over.

        If it is not, *slot* is in the queue again.
        """
        origin = slot.origin
        with anyio.CancelScope() as slot.scope:
            shared.is_retired = not await shared.http2.check()
        is_over = slot.scope.cancel_called
        slot.scope = slot.unchecked = None
        if not is_over and shared.has_room:
            slot.connection = shared.lend()
            is_over = True
        if not is_over:
            origin.enter_again(slot)
        shared.is_being_checked = False
        origin.end_opening(slot)
        shared.changed()
        return is_over or not slot.waits

    def _drop(self, slot: OriginSlot) -> None:
        slot.origin.drop(slot)
        slot.origin.serve()

    def lend(self, new: Http1Connection | Http2Connection, slot: Slot) -> Connection:
        """Return the right to use a new connection, or one stream of it."""
        whole = super().lend(new, slot)
        if isinstance(new, Http1Connection):
            if isinstance(slot, OriginSlot):
                slot.origin.end_opening(slot)
                slot.origin.turn_to_http1()
            return whole
        origin = self._origin_of(slot.key)
        slot.key = origin.kept_as
        connection = origin.share(new, whole).lend()
        if isinstance(slot, OriginSlot):
            slot.origin.note_opened(slot)
        origin.serve()
        return connection

    def release_slot(self, slot: Slot, *, failed: bool = False) -> None:
        """Give *slot* back, unless it belongs to a connection that has been lent by now.

        :param failed: whether no connection could be made
        """
        super().release_slot(slot, failed=failed)
        if isinstance(slot, OriginSlot):
            slot.origin.end_opening(slot, failed=failed)
            connection, slot.connection = slot.connection, None
            if connection is not None:
                connection.release()
            slot.origin.serve()

    # -- WebSockets

    def must_ask_for_websockets(self, key: ConnectionKey) -> bool:
        """Whether *key* is taken to speak HTTP/2 only, and has not said what it takes there."""
        if key.is_ssl or not self._may_share(key):
            return False
        origin = self._origins.get(key)
        if origin is None or origin.loop is not current_loop():
            return True
        return not origin.speaks_http1 and not any(
            http2.is_greeted and not http2.allows_connect_protocol
            for http2 in self._open_to(origin)
        )

    def _open_to(self, origin: Origin) -> list[MultiplexedConnection]:
        kept: Any = self.idle.newest(origin.kept_as)
        found = [shared.http2 for shared in origin.in_use]
        return found if kept is None else [*found, kept.http1]

    async def takes_websockets(self, connection: Connection) -> bool:
        """Return whether *connection*, which is lent, can open a WebSocket.

        A new server has the time of a PING to say so (:rfc:`8441#section-3`).  The caller still has
        the connection, also after cancellation.
        """
        stream: Any = connection.protocol
        if stream is None or not stream.is_shared:
            return True
        http2: MultiplexedConnection = stream.connection
        if not http2.is_greeted:
            await http2.check()
        return http2.allows_connect_protocol

    # -- closing

    def close(self) -> None:
        """Close all connections, and end every wait for one."""
        self.closed = True
        for origin in self._origins.values():
            for slot in (*origin.queue, *origin.openers):
                slot.expire()
        super().close()

    def close_idle(self) -> None:
        """Close the idle connections, and keep no others; it may be called in any thread."""
        super().close_idle()
        self._origins.clear()  # or pool and origins would refer to each other
        self._loop = None

    def leave_to_parent(self) -> None:
        """Begin anew in a forked child: every connection is the parent's, and so is every wait."""
        for origin in self._origins.values():
            for shared in origin.in_use:
                shared.leave_to_parent()
        self._origins.clear()
        super().leave_to_parent()


def _needs_check(http2: Any) -> bool:
    connection: MultiplexedConnection = http2
    return connection.needs_check


def _carries_websockets(http2: Any) -> bool:
    connection: MultiplexedConnection = http2
    return connection.allows_connect_protocol and not connection.needs_check
