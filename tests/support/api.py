"""What the tests' general server answers, without a network: for tests that need canned answers.

It is for tests that are about neither connections nor bytes.  Requests go through the connector
that the session has, up to the place where it would open a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from anyio.abc import ByteStream
from yarl import URL

from anyhttp import ClientRequest, ClientTimeout
from anyhttp.testing import Answer, ReceivedRequest, RequestMock
from anyhttp.tracing import Trace

from . import routes
from .links import Head

#: Nobody listens there, should a request go astray.
URL_OF_API: Final = URL("http://127.0.0.1:9/")


class Api:
    """Answers the requests that sessions make; see :mod:`tests.support.routes`."""

    def __init__(self) -> None:
        self.url: Final = URL_OF_API
        #: for routes of the test's own, which go before the general ones
        self.mock: Final = RequestMock()
        self.mock.fallback(answer=self._answer)
        #: how many connections were made
        self.connections = 0
        self._origins: dict[URL, Callable[[routes.Exchange], None]] = {}
        self._left_alone: set[URL] = set()

    @property
    def requests(self) -> list[str]:
        """The first two words of each request."""
        return [f"{call.method} {call.url.raw_path_qs}" for call in self.mock.calls]

    def answer_at(self, origin: URL, answer: Callable[[routes.Exchange], None]) -> None:
        """Let *answer* respond to all requests to *origin*."""
        self._origins[origin.origin()] = answer

    def leave_alone(self, origin: URL) -> None:
        """Let requests to *origin* use the network."""
        self._left_alone.add(origin.origin())

    async def stream_for(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> ByteStream | None:
        """Return a connection's stream, for the connector that would open a socket else."""
        if req.url.origin() in self._left_alone:
            return None
        self.connections += 1
        return await self.mock.stream_for(req, traces, timeout)

    async def _answer(self, request: ReceivedRequest) -> Answer:
        exchange = Exchange(request, await request.read())
        self._origins.get(request.url.origin(), routes.answer)(exchange)
        return exchange.answer


class Exchange(routes.Exchange):
    """A request that the mock has received, and what it is answered with."""

    answer: Answer

    def __init__(self, request: ReceivedRequest, body: bytes) -> None:
        # As :func:`parse_head` reads them from a socket, which preserves every byte.
        fields = [
            (name, value.encode("utf-8", "surrogateescape").decode("latin-1"))
            for name, value in request.headers.items()
        ]
        super().__init__(Head(request.method, request.url.raw_path_qs, "HTTP/1.1", fields))
        self._body = body

    def body(self) -> Iterator[bytes]:
        """Yield the body, which has arrived."""
        yield self._body

    def respond(self, body: bytes = b"", *headers: tuple[str, str], status: str = "200 OK") -> None:
        """Send a whole response."""
        code, _, reason = status.partition(" ")
        content = None if code in ("204", "304") else body
        self.answer = Answer(int(code), reason=reason, headers=headers, body=content)

    def stream(self, pieces: Iterator[bytes], content_type: str) -> None:
        """Send a response in chunks."""
        self.answer = Answer(headers={"Content-Type": content_type}, body=pieces)

    def drip(self, count: int, delay: float) -> None:
        """Refuse to be slow: what takes time is tested with a server."""
        raise NotImplementedError

    def hang(self) -> None:
        """Refuse to be slow."""
        raise NotImplementedError

    def close(self) -> None:
        """Refuse to break off: what becomes of connections is tested with a server."""
        raise NotImplementedError
