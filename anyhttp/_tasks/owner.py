"""Who owns the helper tasks of an entered session, and from where it may be left."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint_if_cancelled

from .backend import asyncio_loop

if TYPE_CHECKING:
    import asyncio

__all__ = ("TaskOwner", "drop_group", "end_group", "work_for")

#: the groups that wait for the running task, or for one that has started it
_worked_for: Final[ContextVar[tuple[TaskGroup, ...]]] = ContextVar("anyhttp", default=())


def work_for(group: TaskGroup) -> None:
    """Note that the running task is one of *group*, and is about to run code of the caller's."""
    _worked_for.set((*_worked_for.get(), group))


async def end_group(group: TaskGroup, raised: BaseException | None) -> None:
    """Leave *group*, whose block *raised* something or nothing, and raise nothing in its place.

    What happens in the block must leave it as it is, so the group, whose tasks never fail,
    is not told about it.  If the tasks were cancelled from outside, the group wants to say
    so; the scope that was cancelled will say it again if the block's own news lets it.

    Only what ends programs, such as :exc:`KeyboardInterrupt`, gets out of a task.  The group
    has cancelled the block for it, so it takes the place of that.
    """
    try:
        await group.__aexit__(None, None, None)
    except BaseExceptionGroup as errors:
        raise _first_of(errors) from None
    except BaseException:
        if raised is None:
            raise


def drop_group(group: TaskGroup) -> None:
    """Leave *group*, of asyncio's, whose tasks have been told to end, without waiting for them.

    For a coroutine that is closed.  In another task than its own there is nothing to leave.
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
    later.  Trio insists on that for everything, so there the group is the caller's own.
    Programs for asyncio enter a session in one task and leave it in another, as fixtures and
    the starts and stops of frameworks do; so there a task of the owner holds the group.
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
        """Whether the tasks cannot end before whatever asks: it is done by one of them."""
        return self._group in _worked_for.get()

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
            self.let_go()
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

    def let_go(self) -> None:
        """Do as :meth:`leave`, without waiting; not possible where only that task may leave."""
        assert self._leaving is not None
        if not self._leaving.done():  # cancelled together with the host
            self._leaving.set_result(None)

    def start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task of the owner's, whoever happens to be the one that needs it.

        It would otherwise keep the context variables of that one for as long as it runs, and
        with them whatever a server has noted there about one request.
        """
        assert self._group is not None
        if self.is_over:
            return  # with its event loop; a session that is used in the next does without
        self._context.run(self._group.start_soon, task)

    async def leave(self, raised: BaseException | None) -> None:
        """Cancel the tasks and wait for them, after a block that *raised* something or nothing.

        When this is cancelled, the tasks have ended, or are about to; so it is when one of
        them calls this, which cannot wait for itself.
        """
        assert self._group is not None
        if self._host is None:
            self._group.cancel_scope.cancel()
            await end_group(self._group, raised)
            return
        import asyncio

        assert self._leaving is not None
        if not _runs(self._leaving.get_loop()):
            # Nobody can wait here for what runs in another event loop, if that ever goes on.
            with suppress(RuntimeError):  # it has been closed
                self._leaving.get_loop().call_soon_threadsafe(self.let_go)
            return
        self.let_go()
        if not self._host.done() and not self.waits_for_caller:
            with anyio.CancelScope(shield=True):
                await asyncio.wait((self._host,))
        ended = self._host.done() and not self._host.cancelled()
        failure = self._host.exception() if ended else None
        if raised is None:
            if failure is not None:
                raise _first_of(failure) if isinstance(failure, BaseExceptionGroup) else failure
            await checkpoint_if_cancelled()
