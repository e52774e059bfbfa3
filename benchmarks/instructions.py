"""Count instructions, row by row: ``python -m benchmarks.instructions --help``.

Unlike CPU time they do not depend on what else the machine does, so a single round tells apart
what differs by two percent.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

from . import clients, ws_clients
from .__main__ import selected, start_apart
from .count import Outcome, Task
from .counter import UNITS, Instrument, best_instrument, command_prefix
from .measure import allow_many_sockets
from .report import machine_facts, machine_lines
from .rows import ROWS, SCALE, Exchange, Row
from .server import find_nginx, serve_slowly

RESULTS: Final = Path(__file__).parent / "results" / "latest-instructions.json"

# How late each answer comes, in seconds.  Under callgrind a client needs some milliseconds from
# sending a request to waiting for the answer; an answer that came sooner would spare it the
# waiting, which no real one does.
DELAYS: Final[Mapping[Instrument, float]] = {"perf": 0.001, "callgrind": 0.005, "cpu": 0.001}
CPU_ROUNDS: Final = 3

# Those that count; the other clients are the same libraries once more.
COUNTED: Final = (
    *("aiohttp-asyncio", "anyhttp-asyncio-auto", "anyhttp-trio-auto"),
    *("httpx2-asyncio", "httpx2-trio", "httpx2-over-anyhttp-asyncio", "httpx2-over-anyhttp-trio"),
    *("pyreqwest-asyncio", "socket-asyncio", "socket-trio"),
)
# HTTP/2, and by HTTP/1.1 what it is compared with.
COUNTED_HTTP2: Final = (
    *("anyhttp-asyncio-http2", "anyhttp-trio-http2", "anyhttp-asyncio-auto", "anyhttp-trio-auto"),
    *("httpx2-asyncio-http2", "httpx2-trio-http2", "niquests-asyncio-http2"),
)
COUNTED_WEBSOCKETS: Final = (
    *("aiohttp-asyncio", "anyhttp-asyncio", "anyhttp-trio"),
    *("websockets-asyncio", "websockets-trio", "picows-asyncio"),
)
COUNTED_ON_UVLOOP: Final = ("aiohttp-uvloop", "anyhttp-uvloop-auto")

Client: TypeAlias = clients.Client | ws_clients.Client
# By row, then client: what one operation took, one figure per round.
Counts: TypeAlias = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(slots=True)
class Result:
    """All counts of one invocation.

    :ivar failures: by row, then client: what went wrong
    """

    instrument: Instrument
    machine: dict[str, object]
    counts: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)


def clients_for(row: Row) -> list[Client]:
    """Return those that do the work of *row*, whether they are installed or not."""
    work = row.work
    if isinstance(work, Exchange):
        names: Sequence[str] = COUNTED
        if work.server == "http2":
            names = COUNTED_HTTP2 if find_nginx() else ()
        elif "uvloop" in row.asked:
            names = (*COUNTED, *COUNTED_ON_UVLOOP)
        return [c for c in clients.CLIENTS if c.name in names and c.package in work.jobs]
    return [
        client
        for client in ws_clients.CLIENTS
        if client.name in COUNTED_WEBSOCKETS and (client.compresses or not work.compress)
    ]


# -- counting ----------------------------------------------------------------------------


def add_counts(result: Result, prefix: Sequence[str], task: Task) -> None:
    """Put what *task* took into *result*; *prefix* stands before the command."""
    waiting = set(task.rows)
    with start_apart("count", asdict(task), *prefix) as process:
        assert process.stdout is not None
        for line in process.stdout:
            outcome = Outcome(**json.loads(line))
            waiting.discard(outcome.row)
            add_outcome(result, task, outcome)
    for row in waiting:
        reason = f"exit status {process.returncode}"
        add_outcome(result, task, Outcome(row, failure=reason))


def add_outcome(result: Result, task: Task, outcome: Outcome) -> None:
    """Put one figure, or a failure, into *result*, saying so on standard error."""
    if outcome.failure:
        result.failures.setdefault(outcome.row, {})[task.client] = outcome.failure
        said = f"failed: {outcome.failure}"
    else:
        taken = result.counts.setdefault(outcome.row, {}).setdefault(task.client, [])
        taken.append(outcome.taken)
        said = f"{outcome.taken:,.0f} {UNITS[task.instrument]}"
    print(f"{outcome.row} {task.client}: {said}", file=sys.stderr, flush=True)


def count_all(result: Result, pairs: Sequence[tuple[Row, str]], rounds: int, jobs: int) -> None:
    """Count each of *pairs* of a row and a client, *jobs* at a time, round after round."""
    together: dict[tuple[str, str], list[str]] = {}
    for row, client in pairs:
        # CPU time depends on the machine's moods: those that are compared follow each other.
        part = row.name if result.instrument == "cpu" else ""
        together.setdefault((part, client), []).append(row.name)
    allow_many_sockets()
    with serve_slowly(DELAYS[result.instrument]) as server, TemporaryDirectory() as directory:
        tasks = [
            Task(
                rows=rows,
                client=client,
                ports=dict(server.ports),
                certificate=server.certificate,
                upload=server.upload,
                instrument=result.instrument,
                directory=directory,
            )
            for (_, client), rows in together.items()
        ]
        prefix = command_prefix(result.instrument, Path(directory))
        with ThreadPoolExecutor(jobs) as executor:
            try:
                list(executor.map(partial(add_counts, result, prefix), tasks * rounds))
            except KeyboardInterrupt:
                executor.shutdown(cancel_futures=True)
                print("stopped: what there is so far follows", file=sys.stderr)


# -- what is shown -----------------------------------------------------------------------


def own_name(taken: Mapping[str, Sequence[float]], backend: str) -> str | None:
    """Return which client is anyhttp on *backend*."""
    names: Sequence[str] = (f"anyhttp-{backend}", f"anyhttp-{backend}-auto")
    if any(name.endswith("-http2") for name in taken):
        names = (f"anyhttp-{backend}-http2",)
    return next((name for name in names if name in taken), None)


def yardstick_name(taken: Mapping[str, Sequence[float]], backend: str) -> str | None:
    """Return which client anyhttp on *backend* is compared with: of HTTP/2 httpx2, or aiohttp."""
    aiohttp = "aiohttp-uvloop" if backend == "uvloop" else "aiohttp-asyncio"
    return next((name for name in (f"httpx2-{backend}-http2", aiohttp) if name in taken), None)


def of_anyhttp(taken: Mapping[str, Sequence[float]], backend: str) -> Sequence[float]:
    """Return the figures of anyhttp on *backend*."""
    name = own_name(taken, backend)
    return () if name is None else taken[name]


def ratio(theirs: Sequence[float], own: Sequence[float]) -> float | None:
    """Return how many times as much the first take, or None without one of them."""
    ratios = [a / b for a, b in zip(theirs, own, strict=False)]
    return statistics.median(ratios) if ratios else None


def yardstick(taken: Mapping[str, Sequence[float]], backend: str) -> Sequence[float]:
    """Return the figures that anyhttp on *backend* is compared with."""
    name = yardstick_name(taken, backend)
    return () if name is None else taken[name]


def ratio_of(taken: Mapping[str, Sequence[float]], backend: str) -> float | None:
    """Return how many times as much the yardstick takes as anyhttp on *backend*."""
    return ratio(yardstick(taken, backend), of_anyhttp(taken, backend))


def figure(value: float | None, digits: int = 0) -> str:
    """Return *value* as it is shown."""
    return "-" if value is None else f"{value:,.{digits}f}"


def middle(values: Sequence[float]) -> float | None:
    """Return the median, or None."""
    return statistics.median(values) if values else None


def peers(taken: Mapping[str, Sequence[float]]) -> str:
    """Return the ratio of the yardstick on asyncio to each of the others."""
    theirs = yardstick(taken, "asyncio")
    shown = {
        name(taken, backend)
        for backend in ("asyncio", "uvloop", "trio")
        for name in (own_name, yardstick_name)
    }
    others = {name: ratio(theirs, own) for name, own in taken.items() if name not in shown}
    return ", ".join(f"{name} {figure(value, 2)}" for name, value in others.items())


def row_cells(row: Row, taken: Mapping[str, Sequence[float]]) -> Iterator[tuple[str, ...]]:
    """Yield for each backend: its name, both figures, the ratio, what was asked, a verdict."""
    for backend, asked in row.asked.items():
        own, theirs = of_anyhttp(taken, backend), yardstick(taken, backend)
        value = ratio_of(taken, backend)
        # to the two digits that are shown
        verdict = "" if value is None or round(value, 2) >= asked else "short"
        figures = (figure(middle(theirs)), figure(middle(own)), figure(value, 2))
        yield (backend, *figures, f"{asked:g}", verdict)


def scale_cells(taken: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """Return what one request takes: of aiohttp, of anyhttp on asyncio, and on trio."""
    backends = (of_anyhttp(taken, backend) for backend in ("asyncio", "trio"))
    return tuple(figure(middle(values)) for values in (yardstick(taken, "asyncio"), *backends))


def table(result: Result, rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of the report."""
    yield from machine_lines(result.machine)
    yield f"counted: {UNITS[result.instrument]} of one operation, by {result.instrument}"
    yield "x: how many times as much aiohttp takes (above 1: anyhttp is cheaper); of HTTP/2, httpx2"
    for group, members in groupby(rows, lambda row: row.group):
        yield f"\n{group}"
        for row in members:
            taken = result.counts.get(row.name, {})
            if row in SCALE:
                aiohttp, asyncio, trio = scale_cells(taken)
                yield f"{row.title:28} {aiohttp:>12} aiohttp {asyncio:>12} asyncio {trio:>12} trio"
            else:
                yield f"{row.name}: {row.title}"
                for cells in row_cells(row, taken):
                    yield "  {:8} {:>12} {:>12} {:>6} x, asked {:4} {}".format(*cells).rstrip()
                if others := peers(taken):
                    yield f"  others, x: {others}"
            for client, reason in result.failures.get(row.name, {}).items():
                yield f"  {client} failed: {reason}"


