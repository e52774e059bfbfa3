"""One measurement: one client does one workload in this process, which then ends.

Started by ``__main__`` as ``python -m benchmarks.measure``, with the task as JSON in its only
argument; the sample comes back as JSON on standard output.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import ssl
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Coroutine, Sized
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias, TypeVar, cast

from .clients import (
    CLIENTS,
    Client,
    FullSession,
    Session,
    Settings,
    WrongAnswer,
    check_spoken,
    spoken,
)
from .workloads import WORKLOADS, Workload

# Requests before the measured part: every connection is open, every code path has run, and the
# speed is known well enough to choose how many requests to measure.
WARM_UP: Final = 200
MOST_REQUESTS: Final = 40_000
# Open files that get1000 and idle10000 need, on both ends.
FILES: Final = 16_384
# Sent as JSON: 90 bytes, like what comes back.
VALUE: Final = {
    "id": 4711,
    "name": "anyhttp",
    "tags": ["http", "client"],
    "ok": True,
    "note": "ninety.",
}
# At least so many for each task: with a single one, 1000 tasks would start and end one by one
# instead of being in flight together.
FEWEST_REQUESTS: Final = 3
FEWEST_DOWNLOADS: Final = 3

T = TypeVar("T")

# One request, whose answer is looked at.
Once: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
# Called with how many requests to make in sequence.
Worker: TypeAlias = Callable[[int], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Task:
    """What the process is to measure.

    :ivar size: bytes of the body at *url*, or to be sent there
    :ivar checksum: CRC-32 of that body
    :ivar certificate: file with the certificate of the server
    :ivar upload: file that may be sent
    :ivar seconds: how long the measured part should take
    :ivar core: the core to stay on, where the system allows to choose
    """

    client: str
    workload: str
    url: str
    size: int
    checksum: int
    certificate: str
    upload: str
    seconds: float
    core: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """What was found: the totals of the measured part, in seconds."""

    requests: int
    cpu: float
    wall: float


def cpu_seconds() -> float:
    """Return the CPU time, user and system, of all threads of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def once_for(session: Session, workload: Workload, task: Task) -> Once:
    """Return what makes one request and checks what can be checked without cost."""
    full = cast(FullSession, session)  # only those that are one are asked for the last three

    def check(good: bool) -> None:
        if not good:
            raise WrongAnswer("wrong answer")

    async def read() -> None:
        check(len(await session.read(task.url)) == task.size)

    async def stream() -> None:
        taken = 0

        def take(piece: Sized) -> None:
            nonlocal taken
            taken += len(piece)

        await session.stream(task.url, take)
        check(taken == task.size)

    async def json() -> None:
        check(cast(Any, await full.json(task.url))["id"] == VALUE["id"])

    async def post() -> None:
        check(len(await full.post(task.url, VALUE)) == task.size)

    async def upload() -> None:
        answer = await full.upload(task.url, Path(task.upload))
        check(int(answer.split()[0]) == task.size)

    verbs = {"read": read, "stream": stream, "json": json, "post": post, "upload": upload}
    return verbs[workload.verb]


def worker_for(session: Session, workload: Workload, task: Task) -> Worker:
    """Return the loop that makes requests one after the other."""
    once = once_for(session, workload, task)

    async def worker(times: int) -> None:
        for _ in range(times):
            await once()

    return worker


async def check_body(session: Session, workload: Workload, task: Task) -> None:
    """Compare one body with what was sent, byte by byte."""
    checksum = 0

    def take(piece: Any) -> None:
        nonlocal checksum
        checksum = zlib.crc32(piece, checksum)

    full = cast(FullSession, session)
    if workload.verb == "stream":
        await session.stream(task.url, take)
    elif workload.verb == "json":
        take(json.dumps(await full.json(task.url)).encode())
    elif workload.verb == "post":
        take(await full.post(task.url, VALUE))
    elif workload.verb == "upload":
        answer = await full.upload(f"{task.url}/checked", Path(task.upload))
        checksum = int(answer.split()[1])
    else:
        take(await session.read(task.url))
    if checksum != task.checksum:
        raise WrongAnswer("wrong body")


def sockets() -> int:
    """Count the open sockets of this process; -1 where the system does not tell."""
    try:
        entries = os.listdir("/proc/self/fd")
    except FileNotFoundError:
        return -1
    found = 0
    for entry in entries:
        # One of them was the list of them all, and is closed by now.
        with suppress(FileNotFoundError):
            found += os.readlink(f"/proc/self/fd/{entry}").startswith("socket:")
    return found


