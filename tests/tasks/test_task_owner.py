from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from contextvars import Context, ContextVar
from typing import Any, TypeVarTuple

import anyio
import anyio.lowlevel
import pytest
import trio

import anyhttp
from anyhttp import (
    ClientConnectionError,
    ClientSession,
    ClientTimeout,
    ClientWSTimeout,
    TCPConnector,
    TraceConfig,
)
from anyhttp._tasks.event_loop import on_asyncio
from anyhttp._tasks.task_owner import TaskOwner
from anyhttp._tasks.timeouts import Watchdog
from tests.support import websocket
from tests.support.census import open_sockets, running_tasks
from tests.support.client import assert_free, wait_free
from tests.support.peer import STALL, Flag, Head, Peer, Script, Tell, Until
from tests.support.server import Server
from tests.support.streams import FakeStream, watch
from tests.support.waiting import until
from tests.support.websocket import Accept

#: Whom a server works for, as it would note that.
visitor: ContextVar[str] = ContextVar("visitor", default="nobody")


#: For a peer that does not take part in closing.
QUICK = ClientWSTimeout(ws_close=0.05)


class Thrown(BaseException):
    """What no handler of errors expects."""


async def pieces() -> AsyncIterator[bytes]:
    """Be a body that a helper task sends."""
    yield b"a"
    yield b"b"


async def use(session: ClientSession) -> int:
    """Make a request that needs a helper task."""
    async with session.post("echo-body", data=pieces()) as response:
        return len(await response.read())


def test_a_session_of_a_fixture(server: Server) -> None:
    """A generator may hold a session, of which one task runs the start and another the end."""

    async def fixture() -> AsyncIterator[ClientSession]:
        async with ClientSession(server.url) as session:
            yield session

    async def end() -> None:
        with pytest.raises(StopAsyncIteration):
            await anext(generator)

    with asyncio.Runner() as runner:
        generator = fixture()

        async def start() -> ClientSession:
            return await anext(generator)

        session = runner.run(start())
        assert runner.run(use(session)) == 2
        runner.run(end())
        assert session.closed
        assert not asyncio.all_tasks(runner.get_loop())


class Blocks:
    """Generators that stop in the middle of the block of a request."""

    def __init__(self, session: ClientSession, peer: Peer) -> None:
        self._session = session
        self._url = peer.url

    async def download(self) -> AsyncIterator[object]:
        """Read a response."""
        async with self._session.get(self._url) as response:
            yield await response.content.read(1)

    async def upload(self) -> AsyncIterator[object]:
        """Send a body that has no end."""
        async with self._session.post(self._url, data=endless()) as response:
            yield await response.content.read(1)

    async def websocket(self) -> AsyncIterator[object]:
        """Receive a message."""
        async with self._session.ws_connect(self._url, heartbeat=30, timeout=QUICK) as ws:
            yield await ws.receive_str()

    async def session(self) -> AsyncIterator[object]:
        """Read a response of a session of its own."""
        async with ClientSession() as session, session.get(self._url) as response:
            yield await response.content.read(1)

    async def lone_download(self) -> AsyncIterator[object]:
        """Read a response without a session."""
        async with anyhttp.request("GET", self._url) as response:
            yield await response.content.read(1)

    async def lone_upload(self) -> AsyncIterator[object]:
        """Send a body that has no end, without a session."""
        async with anyhttp.request("POST", self._url, data=endless()) as response:
            yield await response.content.read(1)

    async def lone_websocket(self) -> AsyncIterator[object]:
        """Receive a message, without a session."""
        async with anyhttp.ws_connect(self._url, heartbeat=30, timeout=QUICK) as ws:
            yield await ws.receive_str()


async def endless() -> AsyncIterator[bytes]:
    """Be a body that has no end."""
    yield b"a"
    await anyio.sleep_forever()


