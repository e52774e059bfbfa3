"""Limits for the processor time of a piece of code."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def cheap(seconds: float = 10) -> Iterator[None]:
    """Fail if the block takes that much processor time of this thread.

    Code of quadratic cost takes minutes, and is stopped by the time limit of the test.
    """
    start = time.thread_time()
    yield
    cost = time.thread_time() - start
    assert cost < seconds, f"it took {cost:.1f} seconds"


def calls_of(function: Callable[[], object]) -> int:
    """Return how many functions *function* calls, those written in C included."""
    calls = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls
