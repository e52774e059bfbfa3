"""Waiting without a future: what asyncio's tasks, and anyio, expect of one."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Coroutine
from contextvars import ContextVar

import anyio
import anyio.lowlevel
import pytest

from anyhttp._network.asyncio_stream import AsyncioStream
from anyhttp._network.asyncio_wait import Wait
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    ],
    indirect=True,
    scope="module",
)

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="nothing")


@pytest.fixture
async def wait() -> AsyncIterator[Wait]:
    """One of the running event loop."""
    wait = Wait(asyncio.get_running_loop())
    yield wait
    assert not wait.is_begun


async def begun(wait: Wait, log: list[str]) -> asyncio.Task[bool]:
    """Return a task that waits."""

    async def waiting() -> bool:
        VARIABLE.set("the task's")
        in_time = await wait
        log.append(f"{in_time} {VARIABLE.get()}")
        return in_time

    task = asyncio.ensure_future(waiting())
    await anyio.wait_all_tasks_blocked()
    assert wait.is_begun
    return task


async def called_by_the_loop(wait: Wait, log: list[str]) -> None:
    """Resume the task as the event loop's callbacks do."""

    def call() -> None:
        wait.resume()
        log.append(f"called in {VARIABLE.get()}")

    asyncio.get_running_loop().call_soon(call)
    await anyio.lowlevel.checkpoint()


async def test_the_loop_resumes_the_task_at_once(wait: Wait) -> None:
    """The task has run, in its own context, when the call returns; and it can wait again."""
    for _ in range(2):
        log: list[str] = []
        task = await begun(wait, log)
        await called_by_the_loop(wait, log)
        assert log == ["True the task's", "called in nothing"]
        assert await task


async def test_another_task_does_not(wait: Wait) -> None:
    """Two tasks cannot run at the same time: the waiting one has its turn later."""
    log: list[str] = []
    task = await begun(wait, log)
    wait.resume()
    assert not log
    assert asyncio.isfuture(wait)
    assert wait.done()
    wait.resume()
    assert await task
    wait.resume()  # nobody waits


@pytest.mark.parametrize("in_time", [True, False])
async def test_waking(wait: Wait, in_time: bool) -> None:
    """The first call counts."""
    task = await begun(wait, [])
    wait.wake(in_time)
    wait.wake(not in_time)
    assert await task is in_time
    wait.wake()  # nobody waits


async def test_cancelling_natively(wait: Wait) -> None:
    """The message is the one that was given."""
    task = await begun(wait, [])
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task
    task = await begun(wait, [])
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert not caught.value.args


async def test_cancelling_before_it_has_begun(wait: Wait) -> None:
    """The wait ends as soon as it begins."""

    async def waiting() -> None:
        task.cancel()
        await wait

    task = asyncio.ensure_future(waiting())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_between_the_event_and_the_turn_of_the_task(wait: Wait) -> None:
    """As with a future, the task is cancelled."""
    task = await begun(wait, [])
    wait.wake()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_scopes(wait: Wait) -> None:
    """A scope recognises its own cancellation by the message."""
    with anyio.move_on_after(0.01) as scope:
        await wait
    assert scope.cancelled_caught
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await wait


async def test_a_task_that_is_thrown_away(wait: Wait) -> None:
    """A wake-up that is on its way does not reach the next task that waits."""
    waiting = wait.__await__()
    next(waiting)
    wait.add_done_callback(lambda _: None)
    wait.wake()
    waiting.close()
    assert not wait.is_begun
    task = await begun(wait, [])
    await anyio.lowlevel.checkpoint()
    assert wait.is_begun
    wait.wake()
    with anyio.fail_after(DEADLINE):
        assert await task


async def test_a_task_that_is_closed_in_its_middle() -> None:
    """As garbage may be.  The task outlives that: its coroutine awaits the one that is closed."""
    told: list[str] = []

    async def middle(wait: Wait) -> None:
        await wait

    async def run(awaited: Coroutine[None, None, None]) -> None:
        await awaited

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    wait = Wait(loop)
    coroutine = middle(wait)
    task = asyncio.ensure_future(run(coroutine))
    await anyio.wait_all_tasks_blocked()
    del task
    coroutine.close()
    assert told == []
    assert not wait.is_begun
    del wait, coroutine
    gc.collect()  # a coroutine that cannot be closed would be reported by Python
    assert told == ["Task was destroyed but it is pending!"]
    loop.set_exception_handler(None)


async def test_what_the_program_raises_goes_through(wait: Wait) -> None:
    """The event loop's callback sees nothing of it; the task has it."""

    async def waiting() -> None:
        await wait
        raise LookupError

    task = asyncio.ensure_future(waiting())
    await anyio.wait_all_tasks_blocked()
    log: list[str] = []
    await called_by_the_loop(wait, log)
    assert log == ["called in nothing"]
    with pytest.raises(LookupError):
        await task


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_programs_ends_the_loop(
    anyio_backend: tuple[str, dict[str, bool]], end: type[BaseException]
) -> None:
    """It leaves the loop, although a callback for received bytes runs the task."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    goes_on = False

    async def receiving() -> None:
        stream = await AsyncioStream.wrap(ours)
        loop = asyncio.get_running_loop()
        loop.call_soon(theirs.sendall, b"bytes")
        loop.call_later(0.2, stop)
        await stream.receive()
        stream.abort()
        raise end

    def stop() -> None:
        nonlocal goes_on
        goes_on = True
        asyncio.get_running_loop().stop()

    factory = None
    if anyio_backend[1]["use_uvloop"]:
        import uvloop

        factory = uvloop.new_event_loop
    with theirs, asyncio.Runner(loop_factory=factory) as runner:
        with pytest.raises(end):
            runner.run(receiving())
        assert not goes_on


async def test_a_callback_without_a_context(wait: Wait) -> None:
    """What is not a task of asyncio need not give one."""
    called: list[Wait] = []
    waiting = wait.__await__()
    next(waiting)
    wait.add_done_callback(called.append)
    await called_by_the_loop(wait, [])
    await anyio.lowlevel.checkpoint()
    assert called == [wait]
    waiting.close()
