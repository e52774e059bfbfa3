"""Warnings about old ways to say things, which point at the line that says them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = (
    "EventLoop",
    "public_call",
    "running_loop",
    "warn_about_loop",
    "warn_deprecated",
    "warn_of_unused",
    "warn_without_effect",
)

#: where the files of the package are, in whatever room
_PACKAGE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep


def warn_deprecated(message: str) -> None:
    """Warn whoever called into the package, through however many of its functions."""
    warnings.warn(message, DeprecationWarning, stacklevel=_outside_caller()[0])


def public_call() -> str:
    """Return the name of what was called from outside of the package: ``ClientSession.get``."""
    return _outside_caller()[1]


def warn_about_loop(loop: object) -> None:
    """Say that *loop* is ignored, unless it is ``None``."""
    if loop is not None:
        warn_deprecated("loop is ignored: the client runs on the event loop it is used in")


def warn_of_unused(cls: type, names: Iterable[str], instead: str) -> None:
    """Warn that *cls* defines methods that aiohttp would call."""
    for name in names:
        if name in vars(cls):
            message = f"{cls.__qualname__}.{name}() is never called: {instead} instead"
            warnings.warn(message, RuntimeWarning, stacklevel=_outside_caller()[0])


def _outside_caller() -> tuple[int, str]:
    """Return how many frames up the caller from outside is, and the name of what it called.

    Counted as ``warnings`` does, for which 1 is the calling function itself.  Its own way to
    do this, ``skip_file_prefixes``, came with Python 3.12.
    """
    frame: FrameType | None = sys._getframe(1)
    level, name = 1, ""
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, name = level + 1, frame.f_code.co_qualname
        frame = frame.f_back
    return level, name


EventLoop: TypeAlias = "AbstractEventLoop"


def warn_without_effect(**arguments: object) -> None:
    """Warn of *arguments* that do nothing, as far as they are given."""
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
