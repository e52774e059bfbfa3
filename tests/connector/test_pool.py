"""The pool alone: connections are only noted, and no socket is opened."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from anyhttp._http1 import IDLE
from anyhttp.client_exceptions import ClientConnectionError
from anyhttp.connector._pool import ConnectionPool
from tests.support.keys import A, B, C


class Stream:
    """A socket that is closed when it is awaited."""

    asyncio_loop: Any = None

    def __init__(self, error: Exception | None = None, *, by_itself: bool = True) -> None:
        self.is_gone = False
        self.closes_by_itself = by_itself
        self.error = error
        self.left = False

    async def aclose(self) -> None:
        self.is_gone = True
        if self.error is not None:
            raise self.error

    def leave_to_parent(self) -> None:
        self.left = True


class Whole:
    """A connection that is idle, or could be."""

    phase = IDLE
    is_usable = True
    usable_until = math.inf

    def __init__(self, stream: Stream | None = None) -> None:
        self.stream = Stream() if stream is None else stream
        self.aborted = False
        self.left = False

    def abort(self) -> None:
        self.aborted = True

    def leave_to_parent(self) -> None:
        self.left = True


def make(limit: int = 10, per_host: int = 0, keepalive: float = 15.0) -> ConnectionPool:
    """Return a pool that has no connection."""
    return ConnectionPool(limit, per_host, keepalive)


def lend(pool: ConnectionPool, key: Any = A, stream: Stream | None = None) -> tuple[Any, Any]:
    """Return a connection that has just been made, and its slot."""
    slot = pool.reserve(key)
    assert slot.is_held
    whole: Any = Whole(stream)
    pool.lend(whole, slot)
    return whole, slot


def idle(pool: ConnectionPool, key: Any = A, stream: Stream | None = None) -> tuple[Any, Any]:
    """Return one that has been given back."""
    whole, slot = lend(pool, key, stream)
    pool.take_back(slot, whole)
    return whole, slot


async def test_which_connection_is_lent() -> None:
    """The newest that can be used; others are closed on the way."""
    pool = make()
    first, _ = idle(pool)
    second, slot = idle(pool)
    third, _ = idle(pool)
    assert (pool.kept_slots, len(pool.idle), pool.in_use) == (3, 3, 0)
    third.is_usable = False
    second.usable_until = -math.inf
    assert pool.take_idle(B) is None
    lease: Any = pool.take_idle(A)
    assert lease.protocol is first
    assert (second.aborted, third.aborted, first.aborted) == (True, True, False)
    assert (pool.kept_slots, len(pool.idle), pool.in_use) == (0, 0, 1)
    assert pool.lent == [lease]
    assert slot.is_held is False


async def test_a_slot_that_is_not_needed_is_given_back() -> None:
    """An idle connection has its own."""
    pool = make(limit=2)
    idle(pool)
    held = pool.reserve(A)
    assert pool.take_idle(A, held) is not None
    assert held.is_held is False
    assert pool.slots._total is not None
    assert pool.slots._total.borrowed_tokens == 1


async def test_idle_connections_of_a_limited_endpoint_hold_no_slot() -> None:
    """They get one when they are used, and stay idle if there is none."""
    pool = make(per_host=1)
    whole, _ = idle(pool)
    assert pool.kept_slots == 0
    other = pool.reserve(A)  # somebody makes another connection to the endpoint
    assert other.is_held
    assert pool.take_idle(A) is None
    assert len(pool.idle) == 1
    pool.release_slot(other)
    lease = pool.take_idle(A)
    assert lease is not None
    assert lease.protocol is whole
    assert pool.in_use == 1


async def test_room_is_made_by_idle_connections() -> None:
    """The one that is unused for longest is closed, so that another can be opened."""
    pool = make(limit=2)
    old, _ = idle(pool, A)
    young, _ = idle(pool, B)
    slot = pool.reserve(C)
    assert slot.is_held
    assert (old.aborted, young.aborted) == (True, False)
    assert pool.kept_slots == 1
    assert not pool.has_room  # the socket of the old one is there still
    await pool.make_room()
    assert old.stream.is_gone
    assert pool.has_room
    pool.release_slot(slot)


async def test_sockets_that_close_by_awaiting_are_awaited() -> None:
    """Whatever room there is; others only if they are too many."""
    for by_itself, limit in ((True, 5), (False, 5), (False, 0), (True, 0)):
        pool = make(limit=limit)
        whole, _ = idle(pool, A, Stream(by_itself=by_itself))
        pool.evict_idle()
        assert whole.aborted
        assert not pool.has_room
        await pool.make_room()
        assert whole.stream.is_gone is not by_itself


async def test_errors_of_sockets_are_raised_when_all_are_closed() -> None:
    """The first one."""
    pool = make()
    streams = [Stream(OSError("one")), Stream(OSError("two")), Stream()]
    for stream in streams:
        idle(pool, A, stream)
    pool.close_idle()
    assert pool.is_closing
    with pytest.raises(OSError, match="one"):
        await pool.finish_closing()
    assert all(stream.is_gone for stream in streams)
    assert not pool.is_closing


async def test_limits_change_when_nobody_uses_the_pool() -> None:
    """Idle connections are closed, and the new limits hold."""
    pool = make(limit=5)
    whole, slot = lend(pool)
    with pytest.raises(RuntimeError, match="while requests use it"):
        pool.change_limits(1, 1)
    pool.take_back(slot, whole)
    pool.change_limits(2, 1)
    assert whole.aborted
    assert (pool.limit, pool.limit_per_host) == (2, 1)
    slots = [pool.reserve(key) for key in (A, A, B, C)]
    assert [slot.is_held for slot in slots] == [True, False, True, False]
    for slot in slots:
        pool.release_slot(slot)
    pool.close()
    with pytest.raises(ClientConnectionError):
        pool.change_limits(1, 1)


async def test_how_long_connections_are_kept() -> None:
    """No time means that none is kept."""
    pool = make()
    pool.keep_for(0.0)
    assert pool.keepalive_timeout == 0.0
    whole, _ = idle(pool)
    assert whole.aborted
    assert len(pool.idle) == 0
    pool.keep_for(1000.0)
    idle(pool)
    due = pool.idle.due
    pool.keep_for(10.0)
    assert due - pool.idle.due == pytest.approx(990.0, abs=5.0)


async def test_closed() -> None:
    """Nothing is lent, and nothing kept."""
    pool = make()
    kept, _ = idle(pool)
    whole, slot = lend(pool)
    sessions = pool.tls_sessions
    assert pool.tls_sessions is sessions
    pool.close()
    assert pool.closed is True
    assert kept.aborted
    assert whole.aborted
    with pytest.raises(ClientConnectionError, match="Connector is closed"):
        pool.take_idle(A)
    with pytest.raises(ClientConnectionError, match="Connector is closed"):
        pool.check_use()
    assert slot.lease is None


async def test_a_forked_child_begins_anew() -> None:
    """What the parent has is let go of as it is."""
    pool = make(limit=3, per_host=2)
    kept, _ = idle(pool, A)
    whole, _ = lend(pool, B)
    closing, _ = idle(pool, C)
    slot = pool.idle.take(C)
    assert slot is not None
    pool._close(slot)
    pool.leave_to_parent()
    assert (kept.left, closing.stream.left) == (True, True)
    assert whole.left is True
    assert (pool.in_use, pool.kept_slots, len(pool.idle)) == (0, 0, 0)
    slots = [pool.reserve(key) for key in (A, A, A, B, B)]
    assert [slot.is_held for slot in slots] == [True, True, False, True, False]
    for slot in slots:
        pool.release_slot(slot)


async def test_another_thread_may_go_on_when_nobody_uses_the_pool() -> None:
    """Or when the thread that did has ended."""
    pool = make()
    found: list[object] = []

    def use() -> None:
        try:
            pool.check_use()
            found.append("used")
        except RuntimeError as error:
            found.append(str(error).partition(":")[0])

    def in_a_thread() -> None:
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()

    whole, slot = lend(pool)
    in_a_thread()
    assert found == ["a session, or a connector, is being used by two threads at once"]
    pool.take_back(slot, whole)
    in_a_thread()
    assert found[1:] == ["used"]
    pool.check_use()  # that thread has ended
    assert pool._thread == threading.get_ident()


async def test_what_only_pools_of_http2_have() -> None:
    """No streams, no answers, and no question about WebSockets."""
    pool = make()
    whole, slot = lend(pool)
    assert pool.streams == 0
    assert pool.answers_of(A) == 0
    assert pool.must_ask_for_websockets(A) is False
    assert await pool.takes_websockets(slot.lease) is True
    pool.take_back(slot, None)
    assert not whole.aborted  # it belongs to somebody else
    assert pool.in_use == 0
