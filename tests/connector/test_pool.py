"""The pool alone: connections are only noted, and no socket is opened."""

from __future__ import annotations

import gc
import math
import os
import threading
from contextvars import copy_context
from typing import Any
from weakref import ref

import pytest

from anyhttp._http1 import IDLE
from anyhttp._network import TlsSessions
from anyhttp._tasks import asyncio_loop
from anyhttp.client_exceptions import ClientConnectionError
from anyhttp.connector import _pool, replaced_network
from anyhttp.connector._pool import ConnectionPool
from tests.support.canned import CannedSource
from tests.support.forks import fork
from tests.support.keys import A, B, C

TWO_THREADS = "a session, or a connector, is being used by two threads at once"


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


class Loop:
    """An event loop of asyncio."""

    def __init__(self, *, ended: bool) -> None:
        self._ended = ended

    def is_closed(self) -> bool:
        return self._ended


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


def tell_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the pool's clock stand at a time."""
    monkeypatch.setattr(_pool, "monotonic", lambda: seconds)


def in_a_thread(work: Any) -> None:
    """Call *work* in a new thread, and wait until that has ended."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def use_in_a_thread(pool: ConnectionPool) -> str:
    """Return how the use of *pool* in a new thread has gone: nothing, or the error."""
    found: list[str] = []

    def use() -> None:
        try:
            pool.check_use()
        except RuntimeError as error:
            found.append(str(error).partition(":")[0])

    in_a_thread(use)
    return "".join(found)


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


async def test_when_a_connection_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment that its server has named, or when it was idle for the time of the pool."""
    tell_time(monkeypatch, 100.0)
    pool = make(keepalive=15.0)
    for until, is_lent in ((100.0, False), (100.5, True)):
        whole, _ = idle(pool)
        whole.usable_until = until
        lease: Any = pool.take_idle(A)
        assert (lease is not None, whole.aborted) == (is_lent, not is_lent)
    lease.release()
    whole.usable_until = math.inf
    other, _ = idle(pool, B)
    tell_time(monkeypatch, 115.0)
    assert pool.take_idle(C) is None  # a request to any endpoint closes what is too old
    assert (whole.aborted, other.aborted) == (True, True)
    assert (len(pool.idle), pool.kept_slots) == (0, 0)


async def test_connections_of_the_network_are_left_where_it_is_replaced() -> None:
    """In that context only; a pool of other connections lends them there too."""
    of_network = ConnectionPool(10, 0, 15.0, uses_network=True)
    of_others = make()
    for pool in (of_network, of_others):
        idle(pool)
    with replaced_network(CannedSource()):
        assert of_network.take_idle(A) is None
        lease = of_others.take_idle(A)
        assert lease is not None
    elsewhere = copy_context()
    block = replaced_network(CannedSource())
    elsewhere.run(block.__enter__)
    assert elsewhere.run(of_network.take_idle, A) is None
    assert of_network.take_idle(A) is not None
    elsewhere.run(block.__exit__, None, None, None)


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


async def test_idle_connections_without_a_slot_make_room_too() -> None:
    """What counts is how many are open, and how many are being opened."""
    pool = make(limit=2, per_host=1)
    old, _ = idle(pool, A)
    young, _ = idle(pool, B)
    assert pool.has_room
    slot = pool.reserve(C)
    assert slot.is_held
    assert not old.aborted
    assert not pool.has_room
    await pool.make_room()
    assert (old.aborted, young.aborted) == (True, False)
    assert old.stream.is_gone
    assert pool.has_room


@pytest.mark.parametrize(("limit", "is_awaited"), [(1, True), (2, False)])
async def test_a_socket_that_closes_soon_may_be_the_last_that_is_allowed(
    limit: int, is_awaited: bool
) -> None:
    """Together with the connections in use, that which is being made included."""
    pool = make(limit=limit)
    whole, _ = idle(pool, A)
    pool.evict_idle()
    assert pool.reserve(B).is_held
    await pool.make_room()
    assert whole.stream.is_gone is is_awaited


async def test_what_cannot_be_kept_is_closed() -> None:
    """Its socket counts until it is gone, which some are at once."""
    for is_gone in (False, True):
        pool = make(keepalive=0.0)
        whole, _ = lend(pool)
        whole.stream.is_gone = is_gone
        lease = pool.lent[0]
        lease.release()
        assert whole.aborted
        assert pool.is_empty
        assert pool.has_room is is_gone
        assert pool.is_closing is not is_gone


