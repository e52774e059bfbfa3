"""Ask a busy server again, after as long as it says."""

import sys
import uuid

import anyio

from anyhttp import ClientResponseError, ClientSession, RetryMiddleware

SAFE = RetryMiddleware(attempts=5, max_retry_after=120)
WITH_A_KEY = RetryMiddleware(attempts=5, max_retry_after=120, methods=["POST"])


async def main(base_url: str) -> None:
    """Fetch a report, and order something once, however often the order is sent."""
    async with ClientSession(base_url, middlewares=[SAFE], raise_for_status=True) as session:
        try:
            async with session.get("report") as response:
                print(await response.text())
            key = {"Idempotency-Key": str(uuid.uuid4())}  # for servers that know such keys
            async with session.post("orders", headers=key, middlewares=[WITH_A_KEY]) as response:
                print(await response.text())
        except ClientResponseError as error:
            print(error.status, "Retry-After:", error.headers and error.headers.get("Retry-After"))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
