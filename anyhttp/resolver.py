"""Resolvers, which turn host names into addresses, and the connector's cache of addresses."""

from __future__ import annotations

import ipaddress
import math
import os
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Final, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import idna

from ._common import check_count, check_seconds, warn_about_loop, with_plain_zone
from ._tasks import SharedCall, on_asyncio
from .abc import AbstractResolver, ResolveResult

__all__ = ("AsyncResolver", "DefaultResolver", "DnsCache", "ThreadedResolver")

T = TypeVar("T")

#: Longest text, in characters, that is tried as an address: eight groups of IPv6 and a zone
#: (``fe80::1%eth0``).  A zone is an interface name, which has at most 15 characters on Linux.
#: The limit also bounds what is cached of hosts that redirects name.
MAX_LITERAL: Final = 64

_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

#: Most lookups of the operating system at once: as many as event loops allow blocking calls.
MAX_THREADS: Final = 40

#: Seconds that the addresses of one family wait for the other family's.  Both responses come
#: within milliseconds of each other, unless the network drops one of the queries.
OTHER_FAMILY_SECONDS: Final = 1.0

#: Where the operating system keeps the hosts file.
HOSTS_FILE: Final = (
    os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), r"System32\drivers\etc\hosts")
    if sys.platform == "win32"
    else "/etc/hosts"
)

# One limiter for each event loop: two loops cannot share a limiter.
_limiter_of_loop: Final[anyio.lowlevel.RunVar[anyio.CapacityLimiter]] = anyio.lowlevel.RunVar(
    f"{__name__}.limiter"
)


