"""The other end of the WebSocket benchmarks: ``python -m benchmarks.ws_server PORT [DELAY]``.

aiohttp's server reads frames in C, so that it is the client who is measured.  ``/echo`` returns
each message, ``/sink`` throws messages away and confirms each text message, ``/source`` sends as
many binary messages of a size as a text message "COUNT SIZE" asks for, ``/paced`` does the same
with some delays before each.  With a delay, in seconds, all answers come so much later.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

from aiohttp import WSMsgType, web

from .answers import PACE

DELAY: Final = web.AppKey("delay", float)


async def _wait(request: web.Request) -> None:
    if delay := request.app[DELAY]:
        await asyncio.sleep(delay)


async def _open(request: web.Request) -> web.WebSocketResponse:
    await _wait(request)
    websocket = web.WebSocketResponse(max_msg_size=0)
    await websocket.prepare(request)
    return websocket


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Return every message."""
    websocket = await _open(request)
    async for message in websocket:
        await _wait(request)
        if message.type is WSMsgType.TEXT:
            await websocket.send_str(message.data)
        else:
            await websocket.send_bytes(message.data)
    return websocket


async def sink(request: web.Request) -> web.WebSocketResponse:
    """Confirm text messages only."""
    websocket = await _open(request)
    async for message in websocket:
        if message.type is WSMsgType.TEXT:
            await _wait(request)
            await websocket.send_str("done")
    return websocket


async def source(request: web.Request) -> web.WebSocketResponse:
    """Send what is asked for."""
    websocket = await _open(request)
    async for message in websocket:
        count, size = map(int, message.data.split())
        data = b"\xa5" * size
        await _wait(request)
        for _ in range(count):
            await websocket.send_bytes(data)
    return websocket


async def paced(request: web.Request) -> web.WebSocketResponse:
    """Send what is asked for, one by one."""
    websocket = await _open(request)
    async for message in websocket:
        count, size = map(int, message.data.split())
        for _ in range(count):
            await asyncio.sleep(PACE * request.app[DELAY])
            await websocket.send_bytes(b"\xa5" * size)
    return websocket


def main(port: int, delay: float) -> None:
    """Serve until terminated."""
    app = web.Application()
    app[DELAY] = delay
    app.add_routes([web.get(f"/{route.__name__}", route) for route in (echo, sink, source, paced)])
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