@pytest.mark.uvloop
@pytest.mark.filterwarnings("ignore:Async generator .* was garbage collected:ResourceWarning")
@pytest.mark.parametrize("how", ["dropped", "closed in another task"])
@pytest.mark.parametrize("what", [name for name in vars(Blocks) if not name.startswith("_")])
async def test_a_generator_that_is_left_in_the_middle_of_a_block(
    script: Script, what: str, how: str, *, entered: bool
) -> None:
    """The event loop, or another task, ends it; whoever had begun it is not disturbed."""
    if "websocket" in what:
        peer = await script([(b"GET / ", [Accept(), websocket.frame(websocket.TEXT), STALL])])
    else:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"
        peer = await script([(Head(b"POST / " if "upload" in what else b"GET / "), [head, STALL])])

    async def leave() -> None:
        generator: AsyncGenerator[object] = getattr(Blocks(session, peer), what)()
        await anext(generator)
        if how == "dropped":
            return
        async with anyio.create_task_group() as group:
            group.start_soon(generator.aclose)

    before = running_tasks(), open_sockets()
    session = ClientSession()
    async with AsyncExitStack() as stack:
        if entered:
            await stack.enter_async_context(session)
        else:
            stack.push_async_callback(session.close)
        with anyio.fail_after(10):
            await leave()
            gc.collect()
            await wait_free(session)
    await until(lambda: (running_tasks(), open_sockets()) == before, "all to have ended")


async def test_sessions_that_end_in_the_order_in_which_they_began(server: Server) -> None:
    """Two that one task has entered by hand may be left in any order, within another scope."""
    with anyio.fail_after(10):
        first, second = ClientSession(server.url), ClientSession(server.url)
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__(None, None, None)
        assert await use(second) == 2
        await second.__aexit__(None, None, None)
    assert first.closed
    assert second.closed


async def test_a_session_that_is_entered_by_hand_and_closed(server: Server) -> None:
    """Closing it is enough: nothing of it runs on."""
    before = running_tasks()
    session = await ClientSession(server.url).__aenter__()
    assert await use(session) == 2
    await session.close()
    assert running_tasks() == before


