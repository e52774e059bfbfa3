"""WebSockets side by side: ``python -m benchmarks.ws --help``.

Each figure is taken in a process of its own, which is this module again, told by a JSON argument
what to measure.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, Final

from .__main__ import MeasurementFailed, cores, selected
from .measure import Sample, allow_many_sockets, cpu_seconds, explanation, run_on
from .report import figures, machine_facts
from .server import free_port, running, websocket_command
from .ws_clients import CLIENTS, PATIENCE, YARDSTICK, Client, Socket
from .ws_workloads import WORKLOADS, Workload, do

ROUNDS: Final = 3
SECONDS: Final = 1.0
QUICK_SECONDS: Final = 0.3
MOST_MESSAGES: Final = 100_000
RESULTS: Final = Path(__file__).parent / "results" / "latest-ws.json"
COLUMNS: Final = "{:22} {:>12} {:>7} {:>6}  {:>12} {:>6}  {:>8} {:>6}"


async def together(backend: str, jobs: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Run *jobs* side by side."""
    if backend == "trio":
        async with import_module("trio").open_nursery() as nursery:
            for job in jobs:
                nursery.start_soon(job)
    else:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job())


async def measure(client: Client, workload: Workload, url: str, seconds: float) -> Sample:
    """Open the sockets, warm up, and take the sample."""
    ready: list[Socket] = []
    total = workload.sockets
    sample: list[Sample] = []

    async def run(times: int) -> None:
        jobs = [partial(do, socket, workload, times) for socket in ready]
        await together(client.backend, jobs)

    async def nest() -> None:
        # One inside the other, as leaving many at once is not what is measured.
        if len(ready) < min(total, 1):
            async with client.open(url, workload.compress) as socket:
                ready.append(socket)
                await (nest() if total == 1 else many())
            return
        await take()

    async def many() -> None:
        stop = import_module("anyio").Event()
        opened = import_module("anyio").Event()

        async def hold() -> None:
            async with client.open(url, workload.compress) as socket:
                ready.append(socket)
                if len(ready) == total:
                    opened.set()
                await stop.wait()

        async def lead() -> None:
            await opened.wait()
            await take()
            stop.set()

        await together(client.backend, [*[hold] * (total - 1), lead])

    async def take() -> None:
        await run(2)
        warm_up = max(2, 200 // total) if workload.size < 100_000 else 5
        started = time.perf_counter()
        await run(warm_up)
        per_second = total * warm_up / (time.perf_counter() - started)
        times = max(3, round(min(MOST_MESSAGES, per_second * seconds) / total))
        gc.collect()
        cpu, wall = cpu_seconds(), time.perf_counter()
        await run(times)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        sample.append(Sample(total * times, cpu, wall))

    await nest()
    return sample[0]


# -- how -------------------------------------------------------------------------------


def run_here(argument: str) -> None:
    """Take the sample that *argument* describes, and print it."""
    task = json.loads(argument)
    if task["core"] is not None:
        os.sched_setaffinity(0, {task["core"]})
    allow_many_sockets()
    client = next(client for client in CLIENTS if client.name == task["client"])
    workload = next(workload for workload in WORKLOADS if workload.name == task["workload"])

    async def main() -> Sample:
        return await measure(client, workload, task["url"], task["seconds"])

    try:
        sample = run_on(client.backend, client.package, main)
    except Exception as exc:  # noqa: BLE001  (whatever it is, the report shows it)
        traceback.print_exc()
        sys.exit(explanation(exc))
    print(json.dumps(asdict(sample)), flush=True)
    os._exit(0)


@contextmanager
def serve(core: int | None) -> Iterator[str]:
    """Run the server for the duration of the block; give its URL."""
    port = free_port()
    with running(websocket_command(port), (port,), core):
        yield f"ws://127.0.0.1:{port}"


def take_sample(task: dict[str, Any]) -> Sample:
    """Measure in a fresh interpreter."""
    try:
        process = subprocess.run(
            [sys.executable, "-m", f"{__package__}.ws", "--task", json.dumps(task)],
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise MeasurementFailed(f"no result after {PATIENCE:.0f} s") from exc
    if process.returncode:
        last = process.stderr.strip().rpartition("\n")[2]
        raise MeasurementFailed(last or f"exit status {process.returncode}")
    return Sample(**json.loads(process.stdout))


def table(workload: Workload, samples: dict[str, list[Sample]], failures: dict[str, str]) -> str:
    """Return the figures of one workload, the fastest client first."""
    lines = ["", f"{workload.name}: {workload.title}"]
    lines.append(
        COLUMNS.format("client", "CPU/msg", "spread", "x", "wall/msg", "x", "messages", "rounds")
    )
    yardstick = samples.get(YARDSTICK, ())
    rows = [(*figures(taken, yardstick), client, taken) for client, taken in samples.items()]
    for cpu, wall, client, taken in sorted(rows, key=lambda row: row[0].median):
        lines.append(
            COLUMNS.format(
                client,
                f"{cpu.median * 1e6:.1f} us",
                "-" if cpu.spread is None else f"{cpu.spread:.0%}",
                "-" if cpu.ratio is None else f"{cpu.ratio:.2f}",
                f"{wall.median * 1e6:.1f} us",
                "-" if wall.ratio is None else f"{wall.ratio:.2f}",
                taken[0].requests,
                len(taken),
            )
        )
    lines += [f"{client:22} failed: {reason}" for client, reason in failures.items()]
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser("python -m benchmarks.ws", description="Compare WebSockets.")
    parser.add_argument("--only", metavar="CLIENT,…", help="clients, or patterns: anyhttp,*-trio")
    parser.add_argument("--workload", metavar="NAME,…", help="workloads or patterns: echo20,*1m")
    parser.add_argument("--rounds", type=int, metavar="N", default=ROUNDS)
    parser.add_argument("--quick", action="store_true", help="one short round, to try things")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="PATH", dest="path")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure what the command line asks for, then print the tables and write the file."""
    options = arguments()
    if options.task:
        run_here(options.task)
    clients = [c for c in CLIENTS if selected(c.name, options.only) and not c.missing()]
    workloads = [w for w in WORKLOADS if selected(w.name, options.workload)]
    seconds = QUICK_SECONDS if options.quick else SECONDS
    rounds = 1 if options.quick else options.rounds
    client_core, server_core = cores()
    samples: dict[str, dict[str, list[Sample]]] = {w.name: {} for w in workloads}
    failures: dict[str, dict[str, str]] = {w.name: {} for w in workloads}
    with serve(server_core) as url:
        for _, workload, client in product(range(rounds), workloads, clients):
            if client.name in failures[workload.name]:
                continue
            if workload.compress and not client.compresses:
                continue
            task = {
                "client": client.name,
                "workload": workload.name,
                "url": f"{url}/{workload.route}",
                "seconds": seconds,
                "core": client_core,
            }
            try:
                samples[workload.name].setdefault(client.name, []).append(take_sample(task))
            except MeasurementFailed as exc:
                failures[workload.name][client.name] = str(exc)
    machine = machine_facts("aiohttp's server", client_core, server_core)
    for name, value in machine.items():
        print(f"{name}: {value}")
    for workload in workloads:
        print(table(workload, samples[workload.name], failures[workload.name]))
    print(f"\nx: times as fast as {YARDSTICK} in the same round, median.")
    options.path.parent.mkdir(parents=True, exist_ok=True)
    taken = {
        name: {client: [asdict(sample) for sample in rounds] for client, rounds in by.items()}
        for name, by in samples.items()
    }
    document = {"machine": machine, "samples": taken, "failures": failures}
    options.path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
