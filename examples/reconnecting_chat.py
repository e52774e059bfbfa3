"""A chat that goes on when its connection is lost, and ends when the server says so."""

import random
import sys

import anyio

from anyhttp import ClientSession, RetryMiddleware, WSMsgType


async def main(base_url: str) -> None:
    """Print what is said, and after a break also what has been said meanwhile."""
    last = 0
    retry = RetryMiddleware(attempts=20)  # some minutes
    async with ClientSession(base_url, middlewares=[retry]) as session:
        while True:
            async with session.ws_connect("chat", params={"after": last}, heartbeat=30) as ws:
                async for message in ws:
                    if message.type is WSMsgType.TEXT:
                        said = message.json()
                        print(said["text"])
                        last = said["number"]
            if ws.close_code == 1000:
                return
            await anyio.sleep(random.uniform(0, 5))  # others have lost their connections, too


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
