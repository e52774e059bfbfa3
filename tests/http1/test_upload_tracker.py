"""``UploadTracker``: how far a body has got, and how its sending ended."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
import trio
from yarl import URL

from anyhttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    FormData,
    TraceConfig,
    UploadAbortedError,
    UploadTracker,
)
from tests.support.api import Api
from tests.support.cancel import cancel_when
from tests.support.client import assert_free, client, opened
from tests.support.peer import CLOSE, DEAF, RESET, STALL, Action, Flag, Head, Script, Tell, Until
from tests.support.responses import OK
from tests.support.server import Server

TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
SIZE = 300_000


async def pieces(count: int = 3, size: int = 100_000) -> AsyncIterator[bytes]:
    """Yield some bytes."""
    for _ in range(count):
        yield bytes(size)


async def broken() -> AsyncIterator[bytes]:
    """Yield one piece and fail."""
    yield b"x" * 10
    raise LookupError("no more of it")


BODIES: dict[str, tuple[Callable[[], Any], int]] = {
    "inline": (lambda: b"x" * 1000, 1000),
    "text": (lambda: "grün", 5),
    "large": (lambda: bytes(SIZE), SIZE),
    "stream": (pieces, SIZE),
    "file": (lambda: io.BytesIO(bytes(SIZE)), SIZE),
    "form": (lambda: {"a": "b"}, 3),
    "empty": (lambda: b"", 0),
    "none": (lambda: None, 0),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("options", [{}, {"compress": True}], ids=["plain", "compressed"])
async def test_a_body_that_arrives(
    body: str, options: dict[str, Any], entered: bool, http1: str, server: Server
) -> None:
    """Its bytes are counted before compression and framing; then the end comes."""
    make, size = BODIES[body]
    tracker = UploadTracker()
    assert (tracker.attempts, tracker.bytes_written) == (0, 0)
    async with opened(client(http1), entered=entered, until_free=True) as session:
        async with session.post(
            server.url / "upload", data=make(), upload_tracker=tracker, **options
        ) as response:
            await response.read()
            with anyio.fail_after(5):
                await tracker.upload_complete
            await tracker.upload_complete  # again: it stays so
        assert (tracker.attempts, tracker.bytes_written) == (1, size)
        assert tracker.upload_complete.done()
        assert tracker.upload_complete.exception() is None


def form(*parts: Any) -> FormData:
    """Return a form that holds *parts*, and so is sent as a multipart."""
    made = FormData()
    for number, part in enumerate(parts):
        made.add_field(str(number), part, filename=str(number))
    return made


TOTALS: dict[str, tuple[Callable[[], Any], dict[str, Any], bool]] = {
    "bytes": (lambda: bytes(100), {}, True),
    "bytes, compressed": (lambda: bytes(100), {"compress": True}, True),
    "bytes, in chunks": (lambda: bytes(100), {"chunked": True}, True),
    "a file": (lambda: io.BytesIO(bytes(100)), {}, True),
    "a form": (lambda: {"a": "b"}, {}, True),
    "a form with files": (lambda: form(io.BytesIO(bytes(100)), b"bytes"), {}, True),
    "a form with a generator": (lambda: form(io.BytesIO(bytes(100)), pieces(2)), {}, False),
    "a generator": (lambda: pieces(2, 10), {}, False),
    "a generator, announced": (lambda: pieces(2, 10), {"headers": {"Content-Length": "20"}}, True),
    "nothing": (lambda: None, {}, True),
}


@pytest.mark.parametrize("body", TOTALS)
async def test_the_total_is_told_where_it_is_known(body: str, api: Api) -> None:
    """It is what the bytes that are written come to, so that a progress bar ends at its end."""
    make, options, is_known = TOTALS[body]
    tracker = UploadTracker()
    assert tracker.total is None
    async with ClientSession() as session:
        async with session.post(
            api.url / "upload", data=make(), upload_tracker=tracker, **options
        ) as response:
            await response.read()
            await tracker.upload_complete
    assert tracker.total == (tracker.bytes_written if is_known else None)
    assert f"total={tracker.total} " in repr(tracker)


async def test_the_total_of_a_body_that_is_cut_short(http1: str, script: Script) -> None:
    """It stays what it was, and the bytes do not reach it."""
    peer = await script([(Head(b"POST "), TOO_LARGE)])
    tracker = UploadTracker()
    async with client(http1) as session:
        body = io.BytesIO(bytes(50_000_000))
        async with session.post(peer.url, data=body, upload_tracker=tracker) as response:
            assert response.status == 413
        with pytest.raises(UploadAbortedError):
            await tracker.upload_complete
    assert tracker.total == 50_000_000 > tracker.bytes_written


async def test_progress_can_be_seen_while_it_goes_on(http1: str, script: Script) -> None:
    """Another task may look, and wait for the end, before there is a response."""
    half, go_on = Flag(), anyio.Event()
    peer = await script(
        [(Head(b"POST "), []), (Until(b"first"), Tell(half)), (Until(b"0\r\n\r\n"), OK)]
    )
    tracker = UploadTracker()
    ended: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await go_on.wait()
        yield b"second"

    async def watch() -> None:
        await tracker.upload_complete
        ended.append(tracker.bytes_written)

    async with client(http1) as session, anyio.create_task_group() as group:
        group.start_soon(watch)

        async def send() -> None:
            async with session.post(peer.url, data=body(), upload_tracker=tracker) as response:
                assert await response.read() == b"ok"

        group.start_soon(send)
        await half.until_set()
        await anyio.wait_all_tasks_blocked()
        assert (tracker.attempts, tracker.bytes_written) == (1, 5)
        assert not tracker.upload_complete.done()
        with pytest.raises(RuntimeError, match="not over"):
            tracker.upload_complete.result()
        assert "pending" in repr(tracker)
        go_on.set()
    assert ended == [11]
    assert "sent" in repr(tracker)


@pytest.mark.parametrize("data", [b"x" * 10, bytes(SIZE)], ids=["inline", "streamed"])
async def test_a_redirect_that_sends_it_again(data: bytes, http1: str, server: Server) -> None:
    """Each hop is an attempt, and the bytes are those of the latest."""
    tracker = UploadTracker()
    url = (server.url / "redirect-to").with_query(url="/upload", status="307")
    async with client(http1) as session:
        async with session.post(url, data=data, upload_tracker=tracker) as response:
            assert (await response.json())["length"] == len(data)
            await tracker.upload_complete
    assert (tracker.attempts, tracker.bytes_written) == (2, len(data))


async def test_a_redirect_that_drops_it(http1: str, server: Server) -> None:
    """The request that counts in the end has no body, and nothing failed."""
    tracker = UploadTracker()
    url = (server.url / "redirect-to").with_query(url="/json", status="303")
    async with client(http1) as session:
        async with session.post(url, data=b"body", upload_tracker=tracker):
            await tracker.upload_complete
    assert (tracker.attempts, tracker.bytes_written, tracker.total) == (2, 0, 0)


async def test_a_retry(http1: str, script: Script) -> None:
    """A kept connection turns out to be closed: the body goes out twice."""
    peer = await script([(b"GET /a ", OK), (b"PUT /b ", CLOSE)], [(b"PUT /b ", OK)])
    tracker = UploadTracker()
    async with client(http1) as session:
        async with session.get(peer.url / "a") as response:
            await response.read()
        async with session.put(peer.url / "b", data=b"body", upload_tracker=tracker) as response:
            await response.read()
        await tracker.upload_complete
    assert (tracker.attempts, tracker.bytes_written) == (2, 4)


async def test_the_failure_of_the_body_is_raised(entered: bool, http1: str, script: Script) -> None:
    """As by the request itself."""
    peer = await script([(Head(b"POST "), STALL)])
    tracker = UploadTracker()
    async with opened(client(http1), entered=entered, until_free=True) as session:
        with pytest.raises(ClientConnectionError, match="no more of it") as caught:
            await session.post(peer.url, data=broken(), upload_tracker=tracker)
        for _ in range(2):
            with pytest.raises(ClientConnectionError) as told:
                await tracker.upload_complete
            assert told.value is caught.value
        assert tracker.upload_complete.exception() is caught.value
        assert tracker.bytes_written == 10
        assert "failed" in repr(tracker)


async def test_an_answer_that_comes_first_aborts_it(
    entered: bool, http1: str, script: Script
) -> None:
    """Leaving the block ends the upload: :exc:`UploadAbortedError`."""
    peer = await script([(Head(b"POST "), [TOO_LARGE, DEAF])])
    tracker = UploadTracker()
    async with opened(client(http1), entered=entered, until_free=True) as session:
        async with session.post(peer.url, data=pieces(1000), upload_tracker=tracker) as response:
            assert response.status == 413
            assert not tracker.upload_complete.done()
        with anyio.fail_after(5), pytest.raises(UploadAbortedError):
            await tracker.upload_complete
        assert tracker.bytes_written < 1000 * 100_000


async def test_the_time_of_the_request_runs_out(entered: bool, http1: str, script: Script) -> None:
    """A body that nobody takes ends with ``total``, also after the response has begun."""
    peer = await script([(Head(b"POST "), [OK, DEAF])])
    tracker = UploadTracker()
    async with opened(
        client(http1, timeout=ClientTimeout(total=0.5)), entered=entered, until_free=True
    ) as session:
        async with session.post(peer.url, data=pieces(1000), upload_tracker=tracker) as response:
            assert await response.read() == b"ok"
            with anyio.fail_after(5), pytest.raises(TimeoutError, match="body was being sent"):
                await tracker.upload_complete
        assert_free(session, idle=0)


@pytest.mark.parametrize("end", [CLOSE, RESET, DEAF])
async def test_the_failure_of_the_request_is_raised(
    entered: bool, http1: str, script: Script, end: Action
) -> None:
    """Whatever ended both: the tracker gives the very exception that the request raised."""
    peer = await script([(Head(b"POST "), end)])
    tracker = UploadTracker()
    timeout = ClientTimeout(total=0.2 if end is DEAF else None)
    async with opened(client(http1, timeout=timeout), entered=entered, until_free=True) as session:
        with pytest.raises((ClientConnectionError, TimeoutError)) as caught:
            await session.post(peer.url, data=pieces(1000), upload_tracker=tracker)
        assert tracker.upload_complete.exception() is caught.value
        if isinstance(caught.value, ClientOSError):
            assert caught.value.errno in {errno.EPIPE, errno.ECONNRESET}
            assert caught.value.strerror == os.strerror(caught.value.errno)


async def test_a_bare_await_of_an_unentered_session(http1: str, server: Server) -> None:
    """The upload is over when the call returns, as nothing could go on with it."""
    session = client(http1)
    try:
        tracker = UploadTracker()
        response = await session.post(server.url / "upload", data=pieces(), upload_tracker=tracker)
        assert tracker.upload_complete.done()
        tracker.upload_complete.result()
        assert tracker.bytes_written == SIZE
        await response.read()
    finally:
        await session.close()


async def test_a_refused_expectation_aborts_it(http1: str, script: Script) -> None:
    """Nothing of the body was sent."""
    peer = await script([(Head(b"POST "), TOO_LARGE)])
    tracker = UploadTracker()
    async with client(http1) as session:
        async with session.post(
            peer.url, data=b"body", expect100=True, upload_tracker=tracker
        ) as response:
            assert response.status == 413
        with anyio.fail_after(5), pytest.raises(UploadAbortedError):
            await tracker.upload_complete
    assert tracker.bytes_written == 0


@pytest.mark.parametrize("data", [b"x" * 10, None], ids=["inline", "streamed"])
async def test_a_request_that_is_cancelled(data: bytes | None, http1: str, script: Script) -> None:
    """A body on its way is aborted, one that has gone out was sent."""
    asked = Flag()
    peer = await script([(Head(b"POST "), [Tell(asked), DEAF])])
    tracker = UploadTracker()
    async with client(http1) as session:

        async def send() -> None:
            body = pieces(1000) if data is None else data
            await session.post(peer.url, data=body, upload_tracker=tracker)

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await asked.until_set()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        if data is None:
            with pytest.raises(UploadAbortedError):
                await tracker.upload_complete
        else:
            await tracker.upload_complete
        assert_free(session)


async def test_no_connection(http1: str) -> None:
    """It was tried, and nothing was sent."""
    tracker = UploadTracker()
    async with client(http1) as session:
        with pytest.raises(ClientConnectorError):
            await session.post("http://127.0.0.1:1/", data=b"x", upload_tracker=tracker)
    with pytest.raises(UploadAbortedError):
        await tracker.upload_complete
    assert (tracker.attempts, tracker.bytes_written) == (1, 0)


async def test_waiting_can_be_cancelled(http1: str, script: Script) -> None:
    """The upload goes on; it is a wait like any other."""
    go_on = anyio.Event()
    peer = await script([(b"POST ", OK)])
    tracker = UploadTracker()

    async def body() -> AsyncIterator[bytes]:
        yield bytes(SIZE // 2)
        await go_on.wait()
        yield bytes(SIZE // 2)

    async def wait() -> None:
        await tracker.upload_complete

    async with client(http1) as session, anyio.create_task_group() as group:

        async def send() -> None:
            async with session.post(peer.url, data=body(), upload_tracker=tracker) as response:
                await response.read()

        group.start_soon(send)
        assert await cancel_when(wait, anyio.wait_all_tasks_blocked)
        go_on.set()
        with anyio.fail_after(5):
            await tracker.upload_complete
    assert tracker.bytes_written == SIZE


async def test_a_content_length_that_is_less_than_the_body(http1: str, server: Server) -> None:
    """Only what is sent is counted."""
    for data in (b"x" * 10, bytes(SIZE)):
        tracker = UploadTracker()
        async with client(http1) as session:
            async with session.post(
                server.url / "upload",
                data=data,
                headers={"Content-Length": "4"},
                upload_tracker=tracker,
            ) as response:
                assert (await response.json())["length"] == 4
        assert tracker.bytes_written == 4


async def test_each_request_needs_its_own(server: Server) -> None:
    """A second request with it is refused before anything is sent."""
    tracker = UploadTracker()
    async with ClientSession() as session:
        async with session.post(server.url / "upload", data=b"x", upload_tracker=tracker):
            pass
        refused: list[dict[str, Any]] = [{}, {"json": {}}]
        for options in refused:
            with pytest.raises((RuntimeError, ValueError)):
                await session.post(
                    server.url / "upload", data=b"x", upload_tracker=tracker, **options
                )
        assert tracker.upload_complete.exception() is None
        with pytest.raises(TypeError, match=r"must be an anyhttp\.UploadTracker"):
            await session.get(server.url, upload_tracker=print)  # type: ignore[arg-type]
        assert server.requests == ["POST /upload"]


class OwnRequests(ClientSession):
    """A session whose class overrides the method that all verbs call."""

    async def _request(self, method: str, str_or_url: Any, **options: Any) -> Any:
        return await super()._request(method, str_or_url, **options)


@pytest.mark.parametrize("make", [ClientSession, OwnRequests])
@pytest.mark.parametrize("what", ["json", "url", "timeout", "trace context"])
async def test_a_request_that_is_refused(
    server: Server, make: type[ClientSession], what: str
) -> None:
    """Whoever waits for the end of the upload is told that there will be none."""

    def fail(trace_request_ctx: object) -> object:
        raise LookupError("no context")

    options: dict[str, Any] = {}
    if what == "json":
        options = {"json": {}}
    elif what == "timeout":
        options = {"timeout": "5"}
    tracker = UploadTracker()
    async with make() as session:
        if what == "trace context":
            session.trace_configs.append(TraceConfig(fail))
        url = "ftp://host/" if what == "url" else server.url
        with pytest.raises((TypeError, ValueError, LookupError, ClientError)):
            await session.post(url, data=b"x", upload_tracker=tracker, **options)
    assert tracker.attempts == 0
    with pytest.raises(UploadAbortedError):
        await tracker.upload_complete


async def test_a_request_that_nobody_begins(server: Server) -> None:
    """Closed before it begins, it takes no tracker; awaited in a closed session, it does."""
    tracker = UploadTracker()
    closed = ClientSession(server.url)
    late = closed.post("echo", data=b"x", upload_tracker=tracker)
    await closed.close()
    with pytest.raises(RuntimeError, match="Session is closed"):
        await late
    with pytest.raises(UploadAbortedError):
        await tracker.upload_complete
    tracker = UploadTracker()
    with pytest.raises(RuntimeError, match="Session is closed"):
        await closed.post("echo", data=b"x", upload_tracker=tracker)
    with pytest.raises(UploadAbortedError):
        await tracker.upload_complete
    tracker = UploadTracker()
    async with ClientSession(server.url) as session:
        session.post("echo", data=b"x", upload_tracker=tracker).close()
        async with session.post("echo", data=b"x", upload_tracker=tracker):
            await tracker.upload_complete


async def test_a_request_that_is_cancelled_twice(script: Script, entered: bool) -> None:
    """Also where it is shielded, as asyncio can: its end is known, and no task is left."""
    if trio.lowlevel.in_trio_task():
        pytest.skip("trio has no cancellation but scopes")
    stopping, go_on = anyio.Event(), anyio.Event()

    async def slow_to_stop() -> AsyncIterator[bytes]:
        try:
            yield b"x"
            await anyio.sleep_forever()
        finally:
            stopping.set()
            with anyio.CancelScope(shield=True):
                await go_on.wait()

    async def post() -> None:
        data = slow_to_stop()
        async with session.post(peer.url, data=data, upload_tracker=tracker):
            raise AssertionError("there is no response")

    tracker = UploadTracker()
    came = Flag()
    peer = await script([(Until(b"x\r\n"), [Tell(came), STALL])])
    async with opened(ClientSession(), entered=entered, until_free=True) as session:
        task = asyncio.create_task(post())
        await came.until_set()
        task.cancel()
        await stopping.wait()
        task.cancel()
        await anyio.wait_all_tasks_blocked()
        go_on.set()
        await asyncio.wait({task})
        assert task.cancelled()
        with anyio.fail_after(5), pytest.raises(UploadAbortedError):
            await tracker.upload_complete
        assert_free(session)


async def test_a_body_used_up(script: Script) -> None:
    """A redirect that would send it again fails, after an attempt that succeeded."""
    moved = b"HTTP/1.1 307 Moved\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
    peer = await script([(b"POST ", moved)])
    tracker = UploadTracker()
    async with ClientSession() as session:
        with pytest.raises(ClientPayloadError):
            await session.post(URL(peer.url), data=pieces(1, 10), upload_tracker=tracker)
    await tracker.upload_complete
    assert tracker.attempts == 1


def test_it_can_be_made_before_there_is_a_loop(server: Server) -> None:
    """Configuration is often written at the top of a program."""
    tracker = UploadTracker()

    async def main() -> None:
        async with ClientSession() as session:
            async with session.post(server.url / "upload", data=b"x", upload_tracker=tracker):
                await tracker.upload_complete

    for_trio = UploadTracker()
    anyio.run(main, backend="asyncio")
    tracker = for_trio
    anyio.run(main, backend="trio")
    assert for_trio.bytes_written == 1
