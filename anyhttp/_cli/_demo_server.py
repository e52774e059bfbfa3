"""The server for ``anyhttp demo``: it speaks just enough of HTTP for the demonstration.

It listens on loopback, with and without TLS; over TLS it also speaks HTTP/2.  It counts
connections, so that the demonstration can compare what the client says about its pool with what
the server saw.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSAttribute, TLSStream

from ._demo_websocket import serve_echo

HEAD_LIMIT: Final = 16 * 1024  # bytes; the demonstration's own heads are below 1 KiB
DOWNLOAD_PIECE: Final = bytes(range(256)) * 256  # 64 KiB
DOWNLOAD_PIECES: Final = 2048  # 128 MiB: long enough for a progress bar to be seen
COOKIE: Final = "visitor=remembered"
# Repetitive on purpose, so that it compresses well, as logs and tables of JSON do.
TABLE: Final = [{"row": row, "colour": "green", "size": row % 7} for row in range(4000)]

# How a connection may end without a mistake of either side.
HANGUPS: Final = (
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    ssl.SSLError,  # the client refused the certificate, which one step wants
)


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of one request that handlers use."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Body
    stream: ByteStream


class Body:
    """Size and SHA-256 of a request's body, which is read but not kept."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        """Add the next piece to size and digest."""
        self.size += len(piece)
        self._sha256.update(piece)

    @property
    def sha256(self) -> str:
        """The digest of the pieces so far, in hexadecimal."""
        return self._sha256.hexdigest()


def download_sha256() -> str:
    """Return the digest of the body of ``/download``, in hexadecimal."""
    body = Body()
    for _ in range(DOWNLOAD_PIECES):
        body.add(DOWNLOAD_PIECE)
    return body.sha256


class DemoServer:
    """A loopback server; :meth:`serve` runs it.

    :param tls: the server's TLS context, for the second of the two ports
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.opened = 0
        self.closed = 0
        self.stalled = 0
        self.url = ""
        self.tls_url = ""
        self._tls = tls
        self._changed = anyio.Event()

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; the task counts as started when both ports are known."""
        plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
        secure = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with plain, secure, anyio.create_task_group() as tasks:
            self.url = f"http://127.0.0.1:{plain.extra(SocketAttribute.local_port)}"
            self.tls_url = f"https://localhost:{secure.extra(SocketAttribute.local_port)}"
            tasks.start_soon(plain.serve, partial(self._connection, tls=None))
            tasks.start_soon(secure.serve, partial(self._connection, tls=self._tls))
            task_status.started()

    async def wait_until(self, reached: Callable[[], bool]) -> None:
        """Wait until *reached*, a condition on the counters, is true."""
        while not reached():
            await self._changed.wait()

    def _note_change(self) -> None:
        event, self._changed = self._changed, anyio.Event()
        event.set()

    async def _connection(self, stream: SocketStream, *, tls: ssl.SSLContext | None) -> None:
        self.opened += 1
        self._note_change()
        try:
            async with stream:
                peer: ByteStream = stream
                if tls:
                    peer = await TLSStream.wrap(stream, server_side=True, ssl_context=tls)
                    if peer.extra(TLSAttribute.alpn_protocol) == "h2":
                        # Imported here, as most commands need no server of HTTP/2.
                        from ._demo_http2 import Http2Connection

                        await Http2Connection(peer, self._answer, self._note_stall).serve()
                        return
                reader = BufferedByteReceiveStream(peer)
                while True:
                    await self._exchange(reader, peer)
        except HANGUPS:
            pass
        finally:
            self.closed += 1
            self._note_change()

    def _answer(self, method: str, path: str) -> bytes | None:
        """Return the answer to a request of HTTP/2; ``None`` if there is to be none."""
        return None if path == "/stall" else json.dumps({"method": method, "path": path}).encode()

    def _note_stall(self, change: int) -> None:
        self.stalled += change
        self._note_change()

    async def _exchange(self, reader: BufferedByteReceiveStream, peer: ByteStream) -> None:
        raw = await reader.receive_until(b"\r\n\r\n", HEAD_LIMIT)
        head = raw.decode("latin-1")
        request_line, *lines = head.split("\r\n")
        method, path, _ = request_line.split(" ")
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        body = await _read_body(reader, headers)
        request = Request(method, path, headers, body, peer)
        if path == "/stall":
            await self._stall(reader)
        elif path == "/websocket":
            await serve_echo(raw + b"\r\n\r\n", reader, peer)
        else:
            await ROUTES.get(path, _echo)(request)

    async def _stall(self, reader: BufferedByteReceiveStream) -> None:
        """Send no response; return when the client closes the connection."""
        self._note_stall(1)
        try:
            while True:
                await reader.receive()
        finally:
            self._note_stall(-1)


async def _read_body(reader: BufferedByteReceiveStream, headers: Mapping[str, str]) -> Body:
    """Read a body, in chunks or with a length (:rfc:`9112#section-6`)."""
    body = Body()
    if headers.get("transfer-encoding") != "chunked":
        body.add(await reader.receive_exactly(int(headers.get("content-length", 0))))
        return body
    while size := int(await reader.receive_until(b"\r\n", HEAD_LIMIT), 16):
        body.add(await reader.receive_exactly(size))
        await reader.receive_exactly(2)  # the CRLF after a chunk
    await reader.receive_exactly(2)  # this client sends no trailer fields
    return body


async def _respond(
    request: Request, body: bytes, *, status: str = "200 OK", **headers: str
) -> None:
    """Send a whole response; keyword arguments are header fields, with ``_`` in place of ``-``."""
    fields = {"Content_Length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()]
    await request.stream.send(f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode() + body)


async def _respond_json(request: Request, value: object) -> None:
    await _respond(request, json.dumps(value).encode(), Content_Type="application/json")


async def _echo(request: Request) -> None:
    """Describe the request; this handles every path without a route of its own."""
    answer = {
        "method": request.method,
        "path": request.path,
        "size": request.body.size,
        "sha256": request.body.sha256,
        "cookie": request.headers.get("cookie", ""),
        "tls": request.stream.extra(TLSAttribute.tls_version, None),
    }
    await _respond_json(request, answer)


async def _download(request: Request) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(DOWNLOAD_PIECE) * DOWNLOAD_PIECES}\r\n\r\n"
    await request.stream.send(head.encode())
    for _ in range(DOWNLOAD_PIECES):
        await request.stream.send(DOWNLOAD_PIECE)


async def _login(request: Request) -> None:
    """Set a cookie and redirect."""
    await _respond(
        request, b"", status="302 Found", Location="/welcome", Set_Cookie=f"{COOKIE}; Path=/"
    )


async def _table(request: Request) -> None:
    """Send gzip, or uncompressed JSON if the client did not offer gzip."""
    body = json.dumps(TABLE).encode()
    if "gzip" in request.headers.get("accept-encoding", ""):
        await _respond(
            request,
            gzip.compress(body),
            Content_Type="application/json",
            Content_Encoding="gzip",
        )
    else:
        await _respond(request, body, Content_Type="application/json")


ROUTES: Final[Mapping[str, Callable[[Request], Awaitable[None]]]] = {
    "/download": _download,
    "/login": _login,
    "/table": _table,
}
