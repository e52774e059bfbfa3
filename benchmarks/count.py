"""The counts of one client: it does the work of each row in a process of its own.

Started by ``instructions`` as ``python -m benchmarks.count``, with the task as JSON in its only
argument.  What one operation took comes back on standard output, a line of JSON for each row.

This process imports the libraries, which takes seconds under callgrind, and forks one for each
row, so that none profits from what another has left behind.

There is a run of N operations, and one of 2N; what the second took more is the cost of N.  So
whatever a run takes by itself, and all that has been before, falls out.  The garbage collector
is called by hand at the end of each run, as it would otherwise fall into one run or the other.
"""

from __future__ import annotations

import gc
import json
import math
import os
import signal
import ssl
import sys
import traceback
import warnings
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

from . import clients, ws_clients, ws_workloads
from .clients import Settings, WrongAnswer, check_spoken, spoken
from .counter import Counter, Instrument, counter_for
from .jobs import Place
from .measure import allow_many_sockets, explanation, run_on, run_together
from .rows import ROWS, SCALE, Exchange, Row
from .workloads import DEFAULT_LIMIT

# So many hosts at once while their connections are opened.
OPENING: Final = 50
# Seconds; who takes longer for a row has hung.
PATIENCE: Final = 300
# How often everything is done that `take` counts once.
RUNS: Final = 5
# CPU time is too coarse for few operations.
CPU_TIMES: Final = 10

SCHEMES: Final = {"plain": "http", "tls": "https", "websocket": "ws", "http2": "https"}
TLS: Final = ("tls", "http2")

AnyClient = TypeVar("AnyClient", clients.Client, ws_clients.Client)
# Called with a number of operations.
Run: TypeAlias = Callable[[int], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be counted.

    :ivar rows: their names
    :ivar ports: of the servers, by their names in ``rows``
    :ivar certificate: file with the certificate of the server
    :ivar upload: file that may be sent
    :ivar directory: where the instrument has its files
    """

    rows: list[str]
    client: str
    ports: dict[str, int]
    certificate: str
    upload: str
    instrument: Instrument
    directory: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one row: instructions (or nanoseconds) per operation, or a failure."""

    row: str
    taken: float = math.nan
    failure: str = ""


async def take(run: Run, times: int, counter: Counter) -> float:
    """Return what one operation of *run* takes."""
    await run(times)
    await run(times)
    gc.collect()
    gc.freeze()
    gc.disable()
    counter.start()
    for length in (times, 2 * times):  # with those before RUNS times as many
        await run(length)
        gc.collect()
        counter.mark()
    single, double = counter.figures()
    return (double - single) / times


def place_of(work: Exchange, task: Task, number: int) -> Place:
    """Return what is asked for at one of the hosts."""
    host = "127.0.0.1" if work.hosts == 1 else f"host-{number}.example"
    origin = f"{SCHEMES[work.server]}://{host}:{task.ports[work.server]}"
    return Place(f"{origin}{work.path}", Path(task.upload))


async def count_exchanges(
    client: clients.Client, row: Row, work: Exchange, task: Task, counter: Counter
) -> float:
    """Count what is done over HTTP."""
    if work.answering is not None:
        async with work.answering() as answering:
            place = Place(answering.url, Path(task.upload))
            return await count_places(client, row, work, task, counter, [place], answering.options)
    places = [place_of(work, task, number) for number in range(work.hosts)]
    return await count_places(client, row, work, task, counter, places, {})


async def count_places(
    client: clients.Client,
    row: Row,
    work: Exchange,
    task: Task,
    counter: Counter,
    where: Sequence[Place],
    own_options: dict[str, Any],
) -> float:
    """Count what is done at the places *where* in turn.

    :param own_options: of the session, beside those of the row
    """
    job = work.jobs[client.package]
    tasks, at_once = work.in_flight, 1
    if together := work.together.get(client.package):
        job, tasks, at_once = together, 1, work.in_flight
    expected = None if work.result is None else work.result * at_once
    places = cycle(where)
    context = ssl.create_default_context(cafile=task.certificate)
    settings = Settings(
        limit=max(DEFAULT_LIMIT, work.in_flight, work.hosts),
        keep=work.keep,
        context=context if work.server in TLS else None,
        options=lambda library: {**work.options(library), **own_options},
        any_host=work.hosts > 1,
        certificate=task.certificate,
    )
    async with client.open(settings) as session:

        async def worker(times: int) -> None:
            for _ in range(times):
                result = await job(session, next(places))
                if expected not in (None, result):
                    raise WrongAnswer(f"{result} instead of {expected}")

        async def run(times: int) -> None:
            await run_together(client.backend, worker, tasks, times // work.in_flight)

        if work.hosts > 1:
            await run_together(client.backend, worker, OPENING, work.hosts // OPENING + 1)
        times = times_of(row, task)
        if work.server != "http2":
            return await take(run, times, counter)
        before = await spoken(session, where[0].url)
        taken = await take(run, times, counter)
        check_spoken(client.http2, before, await spoken(session, where[0].url), RUNS * times)
        return taken


async def count_messages(
    client: ws_clients.Client, row: Row, work: ws_workloads.Workload, task: Task, counter: Counter
) -> float:
    """Count what is done on one WebSocket."""
    url = f"ws://127.0.0.1:{task.ports['websocket']}/{work.route}"
    async with client.open(url, work.compress) as socket:

        async def run(times: int) -> None:
            await ws_workloads.do(socket, work, times)

        return await take(run, times_of(row, task), counter)


def times_of(row: Row, task: Task) -> int:
    """Return how many operations the shorter run has."""
    return row.times * CPU_TIMES if task.instrument == "cpu" else row.times


def count(row: Row, task: Task) -> float:
    """Return what one operation of *row* takes."""
    # The first, as it counts only the threads that are started after it.
    counter = counter_for(task.instrument, Path(task.directory))
    work = row.work
    if isinstance(work, Exchange):
        client = client_of(clients.CLIENTS, task)
        job = partial(count_exchanges, client, row, work, task, counter)
        return run_on(client.backend, client.package, job)
    speaker = client_of(ws_clients.CLIENTS, task)
    job = partial(count_messages, speaker, row, work, task, counter)
    return run_on(speaker.backend, speaker.package, job)


def client_of(known: Iterable[AnyClient], task: Task) -> AnyClient:
    """Return the one among *known* whose name the task has."""
    return next(client for client in known if client.name == task.client)


def count_and_leave(row: Row, task: Task) -> NoReturn:
    """Print what came of *row*, and end this process."""
    signal.alarm(PATIENCE)
    try:
        outcome = Outcome(row.name, count(row, task))
    except Exception as exc:  # noqa: BLE001  (whatever it is, the report shows it)
        traceback.print_exc()
        outcome = Outcome(row.name, failure=explanation(exc))
    print(json.dumps(asdict(outcome)), flush=True)
    os._exit(0)  # see measure.leave


def main(argument: str) -> None:
    """Count what *argument* describes, and print the outcomes.

    A failure leaves its traceback on standard error.
    """
    task = Task(**json.loads(argument))
    warnings.simplefilter("ignore")
    allow_many_sockets()
    everyone = (*clients.CLIENTS, *ws_clients.CLIENTS)
    client = next(client for client in everyone if client.name == task.client)
    for name in (client.package, client.backend):
        import_module(name)
    for row in (*ROWS, *SCALE):
        if row.name in task.rows:
            if not (child := os.fork()):
                count_and_leave(row, task)
            _, status = os.waitpid(child, 0)
            if status:
                reason = f"wait status {status}"
                print(json.dumps(asdict(Outcome(row.name, failure=reason))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
