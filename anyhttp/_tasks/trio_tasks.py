"""Helper tasks on trio: see :class:`anyhttp._tasks.task_owner.TaskOwner`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from threading import get_ident
from typing import Any

import trio
from trio.lowlevel import (
    cancel_shielded_checkpoint,
    current_trio_token,
    in_trio_run,
    spawn_system_task,
)

from .event_loop import TaskScope, call_elsewhere

__all__ = ("TrioTasks",)


class TrioTasks:
    """Tasks that belong to no nursery of the caller, so that any task may end them.

    Trio calls them system tasks.  It cancels them when the main task has ended, and delivers
    Ctrl-C to other tasks.  An exception that left one of them would end the program, so it is kept
    in :attr:`failure`.
    """

    __slots__ = ("_ended", "_ends", "_finished", "_thread", "_token", "failure")

    def __init__(self) -> None:
        self._ends: set[Callable[[], object]] = set()  # one for each task, which makes it end
        self._finished: trio.Event | None = None  # set when the last task has ended; made if needed
        self._thread = get_ident()
        self._token = current_trio_token()
        #: the first exception with which a task has ended
        self.failure: BaseException | None = None
        self._ended = False

    @property
    def is_over(self) -> bool:
        """Whether no task can be started any more, or their event loop does not run here."""
        if self._ended or get_ident() != self._thread:
            return True
        # A thread runs trio only once at a time, and a running task notes the end of that run.
        return not (self._ends or self.runs_here)

    @property
    def runs_here(self) -> bool:
        """Whether their event loop runs in this thread now."""
        return in_trio_run() and current_trio_token() is self._token

    @property
    def are_running(self) -> bool:
        """Whether a task has not ended yet."""
        return bool(self._ends)

    make_scope = staticmethod(trio.CancelScope)

    def start_soon(
        self,
        function: Callable[..., Coroutine[Any, Any, None]],
        *args: object,
        scope: TaskScope | None = None,
        unstarted: Callable[[], object] | None = None,
        end: Callable[[], object] | None = None,
    ) -> None:
        """Start a task, in a cancel scope unless *end* makes it end soon.

        *unstarted* is for asyncio, as trio runs the first step of every task.
        """
        run = partial(function, *args)
        if end is None:
            if scope is None:
                scope = trio.CancelScope()
            run, end = partial(_in_scope, scope, run), scope.cancel
        self._ends.add(end)
        try:
            spawn_system_task(self._run, run, end, name=function, context=copy_context())
        except RuntimeError:  # trio is ending its run, and starts no more tasks
            self._discard(end)
            self._ended = True

    async def _run(
        self, function: Callable[[], Coroutine[Any, Any, None]], end: Callable[[], object]
    ) -> None:
        try:
            await function()
        except trio.Cancelled:
            self._ended = True
            raise  # trio is ending its run
        except BaseException as exc:  # noqa: BLE001  (raised where the owner is left)
            if self.failure is None:
                self.failure = exc
        finally:
            self._discard(end)

    def _discard(self, end: Callable[[], object]) -> None:
        self._ends.discard(end)
        if not self._ends and self._finished is not None:
            self._finished.set()

    def cancel(self) -> None:
        """Cancel the tasks, without waiting for their ends."""
        self._ended = True
        for end in tuple(self._ends):
            end()

    def call(self, function: Callable[[], object]) -> None:
        """Call *function* in the event loop of the tasks: now, if that runs here."""
        if self.runs_here:
            function()
        else:
            call_elsewhere(self._token, function)

    async def wait_finished(self) -> None:
        """Wait until every task has ended; a cancellation of the caller does not end this wait."""
        await cancel_shielded_checkpoint()  # most tasks end at once, and need no event
        if self._ends:
            if self._finished is None:
                self._finished = trio.Event()
            with trio.CancelScope(shield=True):
                await self._finished.wait()


async def _in_scope(scope: TaskScope, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with scope:
        await function()
