"""Who may open a connection: places under the limits, and the lines of those who wait for one.

:class:`anyio.CapacityLimiter` counts the places.  Waiting is done here, in the order of asking,
because it has to end for more reasons than a place that is free (a time limit, a session that is
closed), and a cancel scope for each of thousands who wait costs more than everything else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import anyio
from anyio.lowlevel import checkpoint

from .._common import ConnectionKey
from .._tasks import (
    Waiter,
    make_waiter,
)

__all__ = ("Slot", "Slots")

# In the order of asking; whoever gives up leaves from the middle.
_Line = OrderedDict["Slot", None]


class Slot:
    """A place for one socket, or the wish for one."""

    __slots__ = ("_called", "_host", "_host_token", "_line", "_token", "is_held", "key")

    def __init__(self, key: ConnectionKey) -> None:
        self.key: ConnectionKey = key
        #: whether the limits allow a socket for it
        self.is_held: bool = False
        # On whose behalf the limiters' tokens are borrowed: a slot's that had them before.
        self._host_token: Slot | None = None
        self._token: Slot | None = None
        self._host: _Host | None = None
        self._line: _Line | None = None  # in which it waits
        self._called: Waiter | None = None

    def expire(self) -> None:
        """End waiting for it, without it; nothing happens once it is held."""
        if self._line is not None:
            self._leave()
            self._call()

    cancel = expire  # as whoever can cancel a scope calls it

    def _join(self, line: _Line) -> None:
        line[self] = None
        self._line = line

    def _leave(self) -> None:
        if self._line is not None:
            del self._line[self]
            self._line = None

    def _call(self) -> None:
        called = self._called
        assert called is not None
        if not called.done():  # the task that waits may have been cancelled, and not know yet
            with suppress(RuntimeError):  # its event loop has been closed: it is never told
                called.set_result(None)


class _Host:
    """The limit of one endpoint, and who waits for it."""

    __slots__ = ("limiter", "line")

    def __init__(self, limit: int) -> None:
        self.limiter = anyio.CapacityLimiter(limit)
        self.line: _Line = OrderedDict()


class Slots:
    """The slots of a connector.

    Nobody waits for what is free: a token that is given back goes to the first in line at once,
    which costs the limiters nothing.

    :param limit: slots in all; 0 for no limit
    :param limit_per_host: slots of one endpoint; 0 for no limit
    :param evict: frees a slot that an idle connection has, and tells whether there was one
    """

    __slots__ = ("_evict", "_hosts", "_limit", "_limit_per_host", "_line", "_total", "waiting")

    def __init__(self, limit: int, limit_per_host: int, evict: Callable[[], bool]) -> None:
        self._limit = limit
        self._limit_per_host = limit_per_host
        self._evict = evict
        # Limiters belong to the event loop they are made in, and there may be none yet.
        self._total: anyio.CapacityLimiter | None = None
        self._line: _Line | None = None  # until somebody has to wait
        self._hosts: dict[ConnectionKey, _Host] = {}
        #: how many wait, or are about to, or have been called and do not know yet
        self.waiting: int = 0

    def take(self, slot: Slot) -> bool:
        """Hold *slot*, or tell that it has to :meth:`wait`."""
        if self._advance(slot) is None:
            return True
        self.free(slot)
        return False

    @contextmanager
    def about_to_wait(self) -> Iterator[None]:
        """Count one more among those who wait, who will call :meth:`wait` after the block.

        An idle connection then gives its slot up, for the one who is about to need it.
        """
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def wait(self, slot: Slot) -> bool:
        """Wait until *slot* is held, after :meth:`take` has failed.

        :returns: ``False`` if somebody has ended the wait

        First come, first served; for a slot of the endpoint, then for one of all.  After
        cancellation it is not held.
        """
        self.waiting += 1
        try:
            line = self._advance(slot)
            if line is None:
                await checkpoint()
            else:
                slot._called = make_waiter()
                slot._join(line)
                await slot._called
        except BaseException:
            self.free(slot)
            raise
        finally:
            self.waiting -= 1
        if not slot.is_held:
            self.free(slot)
        return slot.is_held

    def free(self, slot: Slot) -> None:
        """Give *slot* back, or the wish for it up."""
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

    def end_waiting(self) -> None:
        """End everybody's wait."""
        for line in (self._line, *(host.line for host in self._hosts.values())):
            for slot in list(line or ()):
                slot.expire()

    def _advance(self, slot: Slot) -> _Line | None:
        """Take what is free of what *slot* needs; return the line for the rest, if any."""
        if self._limit_per_host and slot._host_token is None:
            host = self._hosts.get(slot.key)
            if host is None:
                host = self._hosts[slot.key] = _Host(self._limit_per_host)
            if host.line or not _borrow(host.limiter, slot):
                return host.line
            slot._host, slot._host_token = host, slot
        if self._limit and not self._count(slot):
            if self._line is None:
                self._line = OrderedDict()
            return self._line
        slot.is_held = True
        return None

    def _count(self, slot: Slot) -> bool:
        """Count *slot* under the total limit, if need be in the place of an idle connection."""
        if self._line:
            return False
        if self._total is None:
            self._total = anyio.CapacityLimiter(self._limit)
        # The place of an idle connection may go to somebody who waits.
        if _borrow(self._total, slot) or (self._evict() and _borrow(self._total, slot)):
            slot._token = slot
        return slot._token is not None

    def _pass_on(self, token: Slot) -> None:
        """Give a token of the total limit to the first who waits for no more than that."""
        if self._line:
            slot = next(iter(self._line))
            slot._token = token
            slot.is_held = True
            slot._leave()
            slot._call()
        else:
            assert self._total is not None
            self._total.release_on_behalf_of(token)

    def _pass_on_to_host(self, host: _Host, token: Slot) -> None:
        """Let the first who waits for *host* go on, if need be to the line for one of all."""
        if not host.line:
            host.limiter.release_on_behalf_of(token)
            return
        slot = next(iter(host.line))
        slot._leave()
        slot._host, slot._host_token = host, token
        line = self._advance(slot)
        if line is None:
            slot._call()
        else:
            slot._join(line)

    def _forget_host(self, key: ConnectionKey) -> None:
        """Forget an endpoint that nobody uses or waits for."""
        host = self._hosts.get(key)
        if host is not None and not host.line and not host.limiter.borrowed_tokens:
            del self._hosts[key]


def _borrow(limiter: anyio.CapacityLimiter, slot: Slot) -> bool:
    try:
        limiter.acquire_on_behalf_of_nowait(slot)
    except anyio.WouldBlock:
        return False
    return True
