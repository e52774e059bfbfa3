"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random as random_numbers
from collections.abc import Callable

__all__ = ("Backoff",)


class Backoff:
    """Exponential backoff with full jitter: each wait is a random part of a growing bound.

    Clients that failed at the same moment, because of the same server, come back at different
    ones. Nothing here waits, or knows the time.

    :param first: the bound after the first failure, in seconds; it doubles with each failure
    :param longest: the bound never gets longer than this, in seconds
    :param random: returns a number from 0 up to 1
    """

    __slots__ = ("_first", "_longest", "_random")

    def __init__(
        self,
        *,
        first: float = 0.5,
        longest: float = 30.0,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        self._first = first
        self._longest = longest
        self._random = random

    def bound(self, failures: int) -> float:
        """Return the longest wait after *failures* failures in a row, which are at least one."""
        # 2.0**1024 does not fit into a float, and a first wait of 0 never grows.
        return min(self._first * 2.0 ** min(failures - 1, 1000), self._longest)

    def delay(self, failures: int) -> float:
        """Return how many seconds to wait after *failures* failures in a row."""
        return self._random() * self.bound(failures)
