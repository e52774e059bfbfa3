"""Run a command's coroutine on a backend, and leave when the user says so."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Final, TypeAlias

import anyio
import click
from anyio.abc import TaskStatus

# What is called, inside the event loop, with the exit status of a command that failed.
Leave: TypeAlias = Callable[[int], None]

BACKENDS: Final = ("asyncio", "trio")
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it


def exit_at_once(status: int) -> None:
    """End the process now, with everything of ours already closed.

    A name lookup is stuck in its thread until the system gives up, and both the end of
    ``asyncio.run()`` and that of the interpreter would wait for it: seconds after Ctrl-C or after
    ``--timeout``, with nothing to show for them.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)


def run(work: Callable[[], Awaitable[int]], backend: str, leave: Leave | None) -> int:
    """Run *work* and return its status, or 130 if Ctrl-C ended it.

    :param leave: called with a status other than 0 before the event loop is wound up
    :raises click.UsageError: the backend is not installed
    """
    try:
        import_module(backend)
    except ModuleNotFoundError:
        raise click.UsageError("trio is not installed; try: pip install 'anyhttp[trio]'") from None

    async def guarded() -> int:
        status = INTERRUPTED
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(_cancel_on_ctrl_c, tasks.cancel_scope)
                status = await work()
                tasks.cancel_scope.cancel()
        except* (KeyboardInterrupt, anyio.get_cancelled_exc_class()):
            pass  # how trio and asyncio report a Ctrl-C that they handle themselves
        except* (BrokenPipeError, SystemExit):
            status = 1  # nobody reads our stdout any more; rich says so by exiting
        if status == INTERRUPTED and sys.stderr.isatty():
            print(file=sys.stderr)  # what the shell says next goes below the "^C"
        if status and leave:
            leave(status)
        return status

    return anyio.run(guarded, backend=backend)


async def _cancel_on_ctrl_c(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Turn the first Ctrl-C into a cancellation, on both backends alike.

    Left to itself, asyncio would learn of a signal that arrives just before it waits for the
    network only after the network has something to say.
    """
    # A shell starts jobs in the background with SIGINT ignored.  Windows can't wait for signals.
    if sys.platform == "win32" or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
