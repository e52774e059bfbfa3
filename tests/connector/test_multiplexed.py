"""Requests that share HTTP/2 connections: who gets a stream, who opens a connection, who waits."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from anyhttp.connector._multiplexed import MultiplexedPool
from anyhttp.connector._origin import MOST_SILENCE
from tests.support.keys import B
from tests.support.multiplexed import (
    FakeHttp2,
    PoolUser,
    http1,
    jumping,
    make_pool,
    settled,
)

# Else a slow machine would let a queue wait for too long, and open another connection.
pytestmark = jumping


@pytest.fixture
async def pool() -> MultiplexedPool:
    """A pool without limits."""
    return make_pool()


async def test_requests_that_come_together_open_one_connection(pool: MultiplexedPool) -> None:
    """Nobody knows yet what the server speaks; if it is HTTP/2, the connection serves all."""
    names = [f"{n}" for n in range(100)]
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*names)
        assert user.dialing == ["0"]
        assert pool.slots.waiting == 99
        http2 = FakeHttp2()
        await user.dialed(http2)
        assert set(user.order) == set(names)  # trio runs those that were woken in any order
        assert (pool.in_use, pool.streams, http2.exchanges) == (1, 100, 100)
        await user.end(*names)
        assert len(pool.idle) == 1
        user.assert_over()


async def test_http1_goes_its_way_after_the_first_connection(pool: MultiplexedPool) -> None:
    """Each request makes a connection then, at the same time; and so do all later ones."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a", "b", "c")
        assert user.dialing == ["a"]
        await user.dialed(http1())
        assert set(user.dialing) == {"b", "c"}
        await user.ask("d")
        assert set(user.dialing) == {"b", "c", "d"}
        for _ in range(3):
            await user.dialed(http1())
        for name in "abcd":
            user.got.pop(name).close()
        user.assert_over()


async def test_requests_beyond_what_the_server_allows(pool: MultiplexedPool) -> None:
    """They wait for streams, and open another connection when none has become free for long."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"abcdef")
        await user.dialed(FakeHttp2(2))
        assert set(user.order) == {"a", "b"}
        for name in "ab":
            await anyio.sleep(0.03)
            await user.end(name)
        assert set(user.order) == set("abcd")
        await anyio.sleep(0.03)
        assert user.dialing == []  # each 0.03 seconds somebody got something
        await anyio.sleep(0.03)
        assert user.dialing == ["e"]
        await anyio.sleep(3)
        assert user.dialing == ["e"]  # one at a time
        await user.end("c")
        assert user.order[4:] == ["f"]
        await user.dialed(FakeHttp2(2))
        await user.end(*"def")
        user.assert_over()


async def test_how_long_the_queue_may_stand(pool: MultiplexedPool) -> None:
    """As long as it took to open the last connection, up to a second."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        for seconds, patience in ((0.0, 0.05), (0.5, 0.5), (3.0, 1.0)):
            await user.ask("a")
            await anyio.sleep(seconds)
            await user.dialed(http2 := FakeHttp2(1))
            await user.ask("b")
            await anyio.sleep(patience - 0.01)
            assert user.dialing == []
            await anyio.sleep(0.02)
            assert user.dialing == ["b"]
            await user.dialed(other := FakeHttp2(1))
            other.go_away()
            http2.go_away()
            await user.end("a", "b")
        user.assert_over()


