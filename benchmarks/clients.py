"""Who is measured: one way to open a session per library, and the table of clients.

The libraries are imported by name and only when measured: any of them may be missing, and a
process that measures one must not pay for, or be helped by, the import of another.
"""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sized
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, cast
from urllib.parse import urlsplit

Backend: TypeAlias = Literal["asyncio", "uvloop", "trio"]

# Some peers wait 5 seconds for a free connection by default, which a slow one exceeds in the
# queue.  The cost of having a timeout stays; running out of it is not what is measured.  For the
# same reason idle connections are kept so long.
PATIENCE: Final = 300.0

# Pieces of the file that httpx2's users cut themselves; no smaller than those of the others.
PIECE: Final = 2**18


class WrongAnswer(Exception):
    """The client gave a status or a body that the server did not send."""


Options: TypeAlias = Callable[[Any], dict[str, Any]]


def no_options(library: Any) -> dict[str, Any]:
    """Leave the session of *library* as it is."""
    return {}


@dataclass(frozen=True, slots=True)
class Settings:
    """What all sessions of a workload have in common.

    :ivar limit: connections that the session may open, and keep
    :ivar keep: whether a connection is used again
    :ivar context: what verifies the server, where TLS is spoken
    :ivar options: of the session of aiohttp and anyhttp, from the library
    :ivar any_host: whether every name of a host leads to this machine (aiohttp and anyhttp only)
    :ivar certificate: file with the certificate to trust, for those that take no context
    """

    limit: int
    keep: bool = True
    context: ssl.SSLContext | None = None
    options: Options = no_options
    any_host: bool = False
    certificate: str = ""


class Session(Protocol):
    """The two things every library can do, in its own documented idiom."""

    async def read(self, url: str) -> Sized:
        """Return the whole body of a 200 answer, as ``bytes`` or the library's equivalent."""
        ...

    async def stream(self, url: str, take: Callable[[Sized], None]) -> None:
        """Hand each piece of the body of a 200 answer to *take*, as it comes."""
        ...


