"""Print the answer of a language model while the model writes it."""

import os
import sys

import anyio

from anyhttp import ClientSession, ClientTimeout

HEADERS = {"Authorization": f"Bearer {os.environ.get('API_KEY', '')}"}
LIMITS = ClientTimeout(sock_read=60)  # of each silence, and none of the whole answer


async def main(base_url: str) -> None:
    """Ask for a poem, and print each piece of it when it comes."""
    ask = {"stream": True, "messages": [{"role": "user", "content": "Write a poem."}]}
    async with ClientSession(base_url, headers=HEADERS, timeout=LIMITS) as session:
        async with session.post("chat/completions", json=ask, raise_for_status=True) as response:
            async for event in response.events():
                if event.data == "[DONE]":
                    break
                for choice in event.json()["choices"]:  # none in a message of statistics
                    print(choice["delta"].get("content") or "", end="", flush=True)
    print()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
