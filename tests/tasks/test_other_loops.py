from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio

import anyhttp
from anyhttp import ClientSession, ClientTimeout, TCPConnector
from anyhttp.abc import AbstractResolver, ResolveResult
from tests.support.census import open_sockets
from tests.support.client import get
from tests.support.peer import STALL, Head, Script
from tests.support.server import Server
from tests.support.waiting import DEADLINE, until
from tests.support.websocket import Accept


async def pieces() -> AsyncIterator[bytes]:
    """Be a body that has no end."""
    yield b"a"
    await anyio.sleep_forever()


class SlowResolver(AbstractResolver):
    """Knows every host, after a time that never ends in the first event loop."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        """Be asked."""
        self.asked += 1
        if self.asked == 1:
            await anyio.sleep_forever()
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)
        ]

    async def close(self) -> None:
        """Hold nothing."""


async def read(session: ClientSession) -> None:
    """Wait for a response."""
    await session.get("hang")


async def read_body(session: ClientSession) -> None:
    """Wait for the rest of a body, of which more is on its way."""
    async with session.get("bytes/100000000") as response:
        await response.content.read(1)
        await anyio.sleep_forever()


async def upload(session: ClientSession) -> None:
    """Wait for the end of a body that is sent, and for its response."""
    async with session.post("upload", data=pieces()):
        raise AssertionError("there is no response")


async def listen(session: ClientSession) -> None:
    """Wait for a message."""
    async with session.get("hang"):
        raise AssertionError("there is no response")


async def look_up(session: ClientSession) -> None:
    """Wait for the address of a host."""
    await session.get(session_url(session).with_host("a.test"))


def session_url(session: ClientSession) -> Any:
    """Return the URL that relative ones extend."""
    return session._base_url


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # the loop has ended
@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("work", [read, read_body, upload, listen, look_up])
def test_a_session_of_a_loop_that_ended_in_the_middle_of_its_requests(
    server: Server,
    work: Callable[[ClientSession], Coroutine[Any, Any, None]],
    *,
    entered: bool,
) -> None:
    """In a later loop it can be used and closed: no socket stays open, and no slot taken."""
    before = open_sockets()
    tasks: list[asyncio.Task[None]] = []
    resolver = SlowResolver()
    connector = TCPConnector(limit=2, resolver=resolver)
    session = ClientSession(server.url, connector=connector)

    async def begin() -> None:
        if entered:
            await session.__aenter__()
        tasks.extend(asyncio.create_task(work(session)) for _ in range(2))
        tasks.append(asyncio.create_task(work(session)))  # waits for a slot
        if work is look_up:
            await until(lambda: resolver.asked, "the lookup to begin")
        else:
            await until(lambda: len(connector._pool.lent) == 2, "two connections")
        await until(lambda: connector.statistics().waiting == 1, "the third to wait")

    async def end() -> None:
        with anyio.fail_after(DEADLINE):
            await session.close()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it complains of the tasks
    loop.run_until_complete(begin())
    loop.close()
    asyncio.run(end())
    tasks.clear()
    del loop
    gc.collect()
    gc.collect()
    assert open_sockets() == before
    assert not connector._pool.lent


def test_a_lookup_that_a_loop_has_left_unfinished(server: Server) -> None:
    """Requests in a later loop do not wait for its end."""
    tasks: list[asyncio.Task[None]] = []
    resolver = SlowResolver()
    session = ClientSession(server.url, connector=TCPConnector(resolver=resolver))

    async def begin() -> None:
        tasks.append(asyncio.create_task(look_up(session)))
        await until(lambda: resolver.asked, "the lookup to begin")

    async def go_on() -> None:
        async with asyncio.timeout(5):
            await session.get(server.url.with_host("a.test") / "json")
        await session.close()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # it complains of the task
    loop.run_until_complete(begin())
    loop.close()
    asyncio.run(go_on())
    tasks.clear()
    gc.collect()
    assert resolver.asked == 2


def test_a_program_ends_with_a_session_that_was_never_closed(server: Server) -> None:
    """No helper task of the session keeps trio from ending."""

    async def use() -> None:
        session = ClientSession(server.url)
        await session.__aenter__()
        await get(session)
        kept.append(session)

    kept: list[ClientSession] = []
    thread = threading.Thread(target=trio.run, args=[use], daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    trio.run(kept.pop().close)


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the loop has ended
@pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
@pytest.mark.parametrize("where", ["no loop", "asyncio", "trio"])
@pytest.mark.parametrize("loop_ends", ["cancelling its tasks", "leaving its tasks"])
def test_a_websocket_that_is_forgotten_after_its_loop(
    script: Script, loop_ends: str, where: str
) -> None:
    """The task of its heartbeat has ended with the loop: there is nothing to end, and no error."""

    async def connect() -> None:
        kept.append(await anyhttp.ws_connect(peer.url, heartbeat=30))
        await anyio.lowlevel.checkpoint()  # begins the task of the heartbeat

    async def forget() -> None:
        kept.clear()
        gc.collect()

    kept: list[object] = []
    peer = asyncio.run(script([(Head(b"GET "), [Accept(), STALL])]))
    if loop_ends == "cancelling its tasks":
        asyncio.run(connect())
    else:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(connect())
        loop.close()
        del loop
    if where == "no loop":
        kept.clear()
        gc.collect()
    else:
        anyio.run(forget, backend=where)


def in_thread(function: Callable[..., object], *args: object) -> None:
    """Call *function* in a thread of its own, and raise what it raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            function(*args)
        except BaseException as exc:  # noqa: BLE001  (raised below)
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


