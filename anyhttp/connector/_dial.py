"""Connects a stream to one of the addresses of a host.

Addresses are raced (:rfc:`8305#section-5`): the next attempt starts when the previous attempt
has failed or the delay is over, whichever is first.  The first attempt that connects wins, and
the sockets of the others are closed.
"""

from __future__ import annotations

import errno
import math
import socket
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Final, TypeVar

import anyio

from .._network import AddrInfoType, NetworkStream, SocketFactoryType, connect_tcp
from .._tasks import Expired, deadline_after
from ..abc import ResolveResult

__all__ = ("ConnectLimit", "TcpOptions", "dial_tcp", "interleaved")

T = TypeVar("T")

#: By how many seconds a limit may be shorter than it says.
NEGLIGIBLE: Final = 0.001


@dataclass(frozen=True, slots=True)
class TcpOptions:
    """How a connector makes its sockets."""

    local_address: tuple[str, int] | None = None
    socket_factory: SocketFactoryType | None = None
    #: seconds to wait for one attempt before the next one starts; None: until it has failed
    happy_eyeballs_delay: float | None = 0.25
    #: how many addresses of the first family come before one of the other; None: keep the order
    interleave: int | None = None


class ConnectLimit:
    """The time limit ``sock_connect``, which counts anew for each address of a host.

    Everything that makes one connection happens in :attr:`scope`.  While addresses are tried, each
    attempt has a deadline of its own.  That of the successful one then holds for the rest, such
    as TLS.

    :param seconds: ``None`` or 0 for no limit
    :param latest: when the scope ends, whatever is tried then: another limit of the request
    """

    __slots__ = ("latest", "scope", "seconds")

    def __init__(self, seconds: float | None, latest: float = math.inf) -> None:
        self.seconds: float | None = seconds
        self.latest: float = latest
        deadline = min(deadline_after(seconds), latest)
        self.scope: anyio.CancelScope = anyio.CancelScope(deadline=deadline)

    def restart(self) -> None:
        """Count anew, for the next address."""
        deadline = min(deadline_after(self.seconds), self.latest)
        # To change it takes asyncio a new timer.  Mostly it has just been set.
        if abs(deadline - self.scope.deadline) > NEGLIGIBLE:
            self.scope.deadline = deadline

    def pause(self) -> None:
        """Stop counting, while attempts have deadlines of their own."""
        self.scope.deadline = self.latest

    async def attempt(self, work: Awaitable[None]) -> None:
        """Await *work* until the present deadline, after which another address can be tried.

        :raises Expired: the deadline has passed
        """
        deadline = self.scope.deadline
        self.pause()
        with anyio.CancelScope(deadline=deadline) as scope:
            await work
        if scope.cancelled_caught:
            raise Expired
        self.scope.deadline = deadline

    def timed_out(self) -> TimeoutError:
        """Return the error of one address, if there are others."""
        return TimeoutError(errno.ETIMEDOUT, f"no answer within {self.seconds} seconds")


@dataclass(slots=True)
class _Race:
    """What the attempts of one race share."""

    options: TcpOptions
    limit: ConnectLimit = field(default_factory=lambda: ConnectLimit(None))
    winner: NetworkStream | None = None
    #: how many attempts have come to their deadline
    expired: int = 0
    crash: BaseException | None = None
    errors: list[tuple[str, OSError]] = field(default_factory=list)


async def dial_tcp(
    addresses: Sequence[ResolveResult], options: TcpOptions, limit: ConnectLimit | None = None
) -> NetworkStream:
    """Connect to the first of *addresses* that answers.

    :param limit: counts anew for each address, and goes on as that of the one that answered
    :raises OSError: none answered; the text lists each address with its error
    :raises Expired: none answered within the limit

    After cancellation no socket is open.
    """
    limit = ConnectLimit(None) if limit is None else limit
    if len(addresses) == 1:
        limit.restart()
        return await _connect(addresses[0], options)
    ordered = interleaved(addresses, options.interleave)
    race = _Race(options, limit)
    limit.pause()
    if options.happy_eyeballs_delay is None:
        await _one_by_one(race, ordered)
    else:
        await _side_by_side(race, ordered, options.happy_eyeballs_delay)
    if race.winner is None:
        if race.expired and race.expired == len(race.errors):
            raise Expired
        raise _all_failed(race.errors)
    return race.winner


