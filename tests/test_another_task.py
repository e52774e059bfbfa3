"""Another task closes or releases what an operation uses, at each of its suspension points."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from anyhttp import ClientError, ClientResponse, ClientSession, TCPConnector
from tests.support.cancel import disturb_at_every_checkpoint
from tests.support.server import Server


class Use:
    """One session, and what a request has of it at the moment."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.session = ClientSession(server.url)
        self.response: ClientResponse | None = None

    # -- operations

    async def get(self) -> None:
        """Get a small body."""
        async with self.session.get("json") as self.response:
            await self.response.json()

    async def read(self) -> None:
        """Get a large body at once."""
        async with self.session.get("bytes/600000") as self.response:
            await self.response.read()

    async def stream(self) -> None:
        """Get a large body piece by piece."""
        async with self.session.get("stream/20") as self.response:
            async for _ in self.response.content.iter_chunked(100_000):
                pass

    async def lines(self) -> None:
        """Get a body line by line."""
        async with self.session.get("stream/20") as self.response:
            async for _ in self.response.content:
                pass

    async def redirect(self) -> None:
        """Follow a redirect."""
        async with self.session.get("redirect/2") as self.response:
            await self.response.read()

    async def upload(self) -> None:
        """Send a body that is made meanwhile."""
        async with self.session.post("upload", data=pieces(20)) as self.response:
            await self.response.read()

    async def upload_much(self) -> None:
        """Send a body that the socket does not take at once."""
        async with self.session.post("upload", data=io.BytesIO(bytes(3_000_000))) as self.response:
            await self.response.read()

    async def echo(self) -> None:
        """Send and receive at the same time."""
        async with self.session.post("echo-body", data=pieces(20)) as self.response:
            async for _ in self.response.content.iter_any():
                pass

    async def bare_upload(self) -> None:
        """Send a body without a block."""
        self.response = await self.session.post("upload", data=pieces(20))
        await self.response.read()

    async def refused(self) -> None:
        """Have the beginning of an error's body read."""
        options: Any = {"raise_for_status": True}
        async with self.session.get("status/500", **options) as self.response:
            raise AssertionError("an error is raised")

    # -- what another task does

    async def close_session(self) -> None:
        """Close the session."""
        await self.session.close()

    async def close_connector(self) -> None:
        """Close the connector."""
        assert self.session.connector is not None
        await self.session.connector.close()

    async def detach_session(self) -> None:
        """Detach the connector from the session, and close it."""
        connector = self.session.connector
        self.session.detach()
        assert connector is not None
        await connector.close()

    async def close_response(self) -> None:
        """Close the response."""
        if self.response is not None:
            self.response.close()

    async def release_response(self) -> None:
        """Release the response."""
        if self.response is not None:
            await self.response.release()

    async def close_connection(self) -> None:
        """Close the connection."""
        self._end_connection("close")

    async def release_connection(self) -> None:
        """Give the connection back."""
        self._end_connection("release")

    def _end_connection(self, how: str) -> None:
        for connection in list(self.session.connector._pool.lent):  # type: ignore[union-attr]
            getattr(connection, how)()

    async def detach_connection(self) -> None:
        """Take the connection away from the response."""
        for connection in list(self.session.connector._pool.lent):  # type: ignore[union-attr]
            stream = connection.detach()
            assert stream is not None
            await stream.aclose()


async def pieces(count: int) -> AsyncIterator[bytes]:
    """Be a body."""
    for _ in range(count):
        yield bytes(1000)


OPERATIONS = [
    Use.get,
    Use.read,
    Use.stream,
    Use.lines,
    Use.redirect,
    Use.upload,
    Use.upload_much,
    Use.echo,
    Use.bare_upload,
    Use.refused,
]
DISTURBANCES = [
    Use.close_session,
    Use.close_connector,
    Use.detach_session,
    Use.close_response,
    Use.release_response,
    Use.close_connection,
    Use.release_connection,
    Use.detach_connection,
]


@pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")
@pytest.mark.parametrize("disturb", DISTURBANCES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.__name__)
async def test_only_documented_exceptions_come_out(
    server: Server,
    operation: Callable[[Use], Awaitable[None]],
    disturb: Callable[[Use], Awaitable[None]],
    *,
    entered: bool,
) -> None:
    """Nothing of what is inside shows, and nothing stays open."""
    uses: list[Use] = []

    async def run() -> None:
        use = Use(server)
        uses.append(use)
        connector = use.session.connector
        assert isinstance(connector, TCPConnector)
        try:
            if entered:
                await use.session.__aenter__()
            with anyio.fail_after(10):
                await operation(use)
        except ClientError:
            pass
        except RuntimeError as exc:
            if str(exc) != "Session is closed":
                raise
        finally:
            use.response = None
            await use.session.close()
            await connector.close()
        assert connector.statistics().in_use == 0

    async def other() -> None:
        await disturb(uses[-1])

    assert await disturb_at_every_checkpoint(run, other) > 1