@pytest.mark.once
async def test_a_session_that_two_tasks_enter_at_once(server: Server) -> None:
    """It has the helper tasks of one of them, and nothing is left of the other's."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"body"

    before = asyncio.all_tasks()
    session = ClientSession()
    both = await asyncio.gather(session.__aenter__(), session.__aenter__())
    assert set(both) == {session}
    async with session.post(server.url / "echo-body", data=pieces()) as response:
        assert await response.read() == b"body"
    await session.close()
    assert asyncio.all_tasks() == before


async def test_a_block_in_which_the_session_is_closed(server: Server) -> None:
    """It ends as any other."""
    async with ClientSession(server.url) as session:
        assert await use(session) == 2
        await session.close()
    assert session.closed


async def test_leaving_a_session_that_was_not_entered(server: Server) -> None:
    """A wrapper that enters nothing and passes on the end of its block closes the session."""
    session = ClientSession(server.url)
    assert await use(session) == 2
    await session.__aexit__(None, None, None)
    assert session.closed


async def test_entering_takes_no_step_of_the_event_loop() -> None:
    """A cancellation cannot come before the block, whose end closes the session."""
    session = ClientSession()
    with pytest.raises(StopIteration) as entered:
        session.__aenter__().send(None)
    assert entered.value.value is session
    await session.close()


async def test_tasks_end_with_their_owner() -> None:
    """Leaving cancels the tasks and waits for them."""
    ended = False

    async def helper() -> None:
        nonlocal ended
        try:
            await anyio.sleep_forever()
        finally:
            ended = True

    owner = TaskOwner()
    owner.tasks.start_soon(helper)
    await anyio.wait_all_tasks_blocked()
    await owner.leave(None)
    assert ended


async def test_a_task_that_is_told_to_end() -> None:
    """One that has a way of its own needs no cancel scope."""
    over = anyio.Event()
    ended: list[bool] = []

    async def helper() -> None:
        await over.wait()
        ended.append(True)

    owner = TaskOwner()
    owner.start(helper, over.set)
    await anyio.wait_all_tasks_blocked()
    assert owner.tasks.are_running
    await owner.leave(None)
    assert ended
    assert not owner.tasks.are_running


async def test_two_tasks_that_fail() -> None:
    """The first failure is raised where the tasks are left; it has probably caused the second."""

    async def fail(error: Exception) -> None:
        raise error

    owner = TaskOwner()
    for error in (first := KeyError("first"), KeyError("second")):
        owner.tasks.start_soon(fail, error)
        await anyio.wait_all_tasks_blocked()
    with pytest.raises(KeyError) as caught:
        await owner.leave(None)
    assert caught.value is first


async def test_an_owner_that_was_left_starts_nothing() -> None:
    """Whoever still has it gets no task."""

    async def helper() -> None:
        raise AssertionError("it was started")

    owner = TaskOwner()
    await owner.leave(None)
    owner.start(helper)
    assert not owner.tasks.are_running
    await anyio.wait_all_tasks_blocked()
    assert owner.tasks.failure is None


async def test_two_that_leave_at_once() -> None:
    """Both wait for the tasks."""

    async def helper() -> None:
        with anyio.CancelScope(shield=True):
            await over.wait()

    async def leave() -> None:
        await owner.leave(None)
        left.append(over.is_set())

    over, left = anyio.Event(), list[bool]()
    owner = TaskOwner()
    owner.tasks.start_soon(helper)
    async with anyio.create_task_group() as group:
        group.start_soon(leave)
        group.start_soon(leave)
        await anyio.wait_all_tasks_blocked()
        assert left == []
        over.set()
    assert left == [True, True]


@pytest.mark.once
async def test_a_task_that_is_cancelled_before_its_first_step() -> None:
    """Asyncio does not begin it, and nothing of it is left."""

    async def helper() -> None:
        raise AssertionError("it has begun")

    before = asyncio.all_tasks()
    owner = TaskOwner()
    owner.start(helper)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await owner.leave(None)
    assert not owner.tasks.are_running
    gc.collect()  # Python would warn of a coroutine that was never awaited


def test_a_task_that_is_needed_when_trio_ends() -> None:
    """Trio closes the generators that are left when it starts no more tasks: they do without."""

    async def helper() -> None:
        raise AssertionError("it was started")

    async def generate() -> AsyncGenerator[None]:
        owner = TaskOwner()
        try:
            yield
        finally:
            assert not owner.tasks.is_over
            owner.start(helper)
            seen.append((owner.tasks.is_over, owner.tasks.are_running))
            await owner.leave(None)
            seen.append("left")

    async def run() -> None:
        await anext(generator)

    generator = generate()
    seen: list[object] = []
    trio.run(run)
    assert seen == [(True, False), "left"]


async def test_tasks_know_nothing_of_who_needed_them() -> None:
    """One starts in the context in which its owner was made, and keeps nothing else alive."""
    seen: list[str] = []

    async def helper() -> None:
        seen.append(visitor.get())

    owner = TaskOwner()
    token = visitor.set("somebody")
    owner.start(helper)
    visitor.reset(token)
    await anyio.wait_all_tasks_blocked()
    await owner.leave(None)
    assert seen == ["nobody"]


async def test_a_session_that_is_not_used_runs_nothing(server: Server) -> None:
    """One that is used has the timer of its watchdog, for which trio needs a task."""
    before = running_tasks()
    async with ClientSession(server.url) as session:
        assert running_tasks() == before
        assert await use(session) == 2
        assert len(running_tasks() - before) == (0 if on_asyncio() else 1)
    assert running_tasks() == before


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_is_raised_and_not_reported_too(
    server: Server, end: type[BaseException], *, entered: bool
) -> None:
    """Whoever presses Ctrl-C or calls ``sys.exit()`` sees no second traceback."""
    reported: list[dict[str, Any]] = []

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        raise end

    async def program() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: reported.append(said))
        session = ClientSession(server.url)
        if entered:
            await session.__aenter__()
        with suppress(end):
            try:
                await session.post("echo-body", data=body())
            finally:
                await session.close()

    with pytest.raises(end):
        asyncio.run(program())
    gc.collect()
    assert reported == []


@pytest.mark.uvloop
@pytest.mark.once
@pytest.mark.parametrize("by_block", [True, False])
async def test_closing_whose_coroutine_is_closed_leaves_no_task(
    server: Server, *, by_block: bool
) -> None:
    """It cannot wait for the tasks, but it cancels them."""
    before = running_tasks()
    session = ClientSession(server.url)
    await session.__aenter__()
    assert await use(session) == 2
    closing = session.__aexit__(None, None, None) if by_block else session.close()
    closing.send(None)
    closing.close()
    await until(lambda: running_tasks() == before, "the tasks to end")
    await session.close()


@pytest.mark.uvloop
@pytest.mark.once
async def test_closing_that_is_cancelled_leaves_no_task(server: Server) -> None:
    """By ``Task.cancel()``, which no shield of a scope stops, at each step."""
    before, ended = running_tasks(), False
    for steps in range(1, 20):
        session = ClientSession(server.url)
        await session.__aenter__()
        assert await use(session) == 2
        closing = asyncio.ensure_future(session.close())
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        ended = closing.done()
        closing.cancel()
        await asyncio.wait([closing])
        await until(lambda: running_tasks() == before, "the tasks to end")
    assert ended


async def test_a_watchdog_wakes_up_for_the_first_deadline() -> None:
    """Its timer or task starts then, and ends that wait and all others in time."""
    owner = TaskOwner()
    watchdog = Watchdog(owner.start)
    before = running_tasks()
    late, early, forgotten = FakeStream(), FakeStream(), FakeStream()
    start = anyio.current_time()
    watch(watchdog, late, start + 0.04)
    assert len(running_tasks() - before) == (0 if on_asyncio() else 1)
    watch(watchdog, early, start + 0.02)
    watch(watchdog, forgotten, start + 0.02)
    watchdog.forget(forgotten)
    assert await early.until_expired() >= start + 0.02
    assert await late.until_expired() >= start + 0.04
    assert forgotten.expired_at is None
    watchdog.stop()
    await owner.leave(None)


@pytest.mark.uvloop
async def test_a_watchdog_knows_nothing_of_who_needed_it() -> None:
    """Nor does its alarm keep alive what a server has noted about one request."""

    class Nosy(FakeStream):
        def expire(self) -> None:
            super().expire()
            seen.append(visitor.get())

    seen: list[str] = []
    owner = TaskOwner()
    watchdog = Watchdog(owner.start)
    token = visitor.set("somebody")
    watch(watchdog, nosy := Nosy(), anyio.current_time())
    visitor.reset(token)
    await nosy.until_expired()
    watchdog.stop()
    await owner.leave(None)
    assert seen == ["nobody"]


async def test_a_watchdog_that_was_stopped_stays_asleep() -> None:
    """Whoever still has it when the session has been left gets no task, and no error."""
    owner = TaskOwner()
    watchdog = Watchdog(owner.start)
    watchdog.stop()
    await owner.leave(None)
    before = running_tasks()
    watch(watchdog, FakeStream(), anyio.current_time())
    assert running_tasks() == before


def test_a_session_of_several_event_loops(server: Server) -> None:
    """A connection stays with its event loop: in another one a new one is made."""
    session = ClientSession(server.url)
    with asyncio.Runner() as first, asyncio.Runner() as second:
        for runner in (first, second, first):
            assert runner.run(use(session)) == 2
        first.run(session.close())
    assert server.connections == 3


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # as it was
def test_a_session_that_outlives_its_event_loop(server: Server) -> None:
    """It works in the next one, and what is left of the last is closed."""
    session = ClientSession(server.url)
    for _ in range(2):
        assert asyncio.run(use(session)) == 2
    asyncio.run(session.close())
    del session
    gc.collect()
    assert server.connections == 2


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")  # as it was
@pytest.mark.parametrize("backends", [("trio", "asyncio", "trio"), ("asyncio", "trio")])
@pytest.mark.parametrize("close", ["asyncio", "trio"])
def test_a_session_of_both_backends(server: Server, backends: tuple[str, ...], close: str) -> None:
    """A kept connection is of no use on the other one, and neither is in its way there."""
    session = ClientSession(server.url, connector=TCPConnector(limit=1))
    for backend in backends:
        assert anyio.run(use, session, backend=backend) == 2
    anyio.run(session.close, backend=close)
    del session
    gc.collect()
    assert server.connections == len(backends)


def test_a_session_that_was_entered_in_an_event_loop_before(server: Server) -> None:
    """Its helpers have ended with that one; a request that needs none is made all the same."""

    async def enter() -> ClientSession:
        return await ClientSession(server.url).__aenter__()

    async def use_and_close(session: ClientSession) -> int:
        async with session.get("echo") as response:
            status = response.status
        await session.close()
        return status

    assert asyncio.run(use_and_close(asyncio.run(enter()))) == 200


def test_a_session_that_was_entered_in_another_event_loop(server: Server) -> None:
    """It is used as if it had not been entered, and closing it waits for nothing over there."""

    async def time_out(session: ClientSession) -> None:
        with pytest.raises(TimeoutError, match="total timeout"):
            await session.get("hang", timeout=ClientTimeout(total=0.05))

    with asyncio.Runner() as first, asyncio.Runner() as second:
        session = first.run(ClientSession(server.url).__aenter__())
        assert second.run(use(session)) == 2
        second.run(time_out(session))
        second.run(asyncio.wait_for(session.close(), 10))
        assert not first.run(others())
    assert session.closed


async def others() -> set[asyncio.Task[None]]:
    """Return the other tasks of this event loop, when those are gone that were cancelled."""
    for _ in range(5):
        await asyncio.sleep(0)
    return asyncio.all_tasks() - {asyncio.current_task()}


def cancel_tasks(*, but: asyncio.Task[Any] | None = None) -> None:
    """Do as programs do that are told to stop."""
    for task in asyncio.all_tasks() - {asyncio.current_task(), but}:
        task.cancel()


@pytest.mark.parametrize("used", [True, False])
def test_a_program_that_cancels_all_tasks_before_its_last_request(
    server: Server, used: bool
) -> None:
    """Its session goes on as if it had not been entered, and time limits hold as before."""

    async def run() -> None:
        async with ClientSession(server.url) as session:
            if used:
                assert await use(session) == 2
            cancel_tasks()
            assert not await others()
            assert await use(session) == 2
            async with asyncio.timeout(10):
                with pytest.raises(TimeoutError, match="total timeout"):
                    await session.get("hang", timeout=ClientTimeout(total=0.05))

    asyncio.run(run())


@pytest.mark.once
@pytest.mark.parametrize("entered", [True, False])
async def test_a_request_whose_upload_a_program_cancels_with_all_tasks(
    script: Script, entered: bool
) -> None:
    """It fails if it is not cancelled itself: nobody answers half a request."""

    async def endless() -> AsyncIterator[bytes]:
        yield b"a"
        await anyio.sleep_forever()

    async def upload(session: ClientSession) -> None:
        async with session.post(peer.url, data=endless()):
            raise AssertionError("there is no response")

    came = Flag()
    peer = await script([(Until(b"a\r\n"), [Tell(came), STALL])])
    session = ClientSession()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(session.close)
        before = asyncio.all_tasks()
        if entered:
            await stack.enter_async_context(session)
        request = asyncio.create_task(upload(session))
        await came.until_set()
        for task in asyncio.all_tasks() - before - {request}:
            task.cancel()
        with anyio.fail_after(10), pytest.raises(ClientConnectionError, match="was cancelled"):
            await request


@pytest.mark.once
@pytest.mark.parametrize("way", ["entered", "block", "await"])
@pytest.mark.parametrize("all_of_them", [True, False])
async def test_a_request_whose_upload_is_cancelled_before_its_first_step(
    script: Script, way: str, all_of_them: bool
) -> None:
    """Asyncio does not begin such a task, so somebody else has to end the request."""
    before = asyncio.all_tasks()

    async def cancel_soon(*args: object) -> None:
        asyncio.get_running_loop().call_soon(cancel)

    def cancel() -> None:
        tasks = asyncio.all_tasks() - before
        if not any("_run_upload" in repr(task) for task in tasks):
            asyncio.get_running_loop().call_soon(cancel)  # the task has not been made yet
            return
        for task in tasks - (set() if all_of_them else {request}):
            task.cancel()

    async def upload() -> None:
        if way == "await":
            await session.post(peer.url, data=never())
        async with session.post(peer.url, data=never()):
            raise AssertionError("there is no response")

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("nobody asks for a piece")
        yield b""

    trace = TraceConfig()
    trace.on_request_headers_sent.append(cancel_soon)
    peer = await script([STALL])
    session = ClientSession(trace_configs=[trace])
    async with AsyncExitStack() as stack:
        stack.push_async_callback(session.close)
        if way == "entered":
            await stack.enter_async_context(session)
        request = asyncio.create_task(upload())
        with anyio.fail_after(10):
            await asyncio.wait({request})
        assert request.cancelled() == all_of_them
        if not all_of_them:
            with pytest.raises(ClientConnectionError, match="was cancelled"):
                await request
        assert_free(session)


def test_time_limits_of_a_request_outlive_the_helper_tasks(server: Server) -> None:
    """It was there before they were cancelled, and relied on them."""

    async def time_out(session: ClientSession) -> None:
        with pytest.raises(TimeoutError, match="total timeout"):
            await session.get("hang", timeout=ClientTimeout(total=0.2))

    async def run() -> None:
        async with ClientSession(server.url) as session:
            assert await use(session) == 2
            request = asyncio.create_task(time_out(session))
            await asyncio.sleep(0)
            cancel_tasks(but=request)
            await asyncio.wait_for(request, 10)

    asyncio.run(run())


Args = TypeVarTuple("Args")


class TimedLoop(asyncio.SelectorEventLoop):
    """One that knows what it will call later."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[asyncio.TimerHandle] = []

    def call_at(
        self,
        when: float,
        callback: Callable[[*Args], object],
        *args: *Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Keep the timer."""
        timer = super().call_at(when, callback, *args, context=context)
        self.timers.append(timer)
        return timer


def test_no_timer_outlives_a_session_that_has_lost_its_tasks(server: Server) -> None:
    """That of the time limits would ring minutes later."""

    async def run() -> None:
        async with ClientSession(server.url) as session:
            assert await use(session) == 2
            cancel_tasks()
            assert not await others()
            assert await use(session) == 2
        soon = loop.time() + 60
        assert all(timer.cancelled() for timer in loop.timers if timer.when() > soon)

    loop = TimedLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())


@pytest.mark.uvloop
@pytest.mark.parametrize("kind", [Thrown, GeneratorExit])
async def test_what_ends_programs_leaves_a_session_as_it_is(
    server: Server, kind: type[BaseException]
) -> None:
    """A helper task cannot keep it, and in no case is it wrapped in an exception group."""

    async def fail() -> AsyncIterator[bytes]:
        yield b"a"
        raise thrown

    async def upload() -> None:
        async with ClientSession(server.url) as session:
            with suppress(kind):  # on asyncio it has reached the caller by then
                await session.post("upload", data=fail())

    thrown = kind("by the body of a request")
    with pytest.raises(kind) as caught:
        await upload()
    assert caught.value is thrown


@pytest.mark.once
@pytest.mark.parametrize("kind", [Thrown, GeneratorExit])
async def test_what_ends_programs_leaves_a_request_with_tasks_of_its_own(
    server: Server, kind: type[BaseException]
) -> None:
    """Nothing of it is left to be told by the event loop."""

    async def fail() -> AsyncIterator[bytes]:
        yield b"a"
        raise thrown

    def tell(_: object, context: dict[str, Any]) -> None:
        told.append(context)

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(tell)
    thrown = kind("by the body of a request")
    session = ClientSession(server.url)
    with pytest.raises(kind) as caught:
        await session.post("upload", data=fail())
    assert caught.value is thrown
    await session.close()
    caught.value.__traceback__ = None
    del caught
    gc.collect()
    assert not told


@pytest.mark.once
async def test_a_task_that_is_cancelled_while_it_leaves_its_helpers_ends() -> None:
    """Asyncio cancels a task once, so the block's own error must not take the place of that."""

    async def helper() -> None:
        with anyio.CancelScope(shield=True):
            reached.set()
            await over.wait()

    async def leave() -> None:
        owner = TaskOwner()
        owner.tasks.start_soon(helper)
        await owner.leave(KeyError())

    reached, over = anyio.Event(), anyio.Event()
    task = asyncio.create_task(leave())
    await reached.wait()
    task.cancel()
    await anyio.wait_all_tasks_blocked()
    over.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_scope_that_is_cancelled_while_helpers_are_left_keeps_the_blocks_error() -> None:
    """The scope raises its cancellation again, so the function returns, and the error is raised."""

    async def helper() -> None:
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        owner = TaskOwner()
        owner.tasks.start_soon(helper)
        await owner.leave(KeyError())
        with pytest.raises(anyio.get_cancelled_exc_class()):
            await anyio.lowlevel.checkpoint()
