"""The other end of the WebSocket benchmarks: ``python -m benchmarks.ws_server PORT``.

aiohttp's server reads frames in C, so that it is the client who is measured.  ``/echo`` returns
each message, ``/sink`` throws messages away and confirms each text message, ``/source`` sends as
many binary messages of a size as a text message "COUNT SIZE" asks for.
"""

from __future__ import annotations

import sys

from aiohttp import WSMsgType, web


async def _open(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse(max_msg_size=0)
    await websocket.prepare(request)
    return websocket


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Return every message."""
    websocket = await _open(request)
    async for message in websocket:
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
            await websocket.send_str("done")
    return websocket


async def source(request: web.Request) -> web.WebSocketResponse:
    """Send what is asked for."""
    websocket = await _open(request)
    async for message in websocket:
        count, size = map(int, message.data.split())
        data = b"\xa5" * size
        for _ in range(count):
            await websocket.send_bytes(data)
    return websocket


def main(port: int) -> None:
    """Serve until terminated."""
    app = web.Application()
    app.add_routes([web.get(f"/{route.__name__}", route) for route in (echo, sink, source)])
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
