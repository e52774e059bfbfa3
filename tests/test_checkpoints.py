"""How long a loop over bytes that have arrived runs before other tasks do, or a cancellation."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final

import anyio
import pytest

from anyhttp import EMPTY_PAYLOAD, ClientSession, StreamReader
from anyhttp.streams import begin_response
from tests.support.peer import Flag, Script, Tell
from tests.support.responses import CHUNKS, OK_LINE
from tests.support.tls import Authority

LINE: Final = b'{"id": 4711, "text": "a line of fifty bytes, ok"}\n'
MOST_READS: Final = 64
MOST_BYTES: Final = 2**16

Took = Callable[[bytes], object]
Loop = Callable[[StreamReader, Took], Coroutine[Any, Any, None]]


async def _each(iterator: AsyncIterator[bytes], took: Took) -> None:
    async for data in iterator:
        took(data)


async def _repeatedly(read: Callable[[], Awaitable[bytes]], took: Took) -> None:
    while data := await read():
        took(data)


async def _chunks(reader: StreamReader, took: Took) -> None:
    async for data, _ in reader.iter_chunks():
        took(data)


async def _chunk_by_chunk(reader: StreamReader, took: Took) -> None:
    while (chunk := await reader.readchunk()) != (b"", False):
        took(chunk[0])


async def _exactly(reader: StreamReader, took: Took) -> None:
    while not reader.at_eof():
        took(await reader.readexactly(50))


#: Loops over what a reader holds, in small pieces and in larger ones.
LOOPS: dict[str, Loop] = {
    "async for": lambda reader, took: _each(aiter(reader), took),
    "iter_chunked(100)": lambda reader, took: _each(reader.iter_chunked(100), took),
    "iter_chunked(5000)": lambda reader, took: _each(reader.iter_chunked(5000), took),
    "iter_chunks": _chunks,
    "read(100)": lambda reader, took: _repeatedly(partial(reader.read, 100), took),
    "read(5000)": lambda reader, took: _repeatedly(partial(reader.read, 5000), took),
    "readline": lambda reader, took: _repeatedly(reader.readline, took),
    "readuntil": lambda reader, took: _repeatedly(partial(reader.readuntil, b"}\n"), took),
    "readexactly": _exactly,
    "readchunk": _chunk_by_chunk,
}
each_loop = pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
ANY: dict[str, Loop] = {
    "iter_any": lambda reader, took: _each(reader.iter_any(), took),
    "readany": lambda reader, took: _repeatedly(reader.readany, took),
}


class Runs:
    """What has been read since other tasks could run, and the most that ever was."""

    def __init__(self) -> None:
        self.reads = self.most_reads = 0
        self.bytes = self.most_bytes = 0
        self.total = 0

    def took(self, data: bytes) -> None:
        """Count what a read has returned."""
        # The bound holds before the last read: a read is never cut short for it.
        self.most_bytes = max(self.most_bytes, self.bytes)
        self.reads += 1
        self.bytes += len(data)
        self.total += len(data)
        self.most_reads = max(self.most_reads, self.reads)

    @types.coroutine
    def watch(self, coroutine: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        """Run *coroutine*, and see where it lets other tasks run."""
        step = partial(coroutine.send, None)
        while True:
            try:
                waits_for = step()
            except StopIteration:
                return
            self.reads = self.bytes = 0
            try:
                value = yield waits_for
            except BaseException as exc:  # noqa: BLE001  (raised where the coroutine waits)
                step = partial(coroutine.throw, exc)
            else:
                step = partial(coroutine.send, value)

    def check(self, total: int) -> None:
        """Assert that all was read, and other tasks ran often enough."""
        assert self.total == total
        assert self.most_reads <= MOST_READS
        assert self.most_bytes < MOST_BYTES


def filled(lines: int, *, ended: bool = True) -> StreamReader:
    """Return a reader that holds so many lines, each of which was an HTTP chunk."""
    reader = StreamReader()
    for start in range(0, lines, 100):
        ends = range((start + 1) * len(LINE), (start + 100) * len(LINE) + 1, len(LINE))
        reader.feed_pieces([LINE * 100], 100 * len(LINE), ends)
    if ended:
        reader.feed_eof()
    return reader


class TestOtherTasksRun:
    @each_loop
    async def test_while_a_buffer_is_read(self, loop: Loop) -> None:
        """After 64 reads or 64 KiB, whichever comes first."""
        runs = Runs()
        await runs.watch(loop(filled(5000), runs.took))
        runs.check(5000 * len(LINE))

    @pytest.mark.parametrize("size", [1, 5000])
    @pytest.mark.parametrize("loop", ANY.values(), ids=ANY.keys())
    async def test_while_a_buffer_is_read_and_filled(self, loop: Loop, size: int) -> None:
        """The same when each read finds what has been fed since the one before."""
        reader = StreamReader()
        runs = Runs()
        left = 300

        def took(data: bytes) -> None:
            nonlocal left
            runs.took(data)
            left -= 1
            if left:
                reader.feed_data(bytes(size))
            else:
                reader.feed_eof()

        reader.feed_data(bytes(size))
        await runs.watch(loop(reader, took))
        runs.check(300 * size)

    @each_loop
    @pytest.mark.parametrize("kind", ["plain", "chunks", "gzip"])
    async def test_while_a_response_is_read(self, loop: Loop, kind: str, script: Script) -> None:
        """Whether it waits for the network, decodes, or takes what has arrived."""
        body = LINE * 4000
        if kind == "plain":
            reply = OK_LINE + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        elif kind == "chunks":
            reply = CHUNKS + b"32\r\n%b\r\n" % LINE * 4000 + b"0\r\n\r\n"
        else:
            packed = gzip.compress(body)
            head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
            reply = OK_LINE + head + packed
        peer = await script([(b"GET ", reply)])
        runs = Runs()
        async with ClientSession() as session, session.get(peer.url) as response:
            await runs.watch(loop(response.content, runs.took))
        runs.check(len(body))

    @pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
    @pytest.mark.parametrize("loop", ANY.values(), ids=ANY.keys())
    async def test_while_what_has_arrived_is_received(
        self, loop: Loop, tls: bool, tls_ca: Authority, script: Script
    ) -> None:
        """Bytes that came while nobody read are handed out in turns, too."""
        size = 400_000
        sent = Flag()
        head = OK_LINE + b"Content-Length: %d\r\n\r\n" % size
        peer = await script(
            [(b"GET ", [head + bytes(size), Tell(sent)])], tls=tls_ca.server if tls else None
        )
        runs = Runs()
        async with (
            ClientSession() as session,
            session.get(peer.url, ssl=tls_ca.client) as response,
        ):
            await sent.until_set()
            await anyio.wait_all_tasks_blocked()  # on asyncio the event loop receives
            await runs.watch(loop(response.content, runs.took))
        runs.check(size)

    @pytest.mark.parametrize("read", ["read", "readany", "readline", "readchunk", "wait_eof"])
    async def test_at_the_end(self, read: str) -> None:
        """A loop that does not look for the end can be left by a time limit."""
        for reader in (filled(0), EMPTY_PAYLOAD):
            with anyio.move_on_after(0.01) as scope:
                while True:
                    await getattr(reader, read)()
            assert scope.cancelled_caught


class TestCancelling:
    @each_loop
    async def test_a_loop(self, loop: Loop) -> None:
        """It ends within 64 reads and 64 KiB of a cancellation, and loses nothing."""
        reader = filled(5000)
        runs = Runs()

        def took(data: bytes) -> None:
            runs.took(data)
            if runs.total > 1000 and not scope.cancel_called:
                runs.reads = runs.bytes = 0
                scope.cancel()

        with anyio.CancelScope() as scope:
            await loop(reader, took)
        assert scope.cancelled_caught
        assert runs.reads <= MOST_READS
        assert runs.bytes <= MOST_BYTES + 5000
        assert len(await reader.read()) == 5000 * len(LINE) - runs.total

    @pytest.mark.once
    @each_loop
    async def test_a_task_of_asyncio(self, loop: Loop) -> None:
        """The same for ``Task.cancel()``, which :func:`asyncio.timeout` uses."""
        runs = Runs()
        task: asyncio.Task[None]

        def took(data: bytes) -> None:
            runs.took(data)
            if runs.total > 1000 and not task.cancelling():
                runs.reads = runs.bytes = 0
                task.cancel()

        task = asyncio.create_task(loop(filled(5000), took))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert runs.reads <= MOST_READS
        assert runs.bytes <= MOST_BYTES + 5000

    @pytest.mark.parametrize("loop", ANY.values(), ids=ANY.keys())
    async def test_somebody_else_takes_what_was_there(self, loop: Loop) -> None:
        """A read that has let other tasks run looks again, and takes no end for granted."""
        reader = StreamReader()
        reader.feed_data(b"first")
        found: list[bytes] = []
        async with anyio.create_task_group() as group:
            group.start_soon(loop, reader, found.append)
            group.start_soon(self._take_first, reader)
            await anyio.wait_all_tasks_blocked()
            reader.feed_data(b"second")
            reader.feed_eof()
        assert b"".join(found) in (b"second", b"firstsecond")
        assert found[-1] == b"second"

    async def _take_first(self, reader: StreamReader) -> None:
        reader.read_nowait()


class TestTime:
    @each_loop
    async def test_every_read_looks_at_the_clock(self, loop: Loop) -> None:
        """Bytes that have arrived are not handed out after the ``total`` time."""
        reader = filled(5000, ended=False)
        now = 0
        begin_response(reader, 100, clock=lambda: now)
        reads = 0

        def took(_data: bytes) -> None:
            nonlocal now, reads
            reads += 1
            now += 10

        for _ in range(2):
            with pytest.raises(TimeoutError, match="total"):
                await loop(reader, took)
            assert reads == 10

    @each_loop
    async def test_what_has_been_received_can_be_read_at_any_time(self, loop: Loop) -> None:
        """If the end of the body has come in time."""
        reader = filled(100, ended=False)
        begin_response(reader, 100, clock=lambda: 200)
        reader.feed_eof()
        runs = Runs()
        await runs.watch(loop(reader, runs.took))
        runs.check(100 * len(LINE))


class TestAwaitables:
    def test_reads_are_coroutine_functions(self) -> None:
        """So a task can be made of each."""
        for name in ("read", "readany", "readexactly", "readline", "readuntil", "readchunk"):
            assert inspect.iscoroutinefunction(getattr(StreamReader, name))

    async def test_the_next_of_an_iterator_is_a_coroutine(self) -> None:
        """Whether it waits or not."""
        for way in (aiter, lambda reader: reader.iter_chunked(50), StreamReader.iter_chunks):
            iterator = way(filled(100))
            for _ in range(2):
                step = anext(iterator)
                assert inspect.iscoroutine(step)
                assert await step in (LINE, (LINE, True))
