"""Bodies on their way out: time limits, files that misbehave, and what a failure leaves."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
import trio

import anyhttp
from anyhttp import ClientConnectionError, ClientPayloadError, ClientSession, ClientTimeout
from anyhttp._http1 import Framing
from anyhttp._http1.upload import Upload, UploadState
from anyhttp._tasks import Expired
from anyhttp.payload import Writer
from tests.support import client
from tests.support.census import running_tasks
from tests.support.client import assert_free, wait_free
from tests.support.peer import DEAF, RESET, STALL, Flag, Head, Script, Tell, Until, Wait
from tests.support.responses import OK
from tests.support.server import Server
from tests.support.waiting import DEADLINE, until

pytestmark = pytest.mark.uvloop

SHORT = 0.05


#: Gives a session, and in the end waits for uploads that outlast their responses.
opened = partial(client.opened, until_free=True)


def one_slot(http1: str = "auto", **options: Any) -> ClientSession:
    """Return a session that can have one connection in use."""
    connector = anyhttp.TCPConnector(limit=1, http1=http1)
    return ClientSession(connector=connector, **options)


MOVES = {
    UploadState.WAITING: {UploadState.WRITING, UploadState.FAILED, UploadState.CANCELLED},
    UploadState.WRITING: {
        UploadState.ENDING,
        UploadState.PEER_LEFT,
        UploadState.FAILED,
        UploadState.CANCELLED,
    },
    UploadState.ENDING: {
        UploadState.SENT,
        UploadState.PEER_LEFT,
        UploadState.FAILED,
        UploadState.CANCELLED,
    },
    UploadState.SENT: set(),
    UploadState.PEER_LEFT: set(),
    UploadState.FAILED: set(),
    UploadState.CANCELLED: set(),
}


@pytest.mark.parametrize(("before", "after"), list(product(UploadState, UploadState)))
async def test_the_table_says_which_moves_there_are(
    before: UploadState, after: UploadState
) -> None:
    """Every move that is not in the table is an error, and changes nothing."""
    upload = Upload(anyhttp.BytesPayload(b""), Framing(), cast("Any", None), cast("Any", None))
    upload.state = before
    assert upload.is_over == (not MOVES[before])
    if after in MOVES[before]:
        upload._move(after)
        assert upload.state is after
    else:
        with pytest.raises(RuntimeError, match=f"{before.name} to {after.name}"):
            upload._move(after)
        assert upload.state is before


class File(io.RawIOBase):
    """A file of three short pieces."""

    def __init__(self) -> None:
        self.left = 3

    def readable(self) -> bool:
        """Be one that is read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Give the next piece."""
        if not self.left:
            return 0
        self.left -= 1
        memoryview(buffer)[:1] = b"x"
        return 1


class SlowToClose(File):
    """One whose ``close()`` takes as long as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = Flag()
        self.go_on = threading.Event()

    def close(self) -> None:
        """Wait first."""
        if not self.closed:
            self.closing.set()
            self.go_on.wait(5)
        super().close()


class CannotClose(File):
    """One whose ``close()`` fails, as that of a full disk or a lost network drive does."""

    def close(self) -> None:
        """Close, and complain."""
        if not self.closed:
            super().close()
            raise OSError(5, "the drive is gone")


