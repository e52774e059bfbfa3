"""An event loop of asyncio in which waiting for time takes no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from typing import Any, Final, TypeVar, TypeVarTuple

from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter

from .._common import check_seconds
from ..resolver import thread_limiter

__all__ = ("AutojumpEventLoop",)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Events = list[tuple[selectors.SelectorKey, int]]

#: How many sockets a loop watches for itself: the one by which other threads wake it.
_OWN_SOCKETS: Final = 1

#: The time at which a loop begins, always the same.  Zero would be "never" to some programs.
_BEGIN: Final = 1000.0


class AutojumpEventLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps forward when every task waits for time alone.

    It is for tests: ``anyio.sleep(3600)``, a :class:`.ClientTimeout` and :func:`asyncio.wait_for`
    take no real time.  Tasks run in the same order as with real time.  The clocks of the loop and
    of anyio stand still while a task runs, and go forward by exactly what was waited for: a test
    has the same result on a slow machine.  ``time.monotonic()`` is not changed.

    ::

        with asyncio.Runner(loop_factory=AutojumpEventLoop) as runner:
            runner.run(main())

        anyio.run(main, backend_options={"loop_factory": AutojumpEventLoop})

    Time does not jump while a thread works for a task: one of :func:`asyncio.to_thread`, of
    ``loop.run_in_executor()``, of :func:`anyio.to_thread.run_sync` with its usual limiter, or one
    that looks up a name for a connector.  What others wait for meanwhile takes real time.
    Nobody can know whether something will arrive at a socket.  So while a task or a server waits
    for one, and something has run since the last such wait, the loop waits for *patience* seconds
    of real time first, also if a task waits for less time than that; then time jumps.

    What waits for no time and for nothing real waits for ever, as in any event loop, and so does
    a task that looks at the clock in a loop without waiting.  On trio,
    ``trio.testing.MockClock(autojump_threshold=0)`` does the same.

    :param patience: how long to wait for a socket before time jumps, in real seconds
    :raises TypeError: *patience* is no number
    :raises ValueError: *patience* is negative or infinite
    """

    def __init__(self, *, patience: float = 0.1) -> None:
        self._now = _BEGIN
        self._patience = patience
        self._calls: set[object] = set()  # those that threads do for tasks
        self._limiters: tuple[CapacityLimiter, ...] = ()  # of other threads
        self._has_run = True  # whether a task may have sent something since the last real wait
        super().__init__(_JumpingSelector(self._wait))
        try:
            check_seconds("patience", patience, finite=True)
        except BaseException:
            self.close()
            raise

    def time(self) -> float:
        """Return the time of the loop, in seconds: the sum of all that was waited for."""
        return self._now

    def _wait(self, selector: _JumpingSelector, timeout: float) -> Events:
        """Wait for sockets and threads; if nothing comes, let *timeout* seconds be over."""
        if self._calls or any(limiter.borrowed_tokens for limiter in self._limiters):
            real = timeout
        elif self._has_run and len(selector.get_map()) > _OWN_SOCKETS:
            real = self._patience
            self._has_run = False
        else:
            real = 0.0  # another thread may have called call_soon_threadsafe()
        events = selector.wait(real)
        if events:
            self._has_run = True
        else:
            self._now += timeout
        return events

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call *callback* soon; each step of a task is such a call, unlike the end of a timer."""
        self._has_run = True
        if not self._limiters and asyncio.current_task(self) is not None:
            # Only a task can ask for them.
            self._limiters = (current_default_thread_limiter(), thread_limiter())
        return super().call_soon(callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call *func* in a thread; time does not jump until it has returned."""
        future = super().run_in_executor(executor, func, *args)
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        return future

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """Wait for the end of the threads; time does not jump meanwhile."""
        call = object()
        self._calls.add(call)
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self._calls.discard(call)


class _JumpingSelector(selectors.DefaultSelector):
    """Lets *wait* decide how long to wait, where the loop has nothing else to do."""

    def __init__(self, wait: Callable[[_JumpingSelector, float], Events]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> Events:
        """Wait for sockets, or jump."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        return self._wait(self, timeout)

    def wait(self, timeout: float) -> Events:
        """Wait for sockets in real time."""
        return super().select(timeout)
