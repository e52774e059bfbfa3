"""What the figures should be, as ratios; ``page`` puts what they are beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal, TypeAlias

# By workload or footprint, then client: the cost of one request (or connection, …) per round.
Costs: TypeAlias = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median over the rounds, and how far apart they were.

    :ivar spread: largest minus smallest, as a part of the median; None for a single round
    """

    median: float
    spread: float | None


@dataclass(frozen=True, slots=True)
class Target:
    """One promise.

    :ivar work: what is done, in words
    :ivar workload: by which name
    :ivar client: who is held to it
    :ivar others: workload and client to compare with; the best of them counts
    :ivar asked: the ratio
    :ivar kind: ``speed``, how many times as fast as the others, at least; or ``cost``, how many
        times as expensive, at most
    """

    work: str
    workload: str
    client: str
    others: tuple[tuple[str, str], ...]
    asked: float
    kind: Literal["speed", "cost"] = "speed"

    def measured(self, costs: Costs) -> Ratio | None:
        """Return the ratio in *costs*, or None if something is missing there."""
        own = costs.get(self.workload, {}).get(self.client)
        ratios = list[Ratio]()
        for workload, client in self.others:
            theirs = costs.get(workload, {}).get(client)
            if not own or not theirs:
                return None
            # Round by round, as what the rounds have in common are the machine's moods.
            pairs = zip(theirs, own, strict=False)
            speeds = [b / a if self.kind == "cost" else a / b for a, b in pairs]
            median = statistics.median(speeds)
            spread = (max(speeds) - min(speeds)) / median if len(speeds) > 1 else None
            ratios.append(Ratio(median, spread))
        worst = max if self.kind == "cost" else min
        return worst(ratios, key=lambda ratio: ratio.median)

    def is_met(self, ratio: Ratio) -> bool:
        """Tell whether *ratio*, to the two digits that are shown, is as asked."""
        shown = round(ratio.median, 2)
        return shown <= self.asked if self.kind == "cost" else shown >= self.asked


AIOHTTP: Final = "aiohttp-asyncio"
ASYNCIO: Final = "anyhttp-asyncio-auto"
UVLOOP: Final = "anyhttp-uvloop-auto"
TRIO: Final = "anyhttp-trio-auto"


def _small() -> Iterator[Target]:
    for number, (engine, asyncio, uvloop, trio) in product(
        (1, 50), (("auto", 1.4, 1.6, 1.5), ("h11", 0.65, 0.7, 0.8))
    ):
        asked = {"asyncio": asyncio, "uvloop": uvloop, "trio": trio}
        for backend, ratio in asked.items():
            work = f"small GET, {engine}, {number} in flight"
            client = f"anyhttp-{backend}-{engine}"
            yield Target(work, f"get{number}", client, ((f"get{number}", AIOHTTP),), ratio)
    for workload, work in (
        ("post50", "small POST with JSON"),
        ("json50", "GET parsed with `resp.json()`"),
    ):
        yield Target(work, workload, ASYNCIO, ((workload, AIOHTTP),), 1.2)
        yield Target(work, workload, TRIO, ((workload, AIOHTTP),), 1.4)


def _flat() -> Iterator[Target]:
    for workload, work in (
        ("get1000", "1000 in flight"),
        ("queue8000", "8000 queued GETs at `limit=100`"),
        ("idle10000", "10 000 connections open, 50 in use"),
    ):
        for client in (ASYNCIO, TRIO):
            yield Target(work, workload, client, (("get50", client),), 1.2, "cost")


def _bodies() -> Iterator[Target]:
    for workload, work in (
        ("stream100mb", "100 MB download, `iter_any`"),
        ("read100mb", "100 MB download, `read()`"),
        ("tlsstream100mb", "the same over TLS, `iter_any`"),
        ("tlsread100mb", "the same over TLS, `read()`"),
    ):
        yield Target(work, workload, ASYNCIO, ((workload, AIOHTTP),), 1.0)
        yield Target(work, workload, ASYNCIO, ((workload, "anyio-asyncio"),), 0.9)
        yield Target(work, workload, TRIO, ((workload, "anyio-trio"),), 0.9)
    for workload, work in (
        ("upload100mb", "100 MB upload from a file"),
        ("chunks100k", "body of 100 000 small chunks"),
    ):
        for client in (ASYNCIO, TRIO):
            yield Target(work, workload, client, ((workload, AIOHTTP),), 1.0)
    work = "new TLS connection per request"
    yield Target(work, "tlsnew", ASYNCIO, (("tlsnew", AIOHTTP),), 1.0)
    yield Target(work, "tlsnew", TRIO, (("tlsnew", "httpx2-trio"),), 1.0)


def _websockets() -> Iterator[Target]:
    for workload, size in (("echo20", "20 B"), ("echo10k", "10 kB"), ("echo1m", "1 MB")):
        work = f"WebSocket echo of {size}"
        best = ((workload, AIOHTTP), (workload, "websockets-asyncio"))
        yield Target(work, workload, "anyhttp-asyncio", best, 1.0)
        yield Target(work, workload, "anyhttp-trio", ((workload, "websockets-trio"),), 1.5)


def _footprints() -> Iterator[Target]:
    for name, work in (
        ("connection", "memory of an idle connection"),
        ("session", "memory of a session"),
        ("import", "time to import"),
    ):
        yield Target(work, name, ASYNCIO, ((name, AIOHTTP),), 1.0, "cost")


TARGETS: Final = (*_small(), *_flat(), *_bodies(), *_websockets(), *_footprints())
