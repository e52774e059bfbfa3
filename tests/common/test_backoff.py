"""How long to wait before another attempt."""

from __future__ import annotations

import random

import pytest

from anyhttp._common import Backoff


@pytest.mark.parametrize(
    ("first", "longest", "bounds"),
    [
        (0.5, 30.0, [0.5, 1, 2, 4, 8, 16, 30, 30]),
        (3, 2, [2, 2]),
        (0, 30.0, [0, 0, 0]),
    ],
)
def test_the_bound_doubles_up_to_the_longest(
    first: float, longest: float, bounds: list[float]
) -> None:
    """From one failure to the next."""
    backoff = Backoff(first=first, longest=longest)
    assert [backoff.bound(number + 1) for number in range(len(bounds))] == bounds


@pytest.mark.parametrize("first", [0, 1e-9, 0.5, 1e300])
def test_the_bound_holds_after_any_number_of_failures(first: float) -> None:
    """No number is too large for a float."""
    bound = Backoff(first=first, longest=30.0).bound(10**9)
    assert bound == (30.0 if first else 0)


def test_the_wait_is_a_random_part_of_the_bound() -> None:
    """The whole of it is random, not only what is added to a fixed part: full jitter."""
    numbers = iter([0.0, 0.25, 0.999])
    backoff = Backoff(first=4, longest=30.0, random=lambda: next(numbers))
    assert [backoff.delay(1), backoff.delay(2), backoff.delay(9)] == [0, 2, 0.999 * 30]


def test_the_waits_of_clients_are_spread_evenly() -> None:
    """So that those that failed together do not come back together."""
    backoff = Backoff(first=1, random=random.Random(0).random)
    delays = [backoff.delay(3) for _ in range(1000)]
    quarters = [sum(low <= delay < low + 1 for delay in delays) for low in range(4)]
    assert sum(quarters) == 1000
    assert min(quarters) > 200
