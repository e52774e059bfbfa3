"""Whether a long run was flat, and all of its answers right."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

from .client import Outcome
from .kinds import KINDS
from .load import Failure
from .samples import Sample

#: A run with fewer samples, or fewer requests, says nothing about growth: caches have to be full.
ENOUGH: Final = 100
ENOUGH_REQUESTS: Final = 20_000

#: Of how many points the growth is computed at most; each is the mean of some samples.
POINTS: Final = 120

#: After a restart, so long some connections still turn out to be dead, in seconds: one turn of the
#: event loop can take a second where 200 requests share a busy machine.
AFTERMATH: Final = 5.0

MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True)
class Restart:
    """A server that was stopped and started again, by the monotonic clock."""

    server: str
    stopped: float
    started: float


@dataclass(frozen=True)
class Bound:
    """How much something may grow in the second half of a run.

    :param unit: what is counted, after division by *scale*
    :param fixed: however long the run is
    :param share: of its median
    :param per_request: for each request of the second half
    """

    name: str
    unit: str
    scale: float
    values: Callable[[Sequence[Sample]], list[float]]
    fixed: float = 0.0
    share: float = 0.0
    per_request: float = 0.0


def _each(read: Callable[[Sample], float]) -> Callable[[Sequence[Sample]], list[float]]:
    return lambda samples: [read(sample) for sample in samples]


def cpu_per_request(samples: Sequence[Sample]) -> list[float]:
    """Return how much of the processor a request took, from sample to sample."""
    return [
        (after.cpu - before.cpu) / max(1, after.requests - before.requests)
        for before, after in pairwise(samples)
    ]


BOUNDS: Final = (
    Bound(
        "memory", "MiB", MEBIBYTE, _each(lambda sample: sample.memory),
        fixed=4 * MEBIBYTE, per_request=32,
    ),
    Bound(
        "objects", "thousand", 1000, _each(lambda sample: sample.objects),
        fixed=3000, per_request=0.2,
    ),
    Bound(
        # how many connections there are depends on what the requests happen to be
        "descriptors of no connection", "", 1,
        _each(lambda sample: sample.descriptors - sample.in_use - sample.idle), fixed=10,
    ),
    Bound("tasks", "", 1, _each(lambda sample: sample.tasks), fixed=10, share=0.1),
    Bound(
        "median latency", "ms", 0.001, _each(lambda sample: sample.median), fixed=0.05, share=1.0
    ),
    Bound("processor time per request", "ms", 0.001, cpu_per_request, share=1.0),
)  # fmt: skip


@dataclass(frozen=True)
class Growth:
    """How much something has grown in the second half, and how much it may have."""

    bound: Bound
    median: float
    grown: float
    allowed: float

    @property
    def is_flat(self) -> bool:
        """Whether it is within the bound."""
        return self.grown <= self.allowed


@dataclass(frozen=True)
class Run:
    """All that was found on one event loop."""

    backend: str
    samples: Sequence[Sample]
    failures: Sequence[Failure]
    outcome: Outcome
    restarts: Sequence[Restart]

    @property
    def summary(self) -> str:
        """What was done, in one line."""
        outcome, requests = self.outcome, self.samples[-1].requests
        return (
            f"{requests} requests, {outcome.cancelled} cancelled, {outcome.timed_out} timed out, "
            f"{outcome.failed} failed, {len(self.restarts)} restarts"
        )

    @property
    def second_half(self) -> Sequence[Sample]:
        """The samples by which growth is judged."""
        return self.samples[len(self.samples) // 2 :]

    def growths(self) -> list[Growth]:
        """Return what can be said about growth; nothing if the run was too short."""
        if len(self.samples) < ENOUGH or self.samples[-1].requests < ENOUGH_REQUESTS:
            return []
        half = self.second_half
        requests = half[-1].requests - half[0].requests
        found = []
        for bound in BOUNDS:
            values = bound.values(half)
            median = statistics.median(values)
            allowed = bound.fixed + bound.share * median + bound.per_request * requests
            found.append(Growth(bound, median, grown(values), allowed))
        return found

    def flaws(self) -> Iterator[str]:
        """Yield what was not as it has to be."""
        for growth in self.growths():
            if not growth.is_flat:
                bound = growth.bound
                yield (
                    f"{bound.name} grew by {growth.grown / bound.scale:.4g} {bound.unit} in the "
                    f"second half; at most {growth.allowed / bound.scale:.4g} may be"
                )
        yield from self.outcome.left
        for name, before, after in zip(
            ("descriptors", "tasks"), self.outcome.before, self.outcome.after, strict=True
        ):
            if after != before:
                yield f"{after} {name} after the run, {before} before it"
        for failure in self.failures:
            if not (failure.excusable and self._is_excused(failure)):
                yield f"{failure.kind} at {failure.site}, {self._when(failure)}: {failure.error}"
        done = self.outcome.right
        yield from (f"no {kind.name} was right" for kind in KINDS if kind.name not in done)

    def _when(self, failure: Failure) -> str:
        """Say when that was, and when a server on the way was back last."""
        start = self.samples[0].at
        back = [
            restart.started - start
            for restart in self.restarts
            if restart.server in failure.servers and restart.started <= failure.ended
        ]
        last = f", {back[-1]:.1f} s being the end of the last restart" if back else ""
        return f"{failure.began - start:.1f} to {failure.ended - start:.1f} s{last}"

    def _is_excused(self, failure: Failure) -> bool:
        """Whether a server on the way was away while the request ran."""
        return any(
            restart.server in failure.servers
            and failure.began <= restart.started + AFTERMATH
            and failure.ended >= restart.stopped
            for restart in self.restarts
        )


def grown(values: Sequence[float]) -> float:
    """Return how much *values* grow from the first to the last, as a line fits them.

    The line is that of Theil and Sen, whose slope is the median of the slopes between any two
    points: what happens only now and then has no part in it.
    """
    points = condensed(values, POINTS)
    slopes = [
        (later - earlier) / (j - i)
        for (i, earlier), (j, later) in combinations(enumerate(points), 2)
    ]
    return statistics.median(slopes) * (len(points) - 1)


def condensed(values: Sequence[float], most: int) -> list[float]:
    """Return the means of equal parts of *values*, of *most* parts at most."""
    size = -(-len(values) // most)
    return [statistics.fmean(values[at : at + size]) for at in range(0, len(values), size)]
