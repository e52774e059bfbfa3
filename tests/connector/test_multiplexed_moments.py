"""Requests that wait for HTTP/2 connections, when two things happen at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from anyhttp.connector._multiplexed import MultiplexedPool
from anyhttp.connector._origin import HandshakeKey, Http1Key, Origin
from tests.support.keys import A, B
from tests.support.multiplexed import (
    FakeHttp2,
    PoolUser,
    finish,
    http1,
    jumping,
    make_pool,
    settled,
)


@pytest.fixture
async def pool() -> MultiplexedPool:
    """A pool without limits."""
    return make_pool()


async def two_that_wait_for_a_slot(user: PoolUser) -> FakeHttp2:
    """Let "b" wait for one of two slots, as the only stream and another origin have them."""
    await user.ask("a")
    await user.dialed(http2 := FakeHttp2(1))
    await user.ask("x", key=B)
    await user.dialed(FakeHttp2())
    await user.ask("b")
    await anyio.sleep(1)  # long enough for "b" to be let open another connection
    assert (user.dialing, user.pool.slots.waiting) == ([], 1)
    return http2


@jumping
@pytest.mark.parametrize("limits", [{"limit": 2}, {"limit": 2, "limit_per_host": 2}], ids=str)
async def test_a_slot_and_a_connection_that_are_free_at_once(limits: dict[str, int]) -> None:
    """The connection is used, and the slot is given back: there is one connection to count.

    It stays one by HTTP/2, also if it has taken that slot for its own.
    """
    pool = make_pool(**limits)
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        http2 = await two_that_wait_for_a_slot(user)
        finish(user.got.pop("x"))
        pool.evict_idle()
        finish(user.got.pop("a"))
        await settled()
        assert (user.dialing, list(user.got)) == ([], ["b"])
        assert (pool.in_use, http2.exchanges) == (1, 1)
        await user.end("b")
        await user.ask("c")
        assert (pool.in_use, http2.exchanges) == (1, 1)
        await user.end("c")
        user.assert_over()


@jumping
async def test_a_check_that_is_ended(pool: MultiplexedPool) -> None:
    """The connection is neither better nor worse than before: the next request checks it."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a")
        await user.dialed(http2 := FakeHttp2())
        await user.end("a")
        http2.needs_check = True
        await user.ask("b", "c")
        user.slots["b"].expire()
        await settled()
        assert list(user.errors) == ["b"]
        assert len(http2.checks) == 2
        http2.checks[1].set()
        await settled()
        assert user.order == ["a", "c"]
        await user.end("c")
        user.assert_over()


@jumping
async def test_whoever_is_to_check_is_cancelled_before(pool: MultiplexedPool) -> None:
    """Another one does it."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a")
        await user.dialed(http2 := FakeHttp2(1))
        await user.ask("b", "c")
        http2.needs_check = True
        finish(user.got.pop("a"))
        user.scopes["b"].cancel()
        await settled()
        http2.checks[-1].set()
        await settled()
        assert (user.cancelled, user.order) == (1, ["a", "c"])
        await user.end("c")
        user.assert_over()


@jumping
async def test_a_check_in_vain_while_another_exchange_goes_on() -> None:
    """Whoever has checked needs a slot then, and waits for it as the first in the queue."""
    pool = make_pool(limit=1)
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a")
        await user.dialed(old := FakeHttp2())
        old.needs_check, old.answer = True, False
        await user.ask("b", "c")
        old.checks[0].set()
        await settled()
        assert (user.dialing, user.order) == ([], ["a"])
        await user.end("a")
        assert old.is_dead
        assert user.dialing == ["b"]
        await user.dialed(FakeHttp2())
        await user.end("b", "c")
        user.assert_over()


@jumping
async def test_a_request_that_fails_with_a_stream_in_its_hands(pool: MultiplexedPool) -> None:
    """It has got one while it waited, and a callback raises: the stream goes to the next one."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a")
        await user.dialed(http2 := FakeHttp2(1))
        slot = pool.reserve(A)
        group.start_soon(pool.wait, slot)
        await settled()
        await user.ask("b")
        await user.end("a")
        assert user.order == ["a"]
        pool.release_slot(slot, failed=True)
        await settled()
        assert user.order == ["a", "b"]
        assert http2.exchanges == 1
        await user.end("b")
        user.assert_over()


