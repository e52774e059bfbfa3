"""Limits for the processor time of a piece of code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cheap(seconds: float = 10) -> Iterator[None]:
    """Fail if the block takes that much processor time of this thread.

    Code of quadratic cost takes minutes, and is stopped by the time limit of the test.
    """
    start = time.thread_time()
    yield
    cost = time.thread_time() - start
    assert cost < seconds, f"it took {cost:.1f} seconds"
