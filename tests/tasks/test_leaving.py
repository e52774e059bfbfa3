"""A cancel scope in which a coroutine is closed by somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import anyio
import pytest

from anyhttp._tasks import closable_scope


async def left_waiting(coroutine: Coroutine[object, None, object]) -> asyncio.Task[object]:
    """Return a task that waits in *coroutine*, which its event loop forgets."""
    task = asyncio.ensure_future(coroutine)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is the test's purpose
    await asyncio.sleep(0)
    return task


def test_closed_without_an_event_loop() -> None:
    """The coroutine ends as if it had no scope, and its blocks end too."""
    steps: list[type[BaseException]] = []

    async def wait() -> None:
        try:
            with closable_scope(), closable_scope():
                await asyncio.sleep(1000)
        except BaseException as exc:
            steps.append(type(exc))
            raise

    coroutine = wait()
    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(left_waiting(coroutine))
    coroutine.close()
    assert steps == [GeneratorExit]
    assert not task.done()
    loop.close()


async def test_it_is_a_cancel_scope() -> None:
    """It may have a deadline, and catches its own cancellation only."""
    with closable_scope() as scope:
        scope.cancel()
        await anyio.sleep(1000)
    assert scope.cancelled_caught
    with closable_scope(anyio.current_time()) as scope:
        await anyio.sleep(1000)
    assert scope.cancelled_caught
    with anyio.CancelScope() as outer, closable_scope() as scope:
        outer.cancel()
        await anyio.sleep(1000)
    assert outer.cancelled_caught
    assert not scope.cancelled_caught


@pytest.mark.parametrize("make", [RuntimeError, ValueError])
async def test_other_errors_go_through(make: Callable[[], Exception]) -> None:
    """Also one that looks like that of a scope."""
    error = make()
    with pytest.raises(type(error)) as caught, closable_scope():
        raise error
    assert caught.value is error
