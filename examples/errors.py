"""What can go wrong, and under which name."""

from __future__ import annotations

import sys

import anyio

from anyhttp import ClientConnectorError, ClientError, ClientResponseError, ClientSession


async def main(base_url: str) -> None:
    """Meet an error status, a port where nobody listens, and a URL that is none."""
    async with ClientSession() as session:
        for url in (f"{base_url}missing", "http://127.0.0.1:1/", "http://"):
            try:
                async with session.get(url, raise_for_status=True):
                    pass
            except ClientResponseError as error:
                print("the server said", error.status, error.message, error.body)
            except ClientConnectorError as error:
                print("no connection to", error.host)
            except ClientError as error:
                print("not sent:", type(error).__name__)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
