"""Task groups for helper tasks, which on asyncio may be left in another task."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint_if_cancelled

from .event_loop import asyncio_loop
from .leaving import is_raised_again

if TYPE_CHECKING:
    import asyncio

__all__ = ("TaskOwner", "leave_group_nowait", "leave_group", "mark_task_of")

#: The groups to which the running task belongs, or to which a task belongs that has started it.
#: Leaving such a group waits for that task.
_groups_of_task: Final[ContextVar[tuple[TaskGroup, ...]]] = ContextVar("anyhttp", default=())


def mark_task_of(group: TaskGroup) -> None:
    """Mark the running task as one of *group*, before it runs code of the application."""
    _groups_of_task.set((*_groups_of_task.get(), group))


async def leave_group(group: TaskGroup, raised: BaseException | None) -> None:
    """Leave *group* and wait for its tasks, without changing the exception of its block.

    :param raised: the exception with which the block ends, ``None`` for none

    The group is not told of *raised*, because it would wrap it in an :exc:`ExceptionGroup`.
    Leaving raises a cancellation if one came from outside.  But if the block ends with an
    exception, the cancellation of a scope is dropped: the caller raises that exception, and the
    scope raises the cancellation again at the next checkpoint.

    The tasks handle their own failures, except exceptions that end programs, such as
    :exc:`KeyboardInterrupt`.  The group has cancelled the block because of such an exception, so
    the exception is raised in place of that cancellation.
    """
    try:
        await group.__aexit__(None, None, None)
    except BaseExceptionGroup as errors:
        raise _first_of(errors) from None
    except BaseException as exc:
        if raised is None or not is_raised_again(exc):
            raise


def leave_group_nowait(group: TaskGroup) -> None:
    """Leave *group* on asyncio without waiting for its tasks, which have been cancelled.

    A coroutine that is being closed (``coroutine.close()``) cannot wait.  If the task that closes
    it is not the one that entered the group, asyncio raises :exc:`RuntimeError`; there is nothing
    to undo in that task then.
    """
    with suppress(RuntimeError):
        group.cancel_scope.__exit__(None, None, None)


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of *errors* that is not a cancellation."""
    _, others = errors.split(anyio.get_cancelled_exc_class())
    first: BaseException | None = others
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return errors if first is None else first


def _runs(loop: asyncio.AbstractEventLoop) -> bool:
    import asyncio

    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:  # trio is running
        return False


class TaskOwner:
    """A task group for helpers that never fail, entered and left by a session.

    A task group has to be left by the task that entered it, after all scopes and groups that the
    task entered later.  On trio programs follow this rule anyway, so the caller's task enters the
    group.  Programs for asyncio may enter a session in one task and leave it in another, as
    fixtures of tests and the start and stop handlers of frameworks do.  So on asyncio the owner
    has a task of its own, the host, that enters the group, waits, and leaves it.
    """

    __slots__ = ("_context", "_group", "_host", "_leaving")

    def __init__(self) -> None:
        self._context: Context = copy_context()
        self._group: TaskGroup | None = None
        self._host: asyncio.Task[None] | None = None
        # Set to end the host; a future, as an event would take six times as much memory.
        self._leaving: asyncio.Future[None] | None = None

    @property
    def is_bound(self) -> bool:
        """Whether only the task that entered the group may leave it, as on trio."""
        return self._host is None

    @property
    def is_over(self) -> bool:
        """Whether no task can be started any more, or its event loop does not run now.

        Both happens on asyncio: a program may cancel all tasks of the loop, also the host, and it
        may use a session in another event loop than the one in which it was entered.
        """
        leaving = self._leaving
        # When the host is cancelled, asyncio cancels this future, which the host awaits.
        return leaving is not None and (leaving.done() or not _runs(leaving.get_loop()))

    @property
    def waits_for_caller(self) -> bool:
        """Whether the running task belongs to the group: it must not wait for itself."""
        return self._group in _groups_of_task.get()

    async def enter(self) -> TaskGroup:
        """Open the group and return it; tasks can be started in it until :meth:`leave`.

        When this is cancelled, the group is closed.
        """
        loop = asyncio_loop()
        if loop is None:
            self._group = group = anyio.create_task_group()
            return await group.__aenter__()
        import asyncio

        entered: asyncio.Future[TaskGroup] = loop.create_future()
        self._leaving = leaving = loop.create_future()
        self._host = host = loop.create_task(self._hold(entered, leaving))
        try:
            with anyio.CancelScope(shield=True):  # takes one iteration of the event loop
                await asyncio.wait((entered, host), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            self.cancel()
            raise
        if not entered.done():  # the host was cancelled before its first step: start another one
            return await self.enter()
        self._group = entered.result()
        return self._group

    @staticmethod
    async def _hold(entered: asyncio.Future[TaskGroup], leaving: asyncio.Future[None]) -> None:
        async with anyio.create_task_group() as group:
            entered.set_result(group)
            del entered
            await leaving
            group.cancel_scope.cancel()

    def cancel(self) -> None:
        """Cancel the tasks as :meth:`leave` does, but without waiting; for asyncio only."""
        assert self._leaving is not None
        if not self._leaving.done():  # done already if the host was cancelled
            self._leaving.set_result(None)

    def start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task in the group, with the context variables of the task that made this owner.

        Otherwise the task would keep the context variables of the first request that needs it
        alive for as long as it runs, with all objects that a web framework stores in them.
        """
        assert self._group is not None
        if self.is_over:
            return  # no task can run: the host was cancelled, or another event loop runs
        self._context.run(self._group.start_soon, task)

    async def leave(self, raised: BaseException | None) -> None:
        """Cancel the tasks and wait for them; *raised* is the error of the block, if any.

        If one of the tasks calls this, it does not wait, as it cannot wait for itself.  In this
        case, and after cancellation, the tasks have been cancelled but may not have ended yet.
        """
        assert self._group is not None
        if self._host is None:
            self._group.cancel_scope.cancel()
            await leave_group(self._group, raised)
            return
        import asyncio

        assert self._leaving is not None
        if not _runs(self._leaving.get_loop()):
            # The host belongs to another event loop, so this task cannot wait for it; that loop
            # may never run again.
            with suppress(RuntimeError):  # raised if that loop is closed
                self._leaving.get_loop().call_soon_threadsafe(self.cancel)
            return
        self.cancel()
        if not self._host.done() and not self.waits_for_caller:
            with anyio.CancelScope(shield=True):
                await asyncio.wait((self._host,))
        ended = self._host.done() and not self._host.cancelled()
        failure = self._host.exception() if ended else None
        if failure is not None:
            raise _first_of(failure) if isinstance(failure, BaseExceptionGroup) else failure
        if raised is None:
            await checkpoint_if_cancelled()
