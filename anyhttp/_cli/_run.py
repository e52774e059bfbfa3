"""Runs a command's coroutine on a backend, and ends it on Ctrl-C."""

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

from ._failures import FAILURES, STDOUT, describe, print_error
from ._streams import flushed_stdout

# Called inside the event loop with the exit status, if the command failed.
Leave: TypeAlias = Callable[[int], None]

BACKENDS: Final = ("asyncio", "trio")
INTERRUPTED: Final = 130  # 128 + SIGINT, as in shells


def exit_at_once(status: int) -> None:
    """End the process now; the client has closed everything by then.

    A name lookup may still be running in its thread until the operating system gives up.  Both
    ``asyncio.run()`` and the interpreter would wait for that thread: for seconds after Ctrl-C or
    ``--timeout``, without any use.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)


def finished(status: int) -> int:
    """Return *status*, or 1 if the rest of the output cannot be written."""
    failure = flushed_stdout()
    if failure is None or status:
        return status
    if not isinstance(failure, BrokenPipeError):
        print_error(f"{STDOUT}: {failure.strerror}")
    return 1


def run(work: Callable[[], Awaitable[int]], backend: str, leave: Leave | None) -> int:
    """Run *work* and return its status, or 130 if Ctrl-C ended it.

    :param leave: called inside the event loop before it ends, with a status other than 0
    :raises click.UsageError: the backend is not installed
    """
    try:
        import_module(backend)
    except ModuleNotFoundError:
        raise click.UsageError(
            "trio is not installed; try: pip install 'anyhttp-client[trio]'"
        ) from None

    async def guarded() -> int:
        status = INTERRUPTED
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(_cancel_on_ctrl_c, tasks.cancel_scope)
                status = await work()
                tasks.cancel_scope.cancel()
        except* (KeyboardInterrupt, anyio.get_cancelled_exc_class()):
            pass  # trio and asyncio report a Ctrl-C that they handle themselves in this way
        except* (BrokenPipeError, SystemExit):
            status = 1  # nobody reads stdout any more; rich exits then
        except* FAILURES as failures:  # of a task, such as that standard output cannot be written
            print_error(describe(first_of(failures)))
            status = 1
        if status == INTERRUPTED and sys.stderr.isatty():
            print(file=sys.stderr)  # the shell's prompt must not follow "^C" in the same line
        if status and leave:
            leave(status)
        return status

    return anyio.run(guarded, backend=backend)


def first_of(failures: BaseExceptionGroup[Exception]) -> Exception:
    """Return the first of *failures*, however deep it is in groups."""
    first = failures.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def _cancel_on_ctrl_c(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Turn the first Ctrl-C into a cancellation, on both backends.

    By itself, asyncio would miss a signal that arrives just before it waits for the network,
    until there is network traffic.
    """
    # Shells start background jobs with SIGINT ignored.  On Windows, tasks cannot wait for signals.
    if sys.platform == "win32" or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
