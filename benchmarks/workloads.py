"""What the clients are asked to do, and which of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

# What aiohttp and anyhttp allow by default; only a workload with more in flight asks for more.
DEFAULT_LIMIT: Final = 100

# A method of the session.
Verb: TypeAlias = Literal["read", "stream", "json", "post", "upload"]

# What a user would have to choose between; the others are there for the small GETs, where they
# have shown how they compare.
CORE: Final = ("aiohttp-asyncio", "anyhttp-*-auto", "httpx2-*")
HTTP2: Final = ("*-http2", "anyhttp-*-auto")
EVERYBODY: Final = ("aiohttp-*", "anyhttp-*", "pyreqwest-*", "zapros-*", "httpx*")


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing to do over and over, and how much of it at a time.

    :ivar resource: name of what is asked for, in ``Server.resources``
    :ivar verb: what is done with it
    :ivar clients: patterns of the names of those that do it
    :ivar in_flight: tasks that each do one request after the other
    :ivar at_once: tasks of one request each, all started together and left to queue for a
        connection; replaces *in_flight*
    :ivar idle: connections that are opened before; all but *in_flight* of them stay idle
    :ivar keep: whether a connection is used again
    :ivar large: a request takes so long that few of them make a measurement
    :ivar http2: whether those that speak HTTP/2 do this; who else does it speaks HTTP/1.1 to the
        same server
    """

    name: str
    title: str
    resource: str = "json"
    verb: Verb = "read"
    clients: tuple[str, ...] = CORE
    in_flight: int = 1
    at_once: int | None = None
    idle: int = 0
    keep: bool = True
    large: bool = False
    http2: bool = False

    @property
    def limit(self) -> int:
        """Connections that the client may open."""
        return max(DEFAULT_LIMIT, self.in_flight, self.idle)

    def is_for(self, client: str) -> bool:
        """Tell whether the client of that name does this."""
        if client.endswith("-http2") and not self.http2:
            return False
        return any(fnmatchcase(client, pattern) for pattern in self.clients)


def _http2() -> Iterator[Workload]:
    for number in (1, 50, 100):
        name, title = f"http2get{number}", f"HTTP/2 over TLS: small GET, {number} in flight"
        # Tasks of niquests do not share a connection.
        clients = HTTP2 if number == 1 else ("anyhttp-*-http2", "httpx2-*-http2", "anyhttp-*-auto")
        yield Workload(name, title, "http2-json", "read", clients, number, http2=True)
    bodies: tuple[tuple[str, str, str, Verb], ...] = (
        ("stream", "download of 100 MB, in pieces as they come", "http2-100mb", "stream"),
        ("read", "download of 100 MB, read as a whole", "http2-100mb", "read"),
        ("upload", "upload of 100 MB from a file", "http2-upload", "upload"),
    )
    for name, title, resource, verb in bodies:
        title = f"HTTP/2 over TLS: {title}"
        yield Workload(f"http2{name}100mb", title, resource, verb, HTTP2, large=True, http2=True)


WORKLOADS: Final = (
    Workload(
        "get1",
        "keep-alive GET of a small JSON body, 1 in flight",
        clients=("aiohttp-*", "anyhttp-*", "httpx2-*"),
    ),
    Workload(
        "get50",
        "keep-alive GET of a small JSON body, 50 in flight",
        clients=EVERYBODY,
        in_flight=50,
    ),
    Workload("get1000", "the same, 1000 in flight", in_flight=1000),
    Workload("queue8000", "8000 GETs started at once, limit=100", at_once=8000),
    Workload(
        "idle10000",
        "keep-alive GET, 50 in flight, 10 000 connections open",
        # httpx2's cost grows with each connection (see get1000): opening them would take minutes
        clients=("aiohttp-asyncio", "anyhttp-asyncio-auto", "anyhttp-trio-auto"),
        in_flight=50,
        idle=10_000,
    ),
    Workload("json50", "GET and resp.json(), 50 in flight", verb="json", in_flight=50),
    Workload("post50", "POST of a small JSON body, 50 in flight", verb="post", in_flight=50),
    Workload(
        "stream100mb",
        "download of 100 MB, in pieces as they come",
        "100mb",
        "stream",
        (*CORE, "anyio-*"),
        large=True,
    ),
    Workload(
        "read100mb",
        "download of 100 MB, read as a whole",
        "100mb",
        clients=(*CORE, "anyio-*"),
        large=True,
    ),
    Workload(
        "tlsstream100mb",
        "download of 100 MB over TLS, in pieces as they come",
        "tls-100mb",
        "stream",
        (*CORE, "anyio-*"),
        large=True,
    ),
    Workload(
        "tlsread100mb",
        "download of 100 MB over TLS, read as a whole",
        "tls-100mb",
        clients=(*CORE, "anyio-*"),
        large=True,
    ),
    Workload("upload100mb", "upload of 100 MB from a file", "upload", "upload", large=True),
    Workload(
        "chunks100k",
        "body of 100 000 chunks of 20 bytes, in pieces as they come",
        "chunks",
        "stream",
        large=True,
    ),
    Workload("tlsnew", "GET over a new TLS connection each", "tls-json", keep=False),
    *_http2(),
)
