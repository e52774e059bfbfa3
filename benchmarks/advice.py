"""What a setting or a habit is worth: ``python -m benchmarks.advice``.

This compares anyhttp with itself: each line is one way to do a thing, and how much CPU time it
takes, as a ratio to the first of its group.  ``docs/howto/speed.md`` says what follows from it.
"""

from __future__ import annotations

import gc
import json
import os
import ssl
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

import anyio

import anyhttp

from .__main__ import cores
from .measure import allow_many_sockets, cpu_seconds
from .server import Server, serve

ROUNDS: Final = 5
RECORDS: Final = [
    {"id": number, "name": f"record {number}", "tags": ["one", "two"], "value": number / 7}
    for number in range(200)
]

Job: TypeAlias = Callable[[anyhttp.ClientSession, Server], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do a thing.

    :ivar job: called *times* times in each of *tasks* tasks
    :ivar options: of the session; ``limit`` is that of its connector
    """

    group: str
    name: str
    job: Job
    times: int
    tasks: int = 1
    options: dict[str, Any] = field(default_factory=dict)


async def get(session: anyhttp.ClientSession, server: Server) -> None:
    """Make one small request."""
    async with session.get(server.resources["json"].url) as response:
        await response.read()


async def get_in_own_session(_: anyhttp.ClientSession, server: Server) -> None:
    """Make one small request in a session that serves for nothing else."""
    async with anyhttp.ClientSession() as session:
        await get(session, server)


async def get_over_tls(session: anyhttp.ClientSession, server: Server) -> None:
    """Make one small request over TLS."""
    async with session.get(server.resources["tls-json"].url) as response:
        await response.read()


async def post(session: anyhttp.ClientSession, server: Server) -> None:
    """Send a body of JSON, 17 kB."""
    async with session.post(server.resources["upload"].url, json=RECORDS) as response:
        await response.read()


async def parse(_: anyhttp.ClientSession, __: Server, *, loads: Callable[[bytes], object]) -> None:
    """Parse the same, as ``resp.json(loads=)`` would."""
    loads(TEXT)


TEXT: Final = json.dumps(RECORDS).encode()


async def read(session: anyhttp.ClientSession, server: Server) -> None:
    """Read 100 MB as a whole."""
    async with session.get(server.resources["100mb"].url) as response:
        await response.read()


async def iter_any(session: anyhttp.ClientSession, server: Server) -> None:
    """Read 100 MB in pieces as they come."""
    async with session.get(server.resources["100mb"].url) as response:
        async for _ in response.content.iter_any():
            pass


async def iter_chunked(session: anyhttp.ClientSession, server: Server, *, size: int) -> None:
    """Read 100 MB in pieces of one size."""
    async with session.get(server.resources["100mb"].url) as response:
        async for _ in response.content.iter_chunked(size):
            pass


def ways() -> list[Way]:
    """Return all that can be compared here."""
    found = [
        Way("sessions", "one session", get, 500),
        Way("sessions", "a session for each request", get_in_own_session, 200),
        Way("TLS", "connections kept", get_over_tls, 500),
        Way("TLS", "force_close=True", get_over_tls, 100, options={"force_close": True}),
        Way("engine", 'http1="auto"', get, 40, 50, {"http1": "auto"}),
        Way("engine", 'http1="h11"', get, 40, 50, {"http1": "h11"}),
        Way("500 tasks", "limit=100", get, 4, 500, {"limit": 100}),
        Way("500 tasks", "limit=500", get, 4, 500, {"limit": 500}),
        Way("timeout", "default", get, 40, 50),
        Way("timeout", "none", get, 40, 50, {"timeout": anyhttp.ClientTimeout()}),
        Way("cookies", "CookieJar", get, 40, 50),
        Way("cookies", "DummyCookieJar", get, 40, 50, {"cookie_jar": anyhttp.DummyCookieJar}),
        Way("100 MB", "iter_any()", iter_any, 3),
        Way("100 MB", "iter_any(), read_bufsize=2**16", iter_any, 3, 1, {"read_bufsize": 2**16}),
        Way("100 MB", "iter_any(), read_bufsize=2**20", iter_any, 3, 1, {"read_bufsize": 2**20}),
        Way("100 MB", "iter_chunked(2**16)", partial(iter_chunked, size=2**16), 3),
        Way("100 MB", "iter_chunked(1024)", partial(iter_chunked, size=1024), 2),
        Way("100 MB", "read()", read, 3),
        Way("JSON sent", "json.dumps", post, 200),
    ]
    if find_spec("orjson"):
        orjson = import_module("orjson")
        serializer = {"json_serialize_bytes": orjson.dumps}
        found += [
            Way("JSON sent", "json_serialize_bytes=orjson.dumps", post, 200, 1, serializer),
            Way("JSON parsed", "json.loads", partial(parse, loads=json.loads), 200),
            Way("JSON parsed", "loads=orjson.loads", partial(parse, loads=orjson.loads), 200),
        ]
    return found


def session_for(way: Way, server: Server) -> anyhttp.ClientSession:
    """Return a session with the options of *way*."""
    options = dict(way.options)
    own = {name: options.pop(name) for name in ("limit", "force_close", "http1") if name in options}
    if "cookie_jar" in options:
        options["cookie_jar"] = options["cookie_jar"]()
    context = ssl.create_default_context(cafile=str(server.certificate))
    return anyhttp.ClientSession(connector=anyhttp.TCPConnector(ssl=context, **own), **options)


async def cost(way: Way, server: Server) -> float:
    """Return the CPU seconds that one call of the job takes."""
    async with session_for(way, server) as session:

        async def worker(times: int) -> None:
            for _ in range(times):
                await way.job(session, server)

        async def together(times: int) -> None:
            async with anyio.create_task_group() as group:
                for _ in range(way.tasks):
                    group.start_soon(worker, times)

        await together(1)
        gc.collect()
        before = cpu_seconds()
        await together(way.times)
        return (cpu_seconds() - before) / (way.times * way.tasks)


def main() -> None:
    """Compare all ways on both backends, and print a table."""
    allow_many_sockets()
    client_core, server_core = cores()
    found: dict[tuple[str, str, str], list[float]] = {}
    backends = {
        "asyncio": partial(anyio.run, backend="asyncio"),
        "uvloop": partial(anyio.run, backend="asyncio", backend_options={"use_uvloop": True}),
        "trio": partial(anyio.run, backend="trio"),
    }
    with serve(server_core) as server:
        if client_core is not None:
            os.sched_setaffinity(0, {client_core})
        for _ in range(ROUNDS):
            for way in ways():
                for name, run in backends.items():
                    taken = found.setdefault((way.group, way.name, name), [])
                    taken.append(run(cost, way, server))
    print(f"{'':12} {'':36}" + "".join(f"{name:>20}" for name in backends))
    first: dict[str, str] = {}
    for way in ways():
        cells = list[str]()
        for name in backends:
            own = found[way.group, way.name, name]
            yardstick = found[way.group, first.setdefault(way.group, way.name), name]
            ratio = statistics.median(b / a for a, b in zip(yardstick, own, strict=True))
            cells.append(f"{statistics.median(own) * 1e6:>11.1f} us {ratio:5.2f}x")
        print(f"{way.group:12} {way.name:36}{''.join(cells)}")


if __name__ == "__main__":
    main()
