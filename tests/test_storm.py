"""Many requests at once, most of them cut short: afterwards the client is as good as new."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel
import pytest

from anyhttp import ClientConnectionError, ClientSession, TCPConnector
from tests.support.census import ROUNDS_OF_GRACE, assert_no_tokens
from tests.support.names import Names
from tests.support.server import Server
from tests.support.sockets import Sockets

LIMIT = 10
WORKERS = 30
REQUESTS_PER_WORKER = 100
PATHS = (
    "json",
    "json",
    "bytes/300000",
    "stream/50",
    "gzip",
    "redirect/3",
    "drip?n=3&delay=0.002",
    "close",
    "hang",
)


async def one_request(session: ClientSession, path: str, chance: random.Random) -> None:
    """Make a request, with or without a streamed body, and read some of the response."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1000
            await anyio.lowlevel.checkpoint()

    if chance.random() < 0.2:
        async with session.post("/upload", data=body()) as response:
            await response.read()
        return
    async with session.get(f"/{path}") as response:
        if chance.random() < 0.7:
            await response.read()


@pytest.mark.uvloop
@pytest.mark.parametrize("keepalive", [15.0, 0.0], ids=["kept", "not-kept"])
async def test_a_storm_of_cancellations_leaves_no_trace(server: Server, keepalive: float) -> None:
    """After thousands of requests, most of them cancelled somewhere, every slot is free, no
    more than ``limit`` sockets were ever open, and twenty requests of twenty succeed.
    """
    sockets = Sockets()
    connector = TCPConnector(limit=LIMIT, keepalive_timeout=keepalive, socket_factory=sockets)
    outcomes = {"done": 0, "cancelled": 0}

    async def worker(number: int) -> None:
        chance = random.Random(number)
        for _ in range(REQUESTS_PER_WORKER):
            path = chance.choice(PATHS)
            patience = chance.expovariate(1 / 0.015)  # seconds
            if path == "hang":
                patience = 0.02
            elif chance.random() < 0.1:
                patience = 30.0  # so that some succeed on a slow machine, too
            with anyio.move_on_after(patience) as scope:
                try:
                    await one_request(session, path, chance)
                    outcomes["done"] += 1
                except ClientConnectionError:
                    assert path == "close"
            if scope.cancelled_caught:
                outcomes["cancelled"] += 1

    async with ClientSession(server.url, connector=connector) as session:
        async with anyio.create_task_group() as group:
            for number in range(WORKERS):
                group.start_soon(worker, number)
        assert_no_tokens(connector)
        for _ in range(ROUNDS_OF_GRACE):
            await anyio.lowlevel.checkpoint()
        assert sockets.open == connector.statistics().idle
        with anyio.fail_after(5):
            for _ in range(20):
                async with session.get("/json") as response:
                    assert response.status == 200
                    assert (await response.json())["title"] == "anyhttp"
    assert sockets.open == 0
    assert sockets.peak <= LIMIT
    assert outcomes["done"] > 100
    assert outcomes["cancelled"] > 100


@pytest.mark.parametrize(("limit", "per_host"), [(4, 0), (4, 2), (3, 1), (0, 1)])
async def test_a_storm_over_many_hosts_keeps_the_limits(
    server: Server, limit: int, per_host: int
) -> None:
    """Idle connections to one host never keep a request to another from going out, no limit
    is exceeded meanwhile, and in the end nobody waits and no slot is lost.
    """
    sockets = Sockets()
    connector = TCPConnector(
        limit=limit, limit_per_host=per_host, resolver=Names(), socket_factory=sockets,
        happy_eyeballs_delay=None,
    )  # fmt: skip
    hosts = [server.url.with_host(f"{name}.test") for name in "abcdef"]
    using = dict.fromkeys(hosts, 0)
    done = 0

    async def worker(number: int) -> None:
        nonlocal done
        chance = random.Random(number)
        for _ in range(60):
            host = chance.choice(hosts)
            path = chance.choice(["json", "json", "bytes/100000", "close"])
            with anyio.move_on_after(chance.choice([0.0, 0.002, 0.01, 30.0, 30.0])):
                try:
                    async with session.get(host / path) as response:
                        held = not response.closed  # small bodies come with the head
                        using[host] += held
                        try:
                            assert not per_host or using[host] <= per_host
                            await anyio.lowlevel.checkpoint()
                        finally:
                            using[host] -= held
                        await response.read()
                        done += 1
                except ClientConnectionError:
                    assert path == "close"

    async with ClientSession(connector=connector) as session:
        with anyio.fail_after(25):
            async with anyio.create_task_group() as group:
                for number in range(12):
                    group.start_soon(worker, number)
        assert_no_tokens(connector)
        idle = connector.statistics().idle
        # As many as the limit allows can go out at once, whatever is idle elsewhere.
        with anyio.fail_after(5):
            async with AsyncExitStack() as stack:
                for host in (hosts * 2)[: limit or len(hosts)]:
                    await stack.enter_async_context(session.get(host / "bytes/1000000"))
        assert_no_tokens(connector)
        assert idle <= (limit or len(hosts))
    assert done > 100
    assert sockets.open == 0
    if limit:
        assert sockets.peak <= limit
