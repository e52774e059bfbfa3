"""The figures of many requests, in memory that does not grow with their number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

#: Buckets of latencies grow by this factor, so what is read from them is right to 1 %.
GROWTH: Final = 1.02

#: The bounds of the latencies that are told apart, in seconds: some 1050 buckets.
SHORTEST: Final = 1e-6
LONGEST: Final = 1000.0


class Latencies:
    """How often something took how long."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.total: int = 0
        self.shortest: float = math.inf
        self.longest: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self._counts[_bucket(seconds)] += 1
        self.total += 1
        self.shortest = min(self.shortest, seconds)
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: float) -> float:
        """Return the seconds that *percent* of them took at most."""
        wanted = max(math.ceil(self.total * percent / 100), 1)
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                # The middle of the bucket, which may lie beyond what was measured.
                middle: float = SHORTEST * GROWTH ** (bucket + 0.5)
                return min(max(middle, self.shortest), self.longest)
        return 0.0

    def histogram(self, most: int) -> Iterator[tuple[float, float, int]]:
        """Yield lower bound, upper bound and count of at most *most* rows.

        The bounds grow by the same factor from row to row: one slow request does not make all
        others one row.
        """
        if not self._counts:
            return
        first, last = min(self._counts), max(self._counts)
        width = math.ceil((last - first + 1) / most)
        for begin in range(first, last + 1, width):
            count = sum(self._counts[bucket] for bucket in range(begin, begin + width))
            yield SHORTEST * GROWTH**begin, SHORTEST * GROWTH ** (begin + width), count


def _bucket(seconds: float) -> int:
    within = min(max(seconds, SHORTEST), LONGEST)
    return int(math.log(within / SHORTEST) / math.log(GROWTH))


@dataclass(slots=True)
class Figures:
    """What came of many requests."""

    latencies: Latencies = field(default_factory=Latencies)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)  # by the name of the exception
    examples: dict[str, str] = field(default_factory=dict)  # the first message of each
    size: int = 0  # bytes of bodies
    seconds: float = 0.0  # from the first request to the last response

    def add_response(self, status: int, size: int, seconds: float) -> None:
        """Count a response that is complete."""
        self.statuses[status] += 1
        self.size += size
        self.latencies.add(seconds)

    def add_error(self, kind: str, message: str) -> None:
        """Count a request that got no complete response."""
        self.errors[kind] += 1
        self.examples.setdefault(kind, message)
