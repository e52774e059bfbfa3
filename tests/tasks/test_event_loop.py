"""Calls into an event loop from elsewhere."""

from __future__ import annotations

import sys
import threading

import anyio
import pytest
import trio
import trio.lowlevel

from anyhttp._tasks import asyncio_loop, call_in, current_loop, make_waiter, wake
from anyhttp._tasks.event_loop import Waiter
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop


async def test_a_call_from_the_loop_itself_is_made_at_once() -> None:
    """There is nothing to wait for."""
    called: list[int] = []
    call_in(current_loop(), lambda: called.append(threading.get_ident()))
    assert called == [threading.get_ident()]


@pytest.mark.parametrize("elsewhere", ["no loop", "asyncio", "trio"])
async def test_a_call_from_another_thread_is_made_by_the_loop(elsewhere: str) -> None:
    """Whatever runs in that thread; the loop is woken if it waits."""
    called: list[int] = []
    loop = current_loop()

    def call() -> None:
        call_in(loop, lambda: called.append(threading.get_ident()))

    async def call_in_loop() -> None:
        call()

    def run() -> None:
        if elsewhere == "no loop":
            call()
        else:
            anyio.run(call_in_loop, backend=elsewhere)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert called == []
    await until(lambda: called, "the call")
    assert called == [threading.get_ident()]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("from_thread", [True, False])
def test_a_call_after_the_end_of_the_loop_is_made_at_once(backend: str, from_thread: bool) -> None:
    """No thread can be in its way any more."""
    called: list[int] = []

    async def find() -> object:
        return current_loop()

    def call() -> None:
        call_in(loop, lambda: called.append(1))

    loop = anyio.run(find, backend=backend)
    if from_thread:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    else:
        call()
    assert called == [1]


async def test_a_waiter_that_other_threads_wake() -> None:
    """The wait ends once, in its own thread; later calls find it over."""

    async def wait() -> None:
        waiters.append(waiter := make_waiter())
        await waiter
        ended.append(threading.get_ident())

    def wake_twice() -> None:
        woken.extend((wake(waiters[0]), wake(waiters[0])))

    waiters: list[Waiter] = []
    woken: list[bool] = []
    ended: list[int] = []
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        thread = threading.Thread(target=wake_twice)
        thread.start()
        thread.join()
        assert ended == []
        await until(lambda: ended, "the end of the wait")
        await anyio.wait_all_tasks_blocked()
    assert woken == [True, True]
    assert ended == [threading.get_ident()]
    assert wake(waiters[0])


class TestWhichLoop:
    """``asyncio_loop()``."""

    def test_without_any(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is an error, also in a program that has not imported asyncio."""
        with pytest.raises(RuntimeError):
            asyncio_loop()
        monkeypatch.delitem(sys.modules, "asyncio")
        with pytest.raises(RuntimeError):
            asyncio_loop()

    def test_trio_between_two_tasks(self) -> None:
        """No task runs while trio calls an instrument, but trio does."""

        class Instrument(trio.abc.Instrument):
            def before_io_wait(self, timeout: float) -> None:
                found.add((asyncio_loop(), type(current_loop())))

        async def run() -> None:
            await trio.lowlevel.checkpoint()

        found: set[tuple[object, type]] = set()
        trio.run(run, instruments=[Instrument()])
        assert found == {(None, trio.lowlevel.TrioToken)}
