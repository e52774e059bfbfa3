"""A real WebSocket server in its own process: ``python -m tests.support.websocket_server``.

It prints its port.  ``/echo`` sends messages back, ``/count/N`` sends the numbers below N, each
in a text message, and ``/die/SECONDS`` echoes, then drops the connection without a CLOSE frame.
"""

from __future__ import annotations

import asyncio

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def echo(websocket: ServerConnection) -> None:
    """Send every message back."""
    async for message in websocket:
        await websocket.send(message)


async def count(websocket: ServerConnection, number: str) -> None:
    """Send numbers."""
    for each in range(int(number)):
        await websocket.send(str(each))
    await websocket.recv()


async def die(websocket: ServerConnection, seconds: str) -> None:
    """Echo for a while, then cut the connection."""
    try:
        async with asyncio.timeout(float(seconds)):
            await echo(websocket)
    except TimeoutError:
        websocket.transport.abort()


async def handle(websocket: ServerConnection) -> None:
    """Serve the path that the client requested."""
    assert websocket.request is not None
    _, route, *argument = websocket.request.path.split("/")
    routes = {"count": count, "die": die}
    try:
        await (routes[route](websocket, *argument) if route in routes else echo(websocket))
    except ConnectionClosed:
        pass  # the client may close at any time


async def main() -> None:
    """Serve until killed."""
    async with serve(handle, "127.0.0.1", 0, max_size=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
