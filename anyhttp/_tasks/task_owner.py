"""Task groups for helper tasks: who holds them, and in which task they may be left."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint_if_cancelled

from .event_loop import asyncio_loop

if TYPE_CHECKING:
    import asyncio

__all__ = ("TaskOwner", "leave_group_nowait", "leave_group", "mark_task_of")

#: The groups whose end waits for the running task, or for a task that has started it.
_groups_of_task: Final[ContextVar[tuple[TaskGroup, ...]]] = ContextVar("anyhttp", default=())


def mark_task_of(group: TaskGroup) -> None:
    """Mark the running task as one of *group*, before it runs code of the application."""
    _groups_of_task.set((*_groups_of_task.get(), group))


async def leave_group(group: TaskGroup, raised: BaseException | None) -> None:
    """Leave *group* and wait for its tasks, without changing what its block *raised*.

    :param raised: the exception with which the block ends, ``None`` for none

    The group is left as if the block had ended well: told of an exception, it would wrap it in
    an :exc:`ExceptionGroup`.  Leaving raises a cancellation if one came from outside.  If the
    block ends with an exception of its own, that one counts, and the cancelled scope raises the
    cancellation again at the next checkpoint.

    The tasks handle their own failures.  What ends programs, such as :exc:`KeyboardInterrupt`,
    they do not handle; the group has cancelled the block for it, so it is raised in place of
    that cancellation.
    """
    try:
        await group.__aexit__(None, None, None)
    except BaseExceptionGroup as errors:
        raise _first_of(errors) from None
    except BaseException:
        if raised is None:
            raise


def leave_group_nowait(group: TaskGroup) -> None:
    """Leave *group* on asyncio without waiting for its tasks, which have been cancelled.

    A coroutine that is closed (``coroutine.close()``) cannot wait.  If another task than the one
    that entered the group closes it, asyncio refuses, and there is nothing to undo there.
    """
    with suppress(RuntimeError):
        group.cancel_scope.__exit__(None, None, None)


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first of *errors* that is no cancellation."""
    _, others = errors.split(anyio.get_cancelled_exc_class())
    first: BaseException | None = others
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return errors if first is None else first


def _runs(loop: asyncio.AbstractEventLoop) -> bool:
    import asyncio

    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:  # trio's runs
        return False


class TaskOwner:
    """A task group for helpers that never fail, entered and left by a session.

    A task group has to be left by the task that entered it, and after all that was entered
    later.  On trio, where that holds for everything, the task that enters is the caller's.
    Programs for asyncio may enter a session in one task and leave it in another, as fixtures of
    tests and the start and stop handlers of frameworks do.  So on asyncio a task of the owner,
    the host, enters the group, waits, and leaves it.
    """

    __slots__ = ("_context", "_group", "_host", "_leaving")

    def __init__(self) -> None:
        self._context: Context = copy_context()
        self._group: TaskGroup | None = None
        self._host: asyncio.Task[None] | None = None
        self._leaving: asyncio.Future[None] | None = None  # an event would be six times as large

    @property
    def is_bound(self) -> bool:
        """Whether only the task that entered may leave."""
        return self._host is None

    @property
    def is_over(self) -> bool:
        """Whether no task can be started any more, or none that would run now.

        Programs for asyncio cancel all tasks that they find, and use a session in another
        event loop than the one in which it was entered.
        """
        leaving = self._leaving
        # Cancelling the host, which waits for it, cancels it too.
        return leaving is not None and (leaving.done() or not _runs(leaving.get_loop()))

    @property
    def waits_for_caller(self) -> bool:
        """Whether the running task is one of the group's: it must not wait for itself."""
        return self._group in _groups_of_task.get()

    async def enter(self) -> TaskGroup:
        """Return the group, which takes tasks until :meth:`leave`.

        When this is cancelled, there is no group.
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
            with anyio.CancelScope(shield=True):  # one round of the loop
                await asyncio.wait((entered, host), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            self.cancel()
            raise
        if not entered.done():  # a program has cancelled all tasks, and this one had not begun
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
        """Have the tasks cancelled, as by :meth:`leave`, without waiting; for asyncio only."""
        assert self._leaving is not None
        if not self._leaving.done():  # cancelled together with the host
            self._leaving.set_result(None)

    def start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task in the group, with the context variables of whoever entered the session.

        Those of the request that happens to need the task first would otherwise be kept alive
        for as long as the task runs, with all that a web framework stores in them.
        """
        assert self._group is not None
        if self.is_over:
            return  # the event loop has ended; a session that is used in another one has no helpers
        self._context.run(self._group.start_soon, task)

    async def leave(self, raised: BaseException | None) -> None:
        """Cancel the tasks and wait for them, after a block that *raised* something or nothing.

        When this is cancelled, the tasks have ended, or are about to; so it is when one of
        them calls this, which cannot wait for itself.
        """
        assert self._group is not None
        if self._host is None:
            self._group.cancel_scope.cancel()
            await leave_group(self._group, raised)
            return
        import asyncio

        assert self._leaving is not None
        if not _runs(self._leaving.get_loop()):
            # What runs in another event loop cannot be waited for here, and may never go on.
            with suppress(RuntimeError):  # it has been closed
                self._leaving.get_loop().call_soon_threadsafe(self.cancel)
            return
        self.cancel()
        if not self._host.done() and not self.waits_for_caller:
            with anyio.CancelScope(shield=True):
                await asyncio.wait((self._host,))
        ended = self._host.done() and not self._host.cancelled()
        failure = self._host.exception() if ended else None
        if raised is None:
            if failure is not None:
                raise _first_of(failure) if isinstance(failure, BaseExceptionGroup) else failure
            await checkpoint_if_cancelled()
