"""Forked children of the test process."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from select import select
from typing import Any

import anyio
import anyio.to_thread

from .waiting import DEADLINE


async def in_child(backend: tuple[str, dict[str, Any]], function: Callable[[], Any]) -> str:
    """Return the result, as text, of an async function in a child that is forked meanwhile.

    The child has its own event loop.  It is forked in a thread without one, as in a program that
    uses several threads; in the thread of this event loop, trio could not run again.
    """
    name, options = backend

    def run() -> str:
        return str(anyio.run(function, backend=name, backend_options=options))

    return await anyio.to_thread.run_sync(fork, run)


def fork(function: Callable[[], str]) -> str:
    """Return the result of *function* in a child."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            # Python would go on to tell the event loop of the parent of signals, and trio warns
            # of that.
            signal.set_wakeup_fd(-1)
            os.write(writing, function().encode())
        except BaseException:  # noqa: BLE001  (told to the parent)
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        told = b""
        while select([reading], [], [], DEADLINE)[0]:
            piece = os.read(reading, 65536)
            if not piece:
                return told.decode()
            told += piece
        raise AssertionError(f"the child hangs; it has told {told!r}")
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
