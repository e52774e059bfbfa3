"""Helper tasks on asyncio: see :class:`anyhttp._tasks.task_owner.TaskOwner`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any

import anyio

from .event_loop import TaskScope, call_elsewhere

__all__ = ("AsyncioTasks",)


class AsyncioTasks:
    """Tasks that belong to no task group, so that any task may end them.

    Each runs in a cancel scope, unless it can be ended in another way, because a coroutine may drop
    the one exception by which asyncio cancels its task.  An exception that leaves a task is kept in
    :attr:`failure`; asyncio lets :exc:`KeyboardInterrupt` and :exc:`SystemExit` end the program as
    well.
    """

    __slots__ = ("_ended", "_ends", "_loop", "_scope_class", "failure")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # What ends each task.  The event loop itself does not keep tasks alive.
        self._ends: dict[asyncio.Task[None], Callable[[], object]] = {}
        #: the first exception with which a task has ended
        self.failure: BaseException | None = None
        self._ended = False
        self._scope_class: type[anyio.CancelScope] | None = None

    @property
    def is_over(self) -> bool:
        """Whether no task can be started any more, or their event loop does not run here."""
        return self._ended or not self.runs_here

    @property
    def runs_here(self) -> bool:
        """Whether their event loop runs in this thread now."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:  # trio is running
            return False

    @property
    def are_running(self) -> bool:
        """Whether a task has not ended yet."""
        return bool(self._ends)

    def make_scope(self) -> anyio.CancelScope:
        """Make a scope for a task; the first one tells the class of the others.

        To ask anyio for a scope takes 12 000 instructions more than to make one.
        """
        if self._scope_class is None:
            scope = anyio.CancelScope()
            self._scope_class = type(scope)
            return scope
        return self._scope_class()

    def start_soon(
        self,
        function: Callable[..., Coroutine[Any, Any, None]],
        *args: object,
        scope: TaskScope | None = None,
        unstarted: Callable[[], object] | None = None,
        end: Callable[[], object] | None = None,
    ) -> None:
        """Start a task, in a cancel scope unless *end* makes it end soon.

        :param scope: made by :meth:`make_scope` for this task
        :param unstarted: called if the task is cancelled before its first step
        """
        run = coroutine = function(*args)
        if end is None:
            if scope is None:
                scope = self.make_scope()
            run, end = _in_scope(scope, coroutine), scope.cancel
        task = self._loop.create_task(run, name=getattr(function, "__qualname__", None))
        self._ends[task] = end
        task.add_done_callback(partial(self._end, coroutine, unstarted))

    def _end(
        self,
        coroutine: Coroutine[Any, Any, None],
        unstarted: Callable[[], object] | None,
        task: asyncio.Task[None],
    ) -> None:
        del self._ends[task]
        if not task.cancelled():
            error = task.exception()  # asyncio would report one that nobody has asked for
            if self.failure is None:
                self.failure = error
        elif getcoroutinestate(coroutine) == CORO_CREATED:
            # Asyncio has not run the first step, so the coroutine cannot report its failure.
            coroutine.close()  # Python would warn of a coroutine that was never awaited
            if unstarted is not None:
                unstarted()

    def cancel(self) -> None:
        """Cancel the tasks, without waiting for their ends."""
        self._ended = True
        for end in tuple(self._ends.values()):
            end()

    def call(self, function: Callable[[], object]) -> None:
        """Call *function* in the event loop of the tasks: now, if that runs here."""
        if self.runs_here:
            function()
        else:
            call_elsewhere(self._loop, function)

    async def wait_finished(self) -> None:
        """Wait until every task has ended; a cancellation of the caller does not end this wait."""
        with anyio.CancelScope(shield=True):
            while self._ends:  # a task may start another one while it ends
                await asyncio.wait(tuple(self._ends))


async def _in_scope(scope: TaskScope, coroutine: Coroutine[Any, Any, None]) -> None:
    with scope:
        await coroutine
