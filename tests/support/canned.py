"""Streams in memory that answer whatever they are sent, and connectors that lend them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio
from anyio.abc import ByteStream
from anyio.lowlevel import checkpoint

from anyhttp import BaseConnector

from .responses import OK


class Canned(ByteStream):
    """Receives *answer* in pieces, and then the end; keeps what is sent.

    :param error: what :meth:`receive` raises after the last piece, in the place of the end
    """

    for_one_exchange: bool = True

    def __init__(self, *answer: bytes, error: BaseException | None = None) -> None:
        self._pieces = list(answer)
        self._error = error
        self.sent: bytes = b""
        self.closed: bool = False
        self.aborts: int = 0

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {}

    async def send(self, item: bytes) -> None:
        await checkpoint()
        self.sent += item

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await checkpoint()
        if not self._pieces:
            raise self._error or anyio.EndOfStream
        piece = self._pieces.pop(0)
        if piece[max_bytes:]:
            self._pieces.insert(0, piece[max_bytes:])
        return piece[:max_bytes]

    async def send_eof(self) -> None:
        await checkpoint()

    def abort(self) -> None:
        self.aborts += 1

    async def aclose(self) -> None:
        self.closed = True
        await checkpoint()


class CannedSource:
    """Makes streams by calling *make*, or raises what that is; keeps requests and streams."""

    def __init__(self, make: Callable[[], Canned | None] | BaseException | None = None) -> None:
        self._make = make
        self.requests: list[Any] = []
        self.streams: list[Canned] = []

    async def stream_for(self, req: Any, traces: Any, timeout: Any) -> Canned | None:
        self.requests.append(req)
        await checkpoint()
        if isinstance(self._make, BaseException):
            raise self._make
        made = Canned(OK) if self._make is None else self._make()
        if made is not None:
            self.streams.append(made)
        return made

    @property
    def sent(self) -> list[bytes]:
        """What each stream has been sent."""
        return [stream.sent for stream in self.streams]


class CannedConnector(BaseConnector):
    """Takes its streams from a :class:`CannedSource`."""

    def __init__(
        self, make: Callable[[], Canned | None] | BaseException | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.source = CannedSource(make)

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        return await self.source.stream_for(req, traces, timeout)