async def open_idle(client: Client, worker: Worker, number: int) -> None:
    """Open *number* connections that are then left alone.

    Every task looks for a connection before the first answer has come, so each opens its own.
    """
    await run_together(client.backend, worker, number, 1)
    if -1 < sockets() < number:
        raise WrongAnswer(f"only {sockets()} of {number} connections stayed open")


async def run_together(backend: str, worker: Worker, tasks: int, times: int) -> None:
    """Run *tasks* workers side by side, each making *times* requests.

    The event loop's own task group for every client alike: what starting a task costs is the
    caller's affair, and would otherwise weigh on the queue of 8000 tasks.
    """
    if backend == "trio":
        async with import_module("trio").open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(worker, times)
    else:
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(worker(times))


async def measure(client: Client, workload: Workload, task: Task) -> Sample:
    """Open a session, warm it up, and take the sample."""
    context = None
    if task.url.startswith("https:"):
        context = ssl.create_default_context(cafile=task.certificate)
    settings = Settings(workload.limit, workload.keep, context, certificate=task.certificate)
    async with client.open(settings) as session:
        worker = worker_for(session, workload, task)
        if workload.idle:
            await open_idle(client, worker, workload.idle)
        await check_body(session, workload, task)
        if workload.large:
            tasks, warm_up = 1, 1
        elif workload.at_once:
            tasks, warm_up = workload.limit, 2
        else:
            tasks, warm_up = workload.in_flight, max(1, WARM_UP // workload.in_flight)
            await run_together(client.backend, worker, tasks, 1)

        started = time.perf_counter()
        await run_together(client.backend, worker, tasks, warm_up)
        per_second = tasks * warm_up / (time.perf_counter() - started)

        if workload.at_once:
            tasks, times = workload.at_once, 1
        else:
            fewest = FEWEST_DOWNLOADS if workload.large else FEWEST_REQUESTS
            wanted = min(MOST_REQUESTS, per_second * task.seconds)
            times = max(fewest, round(wanted / tasks))
        before = await spoken(session, task.url) if workload.http2 else None
        gc.collect()
        cpu, wall = cpu_seconds(), time.perf_counter()
        await run_together(client.backend, worker, tasks, times)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        if before is not None:
            check_spoken(client.http2, before, await spoken(session, task.url), tasks * times)
        if workload.idle and -1 < sockets() < workload.idle:
            raise WrongAnswer("idle connections were closed meanwhile")
        sample = Sample(tasks * times, cpu, wall)
        if workload.idle:
            leave(sample)  # closing them all in good order takes longer than what is measured
    return sample


def leave(sample: Sample) -> NoReturn:
    """Print *sample* and end this process.

    Without the interpreter's own ending, in which the runtime thread of pyreqwest is now and
    then caught by surprise and aborts the process.
    """
    print(json.dumps(asdict(sample)), flush=True)
    os._exit(0)


def run_on(backend: str, package: str, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run *main* as an application that uses *package* on *backend* would."""
    result: T
    if package in ("anyhttp", "anyio"):
        uvloop = backend == "uvloop"
        options = {"use_uvloop": True} if uvloop else {}
        name = "asyncio" if uvloop else backend
        result = import_module("anyio").run(main, backend=name, backend_options=options)
    elif backend == "trio":
        result = import_module("trio").run(main)
    else:
        factory = import_module("uvloop").new_event_loop if backend == "uvloop" else None
        with asyncio.Runner(loop_factory=factory) as runner:
            result = runner.run(main())
    return result


def allow_many_sockets() -> None:
    """Raise the limit on open files, which is often 1024; processes started later inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def explanation(exc: BaseException) -> str:
    """Return one line about *exc*, or about the first of the failures it groups."""
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    first, _, _ = str(exc).partition("\n")
    return f"{type(exc).__name__}: {first}"


def main(argument: str) -> None:
    """Measure the task described by *argument* and print the sample.

    A failure leaves its traceback, and one line about it at the end, on standard error.
    """
    task = Task(**json.loads(argument))
    if task.core is not None:
        os.sched_setaffinity(0, {task.core})
    allow_many_sockets()
    client = next(client for client in CLIENTS if client.name == task.client)
    workload = next(workload for workload in WORKLOADS if workload.name == task.workload)

    async def job() -> Sample:
        return await measure(client, workload, task)

    try:
        sample = run_on(client.backend, client.package, job)
    except Exception as exc:  # noqa: BLE001  (whatever it is, the report shows it)
        traceback.print_exc()
        sys.exit(explanation(exc))
    leave(sample)


if __name__ == "__main__":
    main(sys.argv[1])
