"""A program of httpx with this client; ``docs/howto/recipes.md`` shows it before."""

import sys

import anyio

from anyhttp import BasicAuth, ClientError, ClientResponseError, ClientSession, ClientTimeout


async def main(base_url: str) -> None:
    """Send an item, and read a report line by line."""
    timeout = ClientTimeout(total=None, sock_connect=3, sock_read=10)
    async with ClientSession(
        base_url, auth=BasicAuth("ada", "secret"), timeout=timeout, raise_for_status=True
    ) as session:
        try:
            async with session.post("items", json={"name": "pencil"}) as response:
                print(response.status, await response.json())
            async with session.get("report", params={"year": 2026}) as response:
                async for line in response.lines():
                    print(line)
        except ClientResponseError as error:
            print("refused:", error.status, error.body)
        except (ClientError, TimeoutError) as error:
            print("no answer:", error)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
