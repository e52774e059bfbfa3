"""A socket factory that keeps track of its sockets."""

from __future__ import annotations

import socket

from anyhttp import AddrInfoType

from .waiting import until


class Sockets:
    """Makes sockets, and counts how many are open and how many have been."""

    def __init__(self) -> None:
        self.made: list[socket.socket] = []
        """All of them."""
        self.peak = 0
        """The most that were open at once."""
        self._open: list[socket.socket] = []

    @property
    def open(self) -> int:
        """How many are open now."""
        self._open = [sock for sock in self._open if sock.fileno() != -1]
        return len(self._open)

    async def until_closed(self) -> None:
        """Wait until no socket is open."""
        await until(lambda: not self.open, "the sockets to be closed")

    def __call__(self, address: AddrInfoType) -> socket.socket:
        """Make a socket for *address*."""
        sock = socket.socket(*address[:3])
        self.made.append(sock)
        self._open.append(sock)
        self.peak = max(self.peak, self.open)
        return sock
