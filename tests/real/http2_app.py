"""What hypercorn and granian serve to ``test_http2``; they import it in a process of its own."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

DOCUMENT = {"ok": True}


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer one request."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    _, route, *rest = scope["path"].split("/")
    match route:
        case "json":
            await respond(send, json.dumps(DOCUMENT).encode())
        case "bytes":
            content = (bytes(range(256)) * (int(rest[0]) // 256 + 1))[: int(rest[0])]
            await respond(send, content, head_only=scope["method"] == "HEAD")
        case "echo-body":
            await start(send, 200)
            async for piece in body_of(receive):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        case "upload":
            digest, length = hashlib.sha256(), 0
            async for piece in body_of(receive):
                digest.update(piece)
                length += len(piece)
            answer = {"length": length, "sha256": digest.hexdigest()}
            await respond(send, json.dumps(answer).encode())
        case "status":
            await start(send, int(rest[0]))
            await send({"type": "http.response.body", "body": b""})
        case "redirect":
            await start(send, 302, (b"location", b"/json"))
            await send({"type": "http.response.body", "body": b""})
        case "gzip":
            await respond(
                send, gzip.compress(json.dumps(DOCUMENT).encode()), (b"content-encoding", b"gzip")
            )
        case "trailers":
            await start(send, 200, (b"trailer", b"x-sum"), trailers=True)
            await send({"type": "http.response.body", "body": b"with trailers"})
            await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"42")]})
        case _:
            await start(send, 404)
            await send({"type": "http.response.body", "body": b"no such route"})


async def live(receive: Receive, send: Send) -> None:
    """Say that starting and stopping went well."""
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


async def start(
    send: Send, status: int, *headers: tuple[bytes, bytes], trailers: bool = False
) -> None:
    """Send a head."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": list(headers),
            "trailers": trailers,
        }
    )


async def respond(
    send: Send, body: bytes, *headers: tuple[bytes, bytes], head_only: bool = False
) -> None:
    """Send a response of a known length; granian sends to HEAD whatever it is given."""
    await start(send, 200, (b"content-length", str(len(body)).encode()), *headers)
    await send({"type": "http.response.body", "body": b"" if head_only else body})


async def body_of(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the body of the request as it comes."""
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        yield event.get("body", b"")
        more = event.get("more_body", False)