class CannotClosePaused(CannotClose):
    """And which is not read before the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def readinto(self, buffer: Any, /) -> int:
        """Wait first."""
        self.go_on.wait(5)
        return super().readinto(buffer)


async def stuck() -> AsyncIterator[bytes]:
    """Yield one piece and then no more."""
    yield b"x"
    await anyio.sleep_forever()


async def late_flood() -> AsyncIterator[bytes]:
    """Yield one piece, pause, and yield more than any buffer on the way takes."""
    yield b"x"
    await anyio.sleep(12 * SHORT)
    for _ in range(50):
        yield b"y" * 1_000_000


class TestTime:
    @pytest.mark.parametrize("body", [stuck, late_flood])
    async def test_an_upload_does_not_outlast_total(
        self, script: Script, entered: bool, body: Callable[[], AsyncIterator[bytes]]
    ) -> None:
        """Neither when its producer hangs nor when the peer does not read, although the head
        of the response is there.
        """
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        peer = await script([(Head(b"POST "), [head, DEAF])])
        with anyio.fail_after(DEADLINE):
            async with opened(ClientSession(), entered=entered) as session:
                if entered:
                    response = await session.post(peer.url, data=body(), timeout=8 * SHORT)
                    with pytest.raises(TimeoutError, match="total timeout"):
                        await response.wait_for_close()
                else:
                    with pytest.raises(TimeoutError, match="total timeout"):
                        await session.post(peer.url, data=body(), timeout=8 * SHORT)
                assert_free(session)

    async def test_sock_read_begins_with_the_end_of_the_upload(
        self, script: Script, entered: bool
    ) -> None:
        """Also when that comes while the body of the response is being read."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
        peer = await script([(Head(b"POST "), [head + b"x", STALL])])
        uploaded_at = 0.0

        async def body() -> AsyncIterator[bytes]:
            nonlocal uploaded_at
            yield b"x"
            await anyio.sleep(3 * SHORT)  # the time limit does not run here
            uploaded_at = anyio.current_time()

        timeout = ClientTimeout(total=2 * DEADLINE, sock_read=2 * SHORT)
        async with opened(ClientSession(timeout=timeout), entered=entered) as session:
            async with session.post(peer.url, data=body()) as response:
                with pytest.raises(anyhttp.SocketTimeoutError):
                    await response.read()
                assert 1.9 * SHORT < anyio.current_time() - uploaded_at < DEADLINE

    async def test_a_file_that_blocks_does_not_outlast_total(
        self, script: Script, entered: bool
    ) -> None:
        """A pipe that nobody writes to holds up neither the request nor the session."""
        peer = await script([(Head(b"POST "), STALL)])
        reading, writing = os.pipe()
        file = os.fdopen(reading, "rb")
        rescue = threading.Timer(20, os.write, [writing, b"x"])
        rescue.start()
        begin = time.monotonic()
        try:
            async with opened(ClientSession(), entered=entered) as session:
                with pytest.raises(TimeoutError, match="total timeout"):
                    async with session.post(peer.url, data=file, timeout=4 * SHORT):
                        pass
                assert_free(session)
            assert time.monotonic() - begin < 10
        finally:
            rescue.cancel()
            os.close(writing)  # which ends the read
            file.close()


@pytest.mark.parametrize("in_task", [False, True])
@pytest.mark.parametrize("in_block", [False, True])
async def test_a_body_that_closes_the_session(
    script: Script, entered: bool, in_task: bool, in_block: bool
) -> None:
    """It cannot wait for the task that sends it: the request ends like all others."""

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        if in_task:
            async with anyio.create_task_group() as group:
                group.start_soon(session.close)
        else:
            await session.close()
        raise AssertionError("a session that is closed sends no more")

    peer = await script([(Until(b"x\r\n"), STALL)])
    before = running_tasks()
    with anyio.fail_after(10):
        async with opened(ClientSession(), entered=entered) as session:
            request = session.post(peer.url, data=body())
            with pytest.raises(ClientConnectionError):
                await (request.__aenter__() if in_block else request)
            assert session.closed
    assert running_tasks() == before


async def test_nothing_follows_a_write_that_was_cancelled(script: Script, entered: bool) -> None:
    """A part of it may be missing, so the peer must not take the rest for the whole body."""
    refused = False

    async def body(writer: Writer) -> None:
        nonlocal refused
        cancelled = False
        while not cancelled:
            await writer.write(b"small")
            with anyio.move_on_after(SHORT) as scope:
                await writer.write(bytes(1_000_000))
            cancelled = scope.cancelled_caught
        try:
            await writer.write(b"more")
        except ClientConnectionError:
            refused = True

    peer = await script([(Head(b"POST "), DEAF)])
    async with opened(one_slot(), entered=entered) as session:
        with pytest.raises(ClientConnectionError, match="a write was cancelled"):
            with anyio.fail_after(10):
                await session.post(peer.url, data=anyhttp.payload.StreamerPayload(body))
        assert refused


async def test_the_error_of_the_body_counts(script: Script, entered: bool) -> None:
    """Even if what came before it cannot be sent any more."""
    sent = threading.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await anyio.sleep(SHORT)
        yield b"y"
        sent.set()
        time.sleep(4 * SHORT)  # noqa: ASYNC251  (the event loop must not notice the reset)
        raise LookupError("a shelf is empty")

    peer = await script([(Until(b"x\r\n"), [Wait(sent), RESET])])
    async with opened(one_slot(), entered=entered) as session:
        with pytest.raises(ClientConnectionError, match="a shelf is empty"):
            await session.post(peer.url, data=body())


