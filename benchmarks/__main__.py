"""Run the benchmarks: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any, Final

from . import footprint
from .clients import CLIENTS, Client
from .footprint import FOOTPRINTS
from .measure import Sample, Task, allow_many_sockets
from .report import Run, machine_facts, table, write_json
from .server import Server, serve
from .workloads import WORKLOADS, Workload

ROUNDS: Final = 5
SECONDS: Final = 0.4
QUICK_SECONDS: Final = 0.25

# A process that takes longer has hung, or is so slow that its figure does not matter.
PATIENCE: Final = 90.0

# Slower ones are measured once: their figure is far from all others and hardly varies, and the
# whole run should stay within a quarter of an hour.
ONCE: Final = 8.0

RESULTS: Final = Path(__file__).parent / "results" / "latest.json"


class MeasurementFailed(Exception):
    """The process that was to take the sample ended without one."""


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser("python -m benchmarks", description="Compare HTTP clients.")
    parser.add_argument(
        "--only",
        metavar="CLIENT,…",
        help="clients, or what their names start with, or patterns: anyhttp,aiohttp,*-trio",
    )
    parser.add_argument("--workload", metavar="NAME,…", help="workloads or patterns: get50,*100mb")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default {ROUNDS}; quick 1")
    parser.add_argument("--quick", action="store_true", help="one short round, to try things")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="PATH", dest="path")
    parser.add_argument("--list", action="store_true", help="show the names and stop")
    options = parser.parse_args(argv)
    if options.rounds is None:
        options.rounds = 1 if options.quick else ROUNDS
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    options.clients = [c for c in CLIENTS if selected(c.name, options.only)]
    options.workloads = [w for w in WORKLOADS if selected(w.name, options.workload)]
    options.footprints = [f for f in FOOTPRINTS if selected(f.name, options.workload)]
    if not options.clients or not (options.workloads or options.footprints):
        parser.error("nothing has that name; try --list")
    return options


def selected(name: str, patterns: str | None) -> bool:
    """Tell whether *name*, or its beginning up to a hyphen, is one of *patterns*."""
    return patterns is None or any(
        fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}-*")
        for pattern in patterns.split(",")
    )


def cores() -> tuple[int | None, int | None]:
    """Return a core for the client and another for the server, or None where there is no choice."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        return None, None
    # Not the first for the client: that is where many systems handle their interrupts.
    return available[-1], available[0]


def start_apart(
    module: str, argument: object, *prefix: str, errors: int | None = None
) -> subprocess.Popen[str]:
    """Start *module* of this package in a fresh interpreter; what it prints can be read.

    :param prefix: what stands before the command
    :param errors: where its standard error goes, as for ``Popen``
    """
    # A proxy in the environment would be measured instead of the client.
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    # Where a set is gone through, the order is the same in each process.
    environment["PYTHONHASHSEED"] = "0"
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", f"{__package__}.{module}", json.dumps(argument)],
        cwd=Path(__file__).parent.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )


def run_apart(module: str, argument: object) -> Any:
    """Run *module* of this package in a fresh interpreter; return what it prints, from JSON."""
    with start_apart(module, argument, errors=subprocess.PIPE) as process:
        try:
            output, said = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired as exc:
            process.kill()
            raise MeasurementFailed(f"no result after {PATIENCE:.0f} s") from exc
    if process.returncode:
        last = said.strip().rpartition("\n")[2]
        raise MeasurementFailed(last or f"exit status {process.returncode}")
    return json.loads(output)


def take_sample(task: Task) -> Sample:
    """Measure *task* in a fresh interpreter."""
    return Sample(**run_apart("measure", asdict(task)))


def task_for(
    client: Client, workload: Workload, server: Server, seconds: float, core: int | None
) -> Task:
    """Describe one measurement to the process that makes it."""
    body = server.resources[workload.resource]
    return Task(
        client=client.name,
        workload=workload.name,
        url=body.url,
        size=body.size,
        checksum=body.checksum,
        certificate=str(server.certificate),
        upload=str(server.upload),
        seconds=seconds,
        core=core,
    )


def add_sample(run: Run, task: Task) -> str:
    """Take one sample into *run*; return what there is to say about it."""
    try:
        sample = take_sample(task)
    except MeasurementFailed as exc:
        run.failures.setdefault(task.workload, {})[task.client] = str(exc)
        return f"failed: {exc}"
    run.samples.setdefault(task.workload, {}).setdefault(task.client, []).append(sample)
    return f"{sample.cpu / sample.requests * 1e6:.1f} us of CPU per request"


def take_rounds(run: Run, tasks: Sequence[Task], rounds: int) -> None:
    """Take up to *rounds* samples of each of *tasks*, saying so on standard error.

    Round by round, so that a machine that slows down for a while slows down all clients.
    """
    waiting = list(tasks)
    for number in range(1, rounds + 1):
        for task in tuple(waiting):
            started = time.monotonic()
            said = add_sample(run, task)
            progress = f"{number}/{rounds} {task.workload} {task.client}: {said}"
            print(progress, file=sys.stderr, flush=True)
            failed = task.client in run.failures.get(task.workload, {})
            if failed or time.monotonic() - started > ONCE:
                waiting.remove(task)


def take_footprints(
    run: Run,
    wanted: Sequence[footprint.Footprint],
    clients: Sequence[Client],
    url: str,
    rounds: int,
) -> None:
    """Take *rounds* figures of each of *wanted*, round by round as well."""
    pairs = [(f, c) for f, c in product(wanted, clients) if f.is_for(c.name)]
    for number, (kind, client) in product(range(1, rounds + 1), pairs):
        if client.name in run.failures.get(kind.name, {}):
            continue
        task = {"footprint": kind.name, "client": client.name, "url": url, "core": cores()[0]}
        try:
            figure: float = run_apart("footprint", task)
        except MeasurementFailed as exc:
            run.failures.setdefault(kind.name, {})[client.name] = str(exc)
            said = f"failed: {exc}"
        else:
            run.footprints.setdefault(kind.name, {}).setdefault(client.name, []).append(figure)
            said = f"{figure * kind.scale:.1f} {kind.unit}"
        progress = f"{number}/{rounds} {kind.name} {client.name}: {said}"
        print(progress, file=sys.stderr, flush=True)


def main() -> None:
    """Measure what the command line asks for, then print the table and write the file."""
    options = arguments()
    if options.list:
        print("clients:", *(client.name for client in CLIENTS))
        names = [*(workload.name for workload in WORKLOADS), *(f.name for f in FOOTPRINTS)]
        print("workloads:", *names)
        return
    missing = {client.name: client.missing() for client in options.clients}
    clients = [client for client in options.clients if not missing[client.name]]
    seconds = QUICK_SECONDS if options.quick else SECONDS
    client_core, server_core = cores()
    allow_many_sockets()
    with serve(server_core) as server:
        run = Run(machine_facts(server.name, client_core, server_core))
        run.skipped = {
            name: f"not installed: {', '.join(modules)}"
            for name, modules in missing.items()
            if modules
        }
        tasks = [
            task_for(client, workload, server, seconds, client_core)
            for workload, client in product(options.workloads, clients)
            if workload.is_for(client.name) and workload.resource in server.resources
        ]
        url = server.resources["json"].url
        try:
            take_rounds(run, tasks, options.rounds)
            take_footprints(run, options.footprints, clients, url, options.rounds)
        except KeyboardInterrupt:
            print("stopped: what there is so far follows", file=sys.stderr)
    print(table(run, options.workloads))
    write_json(run, options.path)


if __name__ == "__main__":
    main()
