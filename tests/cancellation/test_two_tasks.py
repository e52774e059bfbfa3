"""Two tasks that share a pool, a WebSocket or a connection, each cancelled at any of its points.

Which of them waits for the other changes from point to point: one may have the only slot, read for
both, or have begun a frame that the other waits for.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import anyio
import pytest

from anyhttp import (
    BearerAuthMiddleware,
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    TCPConnector,
    WSMsgType,
)
from tests.support.cancel import Countdown, Operation as Work, watched
from tests.support.client import get
from tests.support.names import Names

from .operations.http2 import LARGE, shared
from .operations.websockets import PATIENT
from .stage import MakeSession, Operation, Stage, checked, new_session, pieces
from .ways import NEVER, Selection

How = Literal["scope", "native"]


@dataclass
class TwoTasks:
    """Runs two functions at once, and cancels each at a suspension of its own.

    :param points: at which; :data:`NEVER` for not at all
    """

    how: How
    points: tuple[int, int] = (NEVER, NEVER)
    steps: list[int] = field(default_factory=list)

    async def run(self, *works: Work) -> None:
        """Run them, and note how often each was suspended."""
        if self.how == "native":
            countdowns = await self._run_tasks(works)
        else:
            countdowns = await self._run_scopes(works)
        self.steps = [each.steps for each in countdowns]

    async def _run_scopes(self, works: tuple[Work, ...]) -> list[Countdown]:
        countdowns = []

        async def one(work: Work, scope: anyio.CancelScope, countdown: Countdown) -> None:
            with scope:
                await watched(work(), countdown)

        async with anyio.create_task_group() as group:
            for work, point in zip(works, self.points, strict=True):
                scope = anyio.CancelScope()
                countdowns.append(Countdown(point, scope.cancel))
                group.start_soon(one, work, scope, countdowns[-1])
        return countdowns

    async def _run_tasks(self, works: tuple[Work, ...]) -> list[Countdown]:
        countdowns, tasks = [], list[asyncio.Task[None]]()

        async def one(work: Work, countdown: Countdown) -> None:
            await watched(work(), countdown)

        for number, (work, point) in enumerate(zip(works, self.points, strict=True)):
            countdowns.append(Countdown(point, partial(_cancel, tasks, number)))
            tasks.append(asyncio.create_task(one(work, countdowns[-1])))
        await asyncio.wait(tasks)
        for task, countdown in zip(tasks, countdowns, strict=True):
            if not task.cancelled():
                task.result()
                assert not countdown.reached, "the cancellation was swallowed"
        return countdowns


def _cancel(tasks: list[asyncio.Task[None]], number: int) -> None:
    tasks[number].cancel()


@pytest.fixture(params=["scope", "native"])
def how(request: pytest.FixtureRequest, anyio_backend: tuple[str, object]) -> How:
    """Each way of cancelling that the backend has."""
    way: How = request.param
    if way == "native" and anyio_backend[0] == "trio":
        pytest.skip("trio has no cancellation but scopes")
    return way


Deed = Callable[[TwoTasks, Stage, ClientSession], Awaitable[None]]


async def cancel_both_everywhere(
    request: pytest.FixtureRequest, stage: Stage, how: How, deed: Deed, session: MakeSession
) -> None:
    """Do *deed* with each pair of points, and look at what is left each time."""
    limit = 8 if request.config.getoption("--every-point") else 2
    turn = len(request.node.name)
    two = TwoTasks(how)
    operation = Operation("two tasks", partial(deed, two), session, False, "", 5)
    async with checked(operation, stage, entered=True) as (run, after):
        await run()
        first, second = two.steps
        for i in [*Selection(limit, turn).of(first), NEVER]:
            for j in [*Selection(limit, turn + i).of(second), NEVER]:
                two.points = (i, j)
                try:
                    with anyio.fail_after(20):
                        await run()
                    await after()
                except BaseException as exc:
                    exc.add_note(f"cancelled at the points {i} and {j} ({how})")
                    raise


# -- one slot, one name, one token ---------------------------------------------------------


async def _get(session: ClientSession) -> None:
    assert b"anyhttp" in await get(session)


async def _redirected(session: ClientSession) -> None:
    await get(session, "/redirect/2")


async def _upload(session: ClientSession) -> None:
    async with session.post("/upload", data=pieces()) as response:
        assert (await response.json())["length"] == 3000


async def _leave(session: ClientSession) -> None:
    async with session.get("/bytes/400000") as response:
        await response.content.readany()


async def _talk(session: ClientSession) -> None:
    async with session.ws_connect("/websocket", timeout=PATIENT) as ws:
        await ws.send_str("x")
        assert await ws.receive_str() == "x"


async def _bear(session: ClientSession) -> None:
    async with session.get("/token") as response:
        assert response.status == 200


ACTS = {"get": _get, "redirect": _redirected, "upload": _upload, "leave": _leave, "talk": _talk}


async def _both(
    acts: tuple[Callable[[ClientSession], Awaitable[None]], ...],
    two: TwoTasks,
    stage: Stage,
    session: ClientSession,
) -> None:
    async def one(act: Callable[[ClientSession], Awaitable[None]]) -> None:
        await act(session)

    await two.run(*(partial(one, act) for act in acts))


def _one_slot(stage: Stage) -> ClientSession:
    return new_session(stage, connector=TCPConnector(limit=1))


def _one_name(stage: Stage) -> ClientSession:
    connector = TCPConnector(
        resolver=Names(), ttl_dns_cache=0, keepalive_timeout=0, ssl=stage.ca.client
    )
    url = stage.server.url.with_host("name.test")
    return ClientSession(url, connector=connector)


def _one_token(stage: Stage) -> ClientSession:
    async def token() -> str:
        await anyio.lowlevel.checkpoint()
        return "0"

    return new_session(stage, middlewares=[BearerAuthMiddleware(token)])


@pytest.mark.parametrize("second", ["get", "upload", "talk"])
@pytest.mark.parametrize("first", ACTS)
async def test_one_slot(
    request: pytest.FixtureRequest, stage: Stage, how: How, first: str, second: str
) -> None:
    """Whoever is cancelled, the slot is free then, and the other one gets it."""
    deed = partial(_both, (ACTS[first], ACTS[second]))
    await cancel_both_everywhere(request, stage, how, deed, _one_slot)


@pytest.mark.parametrize("make", [_one_name, _one_token])
async def test_one_answer_for_both(
    request: pytest.FixtureRequest, stage: Stage, how: How, make: MakeSession
) -> None:
    """Who asks may be cancelled, and the other one gets its answer none the less."""
    act = _get if make is _one_name else _bear
    await cancel_both_everywhere(request, stage, how, partial(_both, (act, act)), make)


# -- one connection of HTTP/2 ----------------------------------------------------------------


async def _send_large(session: ClientSession) -> None:
    async with session.post("/echo-body", data=LARGE) as response:
        assert await response.read() == LARGE


async def _receive_large(session: ClientSession) -> None:
    assert len(await get(session, "/bytes/300000")) == 300_000


HTTP2_ACTS = {**ACTS, "send": _send_large, "receive": _receive_large}


def _with_one_connection(stage: Stage) -> ClientSession:
    connector = TCPConnector(http2="prior-knowledge", keepalive_timeout=0)
    return ClientSession(stage.http2.url, connector=connector)


@pytest.mark.skipif(importlib.util.find_spec("h2") is None, reason="h2 is not installed")
@pytest.mark.parametrize("opened", [True, False], ids=["open", "new"])
@pytest.mark.parametrize("second", ["upload", "receive"])
@pytest.mark.parametrize("first", HTTP2_ACTS)
async def test_one_connection_of_http2(
    request: pytest.FixtureRequest, stage: Stage, how: How, first: str, second: str, opened: bool
) -> None:
    """Who reads for both, or opens the connection, may be cancelled; windows stay right."""
    deed = partial(_both, (HTTP2_ACTS[first], HTTP2_ACTS[second]))
    make = shared if opened else _with_one_connection
    await cancel_both_everywhere(request, stage, how, deed, make)


# -- one WebSocket ---------------------------------------------------------------------------

#: What is sent, and so what may come back.
MESSAGES = {"small": "small", "large": "large" * 50_000, "pieces": "pieces" * 3}


async def _receive(ws: ClientWebSocketResponse) -> None:
    await ws.send_str(MESSAGES["small"])
    _check(await ws.receive())


async def _send(ws: ClientWebSocketResponse) -> None:
    await ws.send_str(MESSAGES["large"])
    await ws.ping()


async def _send_pieces(ws: ClientWebSocketResponse) -> None:
    async def pieces() -> AsyncIterator[str]:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
            yield "pieces"

    await ws.send_stream(pieces())


async def _close(ws: ClientWebSocketResponse) -> None:
    await ws.close()


async def _leave_block(ws: ClientWebSocketResponse) -> None:
    async with ws:
        pass


def _check(message: object) -> None:
    kind, data = message.type, message.data  # type: ignore[attr-defined]
    assert kind is not WSMsgType.TEXT or data in {*MESSAGES.values(), "end"}


WEBSOCKET_ACTS = {
    "receive": _receive,
    "send": _send,
    "pieces": _send_pieces,
    "close": _close,
    "leave": _leave_block,
}


async def _on_one_websocket(
    acts: tuple[Callable[[ClientWebSocketResponse], Awaitable[None]], ...],
    two: TwoTasks,
    stage: Stage,
    session: ClientSession,
) -> None:
    async def one(act: Callable[[ClientWebSocketResponse], Awaitable[None]]) -> None:
        with suppress(ClientError):  # the other one may have closed it, or begun a frame
            await act(ws)

    async with session.ws_connect("/websocket", timeout=PATIENT) as ws:
        await two.run(*(partial(one, act) for act in acts))
        if not ws.closed:
            await ws.send_str("end")
            message = None
            while message is None or message.data != "end":  # all that was sent is whole
                message = await ws.receive()
                assert message.type is WSMsgType.TEXT
                _check(message)


@pytest.mark.parametrize("second", ["send", "pieces", "close"])
@pytest.mark.parametrize("first", WEBSOCKET_ACTS)
async def test_one_websocket(
    request: pytest.FixtureRequest, stage: Stage, how: How, first: str, second: str
) -> None:
    """Every message that arrives is whole, or the WebSocket is closed."""
    acts = (WEBSOCKET_ACTS[first], WEBSOCKET_ACTS[second])
    deed = partial(_on_one_websocket, acts)
    await cancel_both_everywhere(request, stage, how, deed, new_session)
