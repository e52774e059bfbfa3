"""Ways to the servers, and the sessions that take them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio.lowlevel

from anyhttp import (
    BaseConnector,
    ClientSession,
    ClientTimeout,
    CookieJar,
    RetryMiddleware,
    TCPConnector,
    TraceConfig,
)

from .servers import Ports

#: Fewer than there are requests at a time, so that some wait for a connection.
LIMIT: Final = 40

#: For each request that is not given another one: a busy machine does not reach it.
PATIENCE: Final = ClientTimeout(total=200)


@dataclass(frozen=True)
class Site:
    """A server, and the session that requests it.

    :param name: names server and way
    :param url: its root, which ends with a slash
    :param servers: those on the way, any of which may be restarted
    :param is_peer: nobody is between the client and the peer, which may break the protocol
    :param is_http2: HTTP/2 is spoken
    :param is_fragile: what fails there may be the fault of other requests, which have its
        connections closed
    """

    name: str
    url: str
    session: ClientSession
    servers: tuple[str, ...]
    is_peer: bool = False
    is_http2: bool = False
    is_fragile: bool = False


@dataclass(frozen=True)
class Sites:
    """All of them."""

    sites: Mapping[str, Site]
    connectors: tuple[BaseConnector, ...]


def _traces() -> TraceConfig:
    """Return a tracing configuration whose handlers let others have their turn."""

    async def handler(*_: object) -> None:
        await anyio.lowlevel.checkpoint()

    config = TraceConfig()
    config.on_request_start.append(handler)
    config.on_request_end.append(handler)
    config.on_request_exception.append(handler)
    config.on_connection_queued_start.append(handler)
    config.on_connection_create_end.append(handler)
    config.on_response_chunk_received.append(handler)
    return config


@asynccontextmanager
async def opened(ports: Ports, certificate: Path) -> AsyncIterator[Sites]:
    """Open sessions for all servers there are."""
    trust = ssl.create_default_context(cafile=str(certificate))
    async with AsyncExitStack() as stack:
        connectors: list[BaseConnector] = []

        async def session(
            *, http2: bool = False, limit: int = LIMIT, **options: Any
        ) -> ClientSession:
            connector = TCPConnector(limit=limit, ssl=trust, http2=http2)
            connectors.append(connector)
            return await stack.enter_async_context(
                ClientSession(
                    connector=connector,
                    timeout=PATIENCE,
                    cookie_jar=CookieJar(unsafe=True),  # the hosts are addresses
                    **options,
                )
            )

        peer, peer_tls = f"http://127.0.0.1:{ports.peer}/", f"https://localhost:{ports.peer_tls}/"
        plain, tls, http2 = (
            await session(),
            await session(trace_configs=[_traces()]),
            await session(http2=True),
        )
        # What comes there unasked may be the answer to whatever was sent a moment before.
        late = await session(limit=4)
        fragile = await session(http2=True, limit=4)
        sites = [
            Site("peer", peer, plain, ("peer",), is_peer=True),
            Site("peer-tls", peer_tls, tls, ("peer",), is_peer=True),
            Site("peer-http2", peer_tls, http2, ("peer",), is_peer=True, is_http2=True),
            Site("peer-late", peer, late, ("peer",), is_fragile=True),
            Site("peer-fragile", peer_tls, fragile, ("peer",), is_http2=True, is_fragile=True),
        ]
        nginx, nginx_tls = (
            f"http://127.0.0.1:{ports.nginx}/",
            f"https://localhost:{ports.nginx_tls}/",
        )
        if ports.nginx:
            both = ("peer", "nginx")
            sites += [
                Site("nginx", nginx, plain, both),
                Site("nginx-tls", nginx_tls, tls, both),
                Site("nginx-http2", nginx_tls, http2, both, is_http2=True),
            ]
        if ports.squid:
            squid = await session(
                proxy=f"http://127.0.0.1:{ports.squid}",
                middlewares=[RetryMiddleware(attempts=2, backoff=0.01)],
            )
            all_three = ("peer", "nginx", "squid")
            sites += [
                Site("squid", nginx, squid, all_three),
                Site("squid-tunnel", nginx_tls, squid, all_three),
            ]
        yield Sites({site.name: site for site in sites}, tuple(connectors))
