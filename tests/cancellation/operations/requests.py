"""Requests: connecting, sending, waiting, each kind of response, and the end."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import ClientRequest, ClientResponse, ClientSession, TCPConnector
from tests.cancellation.stage import Stage, add, new_session, operation, pieces, reconnecting
from tests.support.client import get


async def _get(path: str, stage: Stage, session: ClientSession) -> None:
    await get(session, path)


for _path in ("json", "stream/5", "gzip", "bytes/400000", "redirect/2"):
    for _name, _session in (("reused", new_session), ("new", reconnecting)):
        add(f"get-{_path}-{_name}", partial(_get, f"/{_path}"), _session, unentered=True)


def _limited(stage: Stage) -> ClientSession:
    return new_session(
        stage,
        connector=TCPConnector(keepalive_timeout=0, limit=1, limit_per_host=1),
        timeout=anyhttp.ClientTimeout(total=9, connect=8, sock_connect=7, sock_read=6),
    )


# Time limits wrap the phases in scopes of their own; those leave nothing either.
add("every-limit-at-once", partial(_get, "/json"), _limited, unentered=True)


@operation(unentered=True)
async def each_verb(stage: Stage, session: ClientSession) -> None:
    """Await a response, instead of entering it."""
    for verb in (session.get, session.options, session.head, session.delete):
        response = await verb("/json")
        try:
            assert response.status == 200
            await response.release()
        finally:
            response.close()
    for send in (session.post, session.put, session.patch):
        response = await send("/upload", data=b"small")
        try:
            assert (await response.json())["length"] == 5
            await response.wait_for_close()
        finally:
            response.close()
    async with await session.request("QUERY", "/upload", data=b"small") as response:
        assert '"length": 5' in await response.text()


@operation(unentered=True)
async def informed_and_trailed(stage: Stage, session: ClientSession) -> None:
    """Interim responses come before the head, and fields after the body."""
    async with session.get("/hints") as response:
        assert await response.read() == b"ab"
        assert response.trailers["X-Sum"] == "1"


@operation(unentered=True)
async def left_unread(stage: Stage, session: ClientSession) -> None:
    """Leaving the block closes a connection whose body is still to come."""
    async with session.get("/bytes/4000000"):
        await anyio.lowlevel.checkpoint()
    async with session.get("/drip?n=2&delay=0.1") as response:
        await response.content.readany()


@operation(unentered=True)
async def failing(stage: Stage, session: ClientSession) -> None:
    """The server closes without an answer."""
    with pytest.raises(anyhttp.ServerDisconnectedError):
        await get(session, "/close")
    with pytest.raises(anyhttp.ClientResponseError):
        await get(session, "/status/500", raise_for_status=True)


@operation(unentered=True)
async def ending_by_time_limit(stage: Stage, session: ClientSession) -> None:
    """A limit ends the wait at about the same time."""
    await get(session)
    with pytest.raises(TimeoutError):
        await get(session, "/hang", timeout=anyhttp.ClientTimeout(total=0.002))


def _asking_for_each(limit: str, stage: Stage) -> ClientSession:
    limits = {limit: 1}
    return new_session(stage, connector=TCPConnector(**limits))  # type: ignore[arg-type]


async def _queue(stage: Stage, session: ClientSession) -> None:
    """Who gives up in the queue takes no slot with him, and does not stop the queue."""
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(get, session)
        await get(session)


for _limit in ("limit", "limit_per_host"):
    add(f"queue-for-{_limit}", _queue, partial(_asking_for_each, _limit))


async def _live(how_to_leave: str, stage: Stage, _: ClientSession) -> None:
    """A session is closed with idle connections, an open response and an upload on its way."""
    session = new_session(stage)
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


for _how in ("block", "close"):
    add(f"session-that-ends-by-{_how}", partial(_live, _how))


async def _post_in_cancelled_scope(data: object, stage: Stage, session: ClientSession) -> None:
    """A request with an idle connection at hand ends at its first chance, and leaves nothing."""
    body = pieces() if data == "streamed" else data
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with session.post("/upload", data=body) as response:
            await response.read()  # an event loop may see the answer before it cancels


for _data in (None, b"small", "streamed"):
    _deed = partial(_post_in_cancelled_scope, _data)
    add(f"in-cancelled-scope-{_data!r}", _deed, unentered=True)


@operation()
async def connector_of_its_own(stage: Stage, _: ClientSession) -> None:
    """A connector outlives its session, and is entered or closed by itself."""
    async with TCPConnector(ssl=stage.ca.client) as connector:
        async with ClientSession(
            stage.server.https_url, connector=connector, connector_owner=False
        ) as session:
            await get(session)
        assert connector.statistics().idle == 1
    other = TCPConnector()
    try:
        async with ClientSession(stage.server.url, connector=other, connector_owner=False) as one:
            await get(one)
    finally:
        await other.close()


async def _once(bare: bool, stage: Stage, _: ClientSession) -> None:
    """The private session of ``anyhttp.request()`` goes with the request."""
    url = stage.server.url / "stream/5"
    if bare:
        response = await anyhttp.request("GET", url)
        try:
            await response.read()
        finally:
            response.close()
    else:
        async with anyhttp.request("GET", url) as response:
            await response.read()


for _bare in (False, True):
    add(f"without-session-{'await' if _bare else 'block'}", partial(_once, _bare))


@operation()
async def sending_replaced(stage: Stage, _: ClientSession) -> None:
    """A program has put its own method around the one that sends a request."""
    original = ClientRequest.send

    async def send(request: ClientRequest, connection: object) -> ClientResponse:
        await anyio.lowlevel.checkpoint()
        return await original(request, connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientRequest, "send", send)
        async with new_session(stage) as session:
            await get(session)


@operation(unentered=True)
async def with_cookies(stage: Stage, session: ClientSession) -> None:
    """The jar is written to a file, and read again, by calls that do not wait."""
    await get(session, "/cookies/set?a=1")
    jar = session.cookie_jar
    assert isinstance(jar, anyhttp.CookieJar)
    path = stage.folder / "cookies"
    jar.save(path)
    other = anyhttp.CookieJar(unsafe=True)
    other.load(path)
    assert len(other) == len(jar)
