"""Requests that share HTTP/2 connections: who gets a stream, who opens a connection, who waits."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from trio.testing import MockClock

from anyhttp._http1 import Connection
from anyhttp.connector._multiplexed import MultiplexedPool
from anyhttp.connector._slots import Slot
from anyhttp.testing import AutojumpEventLoop
from tests.support.keys import A, B
from tests.support.multiplexed import FakeHttp2, FakeNetworkStream, finish, make_pool

#: So many times a task has its turn before all that it has caused is done.
ROUNDS = 10

#: Clocks that jump to the next thing to do, so that waiting takes no time.
jumping = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
        pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
    ],
)


class Party:
    """Requests to a pool, each a task, and the connections that they open."""

    def __init__(self, pool: MultiplexedPool, group: anyio.abc.TaskGroup) -> None:
        self.pool = pool
        self.group = group
        self.dials: list[Dial] = []
        self.got: dict[str, Connection] = {}
        self.order: list[str] = []
        self.errors: dict[str, BaseException] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}
        self.slots: dict[str, Slot] = {}

    async def ask(self, *names: str, key: Any = A) -> None:
        """Let requests come, one after the other."""
        for name in names:
            self.group.start_soon(self._request, name, key)
            await settled()

    async def _request(self, name: str, key: Any) -> None:
        with anyio.CancelScope() as self.scopes[name]:
            try:
                self.got[name] = await self._get(name, key)
                self.order.append(name)
            except RuntimeError as exc:
                self.errors[name] = exc

    async def _get(self, name: str, key: Any) -> Connection:
        pool = self.pool
        connection = pool.take_idle(key)
        if connection is not None:
            return connection
        self.slots[name] = slot = pool.reserve(key)
        try:
            if not slot.is_held:
                if not await pool.wait(slot):
                    raise RuntimeError("expired")
                connection = pool.take_idle(slot.key, slot)
                if connection is not None:
                    return connection
            await pool.make_room()
            dial = Dial(name)
            self.dials.append(dial)
            try:
                await dial.done.wait()
                if isinstance(dial.result, BaseException):
                    raise dial.result
            finally:
                self.dials.remove(dial)
            return pool.lend(dial.result, slot)
        except BaseException as exc:
            pool.release_slot(slot, failed=isinstance(exc, Exception))
            raise

    async def dialed(self, result: Any) -> None:
        """Let the first connection that is being made succeed, or fail."""
        dial = self.dials[0]
        dial.result = result
        dial.done.set()
        await settled()

    @property
    def dialing(self) -> list[str]:
        """Who is making a connection."""
        return [dial.name for dial in self.dials]

    async def end(self, *names: str) -> None:
        """End exchanges."""
        for name in names:
            finish(self.got.pop(name))
            await settled()

    def assert_over(self) -> None:
        """Check that nothing is left of the requests."""
        pool = self.pool
        assert (pool.in_use, pool.slots.waiting, pool.streams) == (0, 0, 0)
        for origin in pool._origins.values():
            assert not origin.is_used
            assert not origin.with_room
        total = pool.slots._total
        assert total is None or total.borrowed_tokens == pool.kept_slots


class Dial:
    """A connection that is being made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.done = anyio.Event()
        self.result: Any = None


async def settled() -> None:
    """Let everybody who can go on do so, in no time."""
    for _ in range(ROUNDS):
        await checkpoint()


@pytest.fixture
async def pool() -> MultiplexedPool:
    """A pool without limits."""
    return make_pool()


async def test_requests_that_come_together_open_one_connection(pool: MultiplexedPool) -> None:
    """Nobody knows yet what the server speaks; if it is HTTP/2, the connection serves all."""
    names = [f"{n}" for n in range(100)]
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*names)
        assert party.dialing == ["0"]
        assert pool.slots.waiting == 99
        http2 = FakeHttp2()
        await party.dialed(http2)
        assert set(party.order) == set(names)  # trio runs those that were woken in any order
        assert (pool.in_use, pool.streams, http2.exchanges) == (1, 100, 100)
        await party.end(*names)
        assert len(pool.idle) == 1
        party.assert_over()


