"""What clients can do, tried one after the other: ``python -m benchmarks.features``.

It prints rows of the table in ``README.md``.  Where a library has no name for a feature, nothing
is tried.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, TypeAlias

import anyio

from anyhttp.testing import WebSocketPeer, serve

from .server import SlowServer, serve_slowly

PATIENCE: Final = 20.0
EVENTS: Final = ["one", "two"]


@dataclass(frozen=True, slots=True)
class Where:
    """Where to try it.

    :ivar backend: asyncio or trio
    :ivar http: the beginning of URLs of a server of HTTP/1.1
    :ivar http2: a URL of nginx, which answers with what it is spoken to
    :ivar certificate: file with the certificate of the latter
    """

    backend: str
    http: str
    http2: str
    certificate: str

    @property
    def ws(self) -> str:
        """The URL of a WebSocket that returns what it gets."""
        return f"{self.http.replace('http:', 'ws:')}/echo"

    @property
    def context(self) -> ssl.SSLContext:
        """For the server of HTTP/2."""
        return ssl.create_default_context(cafile=self.certificate)


Attempt: TypeAlias = Callable[[Where], Awaitable[bool]]


async def get_aiohttp(where: Where, package: str = "aiohttp") -> bool:
    """Make a request."""
    async with import_module(package).ClientSession() as session:
        async with session.get(f"{where.http}/") as response:
            return bool(await response.text() == "hello")


async def get_anyhttp(where: Where) -> bool:
    """Make a request."""
    return await get_aiohttp(where, "anyhttp")


async def get_httpx2(where: Where) -> bool:
    """Make a request."""
    async with import_module("httpx2").AsyncClient() as client:
        return bool((await client.get(f"{where.http}/")).text == "hello")


async def get_niquests(where: Where) -> bool:
    """Make a request."""
    async with import_module("niquests").AsyncSession() as session:
        return bool((await session.get(f"{where.http}/")).text == "hello")


async def http2_anyhttp(where: Where) -> bool:
    """Make a request by HTTP/2."""
    anyhttp = import_module("anyhttp")
    connector = anyhttp.TCPConnector(http2=True, ssl=where.context)
    async with anyhttp.ClientSession(connector=connector) as session:
        async with session.get(where.http2) as response:
            return (await response.text()).startswith("HTTP/2")


async def http2_httpx2(where: Where) -> bool:
    """Make a request by HTTP/2."""
    async with import_module("httpx2").AsyncClient(http2=True, verify=where.context) as client:
        return (await client.get(where.http2)).text.startswith("HTTP/2")


async def http2_niquests(where: Where) -> bool:
    """Make a request by HTTP/2."""
    async with import_module("niquests").AsyncSession() as session:
        session.trust_env = False  # a variable would have a say in whom to trust
        response = await session.get(where.http2, verify=where.certificate)
        return response.text.startswith("HTTP/2")


async def echo_aiohttp(where: Where, package: str = "aiohttp") -> bool:
    """Send a message and receive it."""
    async with import_module(package).ClientSession() as session:
        async with session.ws_connect(where.ws) as ws:
            await ws.send_str("hello")
            return await ws.receive_str() == "hello"


async def echo_anyhttp(where: Where) -> bool:
    """Send a message and receive it."""
    return await echo_aiohttp(where, "anyhttp")


async def echo_httpx2(where: Where) -> bool:
    """Send a message and receive it."""
    async with import_module("httpx2").AsyncClient() as client:
        async with client.websocket(where.ws) as ws:
            await ws.send_text("hello")
            return await ws.receive_text() == "hello"


async def echo_niquests(where: Where) -> bool:
    """Send a message and receive it."""
    async with import_module("niquests").AsyncSession() as session:
        extension = (await session.get(where.ws)).extension
        await extension.send_payload("hello")
        return await extension.next_payload() == "hello"


async def echo_websockets(where: Where) -> bool:
    """Send a message and receive it."""
    async with import_module(f"websockets.{where.backend}.client").connect(where.ws) as ws:
        await ws.send("hello")
        return await ws.recv() == "hello"


async def events_anyhttp(where: Where) -> bool:
    """Receive server-sent events."""
    async with import_module("anyhttp").ClientSession() as session:
        async with session.get(f"{where.http}/events") as response:
            return [event.data async for event in response.events()] == EVENTS


async def events_httpx2(where: Where) -> bool:
    """Receive server-sent events."""
    library = import_module("httpx2")
    async with library.AsyncClient() as client:
        async with client.stream("GET", f"{where.http}/events") as response:
            return [event.data async for event in library.EventSource(response)] == EVENTS


async def events_niquests(where: Where) -> bool:
    """Receive server-sent events."""
    async with import_module("niquests").AsyncSession() as session:
        url = f"{where.http.replace('http:', 'psse:')}/events"
        extension = (await session.get(url)).extension
        return [(await extension.next_payload()).data for _ in EVENTS] == EVENTS


async def again_anyhttp(where: Where) -> bool:
    """Let a request be sent again after status 503."""
    anyhttp = import_module("anyhttp")
    retries = anyhttp.RetryMiddleware(backoff=0)
    async with anyhttp.ClientSession(middlewares=[retries]) as session:
        async with session.get(f"{where.http}/busy") as response:
            return bool(response.status == 200)


async def again_httpx2(where: Where) -> bool:
    """Let a request be sent again after status 503."""
    library = import_module("httpx2")
    transport = library.AsyncHTTPTransport(retries=3)
    async with library.AsyncClient(transport=transport) as client:
        return bool((await client.get(f"{where.http}/busy")).status_code == 200)


async def again_niquests(where: Where) -> bool:
    """Let a request be sent again after status 503."""
    library = import_module("niquests")
    retries = library.RetryConfiguration(total=3, status_forcelist=[503])
    async with library.AsyncSession(retries=retries) as session:
        return bool((await session.get(f"{where.http}/busy")).status_code == 200)


def in_thread(call: Callable[[Where], bool]) -> Attempt:
    """Try what is not asynchronous."""

    async def attempt(where: Where) -> bool:
        return await anyio.to_thread.run_sync(call, where)

    return attempt


def plain_get_httpx2(where: Where) -> bool:
    """Make a request without a coroutine."""
    return bool(import_module("httpx2").get(f"{where.http}/").text == "hello")


def plain_get_niquests(where: Where) -> bool:
    """Make a request without a coroutine."""
    return bool(import_module("niquests").get(f"{where.http}/").text == "hello")


def plain_echo_websockets(where: Where) -> bool:
    """Send a message and receive it without a coroutine."""
    with import_module("websockets.sync.client").connect(where.ws) as ws:
        ws.send("hello")
        return bool(ws.recv() == "hello")


CLIENTS: Final = ("anyhttp", "aiohttp", "httpx2", "niquests", "websockets")

GETS: Final[dict[str, Attempt]] = {
    "anyhttp": get_anyhttp,
    "aiohttp": get_aiohttp,
    "httpx2": get_httpx2,
    "niquests": get_niquests,
}
ECHOES: Final[dict[str, Attempt]] = {
    "anyhttp": echo_anyhttp,
    "aiohttp": echo_aiohttp,
    "httpx2": echo_httpx2,
    "niquests": echo_niquests,
    "websockets": echo_websockets,
}

#: The backend, and what is tried of each client, by the name of the row.
ROWS: Final[dict[str, tuple[str, dict[str, Attempt]]]] = {
    "runs on asyncio": ("asyncio", {**ECHOES, **GETS}),
    "runs on trio": ("trio", {**ECHOES, **GETS}),
    "without `async`": (
        "asyncio",
        {
            "httpx2": in_thread(plain_get_httpx2),
            "niquests": in_thread(plain_get_niquests),
            "websockets": in_thread(plain_echo_websockets),
        },
    ),
    "HTTP/1.1": ("asyncio", GETS),
    "HTTP/2": (
        "asyncio",
        {"anyhttp": http2_anyhttp, "httpx2": http2_httpx2, "niquests": http2_niquests},
    ),
    "WebSockets": ("asyncio", ECHOES),
    "server-sent events": (
        "asyncio",
        {"anyhttp": events_anyhttp, "httpx2": events_httpx2, "niquests": events_niquests},
    ),
    "retries after status 503": (
        "asyncio",
        {"anyhttp": again_anyhttp, "httpx2": again_httpx2, "niquests": again_niquests},
    ),
}


async def echo(peer: WebSocketPeer) -> None:
    """Return what comes."""
    async for message in peer:
        await peer.send(message)


async def succeeds(attempt: Attempt, nginx: SlowServer, backend: str) -> bool:
    """Whether *attempt* does what it should, against servers of its own."""
    async with serve("hello") as server:
        server.ws("/echo", echo)
        events = "".join(f"data: {event}\n\n" for event in EVENTS)
        server.get("/events", text=events, headers={"Content-Type": "text/event-stream"})
        server.get("/busy", answers=[503, "hello"])
        http = str(server.url.origin())
        http2 = f"https://127.0.0.1:{nginx.ports['http2']}/connection"
        with anyio.fail_after(PATIENCE):
            return await attempt(Where(backend, http, http2, nginx.certificate))


def outcome(attempt: Attempt | None, nginx: SlowServer, backend: str) -> str:
    """Return what stands in a cell of the table."""
    if attempt is None:
        return "no"
    try:
        done = anyio.run(succeeds, attempt, nginx, backend, backend=backend)
    except Exception as exc:  # noqa: BLE001 (whatever it is, that is what it cannot do)
        return f"no ({type(exc).__name__})"
    return "yes" if done else "no"


def main() -> None:
    """Print the rows."""
    print("|  |", *(f"{client} |" for client in CLIENTS))
    with serve_slowly(0.0) as nginx:
        for row, (backend, attempts) in ROWS.items():
            found = [outcome(attempts.get(client), nginx, backend) for client in CLIENTS]
            print(f"| {row} |", " | ".join(found), "|")


if __name__ == "__main__":
    main()