async def test_a_body_that_fails_ends_the_reading_of_an_early_response(
    script: Script, http1: str
) -> None:
    """At once: what has been received and not been decoded yet is not read before."""
    fails, failed = anyio.Event(), anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await fails.wait()
        failed.set()
        raise LookupError("a shelf is empty")

    large = gzip.compress(bytes(1_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5000\r\n\r\n"
    peer = await script([(Until(b"x\r\n"), [head + large, STALL])])
    async with one_slot(http1) as session, session.post(peer.url, data=body()) as response:
        assert await response.content.readany()
        fails.set()
        await failed.wait()
        await anyio.wait_all_tasks_blocked()
        read = response.content.total_bytes
        with pytest.raises(ClientConnectionError, match="a shelf is empty"):
            await response.content.readany()
        assert response.content.total_bytes == read
        await peer.wait_closed()


async def test_the_peer_gets_a_body_that_is_too_short(script: Script, entered: bool) -> None:
    """The error does not keep back the small pieces that came before it."""

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"bc"

    peer = await script([(Until(b"abc"), STALL)])
    tracker = anyhttp.UploadTracker()
    length = {"Content-Length": "10"}
    async with opened(one_slot(), entered=entered) as session:
        with pytest.raises(ClientPayloadError, match="ended after 3 bytes"):
            await session.post(peer.url, data=body(), headers=length, upload_tracker=tracker)
    assert tracker.bytes_written == 3


async def test_closed_while_the_body_is_about_to_go_on(script: Script) -> None:
    """The upload was aborted; that the socket is closed by then is no failure of its own."""
    go_on = anyio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await go_on.wait()
        yield b"y"
        await anyio.sleep_forever()

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    peer = await script([(Until(b"x\r\n"), [head, STALL])])
    tracker = anyhttp.UploadTracker()
    async with opened(one_slot(), entered=True) as session:
        response = await session.post(peer.url, data=body(), upload_tracker=tracker)
        go_on.set()
        response.close()
        with anyio.fail_after(5), pytest.raises(anyhttp.UploadAbortedError):
            await tracker.upload_complete


class TestFiles:
    @pytest.mark.parametrize("how", ["scope", "native"])
    async def test_cancelled_while_the_file_is_being_closed(
        self, script: Script, entered: bool, how: str
    ) -> None:
        """Slot and socket are free, and the file is closed all the same."""
        if how == "native" and trio.lowlevel.in_trio_task():
            pytest.skip("trio has no cancellation but scopes")
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        peer = await script([(b"POST ", [head, STALL])], [(b"GET ", OK)])
        file = SlowToClose()

        async def post() -> None:
            async with session.post(peer.url, data=file):
                await anyio.sleep_forever()

        async def release() -> None:
            await anyio.wait_all_tasks_blocked()
            file.go_on.set()

        async with opened(one_slot(), entered=entered) as session:
            with anyio.fail_after(5):
                async with anyio.create_task_group() as others:
                    if how == "native":
                        task = asyncio.ensure_future(post())
                        await file.closing.until_set()
                        task.cancel()
                        others.start_soon(release)
                        await asyncio.wait({task})
                        assert task.cancelled()
                    else:
                        async with anyio.create_task_group() as group:
                            group.start_soon(post)
                            await file.closing.until_set()
                            group.cancel_scope.cancel()
                            others.start_soon(release)
                await peer.wait_closed()
                async with session.get(peer.url) as response:
                    await response.read()
            await until(lambda: file.closed, "the file to be closed")

    @pytest.mark.parametrize("cancelled", [False, True], ids=["left", "cancelled"])
    async def test_an_upload_that_is_cut_short_by_leaving(
        self, script: Script, tmp_path: Path, entered: bool, cancelled: bool
    ) -> None:
        """The block of the session, or without one that of the request, closes the file."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"
        path = tmp_path / "file"
        path.write_bytes(bytes(8_000_000))  # more than the socket's buffers take
        peer = await script([(Head(b"POST / "), [head, DEAF])])
        file = path.open("rb")
        async with AsyncExitStack() as stack:
            session = ClientSession()
            stack.push_async_callback(session.close)
            with anyio.CancelScope() as scope:
                if entered:
                    async with session:
                        stack.callback((await session.post(peer.url, data=file)).close)
                        await self._leave(scope if cancelled else None)
                else:
                    async with session.post(peer.url, data=file):
                        await self._leave(scope if cancelled else None)
            assert file.closed

    async def _leave(self, scope: anyio.CancelScope | None) -> None:
        if scope is not None:
            scope.cancel()
            await anyio.lowlevel.checkpoint()

    @pytest.mark.parametrize("bare", [False, True], ids=["block", "await"])
    async def test_a_file_that_cannot_be_closed(
        self, server: Server, entered: bool, bare: bool
    ) -> None:
        """It was read, so the request is a success."""
        file = CannotClose()
        async with opened(one_slot(base_url=server.url), entered=entered) as session:
            if bare:
                response = await session.post("/upload", data=file)
                assert (await response.json())["length"] == 3
            else:
                async with session.post("/upload", data=file) as response:
                    assert (await response.json())["length"] == 3
            assert file.closed
            async with session.get("/json", timeout=5) as response:
                await response.read()

    async def test_a_file_that_cannot_be_closed_after_the_response(
        self, script: Script, entered: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """If the upload ends last, its failure to close the file ends neither the caller's
        block nor the session.
        """
        peer = await script([(Head(b"POST "), OK), STALL], [(b"GET ", OK)], partial=True)
        file = CannotClosePaused()
        async with opened(one_slot(), entered=entered) as session:
            async with session.post(peer.url, data=file) as response:
                assert await response.read() == b"ok"
                file.go_on.set()
                await until(lambda: "the drive is gone" in caplog.text, "the failure")
            assert file.closed

    async def test_a_file_that_can_be_neither_sent_nor_closed(
        self, script: Script, entered: bool
    ) -> None:
        """What is raised is why the request failed."""
        peer = await script([(b"POST ", STALL)], partial=True)
        file = CannotClose()
        async with opened(one_slot(), entered=entered) as session:
            with pytest.raises(TimeoutError, match="total timeout"):
                await session.post(peer.url, data=file, timeout=4 * SHORT)
            assert file.closed


class TooLong(anyhttp.Payload):
    """A body of three bytes that writes a second request behind them."""

    def __init__(self) -> None:
        super().__init__(None)
        self._size = 3

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Not used here."""
        raise NotImplementedError

    async def write(self, writer: Writer) -> None:
        """Write more than was announced."""
        await writer.write(b"abcGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")

    async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
        """Write more than was announced, whatever that is."""
        await self.write(writer)


class Lingering(TooLong):
    """A body that has been sent before its writer has come to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = anyio.Event()

    async def write(self, writer: Writer) -> None:
        """Write what was announced."""
        await writer.write(b"abc")
        await self.go_on.wait()


class Numbers(anyhttp.Payload):
    """Writes bytes as numbers of four bytes each, *count* at a time."""

    def __init__(self, data: bytes, count: int) -> None:
        super().__init__(data)
        self.numbers: Any = memoryview(data).cast("I")
        self.count = count

    async def write(self, writer: Writer) -> None:
        """Write slices."""
        for start in range(0, len(self.numbers), self.count):
            await writer.write(self.numbers[start : start + self.count])


class Resource(anyhttp.BytesPayload):
    """A body in memory that holds something to be given back."""

    closed = 0

    async def close(self) -> None:
        """Give it back."""
        self.closed += 1


class TestPayloadsOfOnesOwn:
    """A payload's close() is awaited when the request is over, however that ends."""

    async def test_one_that_only_says_what_to_write(self, server: Server, entered: bool) -> None:
        """write() is enough: of unknown size it is sent in chunks, else with its length."""

        class Greeting(anyhttp.Payload):
            async def write(self, writer: Writer) -> None:
                await writer.write(b"hello")

        sized = Greeting(None)
        sized._size = 5
        async with opened(one_slot(base_url=server.url), entered=entered) as session:
            for body in (Greeting(None), sized):
                async with session.post("/upload", data=body) as response:
                    assert (await response.json())["length"] == 5

    @pytest.mark.parametrize("count", [1000, 300_000])
    async def test_one_that_writes_what_are_no_bytes(
        self, server: Server, entered: bool, count: int
    ) -> None:
        """The items of a memoryview may be larger; all of its bytes are sent, and counted once."""
        data = bytes(range(256)) * 5000
        async with opened(ClientSession(server.url), entered=entered) as session:
            async with session.post("/echo-body", data=Numbers(data, count)) as response:
                assert await response.read() == data

    async def test_one_that_changes_what_it_was_given(self, script: Script, entered: bool) -> None:
        """Its write_with_length() is what says what goes out."""

        class Shouting(anyhttp.StringPayload):
            async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
                await writer.write(self._data.upper()[:content_length])

        peer = await script([(b"POST ", OK)] * 2)
        async with opened(one_slot(), entered=entered) as session:
            for headers in ({}, {"Content-Length": "3"}):
                body = Shouting("text")
                async with session.post(peer.url, data=body, headers=headers) as response:
                    assert await response.read() == b"ok"
        (sent,) = peer.requests
        assert [text.rpartition(b"\r\n")[2] for text in sent.split(b"POST /")] == [
            b"",
            b"TEXT",
            b"TEX",
        ]

    @pytest.mark.parametrize("size", [None, 2])
    async def test_one_that_writes_after_its_end(
        self, server: Server, size: int | None, entered: bool
    ) -> None:
        """Request smuggling: the bytes would come before the next request on the connection."""
        writers: list[Writer] = []

        class Greeting(anyhttp.Payload):
            async def write(self, writer: Writer) -> None:
                writers.append(writer)
                await writer.write(b"hi")

            async def write_with_length(self, writer: Writer, content_length: int | None) -> None:
                await self.write(writer)

        body = Greeting(None)
        body._size = size
        async with opened(one_slot(base_url=server.url), entered=entered) as session:
            for _ in range(2):
                async with session.post("/upload", data=body) as response:
                    assert (await response.json())["length"] == 2
                for writer in writers:
                    with pytest.raises(ClientPayloadError, match=r"body (has ended|is longer)"):
                        await writer.write(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        assert server.requests == ["POST /upload"] * 2
        assert server.connections == 1

    async def test_closed_after_success(self, server: Server, entered: bool) -> None:
        """Also if it went out with the head."""
        body = Resource(b"hello")
        async with opened(one_slot(base_url=server.url), entered=entered) as session:
            async with session.post("/upload", data=body) as response:
                assert (await response.json())["length"] == 5
            assert body.closed == 1

    async def test_closed_after_redirects(self, script: Script, entered: bool) -> None:
        """Once, after the last time it was sent, or would have been."""
        redirect = b"HTTP/1.1 307 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(b"POST ", redirect), (b"POST ", redirect)])
        body = Resource(b"hello")
        async with opened(one_slot(), entered=entered) as session:
            with pytest.raises(anyhttp.TooManyRedirects):
                await session.post(peer.url, data=body, max_redirects=2)
            assert body.closed == 1

    async def test_closed_after_cancellation(self, script: Script, entered: bool) -> None:
        """And when nobody waits for the response any more."""
        sent = Flag()
        peer = await script([(b"POST ", [Tell(sent), STALL])])
        body = Resource(b"hello")

        async def post() -> None:
            await session.post(peer.url, data=body)

        async with opened(one_slot(), entered=entered) as session:
            async with anyio.create_task_group() as group:
                group.start_soon(post)
                await sent.until_set()
                group.cancel_scope.cancel()
            assert body.closed == 1


class TestFailures:
    async def test_a_payload_that_is_longer_than_it_announced(
        self, script: Script, entered: bool, http1: str
    ) -> None:
        """What is too much is not sent, where it would be the next request; the request fails
        and its connection is not used again.
        """
        peer = await script([(Head(b"POST "), STALL)], [(b"GET /mine ", OK)])
        async with opened(one_slot(http1), entered=entered) as session:
            with pytest.raises((ClientPayloadError, ClientConnectionError)):
                async with session.post(peer.url, data=TooLong()):
                    pass
            await peer.wait_closed()
            async with session.get(peer.url / "mine") as response:
                assert await response.read() == b"ok"
        assert not any(b"smuggled" in received for received in peer.requests)

    async def test_a_response_that_was_read_may_be_dropped(
        self, server: Server, http1: str
    ) -> None:
        """Nobody is warned of a response that is complete; the end of the upload gives the
        connection back.
        """
        async with one_slot(http1) as session:
            response = await session.post(server.url / "upload", data=(body := Lingering()))
            await response.read()
            del response
            gc.collect()
            body.go_on.set()
            await wait_free(session)
            assert session.connector is not None
            assert session.connector.statistics().idle == 1

    async def test_the_total_time_after_the_response(self, script: Script, http1: str) -> None:
        """A response that is complete can be read, and its connection is kept."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        rest = Flag()
        peer = await script([(b"POST ", [head, Wait(rest), b"ok"])])
        async with client.client(http1) as session:
            response = await session.post(peer.url, data=(body := Lingering()))
            rest.set()
            assert await response.content.readexactly(2) == b"ok"
            exchange = response._exchange
            assert exchange is not None
            assert exchange.is_sending
            exchange.expire()  # as the watchdog does
            assert await response.content.read() == b""
            body.go_on.set()
            await wait_free(session)
            assert_free(session, idle=1)

    @pytest.mark.parametrize("reason", ["body", "total"])
    async def test_a_failure_before_the_response_is_read(
        self, script: Script, http1: str, reason: str
    ) -> None:
        """The rest of the response is not awaited: reading fails with the reason."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        peer = await script([(Head(b"POST "), [head, STALL])])
        go_on = anyio.Event()
        error = RuntimeError("boom") if reason == "body" else Expired()

        async def body() -> AsyncIterator[bytes]:
            yield b"x"
            await go_on.wait()
            raise error

        async with client.client(http1) as session:
            response = await session.post(peer.url, data=body())
            exchange = response._exchange
            assert exchange is not None
            go_on.set()
            await exchange.wait_stopped()
            if reason == "body":
                with pytest.raises(ClientConnectionError) as caught:
                    await response.read()
                assert caught.value.__cause__ is error
            else:
                with pytest.raises(TimeoutError, match="total timeout"):
                    await response.read()
            assert_free(session)

    async def test_a_failure_after_the_response_was_read(self, script: Script, http1: str) -> None:
        """There is nobody to be told; the slot is free and the connection closed."""
        peer = await script([(Head(b"POST "), OK), STALL], [(b"GET ", OK)])
        go_on = anyio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"x"
            await go_on.wait()
            raise RuntimeError("boom")

        async with one_slot(http1) as session:
            response = await session.post(peer.url, data=body())
            assert await response.read() == b"ok"
            go_on.set()
            with anyio.fail_after(5):
                await peer.wait_closed()
                await wait_free(session)
                async with session.get(peer.url) as response:
                    assert await response.read() == b"ok"


class Ends(BaseException):
    """Ends programs, as KeyboardInterrupt does, but not that of the tests."""


class TestWhatIsNoError:
    async def test_a_body_that_waits_for_a_cancelled_task(
        self, script: Script, entered: bool
    ) -> None:
        """The request fails with an error; neither its task nor the session's is cancelled."""
        if trio.lowlevel.in_trio_task():
            pytest.skip("trio has no tasks that can be awaited")

        async def body() -> AsyncIterator[bytes]:
            yield b"x"
            task = asyncio.ensure_future(asyncio.sleep(10))
            task.cancel()
            await task

        peer = await script([(Head(b"POST / "), STALL)], [(b"GET / ", OK)])
        async with opened(one_slot(), entered=entered) as session:
            with anyio.fail_after(5), pytest.raises(ClientConnectionError) as caught:
                await session.post(peer.url, data=body())
            assert isinstance(caught.value.__cause__, asyncio.CancelledError)
            async with session.get(peer.url) as response:
                assert await response.read() == b"ok"

    async def test_a_body_that_ends_the_program(self, script: Script, entered: bool) -> None:
        """It leaves the block of the session, or the request, as the object it is."""
        error = Ends()

        async def body() -> AsyncIterator[bytes]:
            yield b"x"
            raise error

        async def post() -> None:
            async with session if entered else nullcontext():
                await session.post(peer.url, data=body())

        peer = await script([(Head(b"POST / "), STALL)])
        session = one_slot()
        with pytest.raises(Ends) as caught:
            await post()
        assert caught.value is error
        assert_free(session)
        await session.close()


async def test_a_block_that_is_interrupted_does_not_wait_for_the_peer_to_take_the_end(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only after other exceptions, and none, is there time for the last bytes of the body."""
    monkeypatch.setattr("anyhttp._http1.exchange.DRAIN_SECONDS", 60.0)
    peer = await script([(Head(b"POST / "), [OK, DEAF])])

    class Interrupt(BaseException):
        pass

    async def piece() -> AsyncIterator[bytes]:
        yield bytes(30_000_000)  # more than the socket's buffers take

    async def post() -> None:
        headers = {"Content-Length": "30000000"}
        async with session.post(peer.url, data=piece(), headers=headers) as response:
            await response.read()
            raise Interrupt

    async with ClientSession() as session:
        with anyio.fail_after(4), pytest.raises(Interrupt):  # the wait ends after five seconds
            await post()
