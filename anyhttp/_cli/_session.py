"""The session of a command: how servers are reached, and with which cookies."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from typing import Final

from anyhttp import (
    AbstractCookieJar,
    BaseConnector,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DefaultResolver,
    DummyCookieJar,
    TCPConnector,
    TraceConfig,
    UnixConnector,
)
from anyhttp.abc import ResolveResult

from ._cookie_file import read_cookies, write_cookies
from ._options import Route, Sender

# Seconds.  Without --timeout a download may take any time, but connecting may not.
CONNECT_TIMEOUT: Final = 30.0


class ChosenAddresses(DefaultResolver):
    """Knows the addresses that ``--resolve`` gives, and asks the system for all others."""

    def __init__(self, addresses: dict[tuple[str, int], str]) -> None:
        super().__init__()
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*.

        :raises OSError: the name cannot be resolved
        """
        if (address := self._addresses.get((host.lower(), port))) is None:
            return await super().resolve(host, port, family)
        is_ipv6 = ip_address(address).version == 6
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]


def connector_for(route: Route, connections: int) -> BaseConnector:
    """Return the connector that opens connections as *route* says, so many at a time at most.

    :raises RuntimeError: a package of an extra is not installed
    """
    if route.unix_socket:
        return UnixConnector(route.unix_socket, http2=route.http2, limit=connections)
    resolver = ChosenAddresses(route.addresses) if route.addresses else None
    return TCPConnector(http2=route.http2, resolver=resolver, limit=connections)


def leaving_out(names: Collection[str]) -> ClientMiddlewareType:
    """Return the middleware that takes header fields out of requests, whatever has set them."""

    async def leave_out(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        for name in names:
            request.headers.popall(name, None)
        return await handler(request)

    return leave_out


@asynccontextmanager
async def opened_session(
    sender: Sender,
    route: Route,
    *,
    timeout: ClientTimeout,
    middlewares: Sequence[ClientMiddlewareType] = (),
    traces: Sequence[TraceConfig] = (),
    connections: int = 100,
) -> AsyncIterator[ClientSession]:
    """Open a session; at its end, also after a failure, write the cookies to their file.

    :raises OSError: the file of cookies cannot be read or written
    :raises ValueError: it is not a file of cookies
    """
    path = sender.cookie_jar
    loaded = None if path is None else read_cookies(path)
    jar: AbstractCookieJar = DummyCookieJar() if loaded is None else loaded
    if sender.left_out:
        middlewares = [*middlewares, leaving_out(sender.left_out)]

    def save() -> None:
        if path is not None and loaded is not None:
            write_cookies(loaded, path)

    try:
        async with ClientSession(
            connector=connector_for(route, connections),
            cookie_jar=jar,
            middlewares=middlewares,
            timeout=timeout,
            trace_configs=list(traces),
            trust_env=True,
        ) as session:
            yield session
    except BaseException:
        # What was wrong before is what the user has to know.
        with suppress(OSError):
            save()
        raise
    save()
