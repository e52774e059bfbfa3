"""The tasks of a mock, in which code of the program answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

from anyio.lowlevel import checkpoint

from .._tasks import TaskOwner, TaskScope, mark_task_of
from ._mock_streams import ScriptedStream

__all__ = ("MockTasks",)

#: How many steps of the event loop a task may go on when the mock is closed, to take the last
#: messages of a client that has left.  A task that waits for something else is cancelled then.
_LAST_STEPS: Final = 100


class MockTasks:
    """Starts tasks, ends them, and keeps what they raise."""

    def __init__(self) -> None:
        # One for each event loop: a mock may answer in the whole process.
        self._owners: list[TaskOwner] = []
        #: the clients' ends of connections whose tasks have failed
        self.failed: list[ScriptedStream] = []
        # What was being handled where the program made the mock, or last made a request.
        self._around: BaseException | None = sys.exception()

    def start(self, task: Callable[[], Coroutine[Any, Any, None]]) -> TaskScope:
        """Start a task in the running event loop; return the scope that ends it."""
        self._around = sys.exception() or self._around
        owner = next((owner for owner in self._owners if not owner.tasks.is_over), None)
        if owner is None:
            owner = TaskOwner()
            self._owners.append(owner)
        tasks = owner.tasks
        scope = tasks.make_scope()

        async def run() -> None:
            mark_task_of(tasks)
            await task()

        tasks.start_soon(run, scope=scope)
        return scope

    def cancel(self) -> None:
        """Cancel the tasks, without waiting for their ends."""
        for owner in self._owners:
            owner.cancel()

    async def aclose(self) -> None:
        """Let tasks take the last messages of their clients; then cancel them, and wait.

        Those of other event loops are only cancelled.
        """
        owners, self._owners = self._owners, []
        here = None
        for owner in owners:
            if owner.tasks.runs_here:
                here = owner
            else:
                owner.cancel()
        if here is not None:
            await _leave(here)

    def raise_failure(self) -> None:
        """Raise the first exception that no request has been told of; forget all of them.

        If another exception is being handled, it gets a note of each instead.  So what a block has
        raised leaves the block.  An exception that was being handled before the block does not
        count: the program may drop it.

        :raises BaseException: what a task has raised
        """
        handled, around, self._around = sys.exception(), self._around, None
        if handled is not None and handled is not around:
            self.note_failures(handled)
        elif failures := self._untold():
            self.note_failures(failures[0])
            raise failures[0]

    def note_failures(self, exc: BaseException) -> None:
        """Add to *exc*, as notes, the exceptions that no request has been told of; forget them."""
        for failure in self._untold():
            if failure is not exc:
                exc.add_note(f"Besides, code that answers in a mock has raised {failure!r}")
        self.failed.clear()

    def _untold(self) -> list[BaseException]:
        return [
            stream.failure for stream in self.failed if stream.failure and not stream.has_raised
        ]


async def _leave(owner: TaskOwner) -> None:
    """Let the tasks of *owner* take the last messages; then cancel them, and wait."""
    try:
        if not owner.waits_for_caller:
            for _ in range(_LAST_STEPS):
                if not owner.tasks.are_running:
                    break
                await checkpoint()
    except BaseException as exc:
        await owner.leave(exc)
        raise
    await owner.leave(None)
