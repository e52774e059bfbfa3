"""Cancelling a request at each of its suspension points: nothing is left, and the next one works.

Each test describes one operation; it is run again and again, cancelled at its first, second,
third, … suspension point.  After each run no slot is borrowed, no socket is open but those
that the pool keeps, no task runs, and a plain request succeeds.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, get_args

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    TCPConnector,
    TraceConfig,
)
from tests.support import census
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.census import ROUNDS_OF_GRACE, assert_no_tokens, open_sockets, running_tasks
from tests.support.client import get
from tests.support.names import Names
from tests.support.peer import STALL, Flag, Script, Tell, Until
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import until

pytestmark = pytest.mark.uvloop

Operation = Callable[[ClientSession], Awaitable[object]]


@pytest.fixture(params=get_args(How))
def how(request: pytest.FixtureRequest, anyio_backend: tuple[str, object]) -> How:
    """Each way of cancelling that the backend has."""
    way: How = request.param
    if way == "native" and anyio_backend[0] == "trio":
        pytest.skip("trio has no cancellation but scopes")
    return way


@pytest.fixture
def black_hole(server: Server) -> Iterator[str]:
    """Return an address on which the port of *server* answers no attempt to connect."""
    address = ("127.0.0.7", server.url.port)
    with census.lock:
        listener, *fillers = (socket.socket() for _ in range(3))
        for sock in (listener, *fillers):
            census.adopt(sock)
    listener.bind(address)
    listener.listen(0)
    for filler in fillers:  # the queue of connections is full then
        filler.setblocking(False)
        filler.connect_ex(address)
    yield address[0]
    for sock in (listener, *fillers):
        census.close(sock)


async def hammer(
    session: ClientSession, operation: Operation, how: How, *, entered: bool = True
) -> None:
    """Cancel *operation* everywhere, and look at what it left each time."""
    connector = session.connector
    assert connector is not None

    async def after() -> None:
        assert_no_tokens(connector)
        sockets = dict[int, int]()
        for _ in range(ROUNDS_OF_GRACE):
            sockets = open_sockets(known=sockets_before)
            if len(sockets) == connector.statistics().idle and running_tasks() <= tasks_before:
                break
            await anyio.lowlevel.checkpoint()
        assert len(sockets) == connector.statistics().idle
        assert running_tasks() <= tasks_before
        with anyio.fail_after(5):
            await get(session, "/json")
        assert_no_tokens(connector)

    async def run() -> None:
        await operation(session)

    sockets_before = open_sockets().keys()
    async with AsyncExitStack() as stack:
        if entered:
            await stack.enter_async_context(session)
        else:
            stack.push_async_callback(session.close)
        await get(session, "/json")
        # the task that cancels is one more
        tasks_before = running_tasks()
        assert await cancel_at_every_checkpoint(run, after=after, how=how)
    assert open_sockets().keys() <= sockets_before


async def pieces(count: int = 3) -> AsyncIterator[bytes]:
    """Yield a body that is not known beforehand."""
    for number in range(count):
        yield b"%d" % number * 1000
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("keepalive", [15, 0], ids=["reused", "new"])
@pytest.mark.parametrize("path", ["/json", "/stream/5", "/gzip", "/bytes/400000", "/redirect/2"])
async def test_a_request(
    server: Server, how: How, path: str, keepalive: float, entered: bool
) -> None:
    """Connecting, sending, reading the head and any kind of body, redirects, releasing."""
    session = ClientSession(server.url, connector=TCPConnector(keepalive_timeout=keepalive))
    await hammer(session, lambda session: get(session, path), how, entered=entered)


async def test_every_limit_at_once(server: Server, how: How, entered: bool) -> None:
    """Time limits wrap the phases in scopes of their own; those leave nothing either."""
    session = ClientSession(
        server.url,
        connector=TCPConnector(keepalive_timeout=0, limit=1, limit_per_host=1),
        timeout=anyhttp.ClientTimeout(total=9, connect=8, sock_connect=7, sock_read=6),
    )
    await hammer(session, get, how, entered=entered)


@pytest.mark.parametrize("bare", [False, True], ids=["block", "await"])
@pytest.mark.parametrize(
    "options",
    [{}, {"expect100": True}, {"compress": "gzip"}, {"headers": {"Content-Length": "1000"}}],
    ids=["plain", "expect100", "compress", "cut-short"],
)
async def test_a_streamed_upload(
    server: Server, how: How, entered: bool, options: dict[str, Any], bare: bool
) -> None:
    """Head, body in pieces by a task of its own, and the answer after it."""
    session = ClientSession(server.url)

    async def upload(session: ClientSession) -> None:
        if bare:
            response = await session.post("/upload", data=pieces(), **options)
            try:
                assert response.status == 200
                await response.read()
            finally:
                response.close()
        else:
            async with session.post("/upload", data=pieces(), **options) as response:
                await response.read()

    await hammer(session, upload, how, entered=entered)


async def test_an_answer_that_comes_beside_the_upload(
    server: Server, how: How, entered: bool
) -> None:
    """The response is read, and then left, while the request is still being sent."""
    session = ClientSession(server.url)

    async def talk(session: ClientSession) -> None:
        async with session.post("/echo-body", data=pieces(5)) as response:
            await response.content.readany()

    await hammer(session, talk, how, entered=entered)


@pytest.mark.parametrize("per_host", [False, True], ids=["limit", "limit_per_host"])
async def test_queueing_for_a_slot(server: Server, how: How, per_host: bool) -> None:
    """One who gives up in the queue takes no slot with him, and does not stop the queue."""
    limits: dict[str, Any] = {"limit_per_host": 1} if per_host else {"limit": 1}
    session = ClientSession(server.url, connector=TCPConnector(**limits))

    async def queue(session: ClientSession) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(get, session)
            await get(session)

    await hammer(session, queue, how)


@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no-cache"])
async def test_resolving(server: Server, how: How, cache: bool) -> None:
    """Alone, and together with others that wait for the same answer."""
    assert server.url.port is not None
    connector = TCPConnector(
        resolver=Names(), use_dns_cache=cache, ttl_dns_cache=0, keepalive_timeout=0
    )
    session = ClientSession(server.url.with_host("name.test"), connector=connector)

    async def resolve(session: ClientSession) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(get, session)
            await get(session)

    await hammer(session, resolve, how)


@pytest.mark.parametrize("delay", [0.001, None], ids=["race", "one-by-one"])
async def test_connecting_where_some_addresses_fail(
    server: Server, how: How, delay: float | None
) -> None:
    """Refused attempts, one after the other or raced."""
    connector = TCPConnector(
        resolver=Names("127.0.0.8", "127.0.0.9", "127.0.0.1"),
        happy_eyeballs_delay=delay,
        keepalive_timeout=0,
    )
    session = ClientSession(server.url.with_host("name.test"), connector=connector)
    await hammer(session, get, how)


async def test_racing_past_an_address_that_is_silent(
    server: Server, how: How, black_hole: str
) -> None:
    """Losers of the race are closed, whoever is cancelled when."""
    connector = TCPConnector(
        resolver=Names(black_hole, black_hole, "127.0.0.1", "127.0.0.1"),
        happy_eyeballs_delay=0.001,
        keepalive_timeout=0,
    )
    session = ClientSession(server.url.with_host("name.test"), connector=connector)
    await hammer(session, get, how)


@pytest.mark.parametrize("keepalive", [15, 0], ids=["reused", "new"])
async def test_tls(server: Server, tls_ca: Authority, how: How, keepalive: float) -> None:
    """The handshake, and records that are cut short."""
    connector = TCPConnector(ssl=tls_ca.client, keepalive_timeout=keepalive)
    session = ClientSession(server.https_url, connector=connector)
    await hammer(session, get, how)


@pytest.mark.parametrize("scheme", ["https", "socks5"])
async def test_a_tunnel(
    server: Server, proxies: Proxies, tls_ca: Authority, how: How, scheme: str
) -> None:
    """Wherever its making is cut short, neither proxy nor origin keeps a connection either."""
    if scheme == "socks5":
        pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
    proxy = proxies(scheme, login=("user", "secret"))
    connector = TCPConnector(ssl=tls_ca.client, keepalive_timeout=0)
    session = ClientSession(server.https_url, connector=connector, proxy=proxy.login_url)
    await hammer(session, get, how)
    await until(
        lambda: not (proxy.open_connections or server.open_connections), "connections to be closed"
    )


async def test_a_response_that_is_left_unread(server: Server, how: How, entered: bool) -> None:
    """Leaving the block closes a connection whose body is still to come."""
    session = ClientSession(server.url)

    async def leave(session: ClientSession) -> None:
        async with session.get("/bytes/4000000"):
            await anyio.lowlevel.checkpoint()
        async with session.get("/drip?n=2&delay=0.1") as response:
            await response.content.readany()

    await hammer(session, leave, how, entered=entered)


async def send_twice(request: ClientRequest, handler: ClientHandlerType) -> anyhttp.ClientResponse:
    """Drop the first response unread."""
    await handler(request)
    return await handler(request)


async def bring_streams(
    request: ClientRequest, handler: ClientHandlerType
) -> anyhttp.ClientResponse:
    """Send two streams, and read half of the answer to the first."""
    await request.update_body(pieces())
    response = await handler(request)
    await response.content.readany()
    await request.update_body(pieces())
    return await handler(request)


async def ask_elsewhere(
    request: ClientRequest, handler: ClientHandlerType
) -> anyhttp.ClientResponse:
    """Use the session for something else, then answer with something else again."""
    async with request.session.get("/json", middlewares=()) as response:
        await response.read()
    await handler(request)
    answer: anyhttp.ClientResponse = await request.session.get("/bytes/400000", middlewares=())
    return answer


async def race(request: ClientRequest, handler: ClientHandlerType) -> anyhttp.ClientResponse:
    """Send it two times at once."""
    responses = []

    async def ask() -> None:
        responses.append(await handler(request))
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        group.start_soon(ask)
    return responses[0]


async def ask_then_race(
    request: ClientRequest, handler: ClientHandlerType
) -> anyhttp.ClientResponse:
    """Send it two times at once while the rest of an earlier response is still coming."""
    await handler(request)
    return await race(request, handler)


@pytest.mark.parametrize("bare", [False, True], ids=["block", "await"])
@pytest.mark.parametrize(
    ("middleware", "path"),
    [
        (send_twice, "/bytes/400000"),
        (send_twice, "/redirect/1"),
        (bring_streams, "/echo-body"),
        (ask_elsewhere, "/bytes/400000"),
        (race, "/json"),
        (ask_then_race, "/bytes/400000"),
    ],
)
async def test_middlewares(
    server: Server,
    how: How,
    entered: bool,
    bare: bool,
    middleware: anyhttp.ClientMiddlewareType,
    path: str,
) -> None:
    """Each response that they get is given back, whoever is cancelled when."""
    session = ClientSession(server.url)

    async def ask(session: ClientSession) -> None:
        if bare:
            response = await session.put(path, middlewares=[middleware])
            try:
                await response.read()
            finally:
                response.close()
        else:
            async with session.put(path, middlewares=[middleware]) as response:
                await response.read()

    await hammer(session, ask, how, entered=entered)


@pytest.mark.parametrize("how_to_leave", ["block", "close"])
async def test_a_session_that_ends(server: Server, how: How, how_to_leave: str) -> None:
    """A session is closed with idle connections, an open response and an upload on its way."""

    async def live(_: ClientSession) -> None:
        session = ClientSession(server.url)
        async with AsyncExitStack() as stack:
            if how_to_leave == "block":
                await stack.enter_async_context(session)
            else:
                stack.push_async_callback(session.close)
            await get(session)
            unread = await session.get("/bytes/4000000")
            assert not unread.closed
            async with session.post("/echo-body", data=pieces()) as response:
                await response.content.readany()

    await hammer(ClientSession(server.url), live, how)


@pytest.mark.parametrize("bare", [False, True], ids=["block", "await"])
async def test_request_without_a_session(server: Server, how: How, bare: bool) -> None:
    """The private session of ``anyhttp.request()`` goes with the request."""

    async def once(_: ClientSession) -> None:
        url = server.url / "stream/5"
        if bare:
            response = await anyhttp.request("GET", url)
            try:
                await response.read()
            finally:
                response.close()
        else:
            async with anyhttp.request("GET", url) as response:
                await response.read()

    await hammer(ClientSession(server.url), once, how)


def traced() -> TraceConfig:
    """Return a configuration that makes each signal one more point to be cancelled at."""

    async def handler(session: object, context: object, params: object) -> None:
        await anyio.lowlevel.checkpoint()

    config = TraceConfig()
    for name in dir(config):
        if name.startswith("on_"):
            getattr(config, name).append(handler)
    return config


@pytest.mark.parametrize("keepalive", [15, 0], ids=["reused", "new"])
@pytest.mark.parametrize("path", ["/json", "/stream/5", "/redirect/1"])
async def test_trace_handlers(
    server: Server, how: How, path: str, keepalive: float, entered: bool
) -> None:
    """A handler that is cancelled takes its request along, whatever that has got by then."""
    connector = TCPConnector(resolver=Names(), keepalive_timeout=keepalive)
    session = ClientSession(
        server.url.with_host("name.test"), connector=connector, trace_configs=[traced()]
    )
    await hammer(session, lambda session: get(session, path), how, entered=entered)


@pytest.mark.parametrize("small", [True, False], ids=["small", "streamed"])
async def test_trace_handlers_of_an_upload(
    server: Server, how: How, entered: bool, small: bool
) -> None:
    """Those of the pieces that a task writes are cancelled with that task."""
    session = ClientSession(server.url, trace_configs=[traced()])

    async def upload(session: ClientSession) -> None:
        body = b"small" if small else pieces()
        async with session.post("/upload", data=body) as response:
            await response.read()

    await hammer(session, upload, how, entered=entered)


async def test_trace_handlers_of_a_queue(server: Server, how: How) -> None:
    """A slot that has been waited for goes back when the handlers that are told so give up."""
    connector = TCPConnector(limit=1, ttl_dns_cache=0, resolver=Names())
    session = ClientSession(
        server.url.with_host("name.test"), connector=connector, trace_configs=[traced()]
    )

    async def queue(session: ClientSession) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(get, session)
            await get(session)

    await hammer(session, queue, how)


async def test_trace_handlers_of_a_failure(server: Server, how: How, entered: bool) -> None:
    """They run when the request holds nothing any more."""
    session = ClientSession(server.url, trace_configs=[traced()])

    async def fail(session: ClientSession) -> None:
        with pytest.raises(anyhttp.ServerDisconnectedError):
            await get(session, "/close")

    await hammer(session, fail, how, entered=entered)


async def test_all_features_at_once(
    server: Server, how: How, entered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is closed by the end of the request, and the tracker knows of it."""
    netrc, path = tmp_path / "netrc", tmp_path / "body"
    netrc.write_text("machine 127.0.0.1 login user password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    path.write_bytes(bytes(100_000))

    async def judge(response: anyhttp.ClientResponse) -> None:
        await response.read()

    async def put(session: ClientSession) -> None:
        file, tracker = path.open("rb"), anyhttp.UploadTracker()
        try:
            request = session.put(
                "/redirect-to",
                params={"url": "/echo", "status": "307"},
                data=file,
                upload_tracker=tracker,
            )
            async with request as response:
                await response.read()
        finally:
            assert tracker.upload_complete.done()
            assert file.closed

    session = ClientSession(
        server.url,
        trust_env=True,
        trace_configs=[traced()],
        raise_for_status=judge,
        middlewares=[send_twice],
    )
    await hammer(session, put, how, entered=entered)


@pytest.mark.parametrize("data", [None, b"small", "streamed"])
async def test_a_scope_that_is_cancelled_already(
    server: Server, entered: bool, data: object
) -> None:
    """A request with an idle connection at hand ends at its first chance, and leaves nothing."""
    session = ClientSession(server.url)

    async def post(session: ClientSession) -> None:
        body = pieces() if data == "streamed" else data
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with session.post("/upload", data=body) as response:
                await response.read()  # an event loop may see the answer before it cancels

    await hammer(session, post, "scope", entered=entered)


# -- what the caller's block raises ----------------------------------------------------


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


# -- the life of a session -------------------------------------------------------------


async def test_a_forgotten_session_is_warned_about_once(server: Server) -> None:
    """One warning, for the session; none for its connector, its connections or responses."""
    session = ClientSession(server.url)
    await get(session)
    connector = session.connector
    assert isinstance(connector, TCPConnector)
    idle = connector._pool.idle
    del connector
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del session
        gc.collect()
    assert [str(warning.category.__name__) for warning in caught] == ["ResourceWarning"]
    assert "Unclosed client session" in str(caught[0].message)
    for slot in idle.clear():
        assert slot.http1 is not None
        await slot.http1.stream.aclose()


async def test_a_closed_session_is_of_no_use(server: Server) -> None:
    """Using it is an error of the program; closing it again is none."""
    session = ClientSession(server.url)
    assert not session.closed
    await session.close()
    await session.close()
    assert session.closed
    with pytest.raises(RuntimeError, match=r"^Session is closed$"):
        await session.get("/json")
    with pytest.raises(RuntimeError, match=r"^Session is closed$"):
        async with session.get("/json"):
            pass
    with pytest.raises(RuntimeError, match=r"^Session is closed$"):
        async with session:
            pass


async def test_a_session_that_was_left_is_closed(server: Server) -> None:
    """So is one whose block has ended."""
    async with ClientSession(server.url) as session:
        pass
    assert session.closed
    with pytest.raises(RuntimeError, match=r"^Session is closed$"):
        await session.get("/json")


async def test_a_session_is_entered_again(server: Server) -> None:
    """Libraries for aiohttp do so, some for each request; the first to leave closes it."""
    async with ClientSession(server.url) as session:
        for _ in range(3):
            assert await session.__aenter__() is session
        await get(session)
        async with session:
            await get(session)
        assert session.closed
        with pytest.raises(RuntimeError, match=r"^Session is closed$"):
            async with session:
                pass
    await session.close()


async def test_detach(server: Server) -> None:
    """The session is closed then, its connector is not."""
    session = ClientSession(server.url)
    connector = session.connector
    assert connector is not None
    await get(session)
    session.detach()
    assert session.closed
    assert session.connector is None
    assert connector.statistics().idle == 1
    await session.close()
    assert not connector.closed
    await connector.close()


async def test_detach_while_a_request_waits(server: Server) -> None:
    """The wait ends with the session, which is the last to know of its time limit."""
    connector = TCPConnector(limit=1)
    options: dict[str, Any] = {"connector": connector, "connector_owner": False}
    async with connector, ClientSession(server.url, **options) as first:
        async with first.get("/bytes/1000000"), anyio.create_task_group() as group:

            async def ask() -> None:
                with pytest.raises(anyhttp.ClientConnectionError, match="Session is closed"):
                    await get(second)

            async with ClientSession(server.url, **options) as second:
                group.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                second.detach()
            assert connector.statistics().waiting == 0
        assert_no_tokens(connector)


async def test_a_plain_with_says_what_to_write(server: Server) -> None:
    """``with`` cannot wait for a connection, nor close it."""
    async with TCPConnector() as connector, ClientSession(connector=connector) as session:
        requests = (session.get(server.url), session.ws_connect(server.url))
        for manager in (connector, session, *requests):
            with pytest.raises(TypeError, match="use 'async with', not 'with'"), manager:
                pass
        for request in requests:
            request.close()


async def test_a_session_that_is_closed_by_another_task(server: Server) -> None:
    """Fixtures open in one task and close in another; without a block that works."""
    session = ClientSession(server.url)

    async def use() -> None:
        await get(session)
        async with session.post("/upload", data=pieces()) as response:
            await response.read()

    async with anyio.create_task_group() as group:
        group.start_soon(use)
    async with anyio.create_task_group() as group:
        group.start_soon(session.close)
    assert session.closed


def test_a_session_that_is_older_than_its_event_loop(server: Server) -> None:
    """It may be built before there is an event loop, of either kind."""

    async def use(session: ClientSession) -> None:
        for _ in range(2):
            await get(session)
        await session.close()

    for backend in ("asyncio", "trio"):
        session = ClientSession(server.url, connector=TCPConnector(limit=1, limit_per_host=1))
        anyio.run(use, session, backend=backend)
    assert server.connections == 2


def test_a_request_that_is_thrown_away(server: Server) -> None:
    """A coroutine that is closed cannot await anything: its connection is closed all the same."""

    async def main() -> None:
        connector = TCPConnector(limit=1)
        async with ClientSession(server.url, connector=connector) as session:
            await get(session)
            request = session.get("/json")
            request.send(None)  # until it waits for the response
            assert connector.statistics().in_use == 1
            request.close()
            assert_no_tokens(connector)
            await get(session)

    asyncio.run(main())
    assert server.connections == 2


async def pass_on(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Be a middleware."""
    return await handler(request)


async def replace_body(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Be one whose body needs a task."""
    await request.update_body(stream())
    return await handler(request)


async def stream() -> AsyncIterator[bytes]:
    """Yield one piece, and then no more."""
    yield b"x"
    await anyio.sleep_forever()


@pytest.mark.once
@pytest.mark.parametrize("entered", [False, True])
@pytest.mark.parametrize(
    ("middlewares", "body"),
    [
        ((), stream),
        ((pass_on,), lambda: b"x"),
        ((pass_on,), stream),
        ((replace_body,), lambda: b""),
    ],
    ids=["stream", "middleware", "both", "replaced"],
)
async def test_a_request_with_tasks_that_is_thrown_away(
    script: Script, entered: bool, middlewares: Any, body: Callable[[], Any]
) -> None:
    """It cannot wait for them; they end by themselves, and nobody's cancel scopes are confused."""
    came = Flag()
    peer = await script([(Until(b"x"), [Tell(came), STALL])])
    before = running_tasks()
    connector = TCPConnector()
    session = ClientSession(connector=connector, middlewares=middlewares)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(session.close)
        if entered:
            await stack.enter_async_context(session)

        def over(future: Any) -> bool:
            return future.done() or came.is_set()

        with anyio.CancelScope():
            request = session.post(peer.url, data=body())
            while not came.is_set():  # what a task does
                future = request.send(None)
                await asyncio.sleep(0)
                if future is not None:
                    future._asyncio_future_blocking = False
                    await until(partial(over, future), "a step")
            request.close()
            assert_no_tokens(connector)
    await anyio.wait_all_tasks_blocked()
    assert running_tasks() == before