class FullSession(Session, Protocol):
    """The rest, which is compared among fewer libraries."""

    async def json(self, url: str) -> object:
        """Return the value that the body of a 200 answer stands for."""
        ...

    async def post(self, url: str, value: object) -> Sized:
        """Send *value* as JSON; return the whole body of a 200 answer."""
        ...

    async def upload(self, url: str, path: Path) -> bytes:
        """Send the file at *path*; return the whole body of a 200 answer."""
        ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the server says of the request that asked it.

    :ivar version: of HTTP
    :ivar connection: a number that each has
    :ivar requests: how many there have been on that connection, this one included
    """

    version: str
    connection: int
    requests: int


async def spoken(session: Session, url: str) -> Spoken:
    """Ask the server of *url*, which has to be the one of HTTP/2, what is spoken with it."""
    parts = urlsplit(url)
    answer = cast(bytes, await session.read(f"{parts.scheme}://{parts.netloc}/connection"))
    version, connection, requests = answer.decode().split()
    return Spoken(version, int(connection), int(requests))


def check_spoken(http2: bool, before: Spoken, after: Spoken, requests: int) -> None:
    """Refuse another version than the client was told to speak, or a second connection.

    :param requests: how many were made in between
    """
    version = "HTTP/2.0" if http2 else "HTTP/1.1"
    if {before.version, after.version} != {version}:
        raise WrongAnswer(f"{after.version} instead of {version}")
    made = after.requests - before.requests - 1
    if http2 and (after.connection != before.connection or made != requests):
        raise WrongAnswer(f"{made} of {requests} requests on connection {after.connection}")


def check(status: int) -> None:
    """Refuse anything but 200."""
    if status != 200:
        raise WrongAnswer(f"status {status}")


@dataclass(frozen=True, slots=True)
class AiohttpSession:
    """aiohttp, and anyhttp through the same code."""

    library: Any
    session: Any

    async def read(self, url: str) -> Sized:
        async with self.session.get(url) as response:
            check(response.status)
            body: bytes = await response.read()
            return body

    async def stream(self, url: str, take: Callable[[Sized], None]) -> None:
        async with self.session.get(url) as response:
            check(response.status)
            async for piece in response.content.iter_any():
                take(piece)

    async def json(self, url: str) -> object:
        async with self.session.get(url) as response:
            check(response.status)
            value: object = await response.json()
            return value

    async def post(self, url: str, value: object) -> Sized:
        async with self.session.post(url, json=value) as response:
            check(response.status)
            body: bytes = await response.read()
            return body

    async def upload(self, url: str, path: Path) -> bytes:
        # Opening blocks for microseconds, and each library closes the file by itself.
        async with self.session.post(url, data=path.open("rb")) as response:
            check(response.status)
            body: bytes = await response.read()
            return body


@dataclass(frozen=True, slots=True)
class HttpxSession:
    """httpx, and httpx2 through the same code."""

    library: Any
    client: Any

    async def read(self, url: str) -> Sized:
        response = await self.client.get(url)
        check(response.status_code)
        body: bytes = response.content
        return body

    async def stream(self, url: str, take: Callable[[Sized], None]) -> None:
        async with self.client.stream("GET", url) as response:
            check(response.status_code)
            async for piece in response.aiter_bytes():
                take(piece)

    async def json(self, url: str) -> object:
        response = await self.client.get(url)
        check(response.status_code)
        value: object = response.json()
        return value

    async def post(self, url: str, value: object) -> Sized:
        response = await self.client.post(url, json=value)
        check(response.status_code)
        body: bytes = response.content
        return body

    async def upload(self, url: str, path: Path) -> bytes:
        async def pieces() -> AsyncIterator[bytes]:
            async with await import_module("anyio").open_file(path, "rb") as file:
                while piece := await file.read(PIECE):
                    yield piece

        # Without the header the body would be sent in HTTP chunks.
        headers = {"Content-Length": str(path.stat().st_size)}
        response = await self.client.post(url, content=pieces(), headers=headers)
        check(response.status_code)
        body: bytes = response.content
        return body


@dataclass(frozen=True, slots=True)
class PyreqwestSession:
    """pyreqwest."""

    client: Any

    async def read(self, url: str) -> Sized:
        response = await self.client.get(url).build().send()
        check(response.status)
        body: Sized = await response.bytes()
        return body

    async def stream(self, url: str, take: Callable[[Sized], None]) -> None:
        async with self.client.get(url).build_streamed() as response:
            check(response.status)
            reader = response.body_reader
            while (piece := await reader.read_chunk()) is not None:
                take(piece)


@dataclass(frozen=True, slots=True)
class NiquestsSession:
    """niquests, which is told to share a connection: an answer has to be gathered."""

    session: Any

    async def read(self, url: str) -> Sized:
        response = await self.session.get(url)
        await self.session.gather(response)
        check(response.status_code)
        body: bytes = response.content
        return body

    async def read_together(self, url: str, number: int) -> list[bytes]:
        """Make so many requests at once; return the bodies.

        Tasks that each make one do not share a connection.
        """
        responses = [await self.session.get(url) for _ in range(number)]
        await self.session.gather(*responses)
        for response in responses:
            check(response.status_code)
        return [response.content for response in responses]

    async def stream(self, url: str, take: Callable[[Sized], None]) -> None:
        response = await self.session.get(url, stream=True)
        await self.session.gather(response)
        check(response.status_code)
        async for piece in await response.iter_content(-1):
            take(piece)

    async def upload(self, url: str, path: Path) -> bytes:
        return await self.send(url, path.open("rb"))

    async def send(self, url: str, body: Any) -> bytes:
        """Send *body*; return the whole body of a 200 answer."""
        response = await self.session.post(url, data=body)
        await self.session.gather(response)
        check(response.status_code)
        answer: bytes = response.content
        return answer


@dataclass(frozen=True, slots=True)
class ZaprosSession:
    """zapros."""

    client: Any

    async def read(self, url: str) -> Sized:
        response = await self.client.get(url)
        check(response.status)
        body: bytes = await response.aread()
        return body

    async def stream(self, url: str, take: Callable[[Sized], None]) -> None:
        async with self.client.stream("GET", url) as response:
            check(response.status)
            async for piece in response.async_iter_bytes():
                take(piece)


class ByteStream(Protocol):
    """What a bare session needs of a connection."""

    async def send(self, data: bytes) -> None: ...
    async def receive(self) -> bytes: ...
    async def aclose(self) -> None: ...


Connect: TypeAlias = Callable[[str, int, ssl.SSLContext | None], Awaitable[ByteStream]]


async def connect_anyio(host: str, port: int, context: ssl.SSLContext | None) -> ByteStream:
    """Open a stream of anyio."""
    tls = {} if context is None else {"tls": True, "ssl_context": context}
    stream: ByteStream = await import_module("anyio").connect_tcp(host, port, **tls)
    return stream


class ProtocolStream(asyncio.Protocol):
    """An asyncio protocol that wakes whoever waits for bytes."""

    def __init__(self) -> None:
        self._received: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def send(self, data: bytes) -> None:
        self._transport.write(data)

    async def receive(self) -> bytes:
        if not self._received:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._received.popleft()

    async def aclose(self) -> None:
        self._transport.abort()


async def connect_asyncio(host: str, port: int, context: ssl.SSLContext | None) -> ByteStream:
    """Open a connection of asyncio."""
    loop = asyncio.get_running_loop()
    _, stream = await loop.create_connection(ProtocolStream, host, port, ssl=context)
    return stream


@dataclass(frozen=True, slots=True)
class TrioStream:
    """A socket stream of trio."""

    stream: Any

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def receive(self) -> bytes:
        data: bytes = await self.stream.receive_some()
        return data

    async def aclose(self) -> None:
        await self.stream.aclose()


async def connect_trio(host: str, port: int, context: ssl.SSLContext | None) -> ByteStream:
    """Open a connection of trio, without TLS."""
    return TrioStream(await import_module("trio").open_tcp_stream(host, port))


@dataclass(frozen=True, slots=True)
class BareSession:
    """No HTTP library: what a byte stream alone costs.

    It understands just enough of HTTP to find where the head ends, and how long the body is.
    """

    connect: Connect
    streams: list[ByteStream]
    context: ssl.SSLContext | None

    async def read(self, url: str) -> Sized:
        pieces: list[bytes] = []
        await self.stream(url, pieces.append)  # type: ignore[arg-type]  # all of them are bytes
        return b"".join(pieces)

    async def stream(self, url: str, take: Callable[[Sized], None]) -> None:
        parts = urlsplit(url)
        if not self.streams:
            assert parts.hostname
            assert parts.port
            self.streams.append(await self.connect(parts.hostname, parts.port, self.context))
        stream = self.streams[0]
        await stream.send(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive()
        head, _, piece = received.partition(b"\r\n\r\n")
        first, *fields = head.lower().split(b"\r\n")
        check(int(first.split()[1]))
        length = next(field for field in fields if field.startswith(b"content-length:"))
        left = int(length.partition(b":")[2]) - len(piece)
        if piece:
            take(piece)
        while left > 0:
            piece = await stream.receive()
            left -= len(piece)
            take(piece)


@asynccontextmanager
async def open_bare(settings: Settings, *, connect: Connect) -> AsyncIterator[Session]:
    """Open nothing yet; close the one connection in the end."""
    streams: list[ByteStream] = []
    yield BareSession(connect, streams, settings.context)
    for stream in streams:
        await stream.aclose()


def loopback_resolver(library: Any) -> Any:
    """Return a resolver of *library* to which every host is this machine."""

    class LoopbackResolver(library.abc.AbstractResolver):  # type: ignore[misc]
        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
            address = {"hostname": host, "host": "127.0.0.1", "port": port}
            return [{**address, "family": socket.AF_INET, "proto": 0, "flags": 0}]

        async def close(self) -> None:
            pass

    return LoopbackResolver()


@asynccontextmanager
async def open_aiohttp(
    settings: Settings, *, package: str, **options: Any
) -> AsyncIterator[Session]:
    """Open an aiohttp or anyhttp session; *options* go to its connector."""
    library = import_module(package)
    if settings.context is not None:
        options["ssl"] = settings.context
    if settings.any_host:
        options["resolver"] = loopback_resolver(library)
    if settings.keep:
        options["keepalive_timeout"] = PATIENCE
    else:
        options["force_close"] = True
    own = settings.options(library)
    if "connector" not in own:
        own["connector"] = library.TCPConnector(limit=settings.limit, **options)
    async with library.ClientSession(**own) as session:
        yield AiohttpSession(library, session)


@asynccontextmanager
async def open_httpx(
    settings: Settings, *, package: str, transport: str | None = None, **options: Any
) -> AsyncIterator[Session]:
    """Open an httpx or httpx2 client that keeps every connection alive, as the others do.

    :param transport: the module of its transport; its own one if it is left out
    :param options: of its own one
    """
    library = import_module(package)
    limits = library.Limits(
        max_connections=settings.limit,
        max_keepalive_connections=settings.limit if settings.keep else 0,
        keepalive_expiry=PATIENCE,
    )
    verify = True if settings.context is None else settings.context
    if transport is None:
        made = library.AsyncHTTPTransport(limits=limits, verify=verify, **options)
    else:
        made = import_module(transport).AnyhttpTransport(limits=limits, verify=verify)
    async with library.AsyncClient(transport=made, timeout=PATIENCE) as client:
        yield HttpxSession(library, client)


@asynccontextmanager
async def open_pyreqwest(settings: Settings) -> AsyncIterator[Session]:
    """Open a pyreqwest client."""
    builder = import_module("pyreqwest.client").ClientBuilder()
    async with builder.max_connections(settings.limit).build() as client:
        yield PyreqwestSession(client)


@asynccontextmanager
async def open_niquests(settings: Settings) -> AsyncIterator[Session]:
    """Open a niquests session; HTTP/2 is what it speaks where it can."""
    library = import_module("niquests")
    async with library.AsyncSession(
        multiplexed=True,
        disable_http3=True,
        pool_maxsize=settings.limit,
        timeout=PATIENCE,
        verify=settings.certificate,
    ) as session:
        session.trust_env = False  # a variable would have a say in whom to trust
        yield NiquestsSession(session)


@asynccontextmanager
async def open_zapros(settings: Settings) -> AsyncIterator[Session]:
    """Open a zapros client; its own default is 10 connections per host."""
    library = import_module("zapros")
    limit = settings.limit
    pool = {"max_connections_per_host": limit, "max_idle_connections_per_host": limit}
    handler = library.AsyncStdNetworkHandler(http1=pool)
    async with library.AsyncClient(handler) as client:
        yield ZaprosSession(client)


@dataclass(frozen=True, slots=True)
class Client:
    """A library on a backend.

    :ivar open: called with the settings of the workload
    :ivar needs: modules to be importable beside the library itself and the backend
    :ivar http2: whether it is told to speak HTTP/2
    """

    name: str
    package: str
    backend: Backend
    open: Callable[[Settings], AbstractAsyncContextManager[Session]]
    needs: tuple[str, ...] = ()
    http2: bool = False

    def missing(self) -> list[str]:
        """Return the modules this client needs that are not installed."""
        modules = (self.package, self.backend, *self.needs)
        return [name for name in modules if importlib.util.find_spec(name) is None]


def _anyhttp(backend: Backend, engine: str) -> Client:
    opener = partial(open_aiohttp, package="anyhttp", http1=engine)
    needs = () if engine == "auto" else (engine,)
    return Client(f"anyhttp-{backend}-{engine}", "anyhttp", backend, opener, needs)


def _aiohttp(backend: Backend) -> Client:
    return Client(
        f"aiohttp-{backend}", "aiohttp", backend, partial(open_aiohttp, package="aiohttp")
    )


def _httpx(package: str, backend: Backend) -> Client:
    return Client(f"{package}-{backend}", package, backend, partial(open_httpx, package=package))


def _httpx_over_anyhttp(package: str, backend: Backend) -> Client:
    opener = partial(open_httpx, package=package, transport=f"anyhttp.{package}")
    return Client(f"{package}-over-anyhttp-{backend}", package, backend, opener, ("anyhttp",))


def _http2(
    package: str,
    backend: Backend,
    opener: Callable[[Settings], AbstractAsyncContextManager[Session]],
    *needs: str,
) -> Client:
    return Client(f"{package}-{backend}-http2", package, backend, opener, needs, http2=True)


def _bare(name: str, package: str, backend: Backend, connect: Connect) -> Client:
    return Client(name, package, backend, partial(open_bare, connect=connect))


YARDSTICK: Final = _aiohttp("asyncio")

CLIENTS: Final = (
    YARDSTICK,
    _aiohttp("uvloop"),
    _anyhttp("asyncio", "auto"),
    _anyhttp("asyncio", "h11"),
    _anyhttp("uvloop", "auto"),
    _anyhttp("uvloop", "h11"),
    _anyhttp("trio", "auto"),
    _anyhttp("trio", "h11"),
    Client("pyreqwest-asyncio", "pyreqwest", "asyncio", open_pyreqwest),
    Client("zapros-asyncio", "zapros", "asyncio", open_zapros),
    _httpx("httpx2", "asyncio"),
    _httpx("httpx2", "trio"),
    _httpx("httpx", "asyncio"),
    _httpx("httpx", "trio"),
    _httpx_over_anyhttp("httpx2", "asyncio"),
    _httpx_over_anyhttp("httpx2", "trio"),
    _httpx_over_anyhttp("httpx", "asyncio"),
    _httpx_over_anyhttp("httpx", "trio"),
    _http2("anyhttp", "asyncio", partial(open_aiohttp, package="anyhttp", http2=True), "hpack"),
    _http2("anyhttp", "uvloop", partial(open_aiohttp, package="anyhttp", http2=True), "hpack"),
    _http2("anyhttp", "trio", partial(open_aiohttp, package="anyhttp", http2=True), "hpack"),
    _http2("httpx2", "asyncio", partial(open_httpx, package="httpx2", http2=True), "h2"),
    _http2("httpx2", "trio", partial(open_httpx, package="httpx2", http2=True), "h2"),
    _http2("niquests", "asyncio", open_niquests),
    _bare("anyio-asyncio", "anyio", "asyncio", connect_anyio),
    _bare("anyio-trio", "anyio", "trio", connect_anyio),
    _bare("socket-asyncio", "asyncio", "asyncio", connect_asyncio),
    _bare("socket-trio", "trio", "trio", connect_trio),
)
