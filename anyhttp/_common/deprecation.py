"""Deprecation warnings that point at the line of the application that caused them."""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = (
    "AsyncWithOnly",
    "EventLoop",
    "outside_caller",
    "public_call",
    "running_loop",
    "warn_about_loop",
    "warn_deprecated",
    "warn_without_effect",
)

#: the directory of the package; its files are not the application's
_PACKAGE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep


class AsyncWithOnly:
    """Base of what other libraries, and older code, enter by ``with``: it is told what to write."""

    __slots__ = ()

    def __enter__(self) -> None:
        raise TypeError("use 'async with', not 'with'")

    def __exit__(self, *args: object) -> None:
        """Exist, so that ``with`` reaches :meth:`__enter__`."""


def warn_deprecated(message: str) -> None:
    """Issue a warning for the application's line that called into the package, at any depth."""
    warnings.warn(message, DeprecationWarning, stacklevel=outside_caller()[0])


def public_call() -> str:
    """Return the name of what the application called: ``ClientSession.get``."""
    return outside_caller()[1]


def warn_about_loop(loop: object) -> None:
    """Warn that *loop* is ignored, unless it is ``None``."""
    if loop is not None:
        warn_deprecated("loop is ignored: the client runs on the event loop it is used in")


def outside_caller() -> tuple[int, str]:
    """Return the stack level of the application's call, and the name of what it called.

    The level counts as in ``warnings``, where 1 is the calling function itself.  The parameter
    ``skip_file_prefixes`` of ``warnings`` would do this, but needs Python 3.12.
    """
    frame: FrameType | None = sys._getframe(1)
    level, name = 1, ""
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, name = level + 1, frame.f_code.co_qualname
        frame = frame.f_back
    return level, name


EventLoop: TypeAlias = "AbstractEventLoop"


def warn_without_effect(**arguments: object) -> None:
    """Warn about those of *arguments* that are given: they have no effect."""
    for name, value in arguments.items():
        if value is not None and value is not False:
            warn_deprecated(f"{name} is deprecated: it has no effect")


def running_loop() -> EventLoop | None:
    """Return asyncio's running event loop, for attributes called ``loop``; ``None`` on trio."""
    warn_deprecated("loop is deprecated: asyncio.get_running_loop() says which loop it is")
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
