"""How a block is left: which exceptions must leave it, and when its end must not wait."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

__all__ = ("closable_scope", "ends_at_once", "is_raised_again")


@contextmanager
def closable_scope(deadline: float = math.inf) -> Iterator[anyio.CancelScope]:
    """Be a cancel scope in which a coroutine may also be closed, whoever does that.

    A scope can only be left in its task, while an event loop runs.  It raises an error elsewhere,
    which would take the place of the :exc:`GeneratorExit`, and the coroutine would wait again.
    """
    try:
        with anyio.CancelScope(deadline=deadline) as scope:
            yield scope
    except RuntimeError as exc:
        if isinstance(exc.__context__, GeneratorExit):
            raise exc.__context__ from None
        raise


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
