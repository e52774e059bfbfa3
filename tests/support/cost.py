"""Limits of the work that something may cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cheap(seconds: float = 10) -> Iterator[None]:
    """Fail if the block takes that much of this thread's time; others' does not count.

    What costs quadratic time takes minutes, and ends by the limit of each test.
    """
    start = time.thread_time()
    yield
    cost = time.thread_time() - start
    assert cost < seconds, f"it took {cost:.1f} seconds"
