"""Waiting until something has happened, instead of for some time.

Best is an event that whoever does it sets: :class:`anyio.Event`, or, from a thread,
:class:`tests.support.peer.Flag`.  What sets no event is looked at again and again by the
functions here.  Their time limits only end tests that would hang: on a busy machine all of this
takes longer, and comes out the same.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

import anyio
import anyio.lowlevel

# What is waited for takes milliseconds; a test that waits for it this long has gone wrong.
DEADLINE = 10.0  # seconds

_PAUSE = 0.001  # seconds between two looks


async def until(condition: Callable[[], object], what: str, *, seconds: float = DEADLINE) -> None:
    """Wait, in the event loop, until *condition* holds.

    :param what: what is waited for, to be said when it does not come
    """
    assert await comes_true(condition, seconds=seconds), f"waited {seconds} seconds for {what}"


async def comes_true(condition: Callable[[], object], *, seconds: float) -> bool:
    """Tell whether *condition* holds within some time, and return as soon as it does."""
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
    """Do as :func:`until` in a thread without an event loop."""
    assert comes_true_in_thread(condition, seconds=seconds), f"waited {seconds} seconds for {what}"


def comes_true_in_thread(
    condition: Callable[[], object], *, seconds: float, pause: float = _PAUSE
) -> bool:
    """Do as :func:`comes_true` in a thread without an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
    return True


async def until_arrived(sock: socket.socket) -> None:
    """Wait until bytes or the end can be taken from *sock*."""
    await until(lambda: select.select([sock], [], [], 0)[0], "something to arrive")


def block_until_arrived(sock: socket.socket) -> None:
    """Do the same without letting the event loop see what has arrived."""
    ready, _, _ = select.select([sock], [], [], DEADLINE)
    assert ready, f"waited {DEADLINE} seconds for something to arrive"


async def until_full(sock: socket.socket) -> None:
    """Wait until *sock* takes no more bytes, since its peer reads none and the buffers are full."""
    await until(lambda: not select.select([], [sock], [], 0)[1], "the socket's buffers to be full")
