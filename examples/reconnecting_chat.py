"""A chat that goes on when its connection is lost, and gives up when it is not wanted."""

import random
import sys

import anyio

from anyhttp import ClientError, ClientSession, WSMsgType, WSServerHandshakeError


async def main(base_url: str) -> None:
    """Print what is said, until the server ends the chat."""
    async with ClientSession(base_url) as session:
        failures = 0
        while True:
            try:
                async with session.ws_connect("chat", heartbeat=30) as ws:
                    async for message in ws:
                        if message.type is WSMsgType.TEXT:
                            print(message.data)
                            failures = 0  # it works again
                if ws.close_code == 1000:
                    return
            except WSServerHandshakeError as error:
                if error.status < 500:
                    raise
            except (ClientError, TimeoutError) as error:
                print("no connection:", error)
            failures += 1
            await anyio.sleep(random.uniform(0, min(60, 2**failures)))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
