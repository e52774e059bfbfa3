"""How a block is left: which exceptions must leave it, and when its end must not wait."""

from __future__ import annotations

import math

import anyio

__all__ = ("ends_at_once", "is_raised_again")


def ends_at_once(raised: BaseException | None) -> bool:
    """Whether a block that ended with *raised* has to be left without waiting for the peer.

    It has to if a cancellation, Ctrl-C or a time limit ended the block: whoever asked for that
    wants the block to end now.  A time limit may raise an exception of its own while it handles
    the cancellation, as :exc:`trio.TooSlowError`.
    """
    if raised is None:
        return False
    if isinstance(raised, TimeoutError) or not isinstance(raised, Exception):
        return True
    return raised.__context__ is not None and not isinstance(raised.__context__, Exception)


def is_raised_again(exc: BaseException) -> bool:
    """Whether *exc* is the cancellation of a scope, which the next checkpoint raises again.

    Only such an exception may be dropped.  A cancellation by ``asyncio.Task.cancel()`` is raised
    once, as :exc:`KeyboardInterrupt` is.
    """
    return (
        isinstance(exc, anyio.get_cancelled_exc_class())
        and anyio.current_effective_deadline() == -math.inf
    )
