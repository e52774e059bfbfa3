"""What the block of a session or request raises, and cancellation that passes through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import get_args

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import ClientSession
from tests.support.cancel import How
from tests.support.client import get
from tests.support.server import Server

pytestmark = pytest.mark.uvloop


@pytest.fixture(params=get_args(How))
def how(request: pytest.FixtureRequest, anyio_backend: tuple[str, object]) -> How:
    """Each way of cancelling that the backend has."""
    way: How = request.param
    if way == "native" and anyio_backend[0] == "trio":
        pytest.skip("trio has no cancellation but scopes")
    return way


class Thrown(BaseException):
    """Neither an ``Exception`` nor one that event loops know."""


def exceptions() -> list[BaseException]:
    """Return one exception of each kind that a block may raise."""
    return [
        ValueError("mine"),
        Thrown("mine"),
        SystemExit(3),
        KeyboardInterrupt(),
        ExceptionGroup("mine", [ValueError("one"), ExceptionGroup("two", [KeyError("three")])]),
        BaseExceptionGroup("mine", [Thrown()]),
    ]


@pytest.fixture(params=range(len(exceptions())), ids=lambda n: type(exceptions()[n]).__name__)
def mine(request: pytest.FixtureRequest) -> BaseException:
    """An exception of the caller's own, with cause and context."""
    exc: BaseException = exceptions()[request.param]
    exc.__cause__ = OSError("the cause")
    exc.__context__ = LookupError("the context")
    return exc


async def slow_pieces() -> AsyncIterator[bytes]:
    """Yield a body that never ends."""
    while True:
        yield b"x" * 100
        await anyio.sleep(0.001)


async def leave_with(exc: BaseException, session: ClientSession, cancel: anyio.CancelScope) -> None:
    """Raise *exc* in the block of a request that is still being sent, in that of *session*."""
    async with session:
        await get(session)
        unread = await session.get("/bytes/3000000")
        assert not unread.closed
        async with session.post("/echo-body", data=slow_pieces()) as response:
            await response.content.readany()
            cancel.cancel()
            raise exc


async def leave_alone_with(
    exc: BaseException, session: ClientSession, cancel: anyio.CancelScope
) -> None:
    """Raise *exc* in the block of a lone request that is still being sent."""
    async with session, session.get("/json") as first:
        url = first.url.with_path("/echo-body")
    async with anyhttp.request("POST", url, data=slow_pieces()) as response:
        await response.content.readany()
        cancel.cancel()
        raise exc


async def leave_unentered_with(
    exc: BaseException, session: ClientSession, cancel: anyio.CancelScope
) -> None:
    """Raise *exc* in the block of a request that is still being sent, and owns the sender."""
    try:
        async with session.post("/echo-body", data=slow_pieces()) as response:
            await response.content.readany()
            cancel.cancel()
            raise exc
    finally:
        with anyio.CancelScope(shield=True):
            await session.close()


@pytest.mark.parametrize("cancel", [False, True], ids=["alone", "cancelled"])
@pytest.mark.parametrize("leave", [leave_with, leave_unentered_with, leave_alone_with])
async def test_what_a_block_raises_leaves_it_as_it_is(
    server: Server, mine: BaseException, cancel: bool, leave: Callable[..., Awaitable[None]]
) -> None:
    """The same object, its cause and context untouched, in no group: though an upload is
    under way, responses are open, or the scope around is cancelled at the same time.
    """
    cause, context = mine.__cause__, mine.__context__
    left_with: BaseException | None = None
    with anyio.CancelScope() as outer:
        try:
            await leave(mine, ClientSession(server.url), outer if cancel else anyio.CancelScope())
        except BaseException as exc:  # noqa: BLE001 (which one is the question)
            left_with = exc
    assert left_with is mine
    assert mine.__cause__ is cause
    assert mine.__context__ is context


async def test_a_cancellation_passes_through(server: Server, how: How) -> None:
    """A scope around the session ends there, and the code behind it runs on."""
    with anyio.CancelScope() as scope:
        async with ClientSession(server.url) as session:
            async with session.post("/echo-body", data=slow_pieces()) as response:
                await response.content.readany()
                scope.cancel()
                await anyio.sleep_forever()
    assert scope.cancelled_caught
    await anyio.lowlevel.checkpoint()


@pytest.mark.once
async def test_asyncio_timeout_works_around_a_session(server: Server) -> None:
    """Asyncio's own timeouts count cancellations; none may be lost or added."""

    async def within(seconds: float, path: str) -> None:
        async with asyncio.timeout(seconds):
            async with ClientSession(server.url) as session:
                await get(session, path)

    for path in ("/hang", "/drip?n=9&delay=0.2"):
        with pytest.raises(TimeoutError):
            await within(0.05, path)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
