"""Slots under the limits, and the lines for them: who gets what, and that nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import anyio
import pytest
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint

from anyhttp._tasks import make_waiter
from anyhttp._tasks.event_loop import on_asyncio
from anyhttp.connector._multiplexed import MultiplexedPool
from anyhttp.connector._origin import Origin, OriginSlot
from anyhttp.connector._slots import Slot, Slots
from tests.support.keys import A, B, C


def no_idle() -> bool:
    """Have no idle connection to close."""
    return False


def make(limit: int = 1, limit_per_host: int = 0, evict: Callable[[], bool] = no_idle) -> Slots:
    """Return slots of which none is taken."""
    return Slots(limit, limit_per_host, evict)


def taken(slots: Slots, key: object = A) -> Slot:
    """Return a slot that was free."""
    slot = Slot(key)  # type: ignore[arg-type]
    assert slots.take(slot)
    assert slot.is_held
    return slot


def refused(slots: Slots, key: object = A) -> Slot:
    """Return a slot that was not."""
    slot = Slot(key)  # type: ignore[arg-type]
    assert not slots.take(slot)
    assert not slot.is_held
    return slot


def assert_untouched(slots: Slots) -> None:
    """Check that no token is borrowed, nobody waits, and no endpoint is remembered."""
    assert slots.waiting == 0
    assert not slots._queue
    assert slots._hosts == {}
    assert slots._total is None or slots._total.borrowed_tokens == 0


class Line:
    """Tasks that wait for slots, and what became of each, in order."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.news: list[tuple[str, object]] = []
        self.held: dict[str, Slot] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}

    async def join(
        self,
        name: str,
        slot: Slot,
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Wait in the queue."""
        with anyio.CancelScope() as self.scopes[name]:
            task_status.started()
            held = await self.slots.wait(slot)
            self.news.append((name, held))
            if held:
                self.held[name] = slot
            return
        self.news.append((name, "cancelled"))


async def settled() -> None:
    """Let everybody who can go on do so."""
    await anyio.wait_all_tasks_blocked()


class TestTotal:
    """One limit for all endpoints."""

    async def test_first_come_first_served(self) -> None:
        """Whoever asked first gets the slot that is free first, whatever the endpoint."""
        slots = make(limit=1)
        first = taken(slots)
        line = Line(slots)
        async with anyio.create_task_group() as tasks:
            for name, key in (("a", B), ("b", A), ("c", B)):
                await tasks.start(line.join, name, refused(slots, key))
            await settled()
            assert slots.waiting == 3
            slots.release(first)
            for name in "abc":
                await settled()
                assert list(line.held) == [name]
                slots.release(line.held.pop(name))
        assert line.news == [("a", True), ("b", True), ("c", True)]
        assert_untouched(slots)

    async def test_a_newcomer_does_not_get_what_somebody_waits_for(self) -> None:
        """What becomes free belongs to the first in the queue even before that task runs."""
        slots = make(limit=1)
        first = taken(slots)
        line = Line(slots)
        async with anyio.create_task_group() as tasks:
            await tasks.start(line.join, "a", refused(slots))
            await settled()
            slots.release(first)
            refused(slots)
            await settled()
            slots.release(line.held["a"])
        assert_untouched(slots)

    async def test_what_has_become_free_meanwhile_is_not_waited_for(self) -> None:
        """Between asking and waiting a handler may have been told."""
        slots = make(limit=1)
        first = taken(slots)
        slot = refused(slots)
        slots.release(first)
        assert await slots.wait(slot)
        slots.release(slot)
        assert_untouched(slots)

    async def test_a_slot_that_is_free_is_a_checkpoint_all_the_same(self) -> None:
        """A task that is cancelled learns of it here, and holds nothing."""
        slots = make(limit=1)
        slot = Slot(A)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await slots.wait(slot)
        assert scope.cancelled_caught
        assert not slot.is_held
        assert_untouched(slots)

    async def test_an_idle_connection_makes_room(self) -> None:
        """Its slot goes to whoever needs one now."""
        idle: list[Slot] = []

        def evict() -> bool:
            if not idle:
                return False
            slots.release(idle.pop())
            return True

        slots = make(limit=1, evict=evict)
        idle.append(taken(slots))
        slot = taken(slots, B)
        assert idle == []
        slots.release(slot)
        assert_untouched(slots)

    def test_no_limits(self) -> None:
        """Everybody has a slot, and nothing is counted."""
        slots = make(limit=0)
        held = [taken(slots) for _ in range(1000)]
        assert slots._total is None
        for slot in held:
            slots.release(slot)
        assert_untouched(slots)


def test_a_new_slot_is_not_held() -> None:
    """It belongs to no connection, and nobody uses one by it."""
    slot = Slot(A)
    assert slot.is_held is False
    assert slot.http1 is None
    assert slot.lease is None


async def test_a_slot_can_be_asked_for_by_whoever_waits_in_another_way() -> None:
    """It is held at once, or stands in the queue, and its waiter is told when it is held."""
    slots = make(limit=1)
    first, second = Slot(A), Slot(B)
    assert slots.request(first) is True
    assert first.is_held
    assert slots.request(second) is False
    assert not second.is_held
    second._waiter = make_waiter()
    slots.release(first)
    assert second.is_held
    await second._waiter
    slots.release(second)
    assert_untouched(slots)


async def test_a_task_that_does_not_sleep_yet_needs_no_waking() -> None:
    """A request by HTTP/2 stands in the queue before, and may be told there."""
    slot = OriginSlot(A, Origin(A, MultiplexedPool(1, 0, 15.0)), 0)
    slot.origin.queue[slot] = None
    assert slot.look_again() is True
    assert slot.waits
    slot.expire()
    assert not slot.waits


def test_tasks_that_are_about_to_wait_are_counted() -> None:
    """Each for as long as its block lasts, however that ends."""
    slots = make(limit=1)
    with slots.about_to_wait():
        assert slots.waiting == 1
        with suppress(ValueError), slots.about_to_wait():
            assert slots.waiting == 2
            raise ValueError
        assert slots.waiting == 1
    assert slots.waiting == 0


async def test_a_pool_that_is_closed_makes_no_room() -> None:
    """It has no idle connection any more."""
    slots = make(limit=1, evict=lambda: True)
    first = taken(slots)
    slots.keep_idle()
    refused(slots)
    slots.release(first)
    assert_untouched(slots)


class TestPerHost:
    """A limit for each endpoint below that for all."""

    async def test_a_busy_host_holds_nobody_else_up(self) -> None:
        """Whoever wants another one goes ahead of those who wait for it."""
        slots = make(limit=3, limit_per_host=1)
        first = taken(slots, A)
        line = Line(slots)
        async with anyio.create_task_group() as tasks:
            await tasks.start(line.join, "a", refused(slots, A))
            await settled()
            other = taken(slots, B)
            slots.release(other)
            await settled()
            assert line.news == []
            slots.release(first)
            await settled()
            slots.release(line.held["a"])
        assert line.news == [("a", True)]
        assert_untouched(slots)

    async def test_first_come_first_served(self) -> None:
        """Each endpoint has a queue of its own, and an order in it."""
        slots = make(limit=0, limit_per_host=1)
        first = taken(slots)
        line = Line(slots)
        async with anyio.create_task_group() as tasks:
            for name in "abc":
                await tasks.start(line.join, name, refused(slots))
                await settled()
            slots.release(first)
            for name in "abc":
                await settled()
                assert list(line.held) == [name]
                slots.release(line.held.pop(name))
        assert_untouched(slots)

    async def test_from_one_line_to_the_next(self) -> None:
        """A slot of the endpoint does not help as long as there is none of all."""
        slots = make(limit=2, limit_per_host=1)
        first, second = taken(slots, A), taken(slots, B)
        line = Line(slots)
        async with anyio.create_task_group() as tasks:
            await tasks.start(line.join, "c", refused(slots, C))
            await settled()
            await tasks.start(line.join, "a", refused(slots, A))
            await settled()
            slots.release(first)  # one of all to "c", who waits longest, and one of A to "a"
            await settled()
            assert line.news == [("c", True)]
            slots.release(second)
            await settled()
            assert line.news == [("c", True), ("a", True)]
            for slot in line.held.values():
                slots.release(slot)
        assert_untouched(slots)

    async def test_whoever_leaves_the_second_line_gives_the_host_back(self) -> None:
        """Else the endpoint would be short of a slot for ever."""
        slots = make(limit=1, limit_per_host=1)
        first = taken(slots, A)
        line = Line(slots)
        async with anyio.create_task_group() as tasks:
            await tasks.start(line.join, "b", refused(slots, B))
            await settled()
            await tasks.start(line.join, "again b", refused(slots, B))
            await settled()
            line.scopes["b"].cancel()
            await settled()
            slots.release(first)
            await settled()
            assert line.news == [("b", "cancelled"), ("again b", True)]
            slots.release(line.held["again b"])
        assert_untouched(slots)


class TestGivingUp:
    """A wait has other ends than a slot."""

    async def test_it_can_be_ended(self) -> None:
        """By whoever knows that its time is over, without an exception."""
        slots = make(limit=1)
        first = taken(slots)
        line = Line(slots)
        slot = refused(slots)
        async with anyio.create_task_group() as tasks:
            await tasks.start(line.join, "a", slot)
            await settled()
            slot.expire()
            slot.cancel()  # twice is as good as once
        assert line.news == [("a", False)]
        slots.release(first)
        assert_untouched(slots)

    async def test_it_cannot_be_ended_once_the_slot_is_held(self) -> None:
        """Both in one moment: the slot came first, and is not lost."""
        slots = make(limit=1)
        first = taken(slots)
        line = Line(slots)
        slot = refused(slots)
        async with anyio.create_task_group() as tasks:
            await tasks.start(line.join, "a", slot)
            await settled()
            slots.release(first)
            slot.expire()
        assert line.news == [("a", True)]
        slots.release(slot)
        assert_untouched(slots)

    async def test_all_waits_can_be_ended(self) -> None:
        """Those for an endpoint and those for any."""
        slots = make(limit=2, limit_per_host=1)
        held = [taken(slots, A), taken(slots, B)]
        line = Line(slots)
        async with anyio.create_task_group() as tasks:
            for name, key in (("a", A), ("c", C)):
                await tasks.start(line.join, name, refused(slots, key))
                await settled()
            slots.cancel_all()
        assert sorted(line.news) == [("a", False), ("c", False)]
        for slot in held:
            slots.release(slot)
        assert_untouched(slots)

    async def test_a_slot_that_comes_with_cancellation_goes_to_the_next(self) -> None:
        """Whichever of the two is first."""
        for cancels_first in (True, False):
            slots = make(limit=1)
            first = taken(slots)
            line = Line(slots)
            async with anyio.create_task_group() as tasks:
                for name in "ab":
                    await tasks.start(line.join, name, refused(slots))
                    await settled()
                if cancels_first:
                    line.scopes["a"].cancel()
                slots.release(first)
                line.scopes["a"].cancel()
                await settled()
                if "a" in line.held:  # it was there in time: the cancellation comes later
                    slots.release(line.held["a"])
                await settled()
                slots.release(line.held["b"])
            assert line.news[-1] == ("b", True)
            assert_untouched(slots)

    async def test_asyncio_cancels_a_task_that_has_just_been_called(self) -> None:
        """It never learns that it held the slot."""
        if not on_asyncio():
            pytest.skip("trio has no cancellation but scopes")
        slots = make(limit=1)
        first = taken(slots)
        slot = refused(slots)
        task = asyncio.ensure_future(slots.wait(slot))
        await settled()
        slots.release(first)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not slot.is_held
        assert_untouched(slots)


@pytest.mark.parametrize("ends", [True, False])
def test_whoever_waits_in_an_event_loop_that_is_closed(ends: bool) -> None:
    """Closing is not held up by those who will never know, and what they get is not lost."""
    slots = make(limit=1)
    waits: list[asyncio.Task[bool]] = []
    lost: list[Slot] = []

    async def begin() -> Slot:
        first = taken(slots)
        lost.extend(refused(slots) for _ in range(2))
        waits.extend(asyncio.create_task(slots.wait(slot)) for slot in lost)
        await settled()
        return first

    async def go_on(first: Slot) -> None:
        if ends:
            slots.cancel_all()
        slots.release(first)
        assert [slot.is_held for slot in lost] == [False, False]
        waits.clear()
        lost.clear()
        gc.collect()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it complains of the tasks
    first = loop.run_until_complete(begin())
    loop.close()
    asyncio.run(go_on(first))
    assert_untouched(slots)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("limit", "limit_per_host"), [(3, 0), (3, 2), (0, 1), (1, 1)])
async def test_a_crowd(limit: int, limit_per_host: int, seed: int) -> None:
    """Never more than allowed, nobody waits for what is free, and all comes back in the end."""
    dice = random.Random(seed)
    slots = make(limit, limit_per_host)
    held: Counter[object] = Counter()
    served = 0

    def check() -> None:
        if limit:
            assert held.total() <= limit
        if limit_per_host:
            assert max(held.values(), default=0) <= limit_per_host
        total = slots._total
        assert not slots._queue or (total is not None and not total.available_tokens)
        for host in slots._hosts.values():
            assert not host.queue or not host.limiter.available_tokens

    async def visit(key: object, patience: int, stay: int, ends: bool) -> None:
        nonlocal served
        slot = Slot(key)  # type: ignore[arg-type]
        async with anyio.create_task_group() as tasks:

            async def lose_patience() -> None:
                for _ in range(patience):
                    await checkpoint()
                if ends:
                    slot.expire()
                else:
                    tasks.cancel_scope.cancel()

            tasks.start_soon(lose_patience)
            try:
                if not slots.take(slot) and not await slots.wait(slot):
                    return
                held[key] += 1
                served += 1
                try:
                    for _ in range(stay):
                        check()
                        await checkpoint()
                finally:
                    held[key] -= 1
            finally:
                slots.release(slot)
                check()

    async with anyio.create_task_group() as tasks:
        for _ in range(60):
            arguments = (dice.choice((A, B, C)), dice.randrange(40), dice.randrange(8))
            tasks.start_soon(visit, *arguments, dice.random() < 0.5)
            for _ in range(dice.randrange(3)):
                await checkpoint()
    assert served > 10
    assert_untouched(slots)


@pytest.mark.parametrize("limits", [(1, 0), (0, 1)])
def test_a_slot_passes_by_whoever_waits_in_an_event_loop_that_is_closed(
    limits: tuple[int, int],
) -> None:
    """Those will never take it, and the next in the queue can."""
    slots = make(*limits)
    waits: list[asyncio.Task[bool]] = []

    async def begin() -> Slot:
        first = taken(slots)
        waits.append(asyncio.create_task(slots.wait(refused(slots))))
        await settled()
        return first

    async def go_on(first: Slot) -> None:
        slot = refused(slots)
        waiting = asyncio.create_task(slots.wait(slot))
        await settled()
        slots.release(first)
        assert await asyncio.wait_for(waiting, 5)
        slots.release(slot)

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it complains of the task
    first = loop.run_until_complete(begin())
    loop.close()
    asyncio.run(go_on(first))
    waits.clear()
    gc.collect()
    assert_untouched(slots)
