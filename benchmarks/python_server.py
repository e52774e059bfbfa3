"""The other end for what nginx cannot do, and for all where there is no nginx.

``python -m benchmarks.python_server <directory> <port> <port for TLS> [<delay>]``

It knows just enough of HTTP/1.1 for clients that are known to behave, and has its answers ready
before the first request comes.  Its speed does not enter the CPU figures, as it runs in a process
of its own, but it does limit the wall clock figures.

With a delay (in seconds) each piece of an answer comes so much later than what it follows.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
import zlib
from collections.abc import Coroutine
from email.utils import formatdate
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from time import time
from typing import Any, Final, cast

from .answers import DATE, PACE, SERIAL, Answers, all_answers, with_length

NOT_FOUND: Final = (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",)
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
SERIALS: Final = count(10_000_000)
SHORT: Final = 16_384


@lru_cache(maxsize=1)
def date_of(second: int) -> bytes:
    """Return the value of ``Date``."""
    return formatdate(second, usegmt=True).encode()


class Connection(asyncio.Protocol):
    """One connection; requests may arrive in any pieces, and have any body."""

    def __init__(self, answers: Answers, delay: float) -> None:
        self._answers = answers
        self._delay = delay
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._path = ""
        self._left: int | None = None  # bytes of the body to come; None while in a head
        self._chunks: bytearray | None = None  # begun of a body in chunks, while there is one
        self._taken = 0
        self._checksum = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        while data or self._left == 0:
            if self._chunks is not None:
                data = self._take_chunks(data)
            else:
                data = self._take_head(data) if self._left is None else self._take_body(data)

    def _take_head(self, data: bytes) -> bytes:
        head, end, rest = (self._head + data).partition(b"\r\n\r\n")
        if not end:
            self._head = head
            return b""
        target = head.split(b" ", 2)[1]
        self._head, self._path = b"", target.partition(b"?")[0].decode()
        self._taken, self._checksum = 0, 0
        if CHUNKED.search(head):
            self._chunks = bytearray()
        else:
            length = LENGTH.search(head)
            self._left = int(length[1]) if length else 0
        return rest

    def _take_body(self, data: bytes) -> bytes:
        assert self._left is not None
        piece, rest = data[: self._left], data[self._left :]
        self._left -= len(piece)
        self._taken += len(piece)
        if self._path == "/upload/checked":
            self._checksum = zlib.crc32(piece, self._checksum)
        if self._left == 0:
            self._left = None
            self._answer()
        return rest

    def _take_chunks(self, data: bytes) -> bytes:
        chunks = self._chunks
        assert chunks is not None
        chunks += data
        begin = 0
        while (line := chunks.find(b"\r\n", begin)) >= 0:
            size = int(chunks[begin:line], 16)
            end = line + 2 + size + 2
            if len(chunks) < end:
                break
            begin = end
            self._taken += size
            if size == 0:
                self._chunks = None
                self._answer()
                return bytes(chunks[begin:])
        del chunks[:begin]
        return b""

    def _answer(self) -> None:
        assert self._transport is not None
        pieces = self._answers.get(self._path, NOT_FOUND)
        if self._path.startswith("/upload"):
            pieces = (with_length(b"%d %d" % (self._taken, self._checksum)),)
        elif self._path in {"/cookies", "/numbered"}:
            pieces = [piece.replace(SERIAL, b"%d" % next(SERIALS)) for piece in pieces]
        if len(pieces[0]) <= SHORT:
            pieces = [pieces[0].replace(DATE, date_of(int(time()))), *pieces[1:]]
        pace = PACE if len(pieces) > 1 else 1
        for number, piece in enumerate(pieces, 1):
            if self._delay:
                loop = asyncio.get_running_loop()
                loop.call_later(self._delay * pace * number, self._transport.write, piece)
            else:
                self._transport.write(piece)


async def serve(directory: Path, port: int, tls_port: int, delay: float) -> None:
    """Serve the files of *directory*, and the rest, until the process is ended."""
    files = {
        f"/{path.name}": (with_length(path.read_bytes()),)
        for path in (directory / "files").iterdir()
    }
    answers = {**all_answers(), **files}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    loop = asyncio.get_running_loop()
    for number, options in ((tls_port, {"ssl": context}), (port, {})):
        await loop.create_server(
            lambda: Connection(answers, delay),
            "127.0.0.1",
            number,
            backlog=4096,
            **cast(Any, options),
        )
    await asyncio.get_running_loop().create_future()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run *main* on the fastest event loop there is."""
    factory = import_module("uvloop").new_event_loop if find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


if __name__ == "__main__":
    given_delay = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    run(serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), given_delay))
