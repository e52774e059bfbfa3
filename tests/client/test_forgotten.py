"""What a program forgets is closed when it is collected, with a warning."""

from __future__ import annotations

import gc
import weakref
from contextvars import ContextVar
from threading import get_ident
from typing import Any

import anyio
import anyio.to_thread
import pytest

import anyhttp
from anyhttp import ClientSession, ClientTimeout, TCPConnector
from tests.support.census import open_sockets
from tests.support.client import assert_free, get, wait_free
from tests.support.peer import STALL, Script
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop


class Note:
    """What a web framework notes of one request."""


note: ContextVar[Note] = ContextVar("note")


@pytest.mark.parametrize("total", [None, 60])
async def test_a_forgotten_response_frees_its_slot(
    server: Server, total: float | None, *, entered: bool
) -> None:
    """As a forgotten WebSocket does: the next request need not wait for ever."""

    async def forget() -> None:
        response = await session.get("bytes/1000000")
        assert await response.content.read(1)

    timeout = ClientTimeout(total=total)
    session = ClientSession(server.url, connector=TCPConnector(limit=1), timeout=timeout)
    if entered:
        await session.__aenter__()
    with pytest.warns(ResourceWarning, match="Unclosed response"):
        await forget()
    gc.collect()
    assert_free(session)
    with anyio.fail_after(5):
        await get(session)
    await session.close()


@pytest.mark.filterwarnings("ignore:Unclosed response:ResourceWarning")
async def test_a_forgotten_response_that_another_thread_collects(
    server: Server, *, entered: bool
) -> None:
    """What belongs to an event loop is only touched in its thread."""

    async def forget() -> None:
        response = await session.get("bytes/1000000", timeout=ClientTimeout(total=60))
        assert await response.content.read(1)
        connection: Any = response.connection
        connection.add_callback(lambda: closed_by.append(get_ident()))
        cycle: list[object] = [response]
        cycle.append(cycle)

    closed_by: list[int] = []
    session = ClientSession(server.url, connector=TCPConnector(limit=1))
    if entered:
        await session.__aenter__()
    gc.disable()
    try:
        await forget()
        assert not closed_by
        await anyio.to_thread.run_sync(gc.collect)
    finally:
        gc.enable()
    await until(lambda: closed_by, "the response to be closed")
    assert closed_by == [get_ident()]
    with anyio.fail_after(5):
        await get(session)
    await session.close()


@pytest.mark.filterwarnings("ignore:Unclosed response:ResourceWarning")
async def test_a_response_whose_body_is_still_read_is_not_forgotten(server: Server) -> None:
    """A program may keep only the reader of the body, or the iterator over it."""
    async with ClientSession(server.url) as session:
        reader = (await session.get("bytes/1000000")).content
        pieces = (await session.get("bytes/1000000")).content.iter_chunked(1000)
        gc.collect()
        assert len(await reader.read()) == 1_000_000
        assert sum([len(piece) async for piece in pieces]) == 1_000_000
        assert_free(session)


@pytest.mark.filterwarnings("ignore:Unclosed response:ResourceWarning")
async def test_a_response_that_is_forgotten_while_its_body_is_read_on_ends_in_time(
    script: Script,
) -> None:
    """Nor does what ends forgotten ones keep them from their time limits."""
    peer = await script([(b"GET / ", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", STALL])])
    async with ClientSession() as session:
        response = await session.get(peer.url, timeout=ClientTimeout(total=0.2))
        reader = response.content
        del response
        gc.collect()
        with pytest.raises(TimeoutError):
            await reader.read()
        assert_free(session)


@pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
async def test_a_forgotten_response_of_a_lone_request(server: Server) -> None:
    """Nobody else could close its session."""

    async def forget() -> None:
        response = await anyhttp.request("GET", server.url / "bytes/1000000")
        assert await response.content.read(1)

    before = open_sockets()
    await forget()
    gc.collect()
    await until(lambda: open_sockets() == before, "the socket to be closed")


async def test_a_response_that_is_ended_is_forgotten_without_a_word(server: Server) -> None:
    """There is nothing to close."""

    async def end() -> None:
        (await session.get("bytes/1000000")).close()
        (await session.get("bytes/1000000")).release()
        await (await session.get("bytes/1000000")).read()
        async with session.get("bytes/1000000"):
            pass

    async with ClientSession(server.url) as session:
        await end()
        gc.collect()
        await wait_free(session)


@pytest.mark.parametrize("what", ["session", "connector"])
async def test_the_idle_connections_of_a_forgotten_session_are_closed(
    server: Server, what: str
) -> None:
    """An event loop of asyncio would keep them open until the server closes them."""

    async def forget() -> None:
        connector = TCPConnector()
        owner = what == "session"
        session = ClientSession(server.url, connector=connector, connector_owner=owner)
        await get(session)
        if not owner:
            await session.close()

    before = open_sockets()
    with pytest.warns(ResourceWarning, match=f"Unclosed .*{what}"):
        await forget()
    gc.collect()
    await until(lambda: open_sockets() == before, "the socket to be closed")


@pytest.mark.parametrize("target", ["json", "bytes/3000000"])
async def test_an_idle_connection_keeps_no_context_alive(
    server: Server, target: str, *, entered: bool
) -> None:
    """It outlives the task that opened it, and what was noted there of one request."""

    async def ask() -> None:
        noted = Note()
        noted_by.append(weakref.ref(noted))
        note.set(noted)
        # Asyncio also keeps the context of a timer that was cancelled, until its time has come.
        async with session.get(target, timeout=ClientTimeout()) as response:
            await anyio.sleep(0.01)  # more may arrive than is read ahead
            await response.read()

    noted_by: list[weakref.ref[Note]] = []
    session = ClientSession(server.url)
    if entered:
        await session.__aenter__()
    async with anyio.create_task_group() as group:
        group.start_soon(ask)
    gc.collect()
    assert session.connector is not None
    assert session.connector.statistics().idle == 1
    assert noted_by[0]() is None
    await session.close()
