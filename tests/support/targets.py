"""The four kinds of URL; for each, a server and a client's code for one exchange."""

from __future__ import annotations

from typing import Final

from yarl import URL

from anyhttp import ClientSession

from . import websocket
from .peer import Peer, Script, Step
from .tls import Authority

TARGETS: Final = ("http", "https", "ws", "wss")
#: The last bytes that an exchange with each kind of URL returns.
ANSWERS: Final = {"http": b"hello", "https": b"hello", "ws": b"pong", "wss": b"pong"}

OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

ONCE: Final[dict[str, list[Step]]] = {
    "http": [(b"GET /path ", OK)],
    "ws": [
        (b"GET /path ", websocket.Accept()),
        (websocket.Frame(websocket.BINARY, b"ping"), websocket.frame(websocket.BINARY, b"pong")),
        (websocket.CloseWith(1000), websocket.close(1000)),
    ],
}


async def make_origin(script: Script, target: str, tls: Authority, *names: str) -> Peer:
    """Start a server for a kind of URL; its certificate is for ``localhost`` or *names*."""
    context = None
    if target in {"https", "wss"}:
        context = tls.server_for(*names) if names else tls.server
    steps = ONCE["http" if target.startswith("http") else "ws"]
    return await script(steps, tls=context, partial=bool(names))


async def exchange(session: ClientSession, url: URL, proxy: URL | None) -> bytes:
    """Send one request, or open a WebSocket and send a message; return the response."""
    if url.scheme in {"http", "https"}:
        async with session.get(url, proxy=proxy) as response:
            return await response.read()
    async with session.ws_connect(url, proxy=proxy) as ws:
        await ws.send_bytes(b"ping")
        return await ws.receive_bytes()
