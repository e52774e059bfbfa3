"""Reading and closing files never holds up the event loop."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Callable
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from anyhttp import FormData, MultipartWriter, get_payload
from anyhttp.payload import Payload
from tests.support.client import client
from tests.support.server import Server
from tests.support.waiting import until


class Gated(io.RawIOBase):
    """A slow disk: each of its operations takes until the event loop has gone round.

    Were one to run on the event loop, the loop could not go round, and the gate stays shut.
    """

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)
        self.gate = threading.Semaphore(0)
        self.waiting = threading.Event()
        self.stuck: list[str] = []
        self.reads = 0

    def _pass(self, operation: str) -> None:
        self.waiting.set()
        if not self.gate.acquire(timeout=5):
            self.stuck.append(operation)

    def readable(self) -> bool:
        """Be a file to read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read, when the gate opens."""
        self._pass("read")
        self.reads += 1
        return self._content.readinto(buffer)

    def close(self) -> None:
        """Close, when the gate opens."""
        if not self.closed:
            self._pass("close")
        super().close()


def _form(file: Gated) -> FormData:
    form = FormData()
    form.add_field("file", io.BufferedReader(file), filename="x")
    return form


def _multipart(file: Gated) -> MultipartWriter:
    writer = MultipartWriter()
    writer.append(io.BufferedReader(file), {"Content-Encoding": "gzip"})
    return writer


BODIES: dict[str, Callable[[Gated], Any]] = {
    "raw": lambda file: file,
    "buffered": lambda file: io.BufferedReader(file),
    "text": lambda file: io.TextIOWrapper(io.BufferedReader(file), "utf-8"),
    "gzip": lambda file: io.BufferedReader(cast(Any, _Unzipped(file))),
    "anyio": lambda file: anyio.AsyncFile(io.BufferedReader(file)),
    "form": _form,
    "multipart": _multipart,
    "mapping": lambda file: {"file": io.BufferedReader(file)},
}


class _Unzipped(io.RawIOBase):
    """What a compressed file holds, and closes that file with itself."""

    def __init__(self, file: Gated) -> None:
        self._file = file
        self._unzipped = gzip.GzipFile(fileobj=file)

    def readable(self) -> bool:
        """Be a file to read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read and decompress."""
        return self._unzipped.readinto(buffer)

    def close(self) -> None:
        """Close both."""
        if not self.closed:
            self._file.close()
        super().close()


@pytest.mark.parametrize("kind", BODIES)
async def test_a_slow_file_delays_nobody_else(kind: str, server: Server) -> None:
    """While it is read, and while it is closed, other tasks go on."""
    content = b"from a slow disk" * 10
    file = Gated(gzip.compress(content) if kind == "gzip" else content)
    rounds = 0
    over = anyio.Event()

    async def tick() -> None:
        """Open the gate once for each round of the loop in which the file is waited for."""
        nonlocal rounds
        while not over.is_set():
            await until(lambda: file.waiting.is_set() or over.is_set(), "the file to be used")
            if file.waiting.is_set():
                file.waiting.clear()
                rounds += 1
                file.gate.release()

    async with client("auto") as session, anyio.create_task_group() as group:
        group.start_soon(tick)
        body = BODIES[kind](file)
        async with session.post(server.url / "upload", data=body) as response:
            assert (await response.json())["length"] > 0
        await until(lambda: file.closed, "the file to be closed")
        over.set()
    assert file.stuck == []
    assert rounds >= 2
    assert file.reads >= 1


@pytest.mark.parametrize("kind", ["raw", "text"])
async def test_reading_one_into_memory_delays_nobody_either(kind: str) -> None:
    """``Payload.as_bytes()``, as a middleware that signs bodies calls it."""
    file = Gated(b"content")
    payload: Payload = get_payload(BODIES[kind](file))
    bodies: list[bytes] = []

    async def read() -> None:
        bodies.append(await payload.as_bytes())

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        while not bodies:
            await until(lambda: file.waiting.is_set() or bodies, "the file to be used")
            file.waiting.clear()
            file.gate.release()
    assert bodies == [b"content"]
    assert file.stuck == []
    file.gate.release(9)
    file.close()
