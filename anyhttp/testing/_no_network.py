"""Forbidding real connections: what ``anyhttp_no_network`` does for a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from yarl import URL

from .._tasks import ClientTimeout
from ..connector import replaced_network
from ..tracing import Trace
from ._hosts import Hosts
from ._swallowed import reported

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("ForbiddenConnection", "NoNetwork", "no_network")


class ForbiddenConnection(AssertionError):
    """A request would have opened a connection where none may be opened."""


class NoNetwork:
    """Forbids real connections, loopback and Unix sockets included.

    :param test: the name of the test, for messages
    """

    def __init__(self, test: str) -> None:
        self._test = test
        self._allowed = Hosts()
        self._allows_all = False
        #: the connections that were refused, in order
        self.refused: list[ForbiddenConnection] = []

    def allow(self, *hosts: str) -> None:
        """Allow connections to *hosts*, until the test ends.

        Connections to Unix sockets are judged by the host of the request, too.

        :param hosts: ``"host"`` for any port, or ``"host:port"``
        :raises TypeError: one is not text
        :raises ValueError: one is not a host
        """
        self._allowed.add(*hosts)

    def allow_all(self) -> None:
        """Allow all connections, until the test ends."""
        self._allows_all = True

    async def stream_for(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> None:
        """Let *req* use the network, if it may.

        :raises ForbiddenConnection: it may not
        """
        peer = req.url if req.proxy is None else req.proxy
        if not self._allows_all and peer not in self._allowed:
            raise self._refuse(req, peer)

    def _refuse(self, req: ClientRequest, peer: URL) -> ForbiddenConnection:
        what = "" if peer is req.url else "the proxy "
        error = ForbiddenConnection(
            f"{self._test} may not connect to {what}{peer.host}:{peer.port}, as "
            f"{req.method} {req.shown_url} wants to: answer it by a mock, "
            f"or call anyhttp_no_network.allow({peer.host!r})"
        )
        self.refused.append(error)
        return error


@contextmanager
def no_network(test: str) -> Iterator[NoNetwork]:
    """Forbid real connections in this process until the block ends.

    :param test: the name of the test, for messages
    :raises ForbiddenConnection: the block raised nothing, but a connection was refused
    """
    guard = NoNetwork(test)
    with reported(guard.refused), replaced_network(guard, whole_process=True):
        yield guard
