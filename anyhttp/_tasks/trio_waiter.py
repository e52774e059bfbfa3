"""The waiter for trio: see :func:`anyhttp._tasks.make_waiter`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from threading import get_ident
from typing import Any, NoReturn

from trio import RunFinishedError
from trio.lowlevel import (
    Abort,
    Task,
    current_task,
    current_trio_token,
    reschedule,
    wait_task_rescheduled,
)

__all__ = ("TrioWaiter",)


class TrioWaiter:
    """A waiter; only the task that makes it may await it, and has to do so next."""

    __slots__ = ("_task", "_thread", "_token")

    def __init__(self) -> None:
        self._task: Task | None = current_task()
        self._thread = get_ident()
        self._token = current_trio_token()

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
        """End the wait, if it is not over; from another thread, a moment later."""
        if get_ident() != self._thread:
            with suppress(RunFinishedError):
                self._token.run_sync_soon(self.set_result, None)
            return
        task, self._task = self._task, None
        if task is not None:
            reschedule(task)