class ThreadedResolver(AbstractResolver):
    """Asks the operating system (``getaddrinfo``), each time in a new thread.

    An event loop has at most 40 such threads, apart from those that read files.  After
    cancellation the thread of a lookup goes on until the operating system answers.  Neither the
    end of the program nor other lookups wait for it, except the 41st lookup at once.
    """

    def __init__(self, loop: object = None) -> None:
        """Accept *loop* as aiohttp does, and ignore it."""
        warn_about_loop(loop)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host* in the operating system's order.

        :raises OSError: the name cannot be resolved
        """
        try:
            # Pass bytes: Python itself would encode a name by IDNA 2003.
            name = host.encode("ascii") if host.isascii() else idna.encode(host, uts46=True)
        except UnicodeError as exc:
            raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is not a host name: {exc}") from exc
        found = await _in_thread_of_its_own(
            lambda: socket.getaddrinfo(
                name, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
        )
        return [
            ResolveResult(
                hostname=host,
                host=_with_scope(sockaddr),
                port=int(sockaddr[1]),
                family=address_family,
                proto=proto,
                flags=_NUMERIC,
            )
            for address_family, _, proto, _, sockaddr in found
        ]

    async def close(self) -> None:
        """Do nothing: a resolver of this kind holds nothing."""


#: The resolver that connectors use by default.
DefaultResolver = ThreadedResolver


async def _in_thread_of_its_own(ask: Callable[[], T]) -> T:
    """Return the result of *ask* in a new thread, which goes on after cancellation.

    A thread of the event loop's pool would be cheaper.  But a lookup that hangs would then
    take a thread of the pool away from reading files.  On asyncio it would also delay the end
    of the program, which waits for the pool.
    """
    limiter = thread_limiter()
    borrower = object()
    outcome: list[T | Exception] = []
    done = anyio.Event()
    loop = anyio.lowlevel.current_token()

    def finish() -> None:
        limiter.release_on_behalf_of(borrower)
        done.set()

    def run() -> None:
        try:
            outcome.append(ask())
        except Exception as exc:  # noqa: BLE001  (the caller raises it again)
            outcome.append(exc)
        # The event loop may have ended meanwhile, and the waiting task with it.
        with suppress(RuntimeError):
            anyio.from_thread.run_sync(finish, token=loop)

    await limiter.acquire_on_behalf_of(borrower)
    try:
        threading.Thread(target=run, name=f"{__name__} lookup", daemon=True).start()
    except BaseException:
        limiter.release_on_behalf_of(borrower)
        raise
    await done.wait()
    (found,) = outcome
    if isinstance(found, Exception):
        raise found
    return found


def thread_limiter() -> anyio.CapacityLimiter:
    """Return what counts the lookups in threads of the running event loop."""
    try:
        return _limiter_of_loop.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(MAX_THREADS)
        _limiter_of_loop.set(limiter)
        return limiter


class AsyncResolver(AbstractResolver):
    """Asks name servers directly, by dnspython (``anyhttp-client[dns]``).

    It first looks into the hosts file.  Queries for ``localhost`` and its subdomains are
    answered without a server (:rfc:`6761#section-6.3`).  Short names are completed by the
    search list of the operating system's configuration, as the system itself does.

    :param nameservers: addresses of the name servers, each with or without a port
        (``"192.0.2.1"``, ``"192.0.2.1:5353"``, ``"[2001:db8::1]:5353"``); those of the operating
        system when left out
    :param timeout: seconds for one whole lookup
    :param hosts_file: path of the hosts file; ``None`` for none
    :param loop: no effect; accepted for compatibility with aiohttp
    :raises RuntimeError: dnspython is not installed
    :raises ValueError: an entry of *nameservers* is no address
    """

    def __init__(
        self,
        nameservers: Iterable[str] | None = None,
        *,
        timeout: float = 5.0,
        hosts_file: str | os.PathLike[str] | None = HOSTS_FILE,
        loop: object = None,
    ) -> None:
        warn_about_loop(loop)
        try:
            import dns.asyncresolver
            import dns.nameserver
            import dns.resolver
        except ImportError as exc:
            raise RuntimeError(
                "AsyncResolver needs dnspython: pip install 'anyhttp-client[dns]'"
            ) from exc
        if isinstance(nameservers, str):
            raise TypeError("nameservers must be an iterable of addresses, not a str")
        check_seconds("timeout", timeout, optional=False)
        self._hosts_file = hosts_file
        try:
            resolver = dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            # resolv.conf(5): without an entry, the name server is on the local machine.
            resolver = dns.asyncresolver.Resolver(configure=False)
            resolver.nameservers = ["127.0.0.1"]
        if nameservers is not None:
            resolver.nameservers = [
                dns.nameserver.Do53Nameserver(*_server_address(server)) for server in nameservers
            ]
        resolver.lifetime = timeout
        resolver.use_search_by_default = True
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses that the hosts file or the name servers have for *host*.

        :raises OSError: there is no such name, or no server answered

        After cancellation no socket is open.
        """
        literal = literal_address(host, port)
        if literal is not None:
            return [literal]
        known = await self._look_up(host)
        if known is None:
            known = await self._ask(host, family)
        found = [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=address_family,
                proto=socket.IPPROTO_TCP,
                flags=_NUMERIC,
            )
            for address, address_family in known
            if family in {socket.AF_UNSPEC, address_family}
        ]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address of this family")
        return found

    async def _look_up(self, host: str) -> list[tuple[str, int]] | None:
        """Return the addresses of a name for which no server has to be asked, else ``None``."""
        name = host.rstrip(".").lower()
        if self._hosts_file is not None:
            entries = await anyio.to_thread.run_sync(_hosts_in, os.fspath(self._hosts_file))
            if name in entries:
                return entries[name]
        if name == "localhost" or name.endswith(".localhost"):
            return [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]
        return None

    async def _ask(self, host: str, family: int) -> list[tuple[str, int]]:
        """Query the addresses of each family, at the same time.

        The failure of one query says nothing about the other: if a name has no AAAA record, some
        servers say that the name does not exist, or do not respond (:rfc:`4074#section-4`).
        """
        questions = [
            (kind, own)
            for kind, own in (("AAAA", socket.AF_INET6), ("A", socket.AF_INET))
            if family in {socket.AF_UNSPEC, own}
        ]
        found: dict[int, tuple[object, list[str]]] = {}
        errors: list[Exception] = []

        async def ask(kind: str, own: int) -> None:
            try:
                found[own] = await self._query(host, kind)
            except Exception as exc:  # noqa: BLE001  (raised below, outside of the task group)
                errors.append(exc)
            else:
                group.cancel_scope.deadline = anyio.current_time() + OTHER_FAMILY_SECONDS

        async with anyio.create_task_group() as group:
            for kind, own in questions:
                group.start_soon(ask, kind, own)
        if not found:
            raise max(errors, key=_significance)
        if len({name for name, _ in found.values()}) > 1:
            # The search list has completed a short name differently: these are two hosts.
            del found[socket.AF_INET6]
        return [(address, own) for _, own in questions if own in found for address in found[own][1]]

    async def _query(self, host: str, kind: str) -> tuple[object, list[str]]:
        """Return the full name, and the addresses in its records of type *kind*.

        :raises socket.gaierror: there are no such records, or no server responded
        """
        import dns.asyncbackend
        import dns.exception
        import dns.resolver

        # By default dnspython keeps the backend of the kind of event loop that it saw first.
        own = dns.asyncbackend.get_backend("asyncio" if on_asyncio() else "trio")
        backend: Any = _CancelSafeBackend(own)
        try:
            answer = await self._resolver.resolve(host, kind, backend=backend)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as exc:
            raise socket.gaierror(socket.EAI_NONAME, str(exc)) from exc
        except dns.exception.DNSException as exc:
            raise socket.gaierror(socket.EAI_AGAIN, f"cannot resolve {host}: {exc}") from exc
        return answer.qname, [record.address for record in answer]

    async def close(self) -> None:
        """Do nothing: no socket outlives a query."""


