"""Cancels an operation at one of the points where it can be cancelled, or at each of them."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest
import trio

Operation = Callable[[], Coroutine[Any, Any, object]]
How = Literal["scope", "every-task", "native"]

# An operation with more suspension points than this is taken for an endless one.
TOO_MANY = 5000


async def cancel_at_every_checkpoint(
    operation: Operation, *, after: Callable[[], Awaitable[object]], how: How = "scope"
) -> int:
    """Run *operation* over and over, cancelled at its 1st, 2nd, 3rd, … suspension point.

    It ends after a run that has no further point, and so is not cancelled.  *after* is awaited
    after each run, including the last; it asserts that nothing is left open.

    :param how: ``"scope"`` cancels an anyio scope around the operation, at the suspension
        points of the operation's own task; ``"every-task"`` also at those of the tasks that it
        started; ``"native"`` cancels the asyncio task, once, as :func:`asyncio.timeout` does
        (on trio the test is skipped)
    :return: the number of points at which it was cancelled

    An exception of *operation* or *after* is raised again, with a note that names the point.
    """
    if how == "native" and trio.lowlevel.in_trio_task():
        pytest.skip("trio has no cancellation but scopes")
    run = {"scope": in_scope, "every-task": in_any_task, "native": in_asyncio_task}[how]
    for point in range(1, TOO_MANY):
        try:
            countdown = await run(operation, point)
            await after()
        except BaseException as exc:
            exc.add_note(f"cancelled at suspension point {point} ({how})")
            raise
        if not countdown.reached:
            return point - 1
    raise AssertionError(f"the operation has more than {TOO_MANY} suspension points")


async def cancel_when(operation: Operation, event: Callable[[], Awaitable[object]]) -> bool:
    """Cancel *operation* as soon as *event*, which is awaited at the same time, returns.

    :return: whether the operation ended by the cancellation
    """
    scope = anyio.CancelScope()

    async def run() -> None:
        with scope:
            await operation()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.lowlevel.checkpoint()  # starts the operation
        await event()
        scope.cancel()
    return scope.cancelled_caught


async def act_at_every_checkpoint(
    prepare: Callable[[], AbstractAsyncContextManager[tuple[Operation, Operation]]],
) -> int:
    """Run an operation over and over; another task acts at its 1st, 2nd, 3rd, … suspension point.

    It ends after a run that has no further point.

    :param prepare: returns a context manager for each run, which yields the operation and what
        the other task does; they handle the exceptions that may occur
    :return: the number of points
    """
    for point in range(1, TOO_MANY):
        reached = anyio.Event()
        countdown = Countdown(point, reached.set)
        async with prepare() as (operation, action), anyio.create_task_group() as group:

            async def act(reached: anyio.Event = reached, action: Operation = action) -> None:
                await reached.wait()
                await action()

            group.start_soon(act)
            try:
                await watched(operation(), countdown)
            except BaseException as exc:
                exc.add_note(f"another task acted at suspension point {point}")
                raise
            if not countdown.reached:
                group.cancel_scope.cancel()
        if not countdown.reached:
            return point - 1
    raise AssertionError(f"the operation has more than {TOO_MANY} suspension points")


async def disturb_at_every_checkpoint(
    operation: Operation, disturb: Callable[[], Awaitable[object]]
) -> int:
    """Run *operation* over and over, disturbed after its 1st, 2nd, 3rd, … suspension.

    Another task awaits *disturb* then.

    :return: the number of points at which it was disturbed

    An exception of *operation* or *disturb* is raised again, with a note that names the point.
    """
    for point in range(1, TOO_MANY):
        try:
            reached = await _disturbed(operation, disturb, point)
        except BaseException as exc:
            exc.add_note(f"disturbed at suspension point {point}")
            raise
        if not reached:
            return point - 1
    raise AssertionError(f"the operation has more than {TOO_MANY} suspension points")


async def _disturbed(
    operation: Operation, disturb: Callable[[], Awaitable[object]], point: int
) -> bool:
    now = anyio.Event()
    countdown = Countdown(point, now.set)

    async def other() -> None:
        await now.wait()
        if countdown.reached:
            await disturb()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await anyio.wait_all_tasks_blocked()
        try:
            await watched(operation(), countdown)
        finally:
            now.set()
    return countdown.reached


class Countdown:
    """Counts steps, and calls *cancel* at the given step."""

    def __init__(self, steps: int, cancel: Callable[[], object]) -> None:
        self._at = steps
        self._cancel = cancel
        #: how many steps there were
        self.steps = 0
        self.reached = False

    def suspended(self, awaited: object) -> None:
        """Count that the task waits for *awaited*, which the event loop gets next."""
        self.step()

    def step(self) -> None:
        """Count one more."""
        self.steps += 1
        if self.steps == self._at:
            self.reached = True
            self._cancel()


@types.coroutine
def watched(
    coroutine: Coroutine[Any, Any, object], countdown: Countdown
) -> Generator[Any, Any, object]:
    """Run *coroutine*, and call *countdown* whenever it suspends.

    The count comes before the event loop gets what the task waits for.  So the cancellation is
    pending when the wait starts.
    """
    step = coroutine.send
    value: Any = None
    while True:
        try:
            yielded = step(value)
        except StopIteration as exc:
            return exc.value
        countdown.suspended(yielded)
        try:
            value = yield yielded
            step = coroutine.send
        except BaseException as exc:  # noqa: BLE001 (passed on to the coroutine)
            value = exc
            step = coroutine.throw


async def in_scope(operation: Operation, point: int) -> Countdown:
    """Cancel a scope around *operation* at a suspension point of its own task."""
    scope = anyio.CancelScope()
    countdown = Countdown(point, scope.cancel)
    with scope:
        await watched(operation(), countdown)
    return countdown


async def in_any_task(operation: Operation, point: int) -> Countdown:
    """Cancel a scope around *operation* at a suspension point of any of its tasks."""
    scope = anyio.CancelScope()
    countdown = Countdown(point, scope.cancel)
    with scope:
        if trio.lowlevel.in_trio_task():
            with trio_steps(countdown):
                await operation()
        else:
            with asyncio_steps(countdown):
                await watched(operation(), countdown)
    return countdown


@contextmanager
def asyncio_steps(countdown: Countdown) -> Iterator[None]:
    """Count the steps of each task that is started inside this context."""

    async def run(coroutine: Coroutine[Any, Any, Any]) -> object:
        return await watched(coroutine, countdown)

    def start(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> asyncio.Task[Any]:
        return asyncio.Task(run(coroutine), loop=loop, **options)

    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(start)  # type: ignore[arg-type]  # its options differ by version
    try:
        yield
    finally:
        loop.set_task_factory(before)


@contextmanager
def trio_steps(countdown: Countdown) -> Iterator[None]:
    """Count the steps of this task, and of the tasks that it starts inside this context."""
    instrument = _Steps(trio.lowlevel.current_task(), countdown)
    trio.lowlevel.add_instrument(instrument)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(instrument)


class _Steps(trio.abc.Instrument):
    def __init__(self, top: trio.lowlevel.Task, countdown: Countdown) -> None:
        self._top = top
        self._countdown = countdown

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count the step if the task goes on after it and belongs to the operation."""
        if task.parent_nursery is None or task not in task.parent_nursery.child_tasks:
            return
        above: trio.lowlevel.Task | None = task
        while above is not None and above is not self._top:
            above = above.parent_nursery.parent_task if above.parent_nursery else None
        if above is not None:
            self._countdown.step()


async def in_asyncio_task(operation: Operation, point: int) -> Countdown:
    """Cancel the asyncio task of *operation* at one of its suspension points."""

    async def run() -> object:
        return await watched(operation(), countdown)

    countdown = Countdown(point, lambda: task.cancel())
    task = asyncio.create_task(run())
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
        assert not countdown.reached, "the cancellation was swallowed"
    return countdown
