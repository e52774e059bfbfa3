"""Who closes a file that worker threads read, when a request is cancelled."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from anyhttp import ClientSession, ClientTimeout
from anyhttp.payload import get_payload
from anyhttp.payload._file_threads import FileInThreads
from tests.support.collector import Collector
from tests.support.peer import DEAF, Head, Script
from tests.support.waiting import DEADLINE, until


class Hanging(io.RawIOBase):
    """A file that gives one byte for each read, and hangs in a read while its gate is shut."""

    def __init__(self, *, seekable: bool) -> None:
        self._seekable = seekable
        self.gate = threading.Event()
        self.hangs = threading.Event()
        self.position = 0

    def readable(self) -> bool:
        """Be a file to read."""
        return True

    def seekable(self) -> bool:
        """Be one on a disk, or a pipe."""
        return self._seekable

    def seek(self, to: int, whence: int = 0) -> int:
        """Go to a position; the end is not known."""
        if whence:
            raise OSError
        self.position = to
        return to

    def tell(self) -> int:
        """Tell the position."""
        return self.position

    def readinto(self, buffer: Any, /) -> int:
        """Read one byte, which tells its position."""
        self.hangs.set()
        assert self.gate.wait(DEADLINE)
        memoryview(buffer)[:1] = bytes([self.position])
        self.position += 1
        return 1


@pytest.fixture(params=[True, False], ids=["disk", "pipe"])
def file(request: pytest.FixtureRequest) -> Iterator[Hanging]:
    """A file that hangs."""
    file = Hanging(seekable=request.param)
    yield file
    file.gate.set()


def in_threads(file: Hanging) -> FileInThreads:
    """What a payload makes of *file*."""
    return FileInThreads(file, may_block=not file.seekable())


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("how", ["cancelled", "timed out"])
async def test_a_disk_that_hangs_keeps_no_request(
    script: Script, file: Hanging, how: str, entered: bool
) -> None:
    """The request ends while the thread still reads; the file is closed when that comes back."""
    peer = await script([(Head(b"POST / "), [DEAF])])
    timeout = ClientTimeout(total=0.05 if how == "timed out" else None)
    session = ClientSession(timeout=timeout)
    if entered:
        await session.__aenter__()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def post() -> None:
                with pytest.raises(TimeoutError):
                    await session.post(peer.url, data=file)
                group.cancel_scope.cancel()

            group.start_soon(post)
            await until(file.hangs.is_set, "the file to hang")
            if how == "cancelled":
                scope.cancel()
    if entered:
        await session.__aexit__(None, None, None)
    else:
        await session.close()
    assert not file.gate.is_set()
    assert not file.closed
    file.gate.set()
    await until(lambda: file.closed, "the file to be closed")


async def test_a_read_that_is_cancelled_before_it_begins(file: Hanging) -> None:
    """No thread has begun, so none will close the file."""
    threads = in_threads(file)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await threads.call(file.read, 1)
    await threads.close()
    assert file.closed
    assert not file.hangs.is_set()


async def test_a_thread_that_was_left_behind_moves_no_position(file: Hanging) -> None:
    """Reads follow each other, and those whose callers are gone do not begin any more."""
    threads = in_threads(file)
    async with anyio.create_task_group() as group:
        group.start_soon(threads.call, file.read, 1)
        await until(file.hangs.is_set, "the file to hang")
        group.start_soon(threads.call, file.read, 1)
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert file.position == 0
    file.gate.set()
    assert await threads.call(file.read, 1) == b"\x01"
    await threads.close()
    assert file.closed


async def test_a_close_that_is_cancelled_natively(file: Hanging) -> None:
    """``task.cancel()`` of asyncio goes through a shield; the file is closed all the same."""
    if trio.lowlevel.in_trio_task():
        pytest.skip("trio has no cancellation but scopes")
    threads = in_threads(file)
    task = asyncio.ensure_future(threads.close())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    task = asyncio.ensure_future(threads.close())
    await anyio.lowlevel.checkpoint()
    task.cancel()
    await asyncio.wait({task})
    await until(lambda: file.closed, "the file to be closed")


async def test_a_file_without_close() -> None:
    """Not everything that can be read has to be closed."""

    class Duck:
        def __init__(self) -> None:
            self.read: Callable[[int], bytes] = io.BytesIO(b"duck").read

    body = get_payload(Duck())
    collector = Collector()
    await body.write(collector)
    await body.close()
    assert collector.data == b"duck"
