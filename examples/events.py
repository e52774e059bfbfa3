"""Follow the events of a service, over as many connections as it takes."""

import sys

import anyio

from anyhttp import ClientSession


async def main(base_url: str) -> None:
    """Print what happens, until the service says that nothing more will."""
    async with ClientSession(base_url) as session:
        async with session.sse("builds/7/events") as events:
            async for event in events:
                print(event.id, event.type, event.data)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