class _CancelSafeBackend:
    """A dnspython backend for event loops that leak a UDP socket when its creation is cancelled.

    uvloop is such a loop.  Creating a UDP socket needs no network traffic, so cancellation waits
    until it is done.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def make_socket(self, family: int, kind: int, *args: Any, **options: Any) -> Any:
        with anyio.CancelScope(shield=kind == socket.SOCK_DGRAM):
            return await self._backend.make_socket(family, kind, *args, **options)


def _significance(error: Exception) -> int:
    """Return a sort key: the error that describes the failure of both queries better is greater."""
    if not isinstance(error, socket.gaierror):
        return 2
    # A temporary failure: a caller can try again, unlike with an unknown name.
    return error.errno == socket.EAI_AGAIN


def _server_address(server: str) -> tuple[str, int]:
    """Return address and port of an item of ``nameservers``."""
    for address, port in ((server, "53"), server.rpartition(":")[::2]):
        with suppress(ValueError):
            return str(ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))), int(port)
    raise ValueError(f"nameservers: {server!r} is not an IP address, with or without a port")


def _hosts_in(path: str) -> dict[str, list[tuple[str, int]]]:
    """Return the addresses in the hosts file at *path*, by name; see hosts(5)."""
    try:
        status = os.stat(path)
    except OSError:
        return {}
    return _parsed_hosts(path, (status.st_mtime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=4)
def _parsed_hosts(path: str, version: object) -> dict[str, list[tuple[str, int]]]:
    """Read the hosts file at *path*; *version* changes with the file, to bypass the cache."""
    found: dict[str, list[tuple[str, int]]] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.partition("#")[0].split() for line in file]
    except OSError:
        return found
    for address, *names in filter(None, lines):
        literal = literal_address(address, 0)
        if literal is None:
            continue
        for name in names:
            addresses = found.setdefault(name.rstrip(".").lower(), [])
            if (entry := (literal["host"], literal["family"])) not in addresses:
                addresses.append(entry)
    return found


def _with_scope(sockaddr: tuple[object, ...]) -> str:
    """Return the address of *sockaddr*, with the zone of a link-local IPv6 one."""
    host = str(sockaddr[0])
    if len(sockaddr) == 4 and sockaddr[3] and "%" not in host:
        return f"{host}%{sockaddr[3]}"
    return host


def literal_address(host: str, port: int) -> ResolveResult | None:
    """Return the address if *host* is an IP literal, else ``None``."""
    if len(host) > MAX_LITERAL or not (":" in host or host[-1:].isdigit()):
        return None
    family = _family_of(host)
    if family is None:
        return None
    return ResolveResult(
        hostname=host,
        host=with_plain_zone(host),
        port=port,
        family=family,
        proto=0,
        flags=_NUMERIC,
    )


@lru_cache(maxsize=64)
def _family_of(host: str) -> socket.AddressFamily | None:
    """Return the address family of *host*, ``None`` if it is no address."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return socket.AF_INET if version == 4 else socket.AF_INET6