async def test_http1_goes_its_way_after_the_first_connection(pool: MultiplexedPool) -> None:
    """Each request makes a connection then, at the same time; and so do all later ones."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask("a", "b", "c")
        assert party.dialing == ["a"]
        await party.dialed(http1())
        assert set(party.dialing) == {"b", "c"}
        await party.ask("d")
        assert set(party.dialing) == {"b", "c", "d"}
        for _ in range(3):
            await party.dialed(http1())
        for name in "abcd":
            party.got.pop(name).close()
        party.assert_over()


def http1() -> Any:
    """Return a new connection of HTTP/1.1."""
    from anyhttp._http1 import Http1Connection, engine_class

    return Http1Connection(FakeNetworkStream(), engine_class("auto"))  # type: ignore[arg-type]


@jumping
async def test_requests_beyond_what_the_server_allows(pool: MultiplexedPool) -> None:
    """They wait for streams, and open another connection when none has become free for long."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*"abcdef")
        await party.dialed(FakeHttp2(2))
        assert set(party.order) == {"a", "b"}
        for name in "ab":
            await anyio.sleep(0.03)
            await party.end(name)
        assert set(party.order) == set("abcd")
        await anyio.sleep(0.03)
        assert party.dialing == []  # each 0.03 seconds somebody got something
        await anyio.sleep(0.03)
        assert party.dialing == ["e"]
        await anyio.sleep(3)
        assert party.dialing == ["e"]  # one at a time
        await party.end("c")
        assert party.order[4:] == ["f"]
        await party.dialed(FakeHttp2(2))
        await party.end(*"def")
        party.assert_over()


@jumping
async def test_how_long_the_queue_may_stand(pool: MultiplexedPool) -> None:
    """As long as it took to open the last connection, up to a second."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        for seconds, patience in ((0.0, 0.05), (0.5, 0.5), (3.0, 1.0)):
            await party.ask("a")
            await anyio.sleep(seconds)
            await party.dialed(http2 := FakeHttp2(1))
            await party.ask("b")
            await anyio.sleep(patience - 0.01)
            assert party.dialing == []
            await anyio.sleep(0.02)
            assert party.dialing == ["b"]
            await party.dialed(other := FakeHttp2(1))
            other.go_away()
            http2.go_away()
            await party.end("a", "b")
        party.assert_over()


@jumping
async def test_whoever_looks_at_the_clock_leaves_the_queue(pool: MultiplexedPool) -> None:
    """Another one does so instead, however it left."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*"abcd")
        await party.dialed(FakeHttp2(1))
        (origin,) = pool._origins.values()
        assert origin._timed is party.slots["d"]
        party.scopes["d"].cancel()
        await settled()
        assert origin._timed is party.slots["c"]
        party.slots["c"].expire()
        await settled()
        assert list(party.errors) == ["c"]
        await anyio.sleep(1)
        assert party.dialing == ["b"]
        await party.dialed(FakeHttp2(1))
        await party.end("a", "b")
        party.assert_over()


@jumping
async def test_a_slot_that_comes_late() -> None:
    """Whoever may open a connection still gets a stream if one is free before a slot is."""
    pool = make_pool(limit=1)
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*"abc")
        await party.dialed(http2 := FakeHttp2(1))
        await anyio.sleep(5)
        await party.end("a")
        assert party.order == ["a", "b"]
        await anyio.sleep(5)
        http2.go_away()
        await settled()
        await party.end("b")
        assert party.dialing == ["c"]
        await party.dialed(FakeHttp2(1))
        await party.end("c")
        party.assert_over()


async def test_a_request_waits_for_a_slot_and_for_a_stream_at_once() -> None:
    """What comes first ends the wait, and the other is not lost."""
    pool = make_pool(limit=1)
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*"ab")
        await party.dialed(FakeHttp2(1))
        assert (party.order, party.dialing) == (["a"], [])
        await party.end("a")
        assert party.order == ["a", "b"]
        await party.ask("c")
        await party.ask("x", key=B)
        party.got.pop("b").close()
        assert pool.slots.waiting
        await settled()
        assert party.order == ["a", "b", "c"]
        await party.end("c")
        assert party.dialing == ["x"]
        await party.dialed(FakeHttp2())
        await party.end("x")
        party.assert_over()