@pytest.mark.uvloop
@pytest.mark.parametrize("limit", [0, 1])
async def test_two_threads_use_one_session(
    server: Server, anyio_backend: Any, limit: int, *, entered: bool
) -> None:
    """Locks, limits and event loops belong to one, so the other is told at once."""
    name, options = anyio_backend

    def use() -> None:
        with pytest.raises(RuntimeError, match="two threads at once"):
            anyio.run(get, session, backend=name, backend_options=options)

    timeout = ClientTimeout(total=5)
    session = ClientSession(server.url, connector=TCPConnector(limit=limit), timeout=timeout)
    if entered:
        await session.__aenter__()
    async with session.get("bytes/1000000"):
        await anyio.to_thread.run_sync(in_thread, use)
    await get(session)
    await session.close()


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # the loop has ended
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_threads_use_one_session_one_after_the_other(server: Server, backend: str) -> None:
    """A session may move on to another thread when none of its connections is in use."""
    session = ClientSession(server.url, connector=TCPConnector(limit=1))
    for _ in range(2):
        in_thread(partial(anyio.run, backend=backend), get, session)
        anyio.run(get, session, backend=backend)
    anyio.run(session.close, backend=backend)
    del session
    gc.collect()


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # the loop has ended
def test_a_thread_that_has_ended_with_a_connection_in_use(server: Server) -> None:
    """It will not use the session again."""
    kept: list[Any] = []

    async def leave(session: ClientSession) -> None:
        kept.append(await session.get("bytes/1000000"))

    session = ClientSession(server.url)
    in_thread(anyio.run, leave, session)
    anyio.run(get, session)
    anyio.run(session.close)
    kept.clear()
    del session
    gc.collect()


@pytest.mark.uvloop
async def test_a_session_that_another_thread_closes(server: Server, anyio_backend: Any) -> None:
    """Whoever waits is woken in the own loop, and the socket closed there."""
    name, options = anyio_backend
    errors: list[Exception] = []

    async def ask() -> None:
        try:
            await get(session, "hang")
        except Exception as exc:  # noqa: BLE001  (checked below)
            errors.append(exc)

    session = ClientSession(server.url, connector=TCPConnector(limit=1))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
            await until(lambda: session.connector.statistics().waiting, "the second to wait")  # type: ignore[union-attr]
            await server.until_asked("/hang")

            def close() -> None:
                anyio.run(session.close, backend=name, backend_options=options)

            await anyio.to_thread.run_sync(in_thread, close)
    assert sorted(type(error).__name__ for error in errors) == [
        "ClientConnectionError",
        "ClientConnectionResetError",
    ]