@jumping
async def test_a_request_whose_connection_has_failed_is_the_first_again(
    pool: MultiplexedPool,
) -> None:
    """It had waited longer than those who came meanwhile."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a")
        await user.dialed(FakeHttp2(1))
        slot = pool.reserve(A)
        assert await pool.wait(slot)  # until the queue has not moved for long enough
        assert slot.is_held
        await user.ask("b")
        pool.release_slot(slot, failed=True)
        again = pool.reserve_again(slot)
        assert again is not None
        group.start_soon(pool.wait, again)
        await settled()
        await user.end("a")
        connection = pool.take_idle(A, again)
        assert connection is not None
        assert user.order == ["a"]
        finish(connection)
        await settled()
        await user.end("b")
        user.assert_over()


@jumping
async def test_a_server_that_speaks_http1_after_a_failure() -> None:
    """Those who may open a connection, and those who may not yet, wait for slots in their order."""
    pool = make_pool(limit=2)
    names = [f"{n}" for n in range(14)]
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*names)
        await user.dialed(RuntimeError("no"))
        assert set(user.dialing) == {"1", "2"}  # ten may try, and there are slots for two
        (origin,) = pool._origins.values()
        assert len(origin.queue) == 11
        for name in names[3:]:
            await user.dialed(http1())
            assert not origin.queue  # each waits for a slot alone, so it is asked for but once
            user.got.pop(user.order[-1]).close()
            await settled()
            assert user.dialing[-1] == name
        for _ in range(2):
            await user.dialed(http1())
            user.got.pop(user.order[-1]).close()
        user.assert_over()


@jumping
async def test_a_server_that_speaks_http2_again() -> None:
    """Who waits for a slot by then gets a stream with it, and gives the slot back."""
    pool = make_pool(limit=2)
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a")
        await user.dialed(http1())
        await user.ask("b", "c")
        assert (user.dialing, pool.slots.waiting) == (["b"], 1)
        await user.dialed(http2 := FakeHttp2())
        user.got.pop("a").close()
        await settled()
        assert user.order == ["a", "b", "c"]
        assert (user.dialing, pool.in_use, http2.exchanges) == ([], 1, 2)
        await user.end("b", "c")
        user.assert_over()


@jumping
async def test_requests_for_http1_wait_for_slots_alone() -> None:
    """A stream that becomes free is of no use to them."""
    pool = make_pool(limit=1)
    key = Http1Key(*A)
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a")
        await user.dialed(FakeHttp2())
        await user.ask("old", key=key)
        await user.ask("b")
        assert user.order == ["a", "b"]
        await user.end("a")
        assert user.dialing == []
        await user.end("b")
        assert user.dialing == ["old"]
        await user.dialed(http1())
        user.got.pop("old").close()
        user.assert_over()


@jumping
async def test_a_stream_that_is_detached(pool: MultiplexedPool) -> None:
    """It counts no longer, and its connection is lent to others."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a")
        await user.dialed(http2 := FakeHttp2())
        await user.ask("b")
        stream: Any = user.got["a"].protocol
        assert user.got.pop("a").detach() == stream
        assert (pool.streams, http2.exchanges) == (1, 2)
        await user.end("b")
        assert (pool.streams, pool.in_use) == (0, 1)
        stream.keep()
        http2.allow(100)  # whatever comes from the server
        user.assert_over()


async def test_connections_of_http1_take_websockets(pool: MultiplexedPool) -> None:
    """RFC 6455: each of them can be switched, unlike those of HTTP/2."""
    slot = pool.reserve(HandshakeKey(*A))
    lease = pool.lend(http1(), slot)
    assert await pool.takes_websockets(lease)
    lease.close()
    assert await pool.takes_websockets(lease)  # whoever uses it will learn that it is closed
    assert pool.in_use == 0


class Lost:
    """Requests that wait in an event loop that is closed before they can go on."""

    def __init__(self, pool: MultiplexedPool) -> None:
        self.pool = pool
        self.tasks: list[asyncio.Task[Any]] = []
        self.slots: list[Any] = []

    @property
    def origin(self) -> Origin:
        """That of the connections."""
        (origin,) = self.pool._origins.values()
        return origin

    def begin(self, http2: FakeHttp2, exchanges: int, waiting: int) -> list[Any]:
        """Return what *exchanges* requests have got on *http2*, while others wait."""

        async def begin() -> list[Any]:
            first = self.pool.lend(http2, self.pool.reserve(A))  # type: ignore[arg-type]
            more = [self.pool.take_idle(A) for _ in range(exchanges - 1)]
            self.slots += [self.pool.reserve(A) for _ in range(waiting)]
            self.tasks += [asyncio.create_task(self.pool.wait(slot)) for slot in self.slots]
            await settled()
            return [first, *more]

        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)  # it complains of the tasks
        lent = loop.run_until_complete(begin())
        loop.close()
        return lent

    def go_on(self, function: Callable[[], None]) -> None:
        """Call *function* in another event loop, and check that no connection is in use then."""

        async def call() -> None:
            function()

        asyncio.run(call())
        assert (self.pool.in_use, self.pool.streams) == (0, 0)


def test_a_stream_for_which_nobody_will_come() -> None:
    """It is not lent to a task whose event loop is closed: the connection becomes idle."""
    lost = Lost(pool := make_pool(limit=1))
    lent = lost.begin(http2 := FakeHttp2(1), 1, 2)

    def go_on() -> None:
        finish(lent.pop())
        assert (http2.exchanges, len(pool.idle)) == (0, 1)
        assert [slot.connection for slot in lost.slots] == [None, None]

    lost.go_on(go_on)


def test_a_check_that_nobody_will_make() -> None:
    """The connection does not count as one that is being checked."""
    lost = Lost(pool := make_pool(limit=1))
    lent = lost.begin(http2 := FakeHttp2(2), 2, 2)

    def go_on() -> None:
        http2.needs_check = True
        finish(lent.pop())
        (shared,) = lost.origin.in_use
        assert not shared.is_being_checked
        assert not lost.origin.openers
        assert not lost.origin.queue
        finish(lent.pop())
        assert len(pool.idle) == 1

    lost.go_on(go_on)


def test_a_slot_that_nobody_will_use() -> None:
    """It is free again."""
    lost = Lost(pool := make_pool(limit=1))
    lent = lost.begin(http2 := FakeHttp2(1), 1, 2)

    def go_on() -> None:
        http2.die()
        assert not lost.origin.openers
        assert not lost.origin.queue
        lent.pop().close()
        slot = pool.reserve(B)
        assert slot.is_held
        pool.release_slot(slot)

    lost.go_on(go_on)


def test_nobody_is_left_to_look_at_the_clock() -> None:
    """Those whose event loop is closed are not chosen for it."""
    lost = Lost(make_pool())
    lent = lost.begin(http2 := FakeHttp2(1), 1, 2)

    def go_on() -> None:
        timed, other = lost.slots
        assert timed == lost.origin._timed
        timed.expire()
        assert list(lost.origin.queue) == [other]
        http2.allow(1)
        assert not lost.origin.queue
        finish(lent.pop())

    lost.go_on(go_on)