async def test_a_failure_is_one_requests_own(pool: MultiplexedPool) -> None:
    """The next ones try, ten at a time: all would be too many, one by one would take too long."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*(f"{n}" for n in range(20)))
        await party.dialed(RuntimeError("no"))
        assert list(party.errors) == ["0"]
        assert set(party.dialing) == {f"{n}" for n in range(1, 11)}
        await party.dialed(FakeHttp2())
        assert len(party.order) == 10
        while party.dials:
            await party.dialed(FakeHttp2())
        await party.end(*party.order)
        party.assert_over()


@pytest.mark.parametrize("name", ["a", "b"])
async def test_cancellation(pool: MultiplexedPool, name: str) -> None:
    """Of the one that makes the connection, or of one that waits."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*"abc")
        party.scopes[name].cancel()
        await settled()
        assert party.dialing == ["b" if name == "a" else "a"]
        await party.dialed(FakeHttp2())
        await party.end(*party.order)
        party.assert_over()


async def test_going_away(pool: MultiplexedPool) -> None:
    """RFC 9113 §6.8: no new exchange; the connection is closed when the last one ends."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*"ab")
        await party.dialed(old := FakeHttp2())
        old.go_away()
        await party.ask("c")
        assert party.dialing == ["c"]
        await party.dialed(FakeHttp2())
        await party.end("a")
        assert pool.in_use == 2
        await party.end("b")
        assert (pool.in_use, old.is_dead) == (1, True)
        await party.end("c")
        party.assert_over()


async def test_a_connection_that_dies(pool: MultiplexedPool) -> None:
    """Its slot is free at once, whenever its exchanges notice."""
    pool = make_pool(limit=1)
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*"a")
        await party.dialed(old := FakeHttp2(1))
        await party.ask("b")
        old.die()
        await settled()
        assert party.dialing == ["b"]
        await party.dialed(FakeHttp2(1))
        party.got.pop("a").close()
        await party.end("b")
        party.assert_over()


async def test_settings_that_allow_more(pool: MultiplexedPool) -> None:
    """Those who wait are served at once, also those who wait for a slot."""
    pool = make_pool(limit=1)
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*"abc")
        await party.dialed(http2 := FakeHttp2(1))
        assert party.order == ["a"]
        http2.allow(2)
        await settled()
        assert party.order == ["a", "b"]
        http2.allow(3)
        await settled()
        await party.end(*"abc")
        party.assert_over()


@pytest.mark.parametrize("answer", [True, False])
async def test_an_idle_connection_after_a_pause(pool: MultiplexedPool, answer: bool) -> None:
    """One request asks for a sign of life; the others wait, and are served in their order."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask("a")
        await party.dialed(http2 := FakeHttp2())
        await party.end("a")
        http2.needs_check = True
        http2.answer = answer
        await party.ask(*"bcd")
        assert len(http2.checks) == 1
        assert party.order == ["a"]
        http2.checks[0].set()
        await settled()
        if not answer:
            assert http2.is_dead
            assert party.dialing == ["b"]
            await party.dialed(FakeHttp2())
        assert set(party.order) == set("abcd")
        await party.end(*"bcd")
        party.assert_over()


async def test_one_exchange_until_the_server_has_spoken(pool: MultiplexedPool) -> None:
    """RFC 9113 §5.1.2: one too many may be a fault, so the others wait for its settings."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*"abc")
        await party.dialed(http2 := FakeHttp2(is_greeted=False))
        assert (party.order, party.dialing) == (["a"], [])
        await party.ask("d")
        assert party.dialing == []
        http2.allow(3)
        await settled()
        assert set(party.order) == set("abc")
        await party.end(*"abcd")
        party.assert_over()


async def test_a_server_that_never_speaks(pool: MultiplexedPool) -> None:
    """A connection that dies before counts as one that could not be made."""
    async with anyio.create_task_group() as group:
        party = Party(pool, group)
        await party.ask(*(f"{n}" for n in range(20)))
        await party.dialed(http2 := FakeHttp2(is_greeted=False))
        http2.die()
        await settled()
        assert len(party.dialing) == 10
        party.got.pop("0").close()
        while party.dials:
            await party.dialed(FakeHttp2())
        await party.end(*list(party.got))
        party.assert_over()
