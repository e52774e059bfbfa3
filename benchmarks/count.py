"""One count: one client does the work of one row in this process, which then ends.

Started by ``instructions`` as ``python -m benchmarks.count``, with the task as JSON in its only
argument; what one operation took comes back as JSON on standard output.

There is a run of N operations, and one of 2N; what the second took more is the cost of N.  So
whatever a run takes by itself, and all that has been before, falls out.  The garbage collector
is called by hand at the end of each run, as it would otherwise fall into one run or the other.
"""

from __future__ import annotations

import gc
import json
import os
import ssl
import sys
import traceback
import warnings
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final, TypeAlias

from . import clients, ws_clients, ws_workloads
from .clients import Settings, WrongAnswer
from .counter import Counter, Instrument, counter_for
from .jobs import Place
from .measure import allow_many_sockets, explanation, run_on, run_together
from .rows import ROWS, SCALE, Exchange, Row
from .workloads import DEFAULT_LIMIT

# So many hosts at once while their connections are opened.
OPENING: Final = 50
# CPU time is too coarse for few operations.
CPU_TIMES: Final = 20

SCHEMES: Final = {"plain": "http", "tls": "https", "websocket": "ws"}

# Called with a number of operations.
Run: TypeAlias = Callable[[int], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Task:
    """What the process is to count.

    :ivar ports: of the servers, by their names in ``rows``
    :ivar certificate: file with the certificate of the server
    :ivar upload: file that may be sent
    :ivar directory: where the instrument has its files
    """

    row: str
    client: str
    ports: dict[str, int]
    certificate: str
    upload: str
    instrument: Instrument
    directory: str


async def take(run: Run, times: int, counter: Counter) -> float:
    """Return what one operation of *run* takes."""
    await run(times)
    await run(times)
    gc.collect()
    gc.freeze()
    gc.disable()
    counter.start()
    for length in (times, 2 * times):
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
    job = work.jobs[client.package]
    places = cycle([place_of(work, task, number) for number in range(work.hosts)])
    context = ssl.create_default_context(cafile=task.certificate)
    settings = Settings(
        limit=max(DEFAULT_LIMIT, work.in_flight, work.hosts),
        keep=work.keep,
        context=context if work.server == "tls" else None,
        options=work.options,
        any_host=work.hosts > 1,
    )
    async with client.open(settings) as session:

        async def worker(times: int) -> None:
            for _ in range(times):
                result = await job(session, next(places))
                if work.result not in (None, result):
                    raise WrongAnswer(f"{result} instead of {work.result}")

        async def run(times: int) -> None:
            await run_together(client.backend, worker, work.in_flight, times // work.in_flight)

        if work.hosts > 1:
            await run_together(client.backend, worker, OPENING, work.hosts // OPENING + 1)
        return await take(run, times_of(row, task), counter)


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


def main(argument: str) -> None:
    """Count what *argument* describes and print the figure.

    A failure leaves its traceback, and one line about it at the end, on standard error.
    """
    task = Task(**json.loads(argument))
    warnings.simplefilter("ignore")
    allow_many_sockets()
    row = next(row for row in (*ROWS, *SCALE) if row.name == task.row)
    # The first, as it counts only the threads that are started after it.
    counter = counter_for(task.instrument, Path(task.directory))

    async def job() -> float:
        if isinstance(row.work, Exchange):
            client = next(client for client in clients.CLIENTS if client.name == task.client)
            return await count_exchanges(client, row, row.work, task, counter)
        speaker = next(client for client in ws_clients.CLIENTS if client.name == task.client)
        return await count_messages(speaker, row, row.work, task, counter)

    everyone = (*clients.CLIENTS, *ws_clients.CLIENTS)
    chosen = next(client for client in everyone if client.name == task.client)
    try:
        taken = run_on(chosen.backend, chosen.package, job)
    except Exception as exc:  # noqa: BLE001  (whatever it is, the report shows it)
        traceback.print_exc()
        sys.exit(explanation(exc))
    print(json.dumps(taken), flush=True)
    os._exit(0)  # see measure.leave


if __name__ == "__main__":
    main(sys.argv[1])
