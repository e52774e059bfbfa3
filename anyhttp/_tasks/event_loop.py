"""Tells whether asyncio or trio runs, and uses it directly where anyio would be slower."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol

from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle as TimerHandle

__all__ = (
    "Waiter",
    "asyncio_loop",
    "clock",
    "make_waiter",
    "on_asyncio",
)


def asyncio_loop() -> AbstractEventLoop | None:
    """Return the running event loop if it is asyncio's, ``None`` if it is trio's.

    :raises RuntimeError: no event loop is running

    This does not import asyncio, which would take longer to import than any other module that
    anyhttp needs: a program for trio should not pay for it.
    """
    native_token = current_token().native_token
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    return native_token if isinstance(native_token, asyncio.AbstractEventLoop) else None


class Waiter(Protocol):
    """An object that one task awaits: those methods of asyncio's future that are needed."""

    def __await__(self) -> Generator[Any, None, None]: ...
    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...


def make_waiter() -> Waiter:
    """Return a waiter, which is cheaper than an event; the calling task has to await it next."""
    loop = asyncio_loop()
    if loop is not None:
        return loop.create_future()
    from .trio_waiter import TrioWaiter  # trio is running, so it has been imported already

    return TrioWaiter()


def on_asyncio() -> bool:
    """Whether the running event loop is asyncio's, and not trio's."""
    return asyncio_loop() is not None


def clock() -> Callable[[], float]:
    """Return the clock of the running event loop, a faster :func:`anyio.current_time`."""
    loop = asyncio_loop()
    if loop is not None:
        return loop.time
    import trio  # it is running, so it has been imported already

    return trio.lowlevel.current_clock().current_time