async def test_whoever_looks_at_the_clock_leaves_the_queue(pool: MultiplexedPool) -> None:
    """Another one does so instead, however it left."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"abcd")
        await user.dialed(FakeHttp2(1))
        (origin,) = pool._origins.values()
        assert origin._timed is user.slots["d"]
        user.scopes["d"].cancel()
        await settled()
        assert origin._timed is user.slots["c"]
        user.slots["c"].expire()
        await settled()
        assert list(user.errors) == ["c"]
        await anyio.sleep(1)
        assert user.dialing == ["b"]
        await user.dialed(FakeHttp2(1))
        await user.end("a", "b")
        user.assert_over()


async def test_a_slot_that_comes_late() -> None:
    """Whoever may open a connection still gets a stream if one is free before a slot is."""
    pool = make_pool(limit=1)
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"abc")
        await user.dialed(http2 := FakeHttp2(1))
        await anyio.sleep(5)
        await user.end("a")
        assert user.order == ["a", "b"]
        await anyio.sleep(5)
        http2.go_away()
        await settled()
        await user.end("b")
        assert user.dialing == ["c"]
        await user.dialed(FakeHttp2(1))
        await user.end("c")
        user.assert_over()


async def test_a_request_waits_for_a_slot_and_for_a_stream_at_once() -> None:
    """What comes first ends the wait, and the other is not lost."""
    pool = make_pool(limit=1)
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"ab")
        await user.dialed(FakeHttp2(1))
        assert (user.order, user.dialing) == (["a"], [])
        await user.end("a")
        assert user.order == ["a", "b"]
        await user.ask("c")
        await user.ask("x", key=B)
        user.got.pop("b").close()
        assert pool.slots.waiting
        await settled()
        assert user.order == ["a", "b", "c"]
        await user.end("c")
        assert user.dialing == ["x"]
        await user.dialed(FakeHttp2())
        await user.end("x")
        user.assert_over()


async def test_a_failure_is_one_requests_own(pool: MultiplexedPool) -> None:
    """The next ones try, ten at a time: all would be too many, one by one would take too long."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*(f"{n}" for n in range(20)))
        await user.dialed(RuntimeError("no"))
        assert list(user.errors) == ["0"]
        assert set(user.dialing) == {f"{n}" for n in range(1, 11)}
        await user.dialed(FakeHttp2())
        assert len(user.order) == 10
        while user.dials:
            await user.dialed(FakeHttp2())
        await user.end(*user.order)
        user.assert_over()


@pytest.mark.parametrize("name", ["a", "b"])
async def test_cancellation(pool: MultiplexedPool, name: str) -> None:
    """Of the one that makes the connection, or of one that waits."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"abc")
        user.scopes[name].cancel()
        await settled()
        assert user.dialing == ["b" if name == "a" else "a"]
        await user.dialed(FakeHttp2())
        await user.end(*user.order)
        user.assert_over()


async def test_going_away(pool: MultiplexedPool) -> None:
    """RFC 9113 §6.8: no new exchange; the connection is closed when the last one ends."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"ab")
        await user.dialed(old := FakeHttp2())
        old.go_away()
        await user.ask("c")
        assert user.dialing == ["c"]
        await user.dialed(FakeHttp2())
        await user.end("a")
        assert pool.in_use == 2
        await user.end("b")
        assert (pool.in_use, old.is_dead) == (1, True)
        await user.end("c")
        user.assert_over()


async def test_a_connection_that_dies(pool: MultiplexedPool) -> None:
    """Its slot is free at once, whenever its exchanges notice."""
    pool = make_pool(limit=1)
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"a")
        await user.dialed(old := FakeHttp2(1))
        await user.ask("b")
        old.die()
        await settled()
        assert user.dialing == ["b"]
        await user.dialed(FakeHttp2(1))
        user.got.pop("a").close()
        await user.end("b")
        user.assert_over()


async def test_settings_that_allow_more(pool: MultiplexedPool) -> None:
    """Those who wait are served at once, also those who wait for a slot."""
    pool = make_pool(limit=1)
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"abc")
        await user.dialed(http2 := FakeHttp2(1))
        assert user.order == ["a"]
        http2.allow(2)
        await settled()
        assert user.order == ["a", "b"]
        http2.allow(3)
        await settled()
        await user.end(*"abc")
        user.assert_over()