def interleaved(addresses: Sequence[ResolveResult], first: int | None) -> list[ResolveResult]:
    """Alternate the address families, after *first* addresses of the first family (RFC 8305 §4)."""
    if not first:
        return list(addresses)
    families: dict[int, list[ResolveResult]] = {}
    for address in addresses:
        families.setdefault(_family(address), []).append(address)
    preferred, *others = families.values()
    lead = preferred[: first - 1]
    rows = zip_longest(preferred[first - 1 :], *others)
    return lead + [address for address in chain.from_iterable(rows) if address is not None]


async def _connect(address: ResolveResult, options: TcpOptions) -> NetworkStream:
    """Connect to one address."""
    return await connect_tcp(_addr_info(address), options.local_address, options.socket_factory)


async def _connect_within(address: ResolveResult, race: _Race) -> NetworkStream:
    """Connect to one address, beside others.

    :raises Expired: the time for this address is over
    """
    limit = race.limit
    deadline = deadline_after(limit.seconds)
    with anyio.CancelScope(deadline=deadline):
        stream = await _connect(address, race.options)
        if race.winner is None:
            limit.scope.deadline = min(deadline, limit.latest)
        return stream
    raise Expired


def _addr_info(address: ResolveResult) -> AddrInfoType:
    host, port = address["host"], address["port"]
    sockaddr: tuple[object, ...] = (host, port)
    family = _family(address)
    if family == socket.AF_INET6:
        host, _, zone = host.partition("%")
        sockaddr = (host, port, 0, _zone_index(zone))
    return (family, socket.SOCK_STREAM, address.get("proto", 0), "", sockaddr)


def _family(address: ResolveResult) -> socket.AddressFamily:
    """Return the family of an address, read from the address and not from the resolver's answer.

    Resolvers of applications often return the family that was asked for, such as 0.
    """
    return socket.AF_INET6 if ":" in address["host"] else socket.AF_INET


def _zone_index(zone: str) -> int:
    if not zone:
        return 0
    return int(zone) if zone.isdigit() else socket.if_nametoindex(zone)


async def _attempt(race: _Race, address: ResolveResult) -> bool:
    """Try one address; close the socket if another attempt has connected before."""
    try:
        stream = await _connect_within(address, race)
    except OSError as exc:
        race.errors.append((address["host"], exc))
        return False
    except Expired:
        race.expired += 1
        race.errors.append((address["host"], race.limit.timed_out()))
        return False
    if race.winner is not None:
        await stream.aclose()
        return False
    race.winner = stream
    return True


async def _one_by_one(race: _Race, addresses: Sequence[ResolveResult]) -> None:
    for address in addresses:
        if await _attempt(race, address):
            return


async def _side_by_side(race: _Race, addresses: Sequence[ResolveResult], delay: float) -> None:
    async def run(address: ResolveResult, over: anyio.Event) -> None:
        try:
            if await _attempt(race, address):
                attempts.cancel_scope.cancel()
        except (Exception, KeyboardInterrupt, SystemExit) as exc:  # noqa: BLE001
            # Raised again after the task group.  If an Exception left this task, the caller would
            # get an exception group; the other two would end the event loop at once.
            race.crash = exc
            attempts.cancel_scope.cancel()
        finally:
            over.set()

    try:
        async with anyio.create_task_group() as attempts:
            for address in addresses:
                over = anyio.Event()
                attempts.start_soon(run, address, over)
                with anyio.move_on_after(delay):
                    await over.wait()
    except BaseException:
        # The caller was cancelled after an attempt had connected, so close its socket here.
        if race.winner is not None:
            await race.winner.aclose()
        raise
    if race.crash is not None:
        if race.winner is not None:
            await race.winner.aclose()
        raise race.crash


def _all_failed(errors: Sequence[tuple[str, OSError]]) -> OSError:
    code = errors[0][1].errno if errors else errno.EADDRNOTAVAIL
    if len({error.errno for _, error in errors}) > 1:
        code = errno.EHOSTUNREACH
    text = ", ".join(f"{host}: {error.strerror or error}" for host, error in errors)
    return OSError(code, f"all {len(errors)} addresses failed ({text})")
