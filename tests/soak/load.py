"""The load of a long run: many requests at a time, some of them cancelled or given little time."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import trio

from anyhttp import ClientError, ClientTimeout

from .kinds import KINDS, Errand, Kind, Unavailable, WrongAnswer
from .sites import Site

#: No request may take longer, whatever happens, in seconds: each has time limits of its own.
HANG: Final = 240.0

#: After a failure, so that a server that is away is not asked all the time, in seconds.
PAUSE: Final = 0.05


#: A time limit that no request keeps, however fast the machine, in seconds.
TOO_LITTLE: Final = 1e-6


@dataclass(frozen=True)
class Failure:
    """A request that failed, and when; a server that was restarted meanwhile excuses some.

    :param servers: those that were on the way
    :param excusable: whether it is what a restart can lead to
    """

    kind: str
    site: str
    servers: Sequence[str]
    began: float
    ended: float
    error: str
    excusable: bool


@dataclass
class Tally:
    """What has become of the requests.

    :param report: called with each failure; what is kept here must not grow
    :param right: how many were answered rightly, by kind and site
    :param cancelled: how many were cancelled
    :param timed_out: how many of those with little time had too little
    :param latencies: of those that were answered since this was last taken, in seconds
    """

    report: Callable[[Failure], None]
    right: Counter[tuple[str, str]] = field(default_factory=Counter)
    cancelled: int = 0
    timed_out: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many requests are over."""
        return self.right.total() + self.cancelled + self.timed_out + self.failed


@dataclass(frozen=True)
class Load:
    """What is done.

    :param in_flight: how many requests there are at a time
    :param seed: of what chance decides
    :param goes_on: told how many requests have begun; no other begins once it says no
    :param cancelled: how large a part of the requests is to be cancelled
    :param hurried: how large a part gets little time
    """

    in_flight: int
    seed: int
    goes_on: Callable[[int], bool]
    cancelled: float = 0.1
    hurried: float = 0.05


def pairs(sites: Mapping[str, Site], kinds: Sequence[Kind] = KINDS) -> list[tuple[Kind, Site]]:
    """Return each kind with each site where it can be made.

    The first ones have each kind once, and of the sites as many as possible.
    """
    by_kind = [[(kind, site) for site in sites.values() if kind.where(site)] for kind in kinds]
    rotated = [
        row[number % len(row) :] + row[: number % len(row)]
        for number, row in enumerate(by_kind)
        if row
    ]
    longest = max(len(row) for row in rotated)
    return [row[place] for place in range(longest) for row in rotated if place < len(row)]


async def make_requests(
    load: Load, sites: Mapping[str, Site], tally: Tally, folder: Path, kinds: Sequence[Kind] = KINDS
) -> None:
    """Make requests until the load says that it is enough, and wait for the last of them."""
    begun = 0

    def work() -> Iterator[tuple[Kind, Site, str]]:
        nonlocal begun
        choices = pairs(sites, kinds)
        while True:
            for kind, site in choices:
                if not load.goes_on(begun):
                    return
                begun += 1
                yield kind, site, f"{load.seed}-{begun}"
            random.Random(f"{load.seed} {begun}").shuffle(choices)

    waiting = work()

    async def worker(number: int) -> None:
        chance = random.Random(f"{load.seed} {number}")
        for kind, site, ident in waiting:
            hurried = chance.random() < load.hurried
            little = chance.choice([TOO_LITTLE, chance.expovariate(20)])
            timeout = ClientTimeout(total=little) if hurried else None
            errand = Errand(site, ident, chance, timeout, folder)
            patience = chance.choice([0.0, *(chance.expovariate(20) for _ in range(3))])
            is_cancelled = chance.random() < load.cancelled
            await _run(kind, errand, patience if is_cancelled else None, tally)

    async with anyio.create_task_group() as group:
        for number in range(load.in_flight):
            group.start_soon(worker, number)


async def _run(kind: Kind, errand: Errand, patience: float | None, tally: Tally) -> None:
    """Make one request, and note what has become of it."""
    began = time.monotonic()

    def failed(error: str, *, excusable: bool) -> None:
        ended = time.monotonic()
        tally.failed += 1
        site = errand.site
        failure = Failure(kind.name, site.name, site.servers, began, ended, error, excusable)
        tally.report(failure)

    waits_at = ""
    try:
        with anyio.move_on_after(HANG) as limit:
            try:
                is_cut_short = await _is_cut_short(kind, errand, patience)
            except anyio.get_cancelled_exc_class() as exc:
                waits_at = _place_of(exc)
                raise
            if is_cut_short:
                tally.cancelled += 1
            else:
                tally.right[kind.name, errand.site.name] += 1
                tally.latencies.append(time.monotonic() - began)
            return
        assert limit.cancelled_caught
        failed(f"it was not over after {HANG:g} seconds, and waited at {waits_at}", excusable=False)
    except TimeoutError as exc:
        if errand.timeout is not None:
            tally.timed_out += 1
        else:
            failed(repr(exc), excusable=True)
    except (ClientError, Unavailable) as exc:
        failed(repr(exc), excusable=True)
    except WrongAnswer as exc:
        failed(str(exc), excusable=False)
    except Exception as exc:  # noqa: BLE001 (reported at the end)
        failed(f"not documented: {exc!r} from {_place_of(exc)}", excusable=False)
    await anyio.sleep(PAUSE)


async def _is_cut_short(kind: Kind, errand: Errand, patience: float | None) -> bool:
    """Make the request; return whether it was cancelled after *patience* seconds.

    On asyncio, every other one is cancelled as programs without anyio do it.
    """
    if patience is None:
        await kind.act(errand)
        return False
    if trio.lowlevel.in_trio_run() or errand.chance.random() < 0.5:
        with anyio.move_on_after(patience) as scope:
            await kind.act(errand)
        return scope.cancelled_caught
    task = asyncio.ensure_future(kind.act(errand))
    alarm = asyncio.get_running_loop().call_later(patience, task.cancel)
    try:
        await asyncio.wait([task])
    finally:
        alarm.cancel()
        task.cancel()
    if task.cancelled():
        return True
    task.result()
    return False


def _place_of(exc: BaseException) -> str:
    """Return where *exc* was raised: the innermost lines of its traceback."""
    frames = traceback.extract_tb(exc.__traceback__)[-6:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
