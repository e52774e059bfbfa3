"""Cancelling every operation at each of its points: nothing is left, and the next request works.

The operations are in ``operations``, the ways in :mod:`.ways`.  After each run no slot is borrowed,
no socket is open but those that the pool keeps, no task runs, no file is open, and a plain request
gets its answer.  ``--every-point`` takes all points instead of a selection.
"""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Sequence
from typing import TypeVar

import pytest

from .catalog import OPERATIONS
from .stage import Operation, Stage, checked
from .ways import (
    MOMENTS,
    SUSPENSIONS,
    TWICE,
    Selection,
    TwoWays,
    Way,
    explore,
    explore_twice,
)

pytestmark = pytest.mark.uvloop

W = TypeVar("W", Way, TwoWays)


@pytest.fixture(params=OPERATIONS.values(), ids=list(OPERATIONS))
def operation(request: pytest.FixtureRequest) -> Operation:
    """Each operation."""
    chosen: Operation = request.param
    if chosen.needs and importlib.util.find_spec(chosen.needs) is None:
        pytest.skip(f"{chosen.needs} is not installed")
    return chosen


@pytest.fixture
def backend(request: pytest.FixtureRequest, anyio_backend: tuple[str, dict[str, bool]]) -> str:
    """The name of the event loop."""
    return "uvloop" if anyio_backend[1].get("use_uvloop") else anyio_backend[0]


class Points:
    """How many points of an operation are used, in which ways."""

    def __init__(self, request: pytest.FixtureRequest, backend: str) -> None:
        self._all = request.config.getoption("--every-point")
        self._turn = zlib.crc32(request.node.name.encode())
        self._backend = backend

    def some(self, limit: int) -> Selection:
        """Return a selection of at most *limit* points, another one for each test."""
        self._turn += 1
        return Selection(None if self._all else limit, self._turn)

    def ways(self, ways: Sequence[W], limit: int) -> list[W]:
        """Return at most *limit* of the *ways* that the backend has, others for each test."""
        possible = [way for way in ways if self._backend in way.backends]
        if self._all or len(possible) <= limit:
            return possible
        first = self._turn % len(possible)
        return (possible + possible)[first : first + limit]

    def entered(self, operation: Operation) -> list[bool]:
        """Return with which kinds of session the operation runs: entered or not."""
        if not operation.unentered:
            return [True]
        return [True, False] if self._all else [bool(self._turn % 2)]


@pytest.fixture
def points(request: pytest.FixtureRequest, backend: str) -> Points:
    """The points of this test."""
    return Points(request, backend)


async def test_nothing_is_left_wherever_it_is_cancelled(
    stage: Stage, operation: Operation, points: Points
) -> None:
    """Whenever a task waits, or what it waits for has come, or between any two turns of others.

    And cancelled again while it handles that: the task that closes things is interrupted then.
    """
    for entered in points.entered(operation):
        async with checked(operation, stage, entered=entered) as (run, after):
            for way in [*points.ways(SUSPENSIONS, 2), *points.ways(MOMENTS, 1)]:
                assert await explore(way, run, after, points.some(5))
            for pair in points.ways(TWICE, 1):
                assert await explore_twice(pair, run, after, points.some(3), points.some(2))
