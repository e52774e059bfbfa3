"""One call of an async function for all the tasks that want its result at the same time."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from .event_loop import current_loop

__all__ = ("SharedCall",)

T = TypeVar("T")


class _Run(Generic[T]):
    """A call in progress, for which several tasks may wait."""

    __slots__ = ("done", "error", "loop", "results")

    def __init__(self) -> None:
        self.loop = current_loop()
        self.done = anyio.Event()
        self.results: list[T] = []  # the result, if there is one
        self.error: Exception | None = None


class SharedCall(Generic[T]):
    """Calls a function once for all the tasks that ask for its result until it returns.

    The function runs in the task that asked first.  If that task is cancelled, the next of those
    that wait calls the function again.

    :param shared: errors of the function that those who wait get too, each a copy of its own;
        after another error they call the function again
    """

    __slots__ = ("_callers", "_run", "_shared")

    def __init__(self, shared: type[Exception] = Exception) -> None:
        self._shared = shared
        self._run: _Run[T] | None = None
        self._callers = 0

    @property
    def is_idle(self) -> bool:
        """Whether no task is waiting for a result."""
        return not self._callers

    async def result(self, function: Callable[[], Awaitable[T]]) -> T:
        """Return what *function* returns; it is only called if no call is in progress.

        Cancelling one caller does not affect the others: a call for them goes on.
        """
        self._callers += 1
        try:
            while True:
                run = self._run
                # One of another event loop may never end: that loop may have ended before.
                if run is None or run.loop is not current_loop():
                    return await self._call(function)
                await run.done.wait()
                if run.error is not None:
                    raise _copied(run.error)
                if run.results:
                    return run.results[0]
        finally:
            self._callers -= 1
            run = None  # the traceback of its error may refer to this frame

    async def _call(self, function: Callable[[], Awaitable[T]]) -> T:
        run = self._run = _Run[T]()
        try:
            result = await function()
            run.results.append(result)
        except self._shared as exc:
            run.error = exc
            raise
        finally:
            if self._run is run:
                self._run = None
            run.done.set()
            del run  # the traceback of its error refers to this frame
        return result


def _copied(error: Exception) -> Exception:
    """Return an error like *error*: raising one object in several tasks mixes up tracebacks."""
    try:
        duplicate = copy.copy(error)
    except Exception:  # noqa: BLE001  (its class may take other arguments than it has kept)
        return error
    if type(duplicate) is not type(error):
        return error
    duplicate.__cause__ = error
    if hasattr(error, "__notes__"):
        duplicate.__notes__ = list(error.__notes__)  # else a note for one would be for all
    return duplicate
