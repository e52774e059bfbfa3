"""The waiter for trio: see :func:`anyhttp._tasks.make_waiter`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NoReturn

from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

__all__ = ("TrioWaiter",)


class TrioWaiter:
    """A waiter; only the task that makes it may await it, and has to do so next."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: Task | None = current_task()

    def __await__(self) -> Generator[Any, None, None]:
        wait = wait_task_rescheduled(self._abort)  # noqa: ASYNC105  (awaited by the caller)
        return wait.__await__()

    def _abort(self, _: Callable[[], NoReturn]) -> Abort:
        self._task = None
        return Abort.SUCCEEDED

    def done(self) -> bool:
        """Whether the wait is over."""
        return self._task is None

    def set_result(self, result: None, /) -> None:
        """End the wait."""
        task, self._task = self._task, None
        assert task is not None
        reschedule(task)
