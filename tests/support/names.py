"""A resolver that responds at once, and records the queries."""

from __future__ import annotations

import socket

import anyio
import anyio.lowlevel

from anyhttp.abc import AbstractResolver, ResolveResult


class Names(AbstractResolver):
    """Resolves every name except ``unknown.test``.

    :param addresses: the addresses of every name; 127.0.0.1 when left out
    """

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses or ("127.0.0.1",)
        self.asked: list[str] = []
        """The names, in the order in which they were asked for."""
        self.gate: anyio.Event | None = None
        """If there is one, answers wait for it."""
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses, after two points where the lookup can be cancelled."""
        self.asked.append(host)
        for _ in range(2):
            await anyio.lowlevel.checkpoint()
        if self.gate is not None:
            await self.gate.wait()
        if host == "unknown.test":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Record that the resolver was closed."""
        self.closed = True
