"""A connector whose requests all go over one HTTP/2 connection, in clear text or in memory."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from anyhttp import ClientRequest, ClientSession, ClientTimeout, TCPConnector
from anyhttp._common import ConnectionKey
from anyhttp._http2 import Http2Connection, Http2Options, Http2Stream
from anyhttp._network import connect_tcp
from anyhttp.connector import Connection
from anyhttp.tracing import Trace

if TYPE_CHECKING:
    from .http2_memory import MemoryServer

__all__ = ("OneConnection", "one_connection")


def _address(port: int) -> Any:
    return socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)


class _Place:
    def __init__(self, key: ConnectionKey) -> None:
        self.key = key


class OneConnection(TCPConnector):
    """Lends streams of one connection, whatever the limits."""

    def __init__(self, port: int | MemoryServer, options: Http2Options | None = None) -> None:
        super().__init__()
        self._port = port
        self._http2_options = options
        self.http2: Http2Connection | None = None
        """The connection, once there is one."""
        self._opening = anyio.Lock()
        self.lent = 0
        """How many streams are lent at this moment."""

    async def open(self) -> Http2Connection:
        """Make the connection, if there is none, and return it."""
        async with self._opening:
            if self.http2 is None:
                if isinstance(self._port, int):
                    network = await connect_tcp(_address(self._port))
                else:
                    network = self._port.as_stream()
                self.http2 = Http2Connection(network, self._http2_options or Http2Options(), "http")
        return self.http2

    async def connect(
        self,
        req: ClientRequest,
        traces: Sequence[Trace] = (),
        timeout: ClientTimeout = ClientTimeout(),  # noqa: B008  (a constant)
    ) -> Connection:
        """Return a stream of the connection."""
        http2 = await self.open()
        self.lent += 1
        return Connection(http2.open_stream(), _Place(req.connection_key), self)

    def take_back(self, place: _Place, protocol: Http2Stream | None, /) -> None:
        """Take a stream back."""
        self.lent -= 1

    async def close_connection(self) -> None:
        """Close the connection."""
        if self.http2 is not None:
            self.http2.abort()
            await self.http2.stream.aclose()
            self.http2 = None


@asynccontextmanager
async def one_connection(
    port: int | MemoryServer,
    options: Http2Options | None = None,
    *,
    entered: bool = True,
    **arguments: Any,
) -> AsyncIterator[tuple[ClientSession, OneConnection]]:
    """Yield a session all of whose requests go over one connection, and its connector."""
    connector = OneConnection(port, options)
    session = ClientSession(connector=connector, **arguments)
    try:
        if entered:
            async with session:
                yield session, connector
        else:
            try:
                yield session, connector
            finally:
                await session.close()
        assert connector.lent == 0
    finally:
        await connector.close_connection()
