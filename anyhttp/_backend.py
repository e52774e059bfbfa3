"""Which event loop is running: asyncio's or trio's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from asyncio import TimerHandle as TimerHandle

__all__ = ("asyncio_loop",)


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
