"""What drivers wait for and expect; pytest is not in their environments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio


class Caught:
    """Holds the exception that a block raised."""

    error: Any


@contextmanager
def raises(kind: type[BaseException] | Any) -> Iterator[Caught]:
    """Fail unless the block raises an exception of this *kind*."""
    caught = Caught()
    try:
        yield caught
    except kind as error:
        caught.error = error
    else:
        raise AssertionError(f"{kind.__name__} was not raised")


async def wait_until(condition: Callable[[], object]) -> None:
    """Return when *condition* is true; the thread of a stub sets it."""
    while not condition():  # noqa: ASYNC110  # no event is shared by a thread and two libraries
        await anyio.sleep(0.01)
