"""Who may open a connection: slots under the limits, and the queues of those who wait for one.

:class:`anyio.CapacityLimiter` counts the slots in use.  Its own way of waiting is not used: a
wait ends also when a time limit is over or a session is closed, which would take a cancel scope
for each request that waits, and with thousands of them the scopes cost more than all the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import anyio
from anyio.lowlevel import checkpoint

from .._common import ConnectionKey
from .._tasks import Waiter, make_waiter

__all__ = ("Slot", "Slots")

# In the order of asking.  A dictionary, because a wait that is ended may be anywhere in it.
_Queue = OrderedDict["Slot", None]


class Slot:
    """The permission to have one socket open, or a request for it that has to wait."""

    __slots__ = ("_host", "_host_token", "_queue", "_token", "_waiter", "is_held", "key")

    def __init__(self, key: ConnectionKey) -> None:
        self.key: ConnectionKey = key
        #: whether the permission has been given
        self.is_held: bool = False
        # A limiter remembers who borrowed a token.  When a token is passed on from one slot to
        # the next, the limiter is not told, so these name the slot that borrowed it first.
        self._host_token: Slot | None = None
        self._token: Slot | None = None
        self._host: _Host | None = None
        self._queue: _Queue | None = None  # in which it waits
        self._waiter: Waiter | None = None

    def expire(self) -> None:
        """End the wait for it; nothing happens if it is held already."""
        if self._queue is not None:
            self._leave()
            self._wake()

    cancel = expire  # a session that is closed cancels slots and cancel scopes alike

    def _join(self, queue: _Queue) -> None:
        queue[self] = None
        self._queue = queue

    def _leave(self) -> None:
        if self._queue is not None:
            del self._queue[self]
            self._queue = None

    def _wake(self) -> None:
        waiter = self._waiter
        assert waiter is not None
        if not waiter.done():  # it is done if the task that waits has just been cancelled
            with suppress(RuntimeError):  # the event loop of that task has been closed
                waiter.set_result(None)


class _Host:
    """The limit of one endpoint, and the slots that wait for it."""

    __slots__ = ("limiter", "queue")

    def __init__(self, limit: int) -> None:
        self.limiter = anyio.CapacityLimiter(limit)
        self.queue: _Queue = OrderedDict()


class Slots:
    """The slots of a connector.

    A token that is given back goes at once to the first slot in the queue, if there is one, so
    no token is ever free while a slot waits for it.

    :param limit: slots in all; 0 for no limit
    :param limit_per_host: slots of one endpoint; 0 for no limit
    :param evict: closes an idle connection that has a slot, which is released by that; returns
        whether there was one
    """

    __slots__ = ("_evict", "_hosts", "_limit", "_limit_per_host", "_queue", "_total", "waiting")

    def __init__(self, limit: int, limit_per_host: int, evict: Callable[[], bool]) -> None:
        self._limit = limit
        self._limit_per_host = limit_per_host
        self._evict = evict
        # Made when it is first needed: connectors may be made before an event loop runs.
        self._total: anyio.CapacityLimiter | None = None
        self._queue: _Queue | None = None  # made when a slot first has to wait
        self._hosts: dict[ConnectionKey, _Host] = {}
        #: how many tasks wait, or are about to, or have their slot but have not run since
        self.waiting: int = 0

    def take(self, slot: Slot) -> bool:
        """Take *slot* if the limits allow it now; return whether it is held."""
        if self._advance(slot) is None:
            return True
        self.release(slot)
        return False

    @contextmanager
    def about_to_wait(self) -> Iterator[None]:
        """Count the caller as waiting during the block, after which it calls :meth:`wait`.

        While somebody waits, a connection that becomes idle does not keep its slot.
        """
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def wait(self, slot: Slot) -> bool:
        """Wait until *slot* is held, after :meth:`take` has failed.

        :returns: ``False`` if the wait was ended by :meth:`Slot.expire`

        First come, first served: at first among those who wait for the same endpoint, then
        among all.  After cancellation the slot is not held.
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
        """Give *slot* back if it is held, and take it out of the queue if it waits."""
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
            self._forget_host(slot.key)

    def cancel_all(self) -> None:
        """End every wait."""
        for queue in (self._queue, *(host.queue for host in self._hosts.values())):
            for slot in list(queue or ()):
                slot.expire()

    def _advance(self, slot: Slot) -> _Queue | None:
        """Borrow the tokens that *slot* lacks; return the queue for one that is not free."""
        if self._limit_per_host and slot._host_token is None:
            host = self._hosts.get(slot.key)
            if host is None:
                host = self._hosts[slot.key] = _Host(self._limit_per_host)
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
        """Borrow a token of the total limit, if need be by closing an idle connection."""
        if self._queue:
            return False
        if self._total is None:
            self._total = anyio.CapacityLimiter(self._limit)
        # Evicting may free no token: a slot that waits for the same endpoint gets it first.
        if _borrow(self._total, slot) or (self._evict() and _borrow(self._total, slot)):
            slot._token = slot
        return slot._token is not None

    def _pass_on(self, token: Slot) -> None:
        """Give a token of the total limit to the first slot that waits for one, or back."""
        if self._queue:
            slot = next(iter(self._queue))
            slot._token = token
            slot.is_held = True
            slot._leave()
            slot._wake()
        else:
            assert self._total is not None
            self._total.release_on_behalf_of(token)

    def _pass_on_to_host(self, host: _Host, token: Slot) -> None:
        """Give a token of *host* to the first slot that waits for one, or back.

        That slot may have to go on waiting, for a token of the total limit.
        """
        if not host.queue:
            host.limiter.release_on_behalf_of(token)
            return
        slot = next(iter(host.queue))
        slot._leave()
        slot._host, slot._host_token = host, token
        queue = self._advance(slot)
        if queue is None:
            slot._wake()
        else:
            slot._join(queue)

    def _forget_host(self, key: ConnectionKey) -> None:
        """Forget an endpoint for which no slot is held or waits."""
        host = self._hosts.get(key)
        if host is not None and not host.queue and not host.limiter.borrowed_tokens:
            del self._hosts[key]


def _borrow(limiter: anyio.CapacityLimiter, slot: Slot) -> bool:
    try:
        limiter.acquire_on_behalf_of_nowait(slot)
    except anyio.WouldBlock:
        return False
    return True
