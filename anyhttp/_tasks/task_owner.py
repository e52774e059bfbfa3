"""Helper tasks of a session or a request, which any task may end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from .event_loop import asyncio_loop, call_elsewhere

if TYPE_CHECKING:
    import asyncio

    from anyio.abc import TaskGroup

__all__ = ("HelperTasks", "TaskOwner", "mark_task_of")


class HelperTasks(Protocol):
    """The helper tasks of a :class:`TaskOwner`."""

    @property
    def failure(self) -> BaseException | None:
        """The first exception with which a task has ended."""

    @property
    def is_over(self) -> bool:
        """Whether no task can be started any more, or their event loop does not run here.

        A program for asyncio may cancel all tasks of the loop, and a session may be used in
        another event loop than the one in which it was entered.
        """
        ...

    @property
    def runs_here(self) -> bool:
        """Whether their event loop runs in this thread now."""
        ...

    def start_soon(
        self,
        function: Callable[..., Coroutine[Any, Any, None]],
        *args: object,
        unstarted: Callable[[], object] | None = None,
    ) -> None:
        """Start a task; call *unstarted* if it is cancelled before its first step."""

    def cancel(self) -> None:
        """Cancel the tasks, without waiting for their ends."""

    def call(self, function: Callable[[], object]) -> None:
        """Call *function* in the event loop of the tasks: now, if that runs here."""

    async def wait_finished(self) -> None:
        """Wait until every task has ended; a cancellation of the caller does not end this wait."""


#: What the running task belongs to, and the tasks that have started it, each by a chain of others.
#: Ending such tasks waits for the running task.
_tasks_around: Final[ContextVar[tuple[HelperTasks, ...]]] = ContextVar("anyhttp", default=())


def mark_task_of(tasks: HelperTasks) -> None:
    """Mark the running task as one of *tasks*, before it runs code of the application."""
    _tasks_around.set((*_tasks_around.get(), tasks))


class TaskOwner:
    """The helper tasks of one session or request, which never fail.

    An open task group of anyio, or nursery of trio, has to be left by the task that entered it,
    after all scopes and groups that the task entered later.  Programs break that rule: a fixture
    of tests, or a start handler of a framework, enters a session in one task and leaves it in
    another; a generator that is dropped in the middle of a block is ended by a task of the event
    loop.  So the helper tasks are children of no block of the application.
    """

    __slots__ = ("_context", "_tasks")

    def __init__(self) -> None:
        self._context: Context = copy_context()
        self._tasks: HelperTasks | None = None

    @property
    def waits_for_caller(self) -> bool:
        """Whether the running task is one of the helper tasks: it must not wait for itself."""
        return self._tasks in _tasks_around.get()

    async def enter(self) -> HelperTasks:
        """Return what starts tasks until :meth:`leave`; after cancellation none is left."""
        loop = asyncio_loop()
        if loop is None:
            from .trio_tasks import TrioTasks  # trio is running, so it has been imported already

            self._tasks = TrioTasks()
        else:
            self._tasks = await _enter_on_asyncio(loop)
        return self._tasks

    def cancel(self) -> None:
        """Cancel the tasks as :meth:`leave` does, but without waiting."""
        assert self._tasks is not None
        self._tasks.cancel()

    def start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task, with the context variables of the task that made this owner.

        Otherwise the task would keep the context variables of the first request that needs it
        alive for as long as it runs, with all objects that a web framework stores in them.
        """
        assert self._tasks is not None
        if not self._tasks.is_over:
            self._context.run(self._tasks.start_soon, task)

    async def leave(self, raised: BaseException | None) -> None:
        """Cancel the tasks and wait for them; *raised* is the error of the block, if any.

        If one of the tasks calls this, it does not wait, as it cannot wait for itself.  In this
        case, and after cancellation, the tasks have been cancelled but may not have ended yet.

        Leaving raises a cancellation if one came from outside.  But if the block ends with an
        exception, the cancellation of a scope is dropped: the caller raises that exception, and
        the scope raises the cancellation again at the next checkpoint.  The tasks handle their own
        failures, except exceptions that end programs, such as :exc:`KeyboardInterrupt`; such an
        exception is raised here.
        """
        tasks = self._tasks
        assert tasks is not None
        tasks.call(tasks.cancel)
        if not tasks.runs_here:
            return  # nobody can wait for tasks of another event loop, which may never run again
        if not self.waits_for_caller:
            await tasks.wait_finished()
        if tasks.failure is not None:
            raise tasks.failure
        if raised is None:
            await checkpoint_if_cancelled()


