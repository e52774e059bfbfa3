"""A task that belongs to one object: whoever needs its end waits for it."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
import trio

from anyhttp._tasks import start_own_task


@pytest.mark.once
@pytest.mark.parametrize("cancelled", [True, False])
async def test_the_end_is_awaited(cancelled: bool) -> None:
    """Also by who is cancelled; later calls return at once."""
    ended: list[str] = []

    async def run() -> None:
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        ended.append("task")

    task = start_own_task(run)
    assert task is not None
    with anyio.CancelScope() as scope:
        if cancelled:
            scope.cancel()
        await task.wait_over()
        assert ended == ["task"]
        await task.wait_over()


def test_trio_has_none() -> None:
    """There each task belongs to a block."""

    async def run() -> None:
        raise AssertionError("it was started")

    async def start() -> None:
        assert start_own_task(run) is None

    trio.run(start)