async def test_room_is_made_only_by_those_that_have_a_slot() -> None:
    """Older ones that have given theirs away are closed on the way, as they make no room."""
    pool = make(limit=2)
    old, slot = lend(pool, A)
    with pool.slots.about_to_wait():
        pool.take_back(slot, old)
    young, _ = idle(pool, B)
    lend(pool, C)
    assert (len(pool.idle), pool.kept_slots, pool.in_use) == (2, 1, 1)
    assert pool.reserve(C).is_held
    assert (old.aborted, young.aborted) == (True, True)
    assert (len(pool.idle), pool.kept_slots, pool.in_use) == (0, 0, 2)


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
    assert pool.closed is False
    kept, _ = idle(pool)
    whole, slot = lend(pool)
    found = []
    slot.lease.add_callback(lambda: found.append(pool.closed))
    pool.close()
    assert found == [True]  # whoever is told that his connection is closed finds that of the pool
    assert pool.closed is True
    assert kept.aborted
    assert whole.aborted
    with pytest.raises(ClientConnectionError, match="Connector is closed"):
        pool.take_idle(A)
    with pytest.raises(ClientConnectionError, match="Connector is closed"):
        pool.check_use()
    assert slot.lease is None


async def test_tls_sessions_are_those_of_the_pool() -> None:
    """They are made when they are asked for, and hold nothing once the pool is closed."""
    pool = make()
    sessions = pool.tls_sessions
    assert isinstance(sessions, TlsSessions)
    assert pool.tls_sessions is sessions


async def test_the_event_loop_of_the_connections() -> None:
    """One that has ended counts if all have; without a connection it is the running one."""
    try:
        running = asyncio_loop()
    except RuntimeError:
        running = None
    pool = make()
    assert pool.loop is running
    lend(pool)
    assert pool.loop is running  # its stream belongs to none
    pool = make()
    loops: list[Any] = [Loop(ended=True), Loop(ended=True), Loop(ended=False)]
    lent = []
    for loop in loops:
        whole, slot = lend(pool)
        whole.stream.asyncio_loop = loop
        lent.append((slot, whole))
        assert pool.loop in (loops[:2] if loop.is_closed() else loops[2:])
    pool.take_back(*lent.pop())
    assert pool.loop is loops[2]  # that of an idle connection
    pool.close_idle()
    assert pool.loop in loops[:2]


def test_no_event_loop_is_running() -> None:
    """And there is no connection."""
    assert make().loop is None


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the operating system cannot fork")
@pytest.mark.filterwarnings("ignore:.* use of fork:DeprecationWarning")
def test_every_pool_is_told_that_the_process_is_a_child() -> None:
    """And begins anew there, while that of the parent stays as it is."""
    pools = [make(limit=0), make(limit=0)]  # limits need an event loop
    kept = [idle(pool)[0] for pool in pools]

    def look() -> str:
        return f"{[len(pool.idle) for pool in pools]}, {[whole.left for whole in kept]}"

    assert fork(look) == "[0, 0], [True, True]"
    assert look() == "[1, 1], [False, False]"


async def test_a_pool_that_has_just_gone_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """All others of the child begin anew."""
    pools = [make(), make()]
    kept = [idle(pool)[0] for pool in pools]
    going = make()
    gone = ref(going)
    monkeypatch.setattr(_pool, "_pools", {ref(pools[0]), gone, ref(pools[1])})
    going.close()  # or its slots would keep it alive until the next garbage collection
    del going
    assert gone() is None
    _pool._leave_all_to_parent()
    assert [whole.left for whole in kept] == [True, True]
    assert [len(pool.idle) for pool in pools] == [0, 0]


def test_a_pool_that_is_gone_is_not_remembered() -> None:
    """A program may make many of them."""
    pool = make()
    (reference,) = [known for known in _pool._pools if known() is pool]
    del pool
    gc.collect()
    assert reference not in _pool._pools


async def test_a_forked_child_uses_the_pool_in_one_thread_too() -> None:
    """The one in which it was forked."""
    pool = make()
    in_a_thread(pool.check_use)
    pool.leave_to_parent()
    lend(pool)
    assert use_in_a_thread(pool) == TWO_THREADS


async def test_another_thread_may_go_on_when_nobody_uses_the_pool() -> None:
    """Nobody has a connection of it, or waits for one."""
    pool = make()
    whole, slot = lend(pool)
    assert use_in_a_thread(pool) == TWO_THREADS
    pool.take_back(slot, whole)
    assert use_in_a_thread(pool) == ""


async def test_another_thread_may_go_on_when_the_one_before_has_ended() -> None:
    """Even if it has left a connection in use."""
    pool = make(limit=0)  # limits need an event loop

    def use() -> None:
        pool.check_use()
        lend(pool)

    in_a_thread(use)
    assert pool.in_use == 1
    pool.check_use()
    assert use_in_a_thread(pool) == TWO_THREADS


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
