"""Waits until something has happened, instead of sleeping for some time.

The best way is an event that the other side sets: :class:`anyio.Event`, or, from a thread,
:class:`tests.support.peer.Flag`.  Where there is no event, the functions here check a condition
again and again.  Their time limits only stop tests that would hang: on a busy machine everything
takes longer, with the same result.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

import anyio
import anyio.lowlevel

# These waits normally take milliseconds; after this time, the test has failed.
DEADLINE = 10.0  # seconds

_PAUSE = 0.001  # seconds between two checks


async def until(condition: Callable[[], object], what: str, *, seconds: float = DEADLINE) -> None:
    """Wait, in the event loop, until *condition* holds.

    :param what: what the test waits for; used in the message of the failure
    """
    assert await comes_true(condition, seconds=seconds), f"waited {seconds} seconds for {what}"


async def comes_true(condition: Callable[[], object], *, seconds: float) -> bool:
    """Return true as soon as *condition* holds, or false after the given time."""
    deadline = time.monotonic() + seconds
    await anyio.lowlevel.checkpoint()
    while not condition():
        if time.monotonic() >= deadline:
            return False
        await anyio.sleep(_PAUSE)
    return True


def until_in_thread(
    condition: Callable[[], object], what: str, *, seconds: float = DEADLINE
) -> None:
    """Do what :func:`until` does, in a thread without an event loop."""
    assert comes_true_in_thread(condition, seconds=seconds), f"waited {seconds} seconds for {what}"


def comes_true_in_thread(
    condition: Callable[[], object], *, seconds: float, pause: float = _PAUSE
) -> bool:
    """Do what :func:`comes_true` does, in a thread without an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


async def until_arrived(sock: socket.socket) -> None:
    """Wait until *sock* has received bytes or the end."""
    await until(lambda: select.select([sock], [], [], 0)[0], "something to arrive")


def block_until_arrived(sock: socket.socket) -> None:
    """Do the same, but block the event loop, so that it does not receive the bytes."""
    ready, _, _ = select.select([sock], [], [], DEADLINE)
    assert ready, f"waited {DEADLINE} seconds for something to arrive"


async def until_full(sock: socket.socket) -> None:
    """Wait until *sock* accepts no more bytes: its peer does not read, and the buffers are full."""
    await until(lambda: not select.select([], [sock], [], 0)[1], "the socket's buffers to be full")