class DnsCache:
    """A cache by (host, port), bounded in age and number; equal lookups at once are made once.

    If the request that does the lookup is cancelled, the next of the requests that wait for the
    same addresses does the lookup instead.
    """

    def __init__(
        self, ttl: float | None = 10, max_size: int = 1000, clock: Callable[[], float] | None = None
    ) -> None:
        check_count("dns_cache_max_size", max_size, least=1)
        self._ttl = math.inf if ttl is None else ttl
        self._max_size = max_size
        self._clock = anyio.current_time if clock is None else clock
        self._answers: OrderedDict[tuple[str, int], tuple[float, list[ResolveResult]]] = (
            OrderedDict()
        )
        self._queries: dict[tuple[str, int], SharedCall[list[ResolveResult]]] = {}

    @property
    def answers(self) -> dict[tuple[str, int], list[ResolveResult]]:
        """A copy of the stored addresses, including the expired ones."""
        return {key: list(addresses) for key, (_, addresses) in self._answers.items()}

    def clear(self, key: tuple[str, int] | None = None) -> None:
        """Remove the addresses of *key*, or all addresses."""
        if key is None:
            self._answers.clear()
        else:
            self._answers.pop(key, None)

    def knows(self, key: tuple[str, int]) -> bool:
        """Whether the addresses of *key* are stored, or a lookup for them is in progress."""
        if key in self._queries:
            return True
        entry = self._answers.get(key)
        return entry is not None and self._clock() < entry[0]

    def get(self, key: tuple[str, int]) -> list[ResolveResult] | None:
        """Return the stored addresses of *key*; each call starts with another address."""
        entry = self._answers.get(key)
        if entry is None:
            return None
        expiry, addresses = entry
        if self._clock() >= expiry:
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        result = list(addresses)
        addresses.append(addresses.pop(0))
        return result

    async def resolve(
        self, key: tuple[str, int], ask: Callable[[], Awaitable[list[ResolveResult]]]
    ) -> list[ResolveResult]:
        """Return the addresses of *key*, from the cache or by calling *ask*.

        :raises OSError: the error of *ask*; every task that waited for the lookup gets it

        Cancelling one caller does not affect the others: a lookup for them goes on.
        """
        if (stored := self.get(key)) is not None:
            return stored
        query = self._queries.get(key)
        if query is None:
            query = self._queries[key] = SharedCall(shared=OSError)
        try:
            return list(await query.result(partial(self._ask, key, ask)))
        finally:
            if query.is_idle:
                self._queries.pop(key, None)

    async def _ask(
        self, key: tuple[str, int], ask: Callable[[], Awaitable[list[ResolveResult]]]
    ) -> list[ResolveResult]:
        addresses = await ask()
        if addresses:
            self._store(key, addresses)
        return addresses

    def _store(self, key: tuple[str, int], addresses: list[ResolveResult]) -> None:
        self._answers[key] = (self._clock() + self._ttl, addresses[1:] + addresses[:1])
        self._answers.move_to_end(key)
        for oldest in list(islice(self._answers, max(len(self._answers) - self._max_size, 0))):
            del self._answers[oldest]
