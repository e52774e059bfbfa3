"""What the ASGI servers of ``test_servers`` serve; they import it in a process of their own."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]

# Text that packs to half its size, so that not even that fits into one buffer.
LARGE = random.Random(7).randbytes(1_500_000).hex().encode()
LINES = [b'{"id": %d}\n' % number for number in range(100)]
JSON: Headers = {b"content-type": b"application/json"}


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer one request."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    headers = dict(scope["headers"])
    match scope["path"]:
        case "/json" if b"if-none-match" in headers:
            await respond(send, 304, b"", {b"etag": b'"one"'})
        case "/json":
            await respond(send, 200, b'{"ok": true}', {**JSON, b"etag": b'"one"'})
        case "/large":
            body = b"" if scope["method"] == "HEAD" else LARGE
            length = str(len(LARGE)).encode()
            await respond(send, 200, body, {b"content-length": length})
        case "/chunked":
            await stream(send)
        case "/packed":
            packed = gzip.compress(LARGE)
            await respond(send, 200, packed, {b"content-encoding": b"gzip"})
        case "/empty":
            await respond(send, 204, b"", {})
        case "/upload":
            await respond(send, 200, await digest(receive), JSON)
        case "/refused":
            await respond(send, 413, b"too much", {})
        case "/close":
            await respond(send, 200, b"bye", {b"connection": b"close"})
        case "/long-header":
            await respond(send, 200, b"long", {b"x-long": b"a" * 6000})
        case "/too-long-header":
            await respond(send, 200, b"too long", {b"x-long": b"a" * 9000})
        case _:
            await respond(send, 404, b"no such route", {})


async def live(receive: Receive, send: Send) -> None:
    """Say that starting and stopping went well."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a response whose length is known."""
    if status not in {204, 304}:
        headers = {b"content-length": str(len(body)).encode(), **headers}
    await send({"type": "http.response.start", "status": status, "headers": [*headers.items()]})
    await send({"type": "http.response.body", "body": body})


async def stream(send: Send) -> None:
    """Send a response of unknown length."""
    await send({"type": "http.response.start", "status": 200, "headers": [*JSON.items()]})
    for line in LINES:
        await send({"type": "http.response.body", "body": line, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def digest(receive: Receive) -> bytes:
    """Read the body of the request; return what is said of it."""
    sha256 = hashlib.sha256()
    more = True
    while more:
        event = await receive()
        sha256.update(event.get("body", b""))
        more = event.get("more_body", False)
    return json.dumps({"sha256": sha256.hexdigest()}).encode()
