"""Which event loop is running, asyncio's or trio's, and what is cheaper done with it directly."""

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

    :raises RuntimeError: none is running

    A program for trio need not import asyncio for that: its share in the time to import us is
    the largest of all modules.
    """
    native_token = current_token().native_token
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    return native_token if isinstance(native_token, asyncio.AbstractEventLoop) else None


class Waiter(Protocol):
    """What one task awaits: as much of asyncio's future as that takes."""

    def __await__(self) -> Generator[Any, None, None]: ...
    def done(self) -> bool: ...
    def set_result(self, result: None, /) -> None: ...


def make_waiter() -> Waiter:
    """Return something that the calling task awaits next, which is cheaper than an event."""
    loop = asyncio_loop()
    if loop is not None:
        return loop.create_future()
    from .trio_waiter import TrioWaiter  # trio is imported only where it runs already

    return TrioWaiter()


def on_asyncio() -> bool:
    """Whether the running event loop is asyncio's, and not trio's."""
    return asyncio_loop() is not None


def clock() -> Callable[[], float]:
    """Return what tells the time of the running event loop: :func:`anyio.current_time`."""
    loop = asyncio_loop()
    if loop is not None:
        return loop.time
    import trio  # only where it runs already

    return trio.lowlevel.current_clock().current_time
