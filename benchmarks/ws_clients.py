"""Who is measured with WebSockets: one way to open one per library, and the table of clients."""

from __future__ import annotations

import asyncio
import importlib.util
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Final, Protocol, TypeAlias

# Seconds; the cost of having a timeout stays, running out of it is not what is measured.
PATIENCE: Final = 120.0


class Socket(Protocol):
    """What every library can do with an open WebSocket."""

    async def send(self, data: bytes | str) -> None: ...
    async def receive(self) -> bytes | str: ...


Opener: TypeAlias = Callable[[str, bool], AbstractAsyncContextManager[Socket]]


@dataclass(frozen=True, slots=True)
class AiohttpSocket:
    """aiohttp, and anyhttp through the same code."""

    websocket: Any

    async def send(self, data: bytes | str) -> None:
        if isinstance(data, str):
            await self.websocket.send_str(data)
        else:
            await self.websocket.send_bytes(data)

    async def receive(self) -> bytes | str:
        data: bytes | str = (await self.websocket.receive()).data
        return data


@dataclass(frozen=True, slots=True)
class OtherSocket:
    """What has methods for any kind of message."""

    send: Callable[[bytes | str], Coroutine[Any, Any, None]]
    receive: Callable[[], Coroutine[Any, Any, bytes | str]]


@dataclass(frozen=True, slots=True)
class HttpxSocket:
    """httpx2."""

    websocket: Any

    async def send(self, data: bytes | str) -> None:
        if isinstance(data, str):
            await self.websocket.send_text(data)
        else:
            await self.websocket.send_bytes(data)

    async def receive(self) -> bytes | str:
        event = await self.websocket.receive()
        data: bytes | str = event.data
        return data


@asynccontextmanager
async def open_aiohttp(url: str, compress: bool, *, package: str) -> AsyncIterator[Socket]:
    """Open a WebSocket of aiohttp or anyhttp."""
    library = import_module(package)
    async with library.ClientSession() as session:
        bits = 15 if compress else 0
        async with session.ws_connect(url, compress=bits, max_msg_size=0) as websocket:
            yield AiohttpSocket(websocket)


@asynccontextmanager
async def open_websockets(url: str, compress: bool, *, backend: str) -> AsyncIterator[Socket]:
    """Open a WebSocket of websockets."""
    connect = import_module(f"websockets.{backend}.client").connect
    compression = "deflate" if compress else None
    options: dict[str, Any] = {"proxy": None, "max_size": None, "ping_interval": None}
    async with connect(url, compression=compression, **options) as websocket:
        yield OtherSocket(websocket.send, websocket.recv)


@asynccontextmanager
async def open_trio_websocket(url: str, compress: bool) -> AsyncIterator[Socket]:
    """Open a WebSocket of trio-websocket, which does not compress."""
    library = import_module("trio_websocket")
    async with library.open_websocket_url(url, max_message_size=2**30) as websocket:
        yield OtherSocket(websocket.send_message, websocket.get_message)


@asynccontextmanager
async def open_httpx2(url: str, compress: bool) -> AsyncIterator[Socket]:
    """Open a WebSocket of httpx2, which does not compress."""
    options: dict[str, Any] = {
        "max_message_size_bytes": 2**30,
        "keepalive_ping_interval_seconds": None,
    }
    async with import_module("httpx2").AsyncClient(timeout=PATIENCE) as client:
        async with client.websocket(url, **options) as websocket:
            yield HttpxSocket(websocket)


@asynccontextmanager
async def open_picows(url: str, compress: bool) -> AsyncIterator[Socket]:
    """Open a WebSocket of picows, which calls back and does not compress."""
    library = import_module("picows")
    messages: deque[bytes] = deque()
    waiter: asyncio.Future[None] | None = None

    class Listener(library.WSListener):  # type: ignore[misc,name-defined]  # as it is imported here
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type in (library.WSMsgType.TEXT, library.WSMsgType.BINARY):
                messages.append(frame.get_payload_as_bytes())
                if waiter is not None and not waiter.done():
                    waiter.set_result(None)

    async def send(data: bytes | str) -> None:
        if isinstance(data, str):
            transport.send(library.WSMsgType.TEXT, data.encode())
        else:
            transport.send(library.WSMsgType.BINARY, data)

    async def receive() -> bytes:
        nonlocal waiter
        while not messages:
            waiter = asyncio.get_running_loop().create_future()
            await waiter
        return messages.popleft()

    transport, _ = await library.ws_connect(Listener, url, max_frame_size=2**30)
    try:
        yield OtherSocket(send, receive)
    finally:
        transport.send_close(library.WSCloseCode.OK)
        await transport.wait_disconnected()


@dataclass(frozen=True, slots=True)
class Client:
    """A library on a backend.

    :ivar needs: modules to be importable beside the library itself and the backend
    """

    name: str
    package: str
    backend: str
    open: Opener
    needs: tuple[str, ...] = ()
    compresses: bool = True

    def missing(self) -> list[str]:
        """Return the modules that are not installed."""
        names = (self.package, self.backend, *self.needs)
        return [name for name in names if importlib.util.find_spec(name) is None]


def _aiohttp(package: str, backend: str) -> Client:
    opener = partial(open_aiohttp, package=package)
    return Client(f"{package}-{backend}", package, backend, opener)


def _websockets(backend: str) -> Client:
    opener = partial(open_websockets, backend=backend)
    return Client(f"websockets-{backend}", "websockets", backend, opener)


def _httpx2(backend: str) -> Client:
    needs = ("wsproto",)
    return Client(f"httpx2-{backend}", "httpx2", backend, open_httpx2, needs, compresses=False)


YARDSTICK: Final = "aiohttp-asyncio"
CLIENTS: Final = (
    _aiohttp("aiohttp", "asyncio"),
    _aiohttp("anyhttp", "asyncio"),
    _aiohttp("anyhttp", "uvloop"),
    _aiohttp("anyhttp", "trio"),
    _websockets("asyncio"),
    _websockets("trio"),
    Client("picows-asyncio", "picows", "asyncio", open_picows, compresses=False),
    Client("trio-websocket", "trio_websocket", "trio", open_trio_websocket, compresses=False),
    _httpx2("asyncio"),
    _httpx2("trio"),
)
