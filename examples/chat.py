"""Talk over a WebSocket: send messages, and receive until it is closed."""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientSession, WSMsgType


async def main(base_url: str) -> None:
    """Say three things and print the answers."""
    async with ClientSession(base_url) as session:
        async with session.ws_connect("chat", heartbeat=30) as ws:
            for word in ("hello", "how are you", "bye"):
                await ws.send_str(word)
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    print(message.data)
                elif message.type is WSMsgType.ERROR:
                    print("the server broke the protocol:", message.data)
        print("closed with", ws.close_code)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
