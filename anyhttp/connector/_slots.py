"""Slots: permissions to open a connection, limited in number, with queues of waiting tasks.

:class:`anyio.CapacityLimiter` counts the slots in use.  Its method for waiting is not used.  A
wait also has to end when a time limit is over or a session is closed; with that method each wait
would need a cancel scope, and with thousands of waits the scopes cost more than everything else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
from anyio.lowlevel import checkpoint

from .._common import ConnectionKey
from .._http1 import Connection, Http1Connection
from .._tasks import Waiter, make_waiter, wake

__all__ = ("Slot", "Slots")

# Waiting slots, first come first.  A dictionary, so that any slot can be removed in O(1).
_Queue = OrderedDict["Slot", None]

# Host, port, and whether TLS is used.
_Endpoint = tuple[str, int | None, bool]


class Slot:
    """The permission to have one connection open; until it is held, its place in a queue.

    It stays with the connection.  If that gives the permission away while it is idle, it gets
    another slot when it is used again.
    """

    __slots__ = (
        "_host",
        "_host_token",
        "_queue",
        "_token",
        "_waiter",
        "http1",
        "is_held",
        "key",
        "lease",
    )

    def __init__(self, key: ConnectionKey) -> None:
        self.key: ConnectionKey = key
        #: whether the permission has been given
        self.is_held: bool = False
        #: the open connection, when there is one
        self.http1: Http1Connection | None = None
        #: the right to use it that somebody has at this moment
        self.lease: Connection | None = None
        # A limiter knows each token by its borrower, a slot.  When a slot passes its token on to
        # the next slot, the limiter is not told.  So a token is named by its first borrower, which
        # may be another slot than this one.
        self._host_token: Slot | None = None
        self._token: Slot | None = None
        self._host: _Host | None = None
        self._queue: _Queue | None = None  # in which it waits
        self._waiter: Waiter | None = None

    def expire(self) -> None:
        """End the wait for the slot; do nothing if the slot is held already."""
        if self._queue is not None:
            self._leave()
            self._wake()

    cancel = expire  # PendingWaits ends the waits for slots and cancel scopes by this name

    def _join(self, queue: _Queue) -> None:
        queue[self] = None
        self._queue = queue

    def _leave(self) -> None:
        if self._queue is not None:
            del self._queue[self]
            self._queue = None

    def _wake(self) -> bool:
        """Wake the waiting task; return false if it will never run again."""
        assert self._waiter is not None
        return wake(self._waiter)


class _Host:
    """The limit of one endpoint, and the slots that wait for it."""

    __slots__ = ("limiter", "queue")

    def __init__(self, limit: int) -> None:
        self.limiter = anyio.CapacityLimiter(limit)
        self.queue: _Queue = OrderedDict()


class Slots:
    """The slots of a connector.

    When a token is released, the first slot in the queue gets it at once, if there is one.  So no
    token is ever free while a slot waits for it.

    :param limit: slots in all; 0 for no limit
    :param limit_per_host: slots of one endpoint; 0 for no limit
    :param evict: closes an idle connection that has a slot, and releases that slot; returns
        whether there was such a connection
    """

    __slots__ = ("_evict", "_hosts", "_limit", "_limit_per_host", "_queue", "_total", "waiting")

    def __init__(self, limit: int, limit_per_host: int, evict: Callable[[], bool]) -> None:
        self._limit = limit
        self._limit_per_host = limit_per_host
        self._evict = evict
        # Made when it is first needed: connectors may be made before an event loop runs.
        self._total: anyio.CapacityLimiter | None = None
        self._queue: _Queue | None = None  # made when a slot first has to wait
        self._hosts: dict[_Endpoint, _Host] = {}
        #: how many tasks wait for a slot; a task counts from before it waits until it runs again
        self.waiting: int = 0

    def take(self, slot: Slot) -> bool:
        """Take *slot* if the limits allow it now; return whether it is held."""
        if self._advance(slot) is None:
            return True
        self.release(slot)
        return False

    def request(self, slot: Slot) -> bool:
        """Take *slot*, or put it into the queue for slots; return whether it is held.

        Another slot in the queue is woken when it is held.
        """
        queue = self._advance(slot)
        if queue is None:
            return True
        slot._join(queue)
        return False

    @contextmanager
    def about_to_wait(self) -> Iterator[None]:
        """Count the caller as waiting during the block; the caller calls :meth:`wait` afterwards.

        While a task waits, a connection that becomes idle does not keep its slot.
        """
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def wait(self, slot: Slot) -> bool:
        """Wait until *slot* is held, after :meth:`take` has failed.

        :returns: ``False`` if the wait was ended by :meth:`Slot.expire`

        First come, first served: first among the slots of the same endpoint, then among all
        slots.  After cancellation the slot is not held.
        """
        self.waiting += 1
        try:
            queue = self._advance(slot)
            if queue is None:
                await checkpoint()
            else:
                slot._waiter = make_waiter()
                slot._join(queue)
                await slot._waiter
        except BaseException:
            self.release(slot)
            raise
        finally:
            self.waiting -= 1
        if not slot.is_held:
            self.release(slot)
        return slot.is_held

    def release(self, slot: Slot) -> None:
        """Release *slot* if it is held; remove it from the queue if it waits."""
        slot.is_held = False
        slot._leave()
        token, slot._token = slot._token, None
        if token is not None:
            self._pass_on(token)
        token, slot._host_token = slot._host_token, None
        if token is not None:
            assert slot._host is not None
            self._pass_on_to_host(slot._host, token)
        if self._limit_per_host:
            self._forget_host(_endpoint(slot.key))

    def keep_idle(self) -> None:
        """Close no idle connections any more; the caller has closed them all."""
        self._evict = bool

    def cancel_all(self) -> None:
        """End every wait."""
        for queue in (self._queue, *(host.queue for host in self._hosts.values())):
            for slot in list(queue or ()):
                slot.expire()

    def _advance(self, slot: Slot) -> _Queue | None:
        """Borrow the tokens that *slot* lacks; if one is not free, return the queue for it."""
        if self._limit_per_host and slot._host_token is None:
            endpoint = _endpoint(slot.key)
            host = self._hosts.get(endpoint)
            if host is None:
                host = self._hosts[endpoint] = _Host(self._limit_per_host)
            if host.queue or not _borrow(host.limiter, slot):
                return host.queue
            slot._host, slot._host_token = host, slot
        if self._limit and not self._count(slot):
            if self._queue is None:
                self._queue = OrderedDict()
            return self._queue
        slot.is_held = True
        return None

    def _count(self, slot: Slot) -> bool:
        """Borrow a token of the total limit; if none is free, close an idle connection first."""
        if self._queue:
            return False
        if self._total is None:
            self._total = anyio.CapacityLimiter(self._limit)
        # After an eviction the token may still not be free: a slot that waits for the endpoint of
        # the closed connection gets its tokens first.
        if _borrow(self._total, slot) or (self._evict() and _borrow(self._total, slot)):
            slot._token = slot
        return slot._token is not None

    def _pass_on(self, token: Slot) -> None:
        """Give a token of the total limit to the first waiting slot, or else to the limiter."""
        while self._queue:
            slot = next(iter(self._queue))
            slot._leave()
            slot._token = token
            slot.is_held = True
            if slot._wake():
                return
            slot._token = None
            slot.is_held = False
        assert self._total is not None
        self._total.release_on_behalf_of(token)

    def _pass_on_to_host(self, host: _Host, token: Slot) -> None:
        """Give a token of *host* to the first waiting slot, or else to the limiter.

        That slot may then have to wait for a token of the total limit.
        """
        if not host.queue:
            host.limiter.release_on_behalf_of(token)
            return
        slot = next(iter(host.queue))
        slot._leave()
        slot._host, slot._host_token = host, token
        queue = self._advance(slot)
        if queue is not None:
            slot._join(queue)
        elif not slot._wake():
            self.release(slot)  # and so give what it has to the next

    def _forget_host(self, endpoint: _Endpoint) -> None:
        """Forget *endpoint* if none of its slots is held or waiting."""
        host = self._hosts.get(endpoint)
        if host is not None and not host.queue and not host.limiter.borrowed_tokens:
            del self._hosts[endpoint]


def _endpoint(key: ConnectionKey) -> _Endpoint:
    return key.host, key.port, key.is_ssl


def _borrow(limiter: anyio.CapacityLimiter, slot: Slot) -> bool:
    try:
        limiter.acquire_on_behalf_of_nowait(slot)
    except anyio.WouldBlock:
        return False
    return True
