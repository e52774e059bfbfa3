"""How the block of a WebSocket is left: what leaves it, and when it does not wait for the peer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio

import anyhttp
from anyhttp import ClientSession, ClientWebSocketResponse
from tests.support import websocket
from tests.support.client import assert_free, opened
from tests.support.peer import DEAF, STALL, Flag, Script, Step, Tell
from tests.support.tls import Authority
from tests.support.websocket import Accept, Frame

GET = b"GET / HTTP/1.1\r\n"
BYE = Frame(websocket.CLOSE, b"\x03\xe8")


@pytest.fixture(autouse=True)
def by_each_version(carried_by: str) -> None:
    """Run each test over HTTP/2 as well (:rfc:`8441`)."""


class Thrown(BaseException):
    """An exception that ends programs, as :exc:`KeyboardInterrupt` does."""


class Interrupted(ClientWebSocketResponse):
    """A WebSocket during whose closing the user presses Ctrl-C."""

    __slots__ = ()

    async def close(self, **options: Any) -> bool:
        """Be interrupted."""
        await anyio.lowlevel.checkpoint()
        raise Thrown


def opening(session: ClientSession, url: Any, how: str) -> Any:
    """Return the context manager of a WebSocket."""
    if how == "without a session":
        return anyhttp.ws_connect(url)
    return session.ws_connect(url, heartbeat=30 if how == "heartbeat" else None)


def expiring(wait: Callable[[], Awaitable[object]]) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return *wait* under each kind of time limit."""

    async def by_asyncio() -> None:
        async with asyncio.timeout(0.05):
            await wait()

    async def by_anyio() -> None:
        with anyio.fail_after(0.05):
            await wait()

    async def by_trio() -> None:
        with trio.fail_after(0.05):
            await wait()

    return {"asyncio": by_asyncio, "anyio": by_anyio, "trio": by_trio}


class TestWhatLeaves:
    @pytest.mark.once
    @pytest.mark.parametrize("how", ["plain", "heartbeat", "without a session"])
    @pytest.mark.parametrize("entered", [True, False])
    async def test_a_cancelled_task_ends_although_the_block_has_failed(
        self, script: Script, entered: bool, how: str
    ) -> None:
        """Asyncio cancels a task once: if that got lost, the task would go on for ever."""
        told = Flag()
        peer = await script([(GET, Accept()), (BYE, [Tell(told), STALL])])
        mine = KeyError("mine")
        async with opened(ClientSession(), entered=entered) as session:

            async def fail() -> None:
                async with opening(session, peer.url, how):
                    raise mine

            task = asyncio.create_task(fail())
            await told.until_set()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert caught.value.__context__ is mine

    async def test_what_ends_programs_leaves_although_the_block_has_failed(
        self, script: Script
    ) -> None:
        """The block's own error is its context."""
        peer = await script([(GET, [Accept(), STALL])])
        mine = KeyError("mine")
        async with ClientSession(ws_response_class=Interrupted) as session:
            with pytest.raises(Thrown) as caught:
                async with session.ws_connect(peer.url):
                    raise mine
            assert caught.value.__context__ is mine


class TestNoWait:
    @pytest.mark.parametrize("tls", [False, True])
    @pytest.mark.parametrize("limit", ["asyncio", "anyio", "trio", "receive"])
    async def test_after_a_time_limit(
        self, script: Script, tls_ca: Authority, anyio_backend_name: str, limit: str, tls: bool
    ) -> None:
        """The peer is told, but nobody waits for its answer."""
        if limit in {"asyncio", "trio"} and limit != anyio_backend_name:
            pytest.skip("it belongs to the other backend")
        steps: list[Step] = [(GET, Accept()), (BYE, STALL)]
        peer = await script(steps, tls=tls_ca.server if tls else None)
        async with ClientSession() as session:
            websockets: list[ClientWebSocketResponse] = []

            async def expire() -> None:
                async with session.ws_connect(peer.url, ssl=tls_ca.client) as ws:
                    websockets.append(ws)
                    if limit == "receive":
                        await ws.receive(timeout=0.05)
                    await expiring(ws.receive)[limit]()

            with anyio.fail_after(5), pytest.raises((TimeoutError, trio.TooSlowError)):
                await expire()
            (ws,) = websockets
            assert (ws.closed, ws.close_code) == (True, 1006)
            assert_free(session, idle=0)

    @pytest.mark.once
    async def test_after_the_cancellation_of_the_task(self, script: Script) -> None:
        """As ``asyncio.wait_for()``, a ``TaskGroup`` and the end of a program cancel it."""
        begun = anyio.Event()  # after the handshake, during which no CLOSE would be sent
        peer = await script([(GET, Accept()), (BYE, STALL)])
        async with ClientSession() as session:

            async def receive() -> None:
                async with session.ws_connect(peer.url) as ws:
                    begun.set()
                    async for _ in ws:
                        pass

            task = asyncio.create_task(receive())
            await begun.wait()
            await anyio.wait_all_tasks_blocked()
            task.cancel()
            with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
                await task
            assert_free(session, idle=0)

    async def test_after_what_ends_programs(self, script: Script) -> None:
        """Ctrl-C ends the block at once."""
        peer = await script([(GET, Accept()), (BYE, STALL)])
        async with ClientSession() as session:
            with anyio.fail_after(5), pytest.raises(Thrown):
                async with session.ws_connect(peer.url):
                    raise Thrown
            assert_free(session, idle=0)

    async def test_while_another_task_is_sending(self, script: Script) -> None:
        """Its frame is not finished, so nothing can be sent behind it."""
        peer = await script([(GET, [Accept(), DEAF])])
        async with ClientSession() as session, anyio.create_task_group() as tasks:

            async def send() -> None:
                with pytest.raises(anyhttp.ClientConnectionError):
                    await ws.send_bytes(bytes(30_000_000))

            async def leave() -> None:
                async with ws:
                    tasks.start_soon(send)
                    await anyio.wait_all_tasks_blocked()
                    raise Thrown

            ws = await session.ws_connect(peer.url)
            with anyio.fail_after(5), pytest.raises(Thrown):
                await leave()

    async def test_but_after_another_error(self, script: Script) -> None:
        """It is a closing like any other: the peer's code arrives."""
        peer = await script([(GET, Accept()), (BYE, websocket.close(4000))])
        async with ClientSession() as session:
            ws = await session.ws_connect(peer.url)

            async def fail() -> None:
                async with ws:
                    raise KeyError

            with pytest.raises(KeyError):
                await fail()
            assert ws.close_code == 4000
