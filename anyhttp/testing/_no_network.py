"""Forbidding real connections: what ``anyhttp_no_network`` does for a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from yarl import URL

from .._common import without_user_info
from .._tasks import ClientTimeout
from ..connector import replaced_network
from ..tracing import Trace
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
        self._allowed: set[tuple[str, int | None]] = set()
        #: the connections that were refused, in order
        self.refused: list[ForbiddenConnection] = []

    def allow(self, *hosts: str | URL) -> None:
        """Allow connections to *hosts*, until the test ends.

        :param hosts: names or addresses; ``host:port`` and a URL allow that port alone
        :raises ValueError: there is no host in one of them
        """
        self._allowed.update([_endpoint(host) for host in hosts])

    async def stream_for(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> None:
        """Let *req* use the network, if it may.

        :raises ForbiddenConnection: it may not
        """
        peer = req.url if req.proxy is None else req.proxy
        assert peer.host is not None
        if not {(peer.host, None), (peer.host, peer.port)} & self._allowed:
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


def _endpoint(host: str | URL) -> tuple[str, int | None]:
    """Return the host that is allowed, and its port, or ``None`` for all ports."""
    if isinstance(host, URL):
        url = host
    elif not isinstance(host, str):
        raise TypeError(f"a host must be a str or a yarl.URL, not {type(host).__name__}")
    elif "://" in host:
        url = URL(host)
    else:
        # an IPv6 address without its brackets has colons, and no port
        url = URL(f"//[{host}]" if host.count(":") > 1 and "[" not in host else f"//{host}")
        if url.host and url.explicit_port is None:
            return url.host, None
    if not url.host:
        raise ValueError(f"there is no host in {without_user_info(url)!r}")
    return url.host, url.port
