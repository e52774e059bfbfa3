"""WebSockets side by side: ``python -m benchmarks.ws --help``.

Each figure is taken in a process of its own, which is this module again, told by a JSON argument
what to measure.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from .__main__ import MeasurementFailed, cores, selected
from .measure import Sample, allow_many_sockets, cpu_seconds, explanation
from .report import figures, machine_facts
from .server import _free_port, _wait_until_it_answers

ROUNDS: Final = 3
SECONDS: Final = 1.0
QUICK_SECONDS: Final = 0.3
PATIENCE: Final = 120.0
MOST_MESSAGES: Final = 100_000
RESULTS: Final = Path(__file__).parent / "results" / "latest-ws.json"
COLUMNS: Final = "{:22} {:>12} {:>7} {:>6}  {:>12} {:>6}  {:>8} {:>6}"
PACKAGES: Final = ("trio-websocket", "websockets", "wsproto")


# -- who -------------------------------------------------------------------------------


class Socket(Protocol):
    """What every library can do with an open WebSocket."""

    async def send(self, data: bytes | str) -> None: ...
    async def receive(self) -> bytes | str: ...


Opener: TypeAlias = Callable[[str, bool], AbstractAsyncContextManager[Socket]]


@dataclass(frozen=True, slots=True)
class AiohttpSocket:
    """aiohttp, and anyhttp through the same code."""

    websocket: Any

    async def send(self, data: bytes | str) -> None:
        if isinstance(data, str):
            await self.websocket.send_str(data)
        else:
            await self.websocket.send_bytes(data)

    async def receive(self) -> bytes | str:
        data: bytes | str = (await self.websocket.receive()).data
        return data


@dataclass(frozen=True, slots=True)
class OtherSocket:
    """What has methods for any kind of message."""

    send: Callable[[bytes | str], Coroutine[Any, Any, None]]
    receive: Callable[[], Coroutine[Any, Any, bytes | str]]


@dataclass(frozen=True, slots=True)
class HttpxSocket:
    """httpx2."""

    websocket: Any

    async def send(self, data: bytes | str) -> None:
        if isinstance(data, str):
            await self.websocket.send_text(data)
        else:
            await self.websocket.send_bytes(data)

    async def receive(self) -> bytes | str:
        event = await self.websocket.receive()
        data: bytes | str = event.data
        return data


@asynccontextmanager
async def open_aiohttp(url: str, compress: bool, *, package: str) -> AsyncIterator[Socket]:
    """Open a WebSocket of aiohttp or anyhttp."""
    library = import_module(package)
    async with library.ClientSession() as session:
        bits = 15 if compress else 0
        async with session.ws_connect(url, compress=bits, max_msg_size=0) as websocket:
            yield AiohttpSocket(websocket)


@asynccontextmanager
async def open_websockets(url: str, compress: bool, *, backend: str) -> AsyncIterator[Socket]:
    """Open a WebSocket of websockets."""
    connect = import_module(f"websockets.{backend}.client").connect
    compression = "deflate" if compress else None
    options: dict[str, Any] = {"proxy": None, "max_size": None, "ping_interval": None}
    async with connect(url, compression=compression, **options) as websocket:
        yield OtherSocket(websocket.send, websocket.recv)


@asynccontextmanager
async def open_trio_websocket(url: str, compress: bool) -> AsyncIterator[Socket]:
    """Open a WebSocket of trio-websocket, which does not compress."""
    library = import_module("trio_websocket")
    async with library.open_websocket_url(url, max_message_size=2**30) as websocket:
        yield OtherSocket(websocket.send_message, websocket.get_message)


@asynccontextmanager
async def open_httpx2(url: str, compress: bool) -> AsyncIterator[Socket]:
    """Open a WebSocket of httpx2, which does not compress."""
    options: dict[str, Any] = {
        "max_message_size_bytes": 2**30,
        "keepalive_ping_interval_seconds": None,
    }
    async with import_module("httpx2").AsyncClient(timeout=PATIENCE) as client:
        async with client.websocket(url, **options) as websocket:
            yield HttpxSocket(websocket)


@dataclass(frozen=True, slots=True)
class Client:
    """A library on a backend."""

    name: str
    backend: str
    open: Opener
    needs: tuple[str, ...]
    compresses: bool = True

    def missing(self) -> list[str]:
        """Return the modules that are not installed."""
        names = (*self.needs, self.backend)
        return [name for name in names if importlib.util.find_spec(name) is None]


YARDSTICK: Final = "aiohttp-asyncio"
CLIENTS: Final = (
    Client(YARDSTICK, "asyncio", partial(open_aiohttp, package="aiohttp"), ("aiohttp",)),
    *(
        Client(f"anyhttp-{backend}", backend, partial(open_aiohttp, package="anyhttp"), ())
        for backend in ("asyncio", "uvloop", "trio")
    ),
    *(
        Client(
            f"websockets-{backend}",
            backend,
            partial(open_websockets, backend=backend),
            ("websockets",),
        )
        for backend in ("asyncio", "trio")
    ),
    Client("trio-websocket", "trio", open_trio_websocket, ("trio_websocket",), compresses=False),
    *(
        Client(f"httpx2-{backend}", backend, open_httpx2, ("httpx2", "wsproto"), compresses=False)
        for backend in ("asyncio", "trio")
    ),
)


# -- what ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing to do over and over.

    :ivar route: of the server
    :ivar size: bytes of a message
    :ivar sockets: how many are open, and busy, at once
    """

    name: str
    title: str
    route: str
    size: int
    sockets: int = 1
    compress: bool = False