def write_json(result: Result, path: Path) -> None:
    """Write every count to *path*."""
    document = {
        "command": " ".join(("python -m benchmarks.instructions", *sys.argv[1:])),
        "taken": datetime.now(UTC).date().isoformat(),
        **asdict(result),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--only", metavar="CLIENT,…", help="clients or patterns: anyhttp,*-trio")
    parser.add_argument("--row", metavar="NAME,…", help="rows or patterns: lines,ws-*,jar*")
    parser.add_argument("--quick", action="store_true", help="a few rows, anyhttp and aiohttp")
    parser.add_argument("--instrument", choices=list(UNITS), help="default: what counts best here")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default 1; cpu {CPU_ROUNDS}")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes at once; default: cores")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="PATH", dest="path")
    parser.add_argument("--list", action="store_true", help="show the rows and stop")
    options = parser.parse_args(argv)
    options.rows = [row for row in (*ROWS, *SCALE) if selected(row.name, options.row)]
    if options.quick:
        options.rows = [row for row in options.rows if row.quick]
        options.only = options.only or "anyhttp,aiohttp"
    if not options.rows:
        parser.error("no row has that name; try --list")
    options.instrument = options.instrument or best_instrument()
    by_time = options.instrument == "cpu"
    options.rounds = options.rounds or (CPU_ROUNDS if by_time else 1)
    options.jobs = options.jobs or (1 if by_time else os.cpu_count() or 1)
    return options


def main() -> None:
    """Count what the command line asks for, then print the table and write the file."""
    options = arguments()
    if options.list:
        for row in options.rows:
            print(f"{row.name:16} {row.title}")
        return
    result = Result(options.instrument, machine_facts("Python, which answers late", None, None))
    pairs = [
        (row, client.name)
        for row in options.rows
        for client in clients_for(row)
        if selected(client.name, options.only) and not client.missing()
    ]
    count_all(result, pairs, options.rounds, options.jobs)
    for line in table(result, options.rows):
        print(line)
    write_json(result, options.path)


if __name__ == "__main__":
    main()
