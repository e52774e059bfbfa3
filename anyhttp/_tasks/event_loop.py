"""Tells whether asyncio or trio runs, and uses it directly where anyio would be slower."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Generator
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import anyio.lowlevel
from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle as TimerHandle

    from .trio_alarm import TrioAlarm as TrioAlarm

__all__ = (
    "TaskScope",
    "Waiter",
    "asyncio_loop",
    "call_elsewhere",
    "call_in",
    "checkpoints",
    "clock",
    "current_loop",
    "make_waiter",
    "on_asyncio",
    "wake",
)


def asyncio_loop() -> AbstractEventLoop | None:
    """Return the running event loop if it is asyncio's, ``None`` if it is trio's.

    :raises RuntimeError: no event loop is running

    This does not import asyncio, which would take longer to import than any other module that
    anyhttp needs: a program for trio should not pay for it.  It asks the two libraries and not
    anyio, which takes 12 000 instructions to answer.
    """
    if _in_trio_task():
        return None  # even if trio runs as a guest of asyncio's event loop
    get_running_loop = getattr(sys.modules.get("asyncio"), "get_running_loop", None)
    if get_running_loop is not None:
        try:
            loop: AbstractEventLoop = get_running_loop()
        except RuntimeError:
            pass
        else:
            return loop
    current_token()  # raises the error, unless trio runs and is between two tasks
    return None


def _in_trio_task() -> bool:
    # A module that another thread is importing may lack the function; then trio does not run here.
    in_trio_task = getattr(sys.modules.get("trio.lowlevel"), "in_trio_task", None)
    return in_trio_task is not None and in_trio_task()


def current_loop() -> object:
    """Return what identifies the running event loop, for :func:`call_elsewhere`.

    :raises RuntimeError: no event loop is running
    """
    loop = asyncio_loop()
    return _trio_lowlevel().current_trio_token() if loop is None else loop


def call_elsewhere(loop: Any, function: Callable[[], object]) -> bool:
    """Have another event loop call *function*; it may run in any thread.

    :returns: ``False`` if that loop has ended; no task of it waits for anything any more
    """
    call = loop.run_sync_soon if hasattr(loop, "run_sync_soon") else loop.call_soon_threadsafe
    try:
        call(function)
    except RuntimeError:
        return False
    return True


def call_in(loop: Any, function: Callable[[], object]) -> None:
    """Call *function*: soon, in *loop*, if that runs in another thread, else at once.

    The garbage collector may find an object in any thread, but what belongs to an event loop may
    only be touched in the loop's own thread.

    :param loop: what :func:`current_loop` has returned in that loop
    """
    try:
        is_here = current_loop() is loop
    except RuntimeError:
        is_here = False
    runs_elsewhere = not is_here and (not hasattr(loop, "is_running") or loop.is_running())
    if not (runs_elsewhere and call_elsewhere(loop, function)):
        function()


class TaskScope(Protocol):
    """The cancel scope that a helper task runs in; anyio's or trio's."""

    @property
    def deadline(self) -> float:
        """When the task is cancelled, on anyio's clock."""
        ...

    @deadline.setter
    def deadline(self, value: float, /) -> None: ...

    @property
    def cancel_called(self) -> bool:
        """Whether the task has been cancelled, or its deadline has passed."""
        ...

    def cancel(self) -> None:
        """Cancel the task."""

    def __enter__(self) -> object: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None: ...


class Waiter(Protocol):
    """An object that one task awaits: those methods of asyncio's future that are needed."""

    def __await__(self) -> Generator[Any, None, None]: ...
    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...


def make_waiter() -> Waiter:
    """Return a waiter, which is cheaper than an event; the calling task has to await it next."""
    loop = asyncio_loop()
    if loop is not None:
        return loop.create_future()
    return _trio_waiter()()


@cache
def _trio_waiter() -> Callable[[], Waiter]:
    from .trio_waiter import TrioWaiter  # trio is running, so it has been imported already

    return TrioWaiter


def make_trio_alarm(at: float, ring: Callable[[], float]) -> TrioAlarm:
    """Return an alarm for trio, which runs."""
    return _trio_alarm()(at, ring)


@cache
def _trio_alarm() -> Callable[[float, Callable[[], float]], TrioAlarm]:
    from .trio_alarm import TrioAlarm

    return TrioAlarm


def wake(waiter: Waiter) -> bool:
    """End the wait for *waiter*, if it has not ended; the caller may be in another event loop.

    :returns: ``False`` if the waiting task will never run again, because its event loop has ended
    """
    if waiter.done():
        return True
    get_loop = getattr(waiter, "get_loop", None)
    if get_loop is None:  # that of trio takes care of its thread by itself
        waiter.set_result(None)
        return True
    import asyncio

    loop = get_loop()
    try:
        is_here = asyncio.get_running_loop() is loop
    except RuntimeError:
        is_here = False
    if is_here:
        waiter.set_result(None)
        return True
    return call_elsewhere(loop, partial(wake, waiter))


def on_asyncio() -> bool:
    """Whether the running event loop is asyncio's, and not trio's."""
    return asyncio_loop() is not None


def clock() -> Callable[[], float]:
    """Return the clock of the running event loop, a faster :func:`anyio.current_time`."""
    return clock_of(asyncio_loop())


def clock_of(loop: AbstractEventLoop | None) -> Callable[[], float]:
    """Do what :func:`clock` does, for a caller that knows what :func:`asyncio_loop` returns."""
    return _trio_lowlevel().current_clock().current_time if loop is None else loop.time


class Checkpoints(Protocol):
    """The functions of :mod:`anyio.lowlevel` of these names."""

    @property
    def checkpoint(self) -> Callable[[], Coroutine[Any, Any, None]]: ...
    @property
    def checkpoint_if_cancelled(self) -> Callable[[], Coroutine[Any, Any, None]]: ...


def checkpoints(loop: AbstractEventLoop | None) -> Checkpoints:
    """Return the functions of the backend that runs; the general ones look it up at each call.

    :param loop: what :func:`asyncio_loop` returns
    """
    return _trio_lowlevel() if loop is None else _asyncio_checkpoints()


@cache
def _asyncio_checkpoints() -> Checkpoints:
    # If a version of anyio lacks the token's attribute, use the general functions.
    found: Checkpoints = getattr(current_token(), "backend_class", anyio.lowlevel)
    return found


@cache
def _trio_lowlevel() -> Any:
    """Return a module of trio, which is running: an import takes as long as the call after it."""
    import trio.lowlevel

    return trio.lowlevel