WORKLOADS: Final = (
    Workload("echo20", "echo of 20 bytes", "echo", 20),
    Workload("echo10k", "echo of 10 kB", "echo", 10_000),
    Workload("echo1m", "echo of 1 MB", "echo", 1_000_000),
    Workload("send20", "sending messages of 20 bytes", "sink", 20),
    Workload("send1m", "sending messages of 1 MB", "sink", 1_000_000),
    Workload("receive20", "receiving messages of 20 bytes", "source", 20),
    Workload("receive1m", "receiving messages of 1 MB", "source", 1_000_000),
    Workload("echo20z", "echo of 20 bytes, compressed", "echo", 20, compress=True),
    Workload("echo10kz", "echo of 10 kB, compressed", "echo", 10_000, compress=True),
    Workload("echo1mz", "echo of 1 MB, compressed", "echo", 1_000_000, compress=True),
    Workload("echo1000", "echo of 20 bytes on 1000 sockets", "echo", 20, sockets=1000),
)


def message_of(size: int) -> bytes | str:
    """Return a message as JSON has it: text, neither random nor all the same."""
    line = "".join(f'{{"id":{number},"ok":true}},' for number in range(size // 18 + 1))
    return line[:size]


async def do(socket: Socket, workload: Workload, times: int) -> None:
    """Do *workload* so many times."""
    if workload.route == "echo":
        message = message_of(workload.size)
        for _ in range(times):
            await socket.send(message)
            if len(await socket.receive()) != workload.size:
                raise RuntimeError("wrong length")
    elif workload.route == "sink":
        data = bytes(workload.size)
        for _ in range(times):
            await socket.send(data)
        await socket.send("end")
        await socket.receive()
    else:
        await socket.send(f"{times} {workload.size}")
        for _ in range(times):
            if len(await socket.receive()) != workload.size:
                raise RuntimeError("wrong length")


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
        if client.backend == "trio":
            sample: Sample = import_module("trio").run(main)
        else:
            uvloop = client.backend == "uvloop"
            factory = import_module("uvloop").new_event_loop if uvloop else None
            with asyncio.Runner(loop_factory=factory) as runner:
                sample = runner.run(main())
    except Exception as exc:  # noqa: BLE001  (whatever it is, the report shows it)
        traceback.print_exc()
        sys.exit(explanation(exc))
    print(json.dumps(asdict(sample)), flush=True)
    os._exit(0)


@contextmanager
def serve(core: int | None) -> Iterator[str]:
    """Run the server for the duration of the block; give its URL."""
    port = _free_port()
    command = [sys.executable, "-m", f"{__package__}.ws_server", str(port)]
    with subprocess.Popen(command, cwd=Path(__file__).parent.parent) as process:
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            _wait_until_it_answers(process, port)
            yield f"ws://127.0.0.1:{port}"
        finally:
            process.kill()


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
