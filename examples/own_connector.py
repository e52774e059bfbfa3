"""A connector in memory: each request gets the same bytes, and no socket is opened."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import anyio
from anyio.abc import ByteStream

from anyhttp import BaseConnector, ClientRequest, ClientSession, ClientTimeout
from anyhttp.tracing import Trace


class SameAnswer(ByteStream):
    """Takes whatever is sent; what is received is the answer, and then the end."""

    for_one_exchange = True

    def __init__(self, answer: bytes) -> None:
        self._left = answer

    async def send(self, item: bytes) -> None:
        """Take a part of the request."""
        await anyio.lowlevel.checkpoint()

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return the next part of the response."""
        await anyio.lowlevel.checkpoint()
        if not self._left:
            raise anyio.EndOfStream
        part, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return part

    async def send_eof(self) -> None:
        """Do nothing: an HTTP client never half-closes."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


class SameAnswerConnector(BaseConnector):
    """Connects to nobody, and lets the request for ``/refused`` fail."""

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> ByteStream:
        if req.url.path == "/refused":
            raise ConnectionRefusedError("nobody is there")
        return SameAnswer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


async def main(base_url: str) -> None:
    """Make a request that is answered, and one that is not."""
    async with ClientSession(base_url, connector=SameAnswerConnector()) as session:
        async with session.get("/") as response:
            print(response.status, await response.text())
        try:
            await session.get("/refused")
        except OSError as exc:
            print(type(exc).__name__)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
