"""One call for all that want its result; what becomes of it when one of them is cancelled."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

import anyio
import anyio.to_thread
import pytest

from anyhttp._tasks import SharedCall
from tests.support.cancel import cancel_at_every_checkpoint


class Function:
    """A function that returns, or raises, when it is told to; it counts its calls."""

    def __init__(self, *outcomes: Any) -> None:
        self._outcomes = list(outcomes)
        self.calls = 0
        self.go = anyio.Event()

    async def __call__(self) -> Any:
        """Return or raise the next outcome."""
        self.calls += 1
        await self.go.wait()
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Picky(Exception):
    """An exception that cannot be copied, as its arguments are not those of its class."""

    def __init__(self, one: str, *, two: str) -> None:
        super().__init__(one)
        self.two = two


class Lookup(Exception):
    """An exception that can be copied, and referred to weakly."""


class Turning(Exception):
    """An exception whose copy is another one."""

    def __reduce__(self) -> tuple[type[Exception], tuple[()]]:
        return KeyError, ()


async def ask(call: SharedCall[Any], function: Function, outcomes: list[Any]) -> None:
    """Add what the call returns or raises."""
    try:
        outcomes.append(await call.result(function))
    except Exception as exc:  # noqa: BLE001 (which one is the question)
        outcomes.append(exc)


async def ask_at_once(call: SharedCall[Any], function: Function, *, number: int = 3) -> list[Any]:
    """Return what several tasks get that ask while the function runs."""
    outcomes: list[Any] = []
    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(ask, call, function, outcomes)
        await anyio.wait_all_tasks_blocked()
        assert not call.is_idle
        function.go.set()
    assert call.is_idle
    return outcomes


async def test_one_call() -> None:
    """All get the result of one call, and the next one who asks that of another."""
    call: SharedCall[Any] = SharedCall()
    function = Function(None, "two")
    assert await ask_at_once(call, function) == [None] * 3
    assert function.calls == 1
    assert await call.result(function) == "two"


@pytest.mark.parametrize("error", [ValueError("no"), Picky("one", two="two"), Turning()])
async def test_an_error(error: Exception) -> None:
    """All get it, or a copy that names it as its cause."""
    function = Function(error)
    outcomes = await ask_at_once(SharedCall(), function)
    assert function.calls == 1
    assert [type(outcome) for outcome in outcomes] == [type(error)] * 3
    assert [vars(outcome) for outcome in outcomes] == [vars(error)] * 3
    copies = [outcome for outcome in outcomes if outcome is not error]
    assert len(copies) == (2 if isinstance(error, ValueError) else 0)
    assert all(outcome.__cause__ is error for outcome in copies)


async def test_notes() -> None:
    """A copy has those of the error, and a note that is added to one is not on the others."""
    error = ValueError("no")
    error.add_note("shared")
    for outcome in await ask_at_once(SharedCall(), Function(error)):
        outcome.add_note("own")
        assert outcome.__notes__ == ["shared", "own"]


@pytest.mark.parametrize("make", [Lookup, lambda: Picky("one", two="two")])
async def test_an_error_is_freed_at_once(make: Callable[[], Exception]) -> None:
    """It belongs to no reference cycle, which would keep all that its traceback refers to."""
    call: SharedCall[Any] = SharedCall()
    freed: list[ref[Exception]] = []

    async def fail() -> None:
        await anyio.wait_all_tasks_blocked()
        raise make()

    async def ask() -> None:
        try:
            await call.result(fail)
        except Exception as exc:  # noqa: BLE001 (each kind)
            freed.append(ref(exc))

    gc.collect()
    gc.disable()
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
        assert [each() for each in freed] == [None] * 2
    finally:
        gc.enable()


async def test_an_error_that_is_not_shared() -> None:
    """Those who wait call the function themselves."""
    function = Function(ValueError("no"), "two")
    outcomes = await ask_at_once(SharedCall(shared=OSError), function)
    assert function.calls == 2
    assert sorted(map(str, outcomes)) == ["no", "two", "two"]


async def test_another_event_loop() -> None:
    """It makes a call of its own, and those who wait here get the result of theirs."""
    call: SharedCall[Any] = SharedCall()
    here, outcomes = Function("here"), list[Any]()

    async def there() -> Any:
        function = Function("there")
        function.go.set()
        return await call.result(function)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, call, here, outcomes)
        group.start_soon(ask, call, here, outcomes)
        await anyio.wait_all_tasks_blocked()
        assert await anyio.to_thread.run_sync(anyio.run, there) == "there"
        here.go.set()
    assert outcomes == ["here"] * 2


async def test_cancelled_everywhere() -> None:
    """Whoever is cancelled, nothing is left of his call."""
    call: SharedCall[Any] = SharedCall()

    async def operation() -> None:
        await ask_at_once(call, Function("one"))

    async def after() -> None:
        assert call.is_idle

    assert await cancel_at_every_checkpoint(operation, after=after, how="every-task")
