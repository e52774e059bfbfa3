"""What is looked at once a second, and where it is kept."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from anyhttp import BaseConnector
from tests.support.census import running_tasks

from .load import Load, Tally

#: Between two samples, in seconds.
INTERVAL: Final = 1.0

PAGE: Final = resource.getpagesize()


@dataclass(frozen=True)
class Sample:
    """One look at the process of the client.

    :param at: when it was taken, in seconds of the monotonic clock
    :param memory: resident bytes
    :param objects: blocks of memory that Python has given to objects
    :param descriptors: open files, sockets among them
    :param tasks: tasks of the event loop
    :param in_use: connections that requests have
    :param idle: connections that are kept for later
    :param waiting: requests that wait for a connection
    :param requests: how many are over since the beginning
    :param cpu: seconds of the processor since the beginning, but for those that samples took
    :param median: of the times that requests took since the last sample, in seconds
    :param slow: the 99th percentile of these times
    """

    at: float
    memory: int
    objects: int
    descriptors: int
    tasks: int
    in_use: int
    idle: int
    waiting: int
    requests: int
    cpu: float
    median: float
    slow: float


def memory() -> int:
    """Return how many bytes of this process are resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd")) - 1  # but for the one that lists them


def give_back_memory() -> None:
    """Let the C library return what it keeps for later; where it cannot, do nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def take_sample(connectors: Iterable[BaseConnector], tally: Tally, cpu: float) -> Sample:
    """Look at everything, after what is garbage has been collected, and free memory given back.

    Else the number of objects would say when the collector has run last, and the memory how much
    of it was ever needed at one time.
    """
    gc.collect()
    give_back_memory()
    taken, tally.latencies = sorted(tally.latencies), []
    pools = [connector.statistics() for connector in connectors]
    return Sample(
        at=time.monotonic(),
        memory=memory(),
        objects=sys.getallocatedblocks(),
        descriptors=descriptors(),
        tasks=len(running_tasks()),
        in_use=sum(pool.in_use for pool in pools),
        idle=sum(pool.idle for pool in pools),
        waiting=sum(pool.waiting for pool in pools),
        requests=tally.total,
        cpu=cpu,
        median=percentile(taken, 50),
        slow=percentile(taken, 99),
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of *values*, which are in ascending order; 0 if there are none."""
    return values[min(len(values) - 1, len(values) * percent // 100)] if values else 0.0


async def take_samples(
    load: Load,
    connectors: Sequence[BaseConnector],
    tally: Tally,
    keep: Callable[[Sample], None],
) -> None:
    """Take a sample once a second, until no other request begins."""
    due, own_cpu = time.monotonic(), 0.0
    while load.goes_on(tally.total):
        due += INTERVAL
        await anyio.sleep(max(0.0, due - time.monotonic()))
        began = time.process_time()
        keep(take_sample(connectors, tally, began - own_cpu))
        own_cpu += time.process_time() - began
