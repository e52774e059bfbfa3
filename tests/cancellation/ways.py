"""The ways in which an operation is cancelled, each with its points.

=================  ==========================================================================
way                what is cancelled, and when
=================  ==========================================================================
``scope``          a scope, when the operation's own task suspends itself
``every-task``     a scope, when the operation's task or one that it started does so
``native``         the asyncio task, when it suspends itself
``ready-scope``    a scope, when what the task waits for has come, and before the task runs
``ready-native``   the asyncio task, at the same moment: what has come is lost
``turn-scope``     a scope, after any callback of the event loop, or any step of any task
``turn-native``    the asyncio task, after any callback of the event loop
=================  ==========================================================================

Some of them have a second point, at which something is cancelled while the first cancellation is
being handled:

==================  =========================================================================
pair of ways        what is cancelled, and when
==================  =========================================================================
``native-native``   the asyncio task, twice
``scope-native``    a scope, then the asyncio task around it
``native-ready``    the asyncio task, and again when what it waits for then has come
==================  =========================================================================
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import trio

from tests.support.cancel import (
    TOO_MANY,
    Countdown,
    Operation,
    in_any_task,
    in_asyncio_task,
    in_scope,
    watched,
)

#: A point that no operation has: nothing is cancelled, but points are counted.
NEVER = 0


@dataclass(frozen=True)
class Way:
    """A way to cancel an operation at one of its points."""

    name: str
    run: Callable[[Operation, int], Awaitable[Countdown]]
    backends: frozenset[str]


@dataclass(frozen=True)
class TwoWays:
    """A way to cancel an operation, and once more so many steps later."""

    name: str
    run: Callable[[Operation, int, int], Awaitable[Countdown]]
    backends: frozenset[str]


@dataclass(frozen=True)
class Selection:
    """Which points of an operation are used.

    :param limit: how many at most; ``None`` for all
    :param turn: which of several selections of that size
    """

    limit: int | None
    turn: int = 0

    def of(self, count: int) -> Iterable[int]:
        """Return the selected points from 1 to *count*, evenly spread."""
        if self.limit is None or count <= self.limit:
            return range(1, count + 1)
        step = count / self.limit
        first = self.turn % max(round(step), 1)
        return sorted({int(number * step) + first for number in range(self.limit)} - {0})


class Check(Protocol):
    """Asserts that nothing is left."""

    def __call__(self, *, patient: bool = False) -> Awaitable[object]: ...


async def explore(way: Way, operation: Operation, after: Check, selection: Selection) -> int:
    """Run *operation* as it is, then cancelled at each selected point; return how many there are.

    :param after: asserts that nothing is left; called after each run
    """

    async def run(point: int) -> Countdown:
        try:
            countdown = await way.run(operation, point)
            await after()
        except BaseException as exc:
            exc.add_note(f"cancelled at point {point} (way: {way.name})")
            raise
        return countdown

    count = (await run(NEVER)).steps
    if selection.limit is not None:
        for point in selection.of(count):
            await run(point)
        return count
    for point in range(1, TOO_MANY):
        if (await run(point)).steps < point:
            return point - 1
    raise AssertionError(f"the operation has more than {TOO_MANY} points")


async def explore_twice(
    way: TwoWays, operation: Operation, after: Check, first: Selection, second: Selection
) -> int:
    """Do the same with a second cancellation at each later point; return how many pairs ran."""
    pairs = 0

    async def run(point: int, later: int) -> Countdown:
        nonlocal pairs
        pairs += 1
        try:
            countdown = await way.run(operation, point, later)
            await after(patient=True)
        except BaseException as exc:
            exc.add_note(f"cancelled at point {point}, and {later} later (way: {way.name})")
            raise
        return countdown

    count = (await run(NEVER, NEVER)).steps
    for point in first.of(count):
        follows = (await run(point, NEVER)).steps - point  # how many points the first one leaves
        for later in second.of(follows + 1):
            await run(point, later)
    return pairs


# -- when a task suspends itself -----------------------------------------------------------


class _OnceReady(Countdown):
    """Calls *cancel* when that has come which the task waits for at the given step.

    ``reached`` tells whether the task was still there to be cancelled.
    """

    def suspended(self, awaited: object) -> None:
        """Have the event loop call back before it lets the task go on."""
        self.steps += 1
        if self.steps == self._at:
            when_ready(awaited, self._fire, lambda: self.steps == self._at)

    def _fire(self) -> None:
        self.reached = self._cancel() is not False


def when_ready(
    awaited: Any, callback: Callable[[], object], is_waiting: Callable[[], bool]
) -> None:
    """Call *callback* when *awaited*, for which a task is about to wait, is done.

    It is called before the task goes on, unless the task does so at the moment at which *awaited*
    is done, as for some of the package's own kinds of futures.

    :param is_waiting: whether the task still waits for it
    """
    loop = asyncio.get_running_loop()

    def look() -> None:
        if awaited.done():
            callback()
        elif is_waiting():
            loop.call_soon(look)

    if isinstance(awaited, asyncio.Future):
        awaited.add_done_callback(lambda _: callback())
    elif asyncio.isfuture(awaited):
        loop.call_soon(look)
    else:
        loop.call_soon(callback)


def _start(operation: Operation, countdown: Countdown) -> asyncio.Task[object]:
    """Run *operation* in a task of its own, and count its steps."""

    async def run() -> object:
        return await watched(operation(), countdown)

    return asyncio.create_task(run())


async def _finish(task: asyncio.Task[Any], countdown: Countdown) -> None:
    """Wait for *task*, and assert that it was cancelled if that was asked for."""
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
        assert not countdown.reached, "the cancellation was swallowed"


async def _ready_native(operation: Operation, point: int) -> Countdown:
    countdown = _OnceReady(point, lambda: task.cancel())
    task = _start(operation, countdown)
    await _finish(task, countdown)
    return countdown


async def _ready_scope(operation: Operation, point: int) -> Countdown:
    scope = anyio.CancelScope()
    if trio.lowlevel.in_trio_task():
        countdown = Countdown(point, scope.cancel)
        with scope, _instrument(_Scheduled(trio.lowlevel.current_task(), countdown)):
            await operation()
        return countdown
    countdown = _OnceReady(point, scope.cancel)
    with scope:
        await watched(operation(), countdown)
    return countdown


class _Scheduled(trio.abc.Instrument):
    """Counts how often a task becomes ready to run."""

    def __init__(self, task: trio.lowlevel.Task, countdown: Countdown) -> None:
        self._task = task
        self._countdown = countdown

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._countdown.step()


@contextmanager
def _instrument(instrument: trio.abc.Instrument) -> Iterator[None]:
    trio.lowlevel.add_instrument(instrument)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(instrument)


# -- between two turns of whoever runs in the event loop -----------------------------------


class _AnyStep(trio.abc.Instrument):
    """Counts the steps of all tasks."""

    def __init__(self, countdown: Countdown) -> None:
        self._countdown = countdown

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._countdown.step()


@contextmanager
def _each_callback(countdown: Countdown) -> Iterator[None]:
    """Count the callbacks of this event loop, which is asyncio's own."""
    loop = asyncio.get_running_loop()
    original = asyncio.Handle._run

    def run(handle: asyncio.Handle) -> None:
        original(handle)
        if handle._loop is loop:  # type: ignore[attr-defined]
            countdown.step()

    asyncio.Handle._run = run  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        asyncio.Handle._run = original  # type: ignore[method-assign]


