"""Who reads for all and who sends the rest, at every scheduling point, with a server in memory."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, get_args

import anyio
import anyio.lowlevel
import pytest

from anyhttp import ClientConnectionError, ClientSession
from tests.support.cancel import How, cancel_at_every_checkpoint

pytest.importorskip("h2", reason="h2 is not installed")

from tests.support.http2_client import OneConnection, one_connection
from tests.support.http2_memory import MemoryServer
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop

ROOT = "http://127.0.0.1/"
LARGE = bytes(range(256)) * 1000

Operation = Callable[[ClientSession], Awaitable[None]]


@pytest.fixture(params=get_args(How))
def how(request: pytest.FixtureRequest, anyio_backend: tuple[str, object]) -> How:
    """Each way of cancelling that the backend has."""
    way: How = request.param
    if way == "native" and anyio_backend[0] == "trio":
        pytest.skip("trio has no cancellation but scopes")
    return way


async def pieces(count: int, size: int = 2_000) -> AsyncIterator[bytes]:
    """A body that is written piece by piece."""
    for number in range(count):
        yield bytes([number % 256]) * size
        await anyio.lowlevel.checkpoint()


async def get(session: ClientSession) -> None:
    """Receive a small response."""
    async with session.get(ROOT + "small") as response:
        assert await response.read() == b"/small"


async def post(session: ClientSession) -> None:
    """Send a small body with the head."""
    async with session.post(ROOT, data=LARGE[:9000]) as response:
        assert await response.read() == LARGE[:9000]


async def stream(session: ClientSession) -> None:
    """Send a body in a task."""
    async with session.post(ROOT, data=pieces(4), expect100=True) as response:
        assert len(await response.read()) == 8_000


async def held(session: ClientSession) -> None:
    """Wait for a response that comes at the end of the test."""
    async with session.get(ROOT + "held") as response:
        assert await response.read() == b"held"


def check(server: MemoryServer, connector: OneConnection) -> None:
    """The rules that hold whenever no task can go on."""
    http2 = connector.http2
    assert http2 is not None
    if http2._sleepers:
        assert server.receiving == 1
    if http2._is_blocked and (http2._sleepers or server.receiving):
        assert server.draining == 1


async def settle() -> None:
    """Let the tasks run until none can go on."""
    for _ in range(12):
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("operation", [get, post, stream])
async def test_cancelled_at_every_point(operation: Operation, how: How, is_full: bool) -> None:
    """Neither the reading nor the sending stops for the others, of which there are four."""
    server = MemoryServer()

    async def run() -> None:
        server.is_full = is_full
        await operation(session)

    async def after() -> None:
        await settle()
        check(server, connector)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(get, session)
                await settle()
                check(server, connector)
                server.take_more()
        assert http2.exchanges == connector.lent == server.held == 4

    async with one_connection(server) as (session, connector):
        http2 = await connector.open()
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(held, session)
            while server.held < 4:
                await anyio.lowlevel.checkpoint()
            if is_full:  # the operation cannot end: it goes on when it has been disturbed
                await disturb(run, server, after)
            else:
                assert await cancel_at_every_checkpoint(run, after=after, how=how)
            server.let_go()
        assert http2.exchanges == 0
        assert http2._reader is http2._drainer is None
        assert not [*http2._sleepers, *http2._senders, *http2._unsent]


async def disturb(
    run: Callable[[], Coroutine[Any, Any, None]],
    server: MemoryServer,
    after: Callable[[], Awaitable[None]],
) -> None:
    """Cancel *run* whose bytes are not taken, after one point, two points, and so on."""
    for points in range(1, 40):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            for _ in range(points):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await after()


async def test_any_order_of_events() -> None:
    """Twenty tasks at a time, some cancelled, while the system takes bytes or does not."""
    random_numbers = random.Random(17)
    server = MemoryServer()
    ended = 0

    async def work() -> None:
        nonlocal ended
        for _ in range(6):
            operation = random_numbers.choice([get, get, post, stream])
            with anyio.CancelScope() as scope:
                if random_numbers.random() < 0.3:
                    scopes.append(scope)
                await operation(session)
        ended += 1

    scopes: list[anyio.CancelScope] = []
    async with one_connection(server) as (session, connector):
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(work)
                while ended < 20:
                    for _ in range(random_numbers.randrange(8)):
                        await anyio.lowlevel.checkpoint()
                    server.is_full = random_numbers.random() < 0.5
                    if not server.is_full:
                        server.take_more()
                    if scopes and random_numbers.random() < 0.3:
                        scopes.pop(random_numbers.randrange(len(scopes))).cancel()
            server.take_more()
            await get(session)
        assert connector.http2 is not None
        assert connector.http2.exchanges == connector.lent == 0


async def test_the_end_while_the_system_takes_nothing() -> None:
    """Every exchange fails, those too that wait to send."""
    server = MemoryServer()
    failed = 0

    async def use(operation: Operation) -> None:
        nonlocal failed
        with pytest.raises(ClientConnectionError):
            await operation(session)
        failed += 1

    async with one_connection(server) as (session, connector):
        await get(session)
        async with anyio.create_task_group() as group:
            server.is_full = True
            for operation in (stream, get, stream, post):
                group.start_soon(use, operation)
            await settle()
            check(server, connector)
            server.has_ended = True
            server.interrupt()
        assert failed == 4


async def test_sending_that_fails_while_several_bodies_are_sent() -> None:
    """Those fail whose turn would have come next; the one whose bytes were gone is answered."""
    server = MemoryServer()
    heads_are_sent = anyio.Event()
    outcomes: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        await heads_are_sent.wait()
        yield LARGE[:9000]

    async def upload() -> None:
        try:
            async with session.post(ROOT, data=body()) as response:
                await response.read()
                outcomes.append("answered")
        except ClientConnectionError as exc:
            outcomes.append(str(exc))

    async with one_connection(server) as (session, connector):
        http2 = await connector.open()
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(upload)
            await until(lambda: http2.exchanges == 4 and http2._sleepers, "the heads to be sent")
            server.is_full = True
            heads_are_sent.set()
            await until(lambda: len(http2._senders) == 3, "all but one to wait for their turn")
            server.is_broken = True
            server.take_more()
            await until(lambda: http2.send_error is not None, "the failure")
            server.has_ended = True
            server.interrupt()
        assert sorted(outcomes) == ["answered", "broken", "broken", "broken"]