# -- asyncio


class _AsyncioTasks:
    """A task group that a task of its own, the host, enters and leaves."""

    __slots__ = ("_group", "_host", "_leaving", "_loop", "_running_loop")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        group: TaskGroup,
        host: asyncio.Task[BaseException | None],
        leaving: asyncio.Future[None],
    ) -> None:
        import asyncio

        self._loop = loop
        self._running_loop = asyncio.get_running_loop
        self._group = group
        self._host = host
        # Set to end the host; a future, as an event would take six times as much memory.
        self._leaving = leaving

    @property
    def is_over(self) -> bool:
        # When the host is cancelled, asyncio cancels this future, which the host awaits.
        return self._leaving.done() or not self.runs_here

    @property
    def runs_here(self) -> bool:
        try:
            return self._running_loop() is self._loop
        except RuntimeError:  # trio is running
            return False

    @property
    def failure(self) -> BaseException | None:
        host = self._host
        raised = host.result() if host.done() and not host.cancelled() else None
        return _first_of(raised) if isinstance(raised, BaseExceptionGroup) else raised

    def start_soon(
        self,
        function: Callable[..., Coroutine[Any, Any, None]],
        *args: object,
        unstarted: Callable[[], object] | None = None,
    ) -> None:
        task = self._group.start_soon(function, *args)
        if unstarted is not None:  # asyncio runs the first step of the task before this callback
            self._loop.call_soon(_tell_if_unstarted, task.coro, unstarted)

    def cancel(self) -> None:
        if not self._leaving.done():  # done already if the host was cancelled
            self._leaving.set_result(None)

    def call(self, function: Callable[[], object]) -> None:
        if self.runs_here:
            function()
        else:
            call_elsewhere(self._loop, function)

    async def wait_finished(self) -> None:
        import asyncio

        if not self._host.done():
            with anyio.CancelScope(shield=True):
                await asyncio.wait((self._host,))


async def _enter_on_asyncio(loop: asyncio.AbstractEventLoop) -> HelperTasks:
    import asyncio

    entered: asyncio.Future[TaskGroup] = loop.create_future()
    leaving: asyncio.Future[None] = loop.create_future()
    host = loop.create_task(_hold(entered, leaving))
    try:
        with anyio.CancelScope(shield=True):  # takes one iteration of the event loop
            await asyncio.wait((entered, host), return_when=asyncio.FIRST_COMPLETED)
    except BaseException:
        if not leaving.done():
            leaving.set_result(None)
        raise
    if not entered.done():  # the host was cancelled before its first step: start another one
        return await _enter_on_asyncio(loop)
    return _AsyncioTasks(loop, entered.result(), host, leaving)


async def _hold(
    entered: asyncio.Future[TaskGroup], leaving: asyncio.Future[None]
) -> BaseException | None:
    """Hold a task group open until *leaving*, and return what a task of it has raised.

    If this raised it, asyncio would report it, though the owner or the program ends with it.
    """
    try:
        async with anyio.create_task_group() as group:
            entered.set_result(group)
            del entered
            await leaving
            group.cancel_scope.cancel()
    except BaseExceptionGroup as failures:
        return failures
    return None


def _tell_if_unstarted(
    coroutine: Coroutine[Any, Any, None], unstarted: Callable[[], object]
) -> None:
    """Call *unstarted* if the task was cancelled before asyncio ran the first step of *coroutine*.

    No line of *coroutine* runs then, so it cannot report its failure.
    """
    if getcoroutinestate(coroutine) == CORO_CREATED:
        coroutine.close()  # Python would warn of a coroutine that was never awaited
        unstarted()


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of *errors* that is not a cancellation."""
    _, others = errors.split(anyio.get_cancelled_exc_class())
    first: BaseException | None = others
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return errors if first is None else first
