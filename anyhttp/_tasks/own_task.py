"""A task that belongs to one object, and to no session and no block, on asyncio."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import anyio

from .event_loop import asyncio_loop

if TYPE_CHECKING:
    import asyncio

__all__ = ("OwnTask", "start_own_task")


class OwnTask:
    """A task that its owner tells to end; the owner keeps this object until then.

    The event loop itself does not keep tasks alive.
    """

    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    async def wait_over(self) -> None:
        """Wait until the task has ended."""
        if not self._task.done():
            import asyncio

            with anyio.CancelScope(shield=True):
                await asyncio.wait((self._task,))


def start_own_task(function: Callable[[], Coroutine[Any, Any, None]]) -> OwnTask | None:
    """Start a task; ``None`` on trio, where each task belongs to a block."""
    loop = asyncio_loop()
    return None if loop is None else OwnTask(loop.create_task(function()))
