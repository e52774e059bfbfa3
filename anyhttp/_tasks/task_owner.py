"""Helper tasks of a session or a request, which any task may end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from functools import cache, partial
from typing import Any, Final, Protocol

from anyio.lowlevel import checkpoint_if_cancelled

from .event_loop import TaskScope, asyncio_loop

__all__ = ("HelperTasks", "TaskOwner", "mark_task_of")


class HelperTasks(Protocol):
    """The helper tasks of a :class:`TaskOwner`."""

    @property
    def failure(self) -> BaseException | None:
        """The first exception with which a task has ended."""

    @property
    def is_over(self) -> bool:
        """Whether no task can be started any more, or their event loop does not run here.

        A session may be used in another event loop than the one in which it was entered.
        """
        ...

    @property
    def are_running(self) -> bool:
        """Whether a task has not ended yet."""
        ...

    @property
    def runs_here(self) -> bool:
        """Whether their event loop runs in this thread now."""
        ...

    def make_scope(self) -> TaskScope:
        """Make a scope for a task that :meth:`start_soon` is to start."""
        ...

    def start_soon(
        self,
        function: Callable[..., Coroutine[Any, Any, None]],
        *args: object,
        scope: TaskScope | None = None,
        unstarted: Callable[[], object] | None = None,
        end: Callable[[], object] | None = None,
    ) -> None:
        """Start a task.

        :param scope: what the task is to run in, made by :meth:`make_scope` for this task alone
        :param unstarted: called if the task is cancelled before its first step
        :param end: makes the task end soon; without it, a cancel scope does
        """

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

    Making an owner takes no step of the event loop, and leaving it takes none if no task runs:
    most sessions and requests never need a helper.
    """

    __slots__ = ("_context", "tasks")

    def __init__(self) -> None:
        self._context: Context = copy_context()
        #: starts tasks in the running event loop, until :meth:`leave`
        self.tasks: HelperTasks = _helper_tasks()

    @property
    def waits_for_caller(self) -> bool:
        """Whether the running task is one of the helper tasks: it must not wait for itself."""
        return self.tasks in _tasks_around.get()

    def cancel(self) -> None:
        """Cancel the tasks as :meth:`leave` does, but without waiting."""
        self.tasks.call(self.tasks.cancel)

    def start(
        self,
        task: Callable[[], Coroutine[Any, Any, None]],
        end: Callable[[], object] | None = None,
    ) -> None:
        """Start a task, with the context variables of the task that made this owner.

        Otherwise the task would keep the context variables of the first request that needs it
        alive for as long as it runs, with all objects that a web framework stores in them.

        :param end: makes the task end soon; without it, a cancel scope does
        """
        if not self.tasks.is_over:
            self._context.run(partial(self.tasks.start_soon, task, end=end))

    async def leave(self, raised: BaseException | None) -> None:
        """Cancel the tasks and wait for them; *raised* is the error of the block, if any.

        If one of the tasks calls this, it does not wait, as it cannot wait for itself.  In this
        case, and after cancellation, the tasks have been cancelled but may not have ended yet.

        If there were tasks to wait for, leaving raises a cancellation that came from outside.  But
        if the block ends with an exception, the cancellation of a scope is dropped: the caller
        raises that exception, and the scope raises the cancellation again at the next checkpoint.
        The tasks handle their own failures, except exceptions that end programs, such as
        :exc:`KeyboardInterrupt`; such an exception is raised here.
        """
        tasks = self.tasks
        self.cancel()
        if not tasks.runs_here:
            return  # nobody can wait for tasks of another event loop, which may never run again
        has_waited = tasks.are_running and not self.waits_for_caller
        if has_waited:
            await tasks.wait_finished()
        if tasks.failure is not None:
            raise tasks.failure
        if has_waited and raised is None:
            await checkpoint_if_cancelled()


def _helper_tasks() -> HelperTasks:
    """Return what starts tasks in the running event loop."""
    loop = asyncio_loop()
    return _trio_tasks()() if loop is None else _asyncio_tasks()(loop)


# Each library is imported only where it runs, and this module only once: a relative import takes
# ten times as long as making an owner.


@cache
def _asyncio_tasks() -> Callable[[Any], HelperTasks]:
    from .asyncio_tasks import AsyncioTasks

    return AsyncioTasks


@cache
def _trio_tasks() -> Callable[[], HelperTasks]:
    from .trio_tasks import TrioTasks

    return TrioTasks