@pytest.mark.parametrize("answer", [True, False])
async def test_an_idle_connection_after_a_pause(pool: MultiplexedPool, answer: bool) -> None:
    """One request asks for a sign of life; the others wait, and are served in their order."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("a")
        await user.dialed(http2 := FakeHttp2())
        await user.end("a")
        http2.needs_check = True
        http2.answer = answer
        await user.ask(*"bcd")
        assert len(http2.checks) == 1
        assert user.order == ["a"]
        http2.checks[0].set()
        await settled()
        if not answer:
            assert http2.is_dead
            assert user.dialing == ["b"]
            await user.dialed(FakeHttp2())
        assert set(user.order) == set("abcd")
        await user.end(*"bcd")
        user.assert_over()


async def test_one_exchange_until_the_server_has_spoken(pool: MultiplexedPool) -> None:
    """RFC 9113 §5.1.2: one too many may be a fault, so the others wait for its settings."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"abc")
        await user.dialed(http2 := FakeHttp2(is_greeted=False))
        assert (user.order, user.dialing) == (["a"], [])
        await user.ask("d")
        assert user.dialing == []
        http2.allow(3)
        await settled()
        assert set(user.order) == set("abc")
        await user.end(*"abcd")
        user.assert_over()


async def test_a_server_that_never_speaks(pool: MultiplexedPool) -> None:
    """A connection that dies before counts as one that could not be made."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*(f"{n}" for n in range(20)))
        await user.dialed(http2 := FakeHttp2(is_greeted=False))
        http2.die()
        await settled()
        assert len(user.dialing) == 10
        user.got.pop("0").close()
        while user.dials:
            await user.dialed(FakeHttp2())
        await user.end(*list(user.got))
        user.assert_over()


async def test_a_mute_server(pool: MultiplexedPool) -> None:
    """Whoever opened the connection has waited in vain: nobody else waits on it after that."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*(f"{n}" for n in range(20)))
        await user.dialed(http2 := FakeHttp2(is_greeted=False))
        await anyio.sleep(MOST_SILENCE)
        user.got.pop("0").close()
        await settled()
        assert http2.is_dead
        assert len(user.dialing) == 10
        while user.dials:
            await user.dialed(FakeHttp2())
        await user.end(*list(user.got))
        user.assert_over()


async def test_an_early_end_is_no_sign_of_a_mute_server(pool: MultiplexedPool) -> None:
    """If the first request is cancelled at once, the next one takes its place."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"abc")
        await user.dialed(http2 := FakeHttp2(is_greeted=False))
        user.got.pop("a").close()
        await settled()
        assert (user.order, user.dialing) == (["a", "b"], [])
        http2.allow(3)
        await settled()
        await user.end(*"bc")
        user.assert_over()


async def test_a_refused_stream(pool: MultiplexedPool) -> None:
    """The server carries no more for now; each exchange that ends makes room for one more."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask(*"abcd")
        await user.dialed(http2 := FakeHttp2())
        for name in "cd":
            refused: Any = user.got.pop(name)
            refused.protocol.was_refused = True
            refused.close()
        await user.ask("again")
        assert (user.dialing, http2.exchanges) == ([], 2)
        await user.end("a")
        assert http2.exchanges == 2
        await user.ask("another")
        await user.end("b")
        assert http2.exchanges == 2
        await user.end("again", "another")
        assert len(pool.idle) == 1
        user.assert_over()


async def test_those_that_were_refused_come_first(pool: MultiplexedPool) -> None:
    """And first those that were refused most often."""
    async with anyio.create_task_group() as group:
        user = PoolUser(pool, group)
        await user.ask("opens")
        await user.ask("new", "another")
        await user.ask("once", refusals=1)
        await user.ask("twice", refusals=2)
        await user.ask("also once", refusals=1)
        await user.ask("newest")
        await user.dialed(FakeHttp2(1))
        while len(user.order) < 7:
            await user.end(user.order[-1])
        assert user.order == ["opens", "twice", "once", "also once", "new", "another", "newest"]
        await user.end("newest")
        user.assert_over()
