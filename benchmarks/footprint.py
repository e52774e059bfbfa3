"""What a client takes before it does anything: memory of what lies idle, and time to import.

``__main__`` starts this module in a process of its own, for one figure at a time.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from .clients import CLIENTS, YARDSTICK, Client, Settings
from .measure import allow_many_sockets, explanation, open_idle, run_on

CONNECTIONS: Final = 1000
SESSIONS: Final = 100
COLUMNS: Final = "{:26} {:>12} {:>7} {:>6}  {:>6}"

# The engine makes no difference that could be seen next to those of the backends.
ALL: Final = ("aiohttp-asyncio", "anyhttp-asyncio-auto", "anyhttp-trio-auto")


@dataclass(frozen=True, slots=True)
class Footprint:
    """One kind of figure; less is better.

    :ivar unit: what *scale* times the figure is given in
    :ivar take: called with the client and the URL of a small body
    """

    name: str
    title: str
    unit: str
    scale: float
    clients: tuple[str, ...]
    take: Callable[[Client, str], float]

    def is_for(self, client: str) -> bool:
        """Tell whether the client of that name is measured."""
        return client in self.clients


def traced() -> int:
    """Return the bytes of all Python objects, once those that nobody needs have gone."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def idle_connection(client: Client, url: str) -> float:
    """Return the bytes of Python objects that an idle connection takes."""

    async def main() -> float:
        async with client.open(Settings(CONNECTIONS)) as session:

            async def worker(times: int) -> None:
                for _ in range(times):
                    await session.read(url)

            await worker(2)
            before = traced()
            await open_idle(client, worker, CONNECTIONS)
            return (traced() - before) / (CONNECTIONS - 1)  # one was there before

    return run_on(client.backend, client.package, main)


def idle_session(client: Client, url: str) -> float:
    """Return the bytes of Python objects that a session takes which has not been used yet."""

    async def main() -> float:
        async with AsyncExitStack() as stack:
            # What all sessions share is there after the first, and after its first request.
            session = await stack.enter_async_context(client.open(Settings(100)))
            await session.read(url)
            before = traced()
            for _ in range(SESSIONS):
                await stack.enter_async_context(client.open(Settings(100)))
            if client.backend != "trio":
                await asyncio.sleep(0)
            return (traced() - before) / SESSIONS

    return run_on(client.backend, client.package, main)


def import_time(client: Client, url: str) -> float:
    """Return the seconds that importing the library takes, all it imports included.

    An installed library has been compiled; one that is imported from a checkout may not be, and
    would be each time where ``PYTHONDONTWRITEBYTECODE`` is set.  So all of them are compiled
    here, by a first import that does not count.
    """
    command = [sys.executable, "-X", "importtime", "-c", f"import {client.package}"]
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(2):
            report = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            ).stderr
    # The names of what a module imports are indented further than its own.
    line = re.search(rf"^import time: +\d+ \| +(\d+) \| {client.package}$", report, re.MULTILINE)
    assert line is not None
    return int(line[1]) / 1e6


FOOTPRINTS: Final = (
    Footprint(
        "connection",
        f"memory of an idle connection ({CONNECTIONS} of them)",
        "kB",
        1e-3,
        (*ALL, "anyhttp-uvloop-auto", "httpx2-asyncio", "httpx2-trio"),
        idle_connection,
    ),
    Footprint(
        "session",
        f"memory of a session ({SESSIONS} of them, unused)",
        "kB",
        1e-3,
        (*ALL, "httpx2-asyncio", "httpx2-trio"),
        idle_session,
    ),
    Footprint(
        "import",
        "time to import the library (-X importtime)",
        "ms",
        1e3,
        ("aiohttp-asyncio", "anyhttp-asyncio-auto", "httpx2-asyncio"),
        import_time,
    ),
)


def table(figures: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return the figures as plain text, the smallest first; *figures* has one per round."""
    lines = list[str]()
    for footprint in FOOTPRINTS:
        if taken := figures.get(footprint.name):
            lines += ["", f"{footprint.name}: {footprint.title}"]
            lines += [COLUMNS.format("client", footprint.unit, "spread", "x", "rounds")]
            lines += _rows(footprint, taken)
    return "\n".join(lines)


def _rows(footprint: Footprint, taken: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yardstick = taken.get(YARDSTICK.name, ())
    for client, values in sorted(taken.items(), key=lambda item: statistics.median(item[1])):
        median = statistics.median(values)
        spread = f"{(max(values) - min(values)) / median:.0%}" if len(values) > 1 else "-"
        ratios = [theirs / ours for theirs, ours in zip(yardstick, values, strict=False)]
        ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
        yield COLUMNS.format(client, f"{median * footprint.scale:.1f}", spread, ratio, len(values))


def main(argument: str) -> None:
    """Print the figure that *argument*, in JSON, asks for."""
    task: dict[str, Any] = json.loads(argument)
    if task["core"] is not None:
        os.sched_setaffinity(0, {task["core"]})
    allow_many_sockets()
    footprint = next(footprint for footprint in FOOTPRINTS if footprint.name == task["footprint"])
    client = next(client for client in CLIENTS if client.name == task["client"])
    tracemalloc.start()
    try:
        figure = footprint.take(client, task["url"])
    except Exception as exc:  # noqa: BLE001  (whatever it is, the report shows it)
        sys.exit(explanation(exc))
    print(json.dumps(figure), flush=True)
    os._exit(0)  # nothing is left to be closed in good order that the system does not close


if __name__ == "__main__":
    main(sys.argv[1])
