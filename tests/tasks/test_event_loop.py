"""Calls into an event loop from elsewhere."""

from __future__ import annotations

import threading

import anyio
import pytest

from anyhttp._tasks import call_in, current_loop
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
