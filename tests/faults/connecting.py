"""Conversations that have not begun: a name is resolved, a connection is made."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio

from anyhttp import BaseConnector, TCPConnector
from anyhttp.abc import AbstractResolver, ResolveResult
from tests.support import census
from tests.support.tls import Authority

from .conversation import Program
from .http1 import Exchange
from .model import Fault


class Connecting(Exchange):
    """A connection to a port that does not accept any.

    :param scheme: of the proxy that is to be connected to; without one it is the server
    """

    has_readers = False

    def __init__(self, scheme: str = "") -> None:
        super().__init__()
        self._scheme = scheme

    async def call(self, program: Program) -> None:
        plan = program.server.plan
        if plan.has_happened:
            await self._send_to(program, program.server.port)
            return
        plan.has_happened = plan.is_over = True
        with _port(backlog=None if plan.fault is Fault.REFUSE else 0) as port:
            await self._send_to(program, port)

    async def _send_to(self, program: Program, port: int) -> None:
        if not self._scheme:
            await self.send(program, url=f"http://127.0.0.1:{port}/{program.name}")
        elif program.server.port == port:  # the server is no proxy, and knows nothing of it
            await self.send(program)
        else:
            await self.send(program, proxy=f"{self._scheme}://127.0.0.1:{port}")


@contextmanager
def _port(backlog: int | None) -> Iterator[int]:
    """Bind a port that refuses connections, or if it has a *backlog* lets them wait for ever."""
    sockets: list[socket.socket] = []

    def opened() -> socket.socket:
        with census.lock:
            sock = socket.socket()
            census.adopt(sock)
        sockets.append(sock)
        return sock

    try:
        bound = opened()
        bound.bind(("127.0.0.1", 0))
        if backlog is not None:
            bound.listen(backlog)
            for _ in range(backlog + 3):  # the system takes a few more than it is told to
                filler = opened()
                filler.setblocking(False)
                filler.connect_ex(bound.getsockname())
        yield bound.getsockname()[1]
    finally:
        for sock in sockets:
            census.close(sock)


class _Resolver(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host == "silent.test":
            await anyio.sleep_forever()
        if host == "unknown.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass


class Resolving(Exchange):
    """A name that is not resolved."""

    has_readers = False

    def connector(self, reader: str, authority: Authority, **options: Any) -> BaseConnector:
        return TCPConnector(resolver=_Resolver(), **options)

    async def call(self, program: Program) -> None:
        plan = program.server.plan
        if plan.has_happened:
            await self.send(program)
            return
        plan.has_happened = plan.is_over = True
        host = "unknown.test" if plan.fault is Fault.REFUSE else "silent.test"
        await self.send(program, url=f"http://{host}/{program.name}")