async def _turn_scope(operation: Operation, point: int) -> Countdown:
    scope = anyio.CancelScope()
    countdown = Countdown(point, scope.cancel)
    counted: AbstractContextManager[None]
    if trio.lowlevel.in_trio_task():
        counted = _instrument(_AnyStep(countdown))
    else:
        counted = _each_callback(countdown)
    with scope, counted:
        await operation()
    return countdown


async def _turn_native(operation: Operation, point: int) -> Countdown:
    accepted = False

    def cancel() -> None:
        nonlocal accepted
        accepted = task.cancel()  # not if it has ended

    countdown = Countdown(point, cancel)
    with _each_callback(countdown):
        task = asyncio.create_task(operation())
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()
        assert not accepted, "the cancellation was swallowed"
    return countdown


# -- twice -----------------------------------------------------------------------------------


class _Twice(Countdown):
    """Calls *cancel* at the given step, and *again* so many steps later.

    :param later: counted from 1, which is the first step itself; 0 for not at all
    :param ready: the second time, wait until that has come which the task waits for
    """

    def __init__(
        self,
        steps: int,
        later: int,
        cancel: Callable[[], object],
        again: Callable[[], object],
        *,
        ready: bool = False,
    ) -> None:
        super().__init__(steps, cancel)
        self._second_at = steps + later - 1 if later else NEVER
        self._again = again
        self._ready = ready

    def suspended(self, awaited: object) -> None:
        """Count one more."""
        self.step()
        if self.steps == self._second_at:
            if self._ready:
                when_ready(awaited, self._again, lambda: self.steps == self._second_at)
            else:
                self._again()


async def _native_twice(
    operation: Operation, point: int, later: int, *, ready: bool = False
) -> Countdown:
    countdown = _Twice(point, later, lambda: task.cancel(), lambda: task.cancel(), ready=ready)
    task = _start(operation, countdown)
    await _finish(task, countdown)
    return countdown


async def _native_then_ready(operation: Operation, point: int, later: int) -> Countdown:
    return await _native_twice(operation, point, later, ready=True)


async def _scope_then_native(operation: Operation, point: int, later: int) -> Countdown:
    scope = anyio.CancelScope()
    countdown = _Twice(point, later, scope.cancel, lambda: task.cancel())

    async def run() -> None:
        with scope:
            await watched(operation(), countdown)

    task = asyncio.create_task(run())
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
    return countdown


_ALL = frozenset({"asyncio", "uvloop", "trio"})
_ASYNCIO = frozenset({"asyncio", "uvloop"})

#: At each suspension.
SUSPENSIONS = (
    Way("scope", in_scope, _ALL),
    Way("every-task", in_any_task, _ALL),
    Way("native", in_asyncio_task, _ASYNCIO),
)
#: When a wait is over, and between any two turns of the event loop.
MOMENTS = (
    Way("ready-scope", _ready_scope, _ALL),
    Way("ready-native", _ready_native, _ASYNCIO),
    Way("turn-scope", _turn_scope, frozenset({"asyncio", "trio"})),
    Way("turn-native", _turn_native, frozenset({"asyncio"})),
)
TWICE = (
    TwoWays("native-native", _native_twice, _ASYNCIO),
    TwoWays("scope-native", _scope_then_native, _ASYNCIO),
    TwoWays("native-ready", _native_then_ready, _ASYNCIO),
)
