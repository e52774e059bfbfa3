"""The other end for what nginx cannot do, and for all where there is no nginx.

``python -m benchmarks.python_server <directory> <port> <port for TLS>``

It knows just enough of HTTP/1.1 for clients that are known to behave, and has its answers ready
before the first request comes.  Its speed does not enter the CPU figures, as it runs in a process
of its own, but it does limit the wall clock figures.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
import zlib
from collections.abc import Coroutine
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

Answers: TypeAlias = dict[bytes, bytes]

CHUNKS: Final = 100_000
CHUNK: Final = b"twenty bytes of text"

NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def with_length(body: bytes) -> bytes:
    """Return the whole answer that carries *body*."""
    return b"%bContent-Length: %d\r\n\r\n%b" % (HEAD, len(body), body)


def in_chunks() -> bytes:
    """Return the whole answer that carries many small chunks."""
    chunks = b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK) * CHUNKS
    return b"%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (HEAD, chunks)


class Connection(asyncio.Protocol):
    """One connection; requests may arrive in any pieces, and have any body with a length."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._path = b""
        self._left: int | None = None  # bytes of the body to come; None while in a head
        self._taken = 0
        self._checksum = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        while data or self._left == 0:
            data = self._take_head(data) if self._left is None else self._take_body(data)

    def _take_head(self, data: bytes) -> bytes:
        head, end, rest = (self._head + data).partition(b"\r\n\r\n")
        if not end:
            self._head = head
            return b""
        length = LENGTH.search(head)
        self._head, self._path = b"", head.split(b" ", 2)[1]
        self._left, self._taken, self._checksum = int(length[1]) if length else 0, 0, 0
        return rest

    def _take_body(self, data: bytes) -> bytes:
        assert self._transport is not None
        assert self._left is not None
        piece, rest = data[: self._left], data[self._left :]
        self._left -= len(piece)
        self._taken += len(piece)
        if self._path == b"/upload/checked":
            self._checksum = zlib.crc32(piece, self._checksum)
        if self._left == 0:
            self._left = None
            self._transport.write(self._answer())
        return rest

    def _answer(self) -> bytes:
        if self._path.startswith(b"/upload"):
            return with_length(b"%d %d" % (self._taken, self._checksum))
        return self._answers.get(self._path, NOT_FOUND)


async def serve(directory: Path, port: int, tls_port: int) -> None:
    """Serve the files of *directory* until the process is ended."""
    answers = {
        b"/" + path.name.encode(): with_length(path.read_bytes())
        for path in (directory / "files").iterdir()
    }
    answers[b"/chunks"] = in_chunks()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    loop = asyncio.get_running_loop()
    for number, options in ((tls_port, {"ssl": context}), (port, {})):
        await loop.create_server(
            lambda: Connection(answers),
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
    run(serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
