"""httpx and httpx2 with two transports each, and what came of the same request through both."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest

from .peer import Peer, Script, Step


@dataclass(frozen=True)
class Library:
    """One of the two packages, imported."""

    name: str
    package: Any

    @property
    def own(self) -> Any:
        """The class of the library's transport."""
        return self.package.AsyncHTTPTransport

    @property
    def ours(self) -> Any:
        """The class of this package's transport."""
        return import_module(f"anyhttp.{self.name}").AnyhttpTransport


def library(name: str) -> Library:
    """Import a library; the test is skipped if it is not installed."""
    return Library(name, pytest.importorskip(name))


def need_for(scheme: str) -> None:
    """Skip the test if proxies of this *scheme* cannot be used."""
    if scheme.startswith("socks"):
        pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")


@dataclass
class Outcome:
    """What can be seen of a request."""

    status: int | None = None
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    extensions: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    result: object = None

    def take(self, response: Any) -> None:
        """Note the response, whose body has been read."""
        self.status = response.status_code
        self.headers = response.headers.raw
        self.body = response.content
        self.extensions = {**response.extensions}
        stream = self.extensions.pop("network_stream")
        assert stream.get_extra_info("nothing") is None


Do = Callable[[Any, str], Awaitable[Any]]


async def outcome(transport: Any, package: Any, do: Do, url: str) -> Outcome:
    """Return what comes of *do*, which gets a client with *transport* and the URL of a peer."""
    found = Outcome()
    async with package.AsyncClient(transport=transport, timeout=5) as client:
        try:
            made = await do(client, url)
            if isinstance(made, package.Response):
                found.take(made)
            else:
                found.result = made
        except package.TransportError as exc:
            found.error = type(exc).__name__
    return found


async def compare(
    library: Library,
    script: Script,
    connections: Sequence[Sequence[Step]],
    do: Do,
    *,
    tls: ssl.SSLContext | None = None,
    repeat: bool = False,
    partial: bool = False,
    **options: Any,
) -> tuple[list[Outcome], list[list[bytes]]]:
    """Do the same with both transports, the library's own one first.

    :param options: of the transports
    :returns: the two outcomes, and what the peer received in the connections of each, in which
        its port is written as ``PORT``
    """
    options.setdefault("verify", False)  # making a context that verifies takes time
    outcomes, received = [], []
    for transport in (library.own, library.ours):
        peer: Peer = await script(*connections, tls=tls, repeat=repeat, partial=partial)
        url = str(peer.url).rstrip("/")
        outcomes.append(await outcome(transport(**options), library.package, do, url))
        port = str(peer.port).encode()
        received.append([data.replace(port, b"PORT") for data in peer.requests])
    return outcomes, received


async def assert_same(
    library: Library,
    script: Script,
    connections: Sequence[Sequence[Step]],
    do: Do,
    **options: Any,
) -> Outcome:
    """Do the same with both transports; return the one outcome, to which the same bytes led."""
    outcomes, received = await compare(library, script, connections, do, **options)
    assert outcomes[1] == outcomes[0]
    assert received[1] == received[0]
    return outcomes[1]
