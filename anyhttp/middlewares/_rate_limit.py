"""``RateLimitMiddleware``: lets requests wait for their turn."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from typing import Final

import anyio
from yarl import URL

from .._common import check_count, check_flag, is_number
from .._tasks import clock, current_loop
from ..client_middlewares import ClientHandlerType, give_back, waiting_phase, watches_time
from ..client_reqrep import ClientRequest, ClientResponse, when_over

__all__ = ("RateLimitMiddleware",)

#: For how many hosts there is something to remember, at most.  One takes about 200 bytes.
MAX_HOSTS: Final = 10_000

# A clock has a resolution, and sums of floats are rounded.  A wait that is shorter than this may
# not advance the clock at all.
_SHORTEST_WAIT: Final = 1e-6

_WAITING: Final = "waiting for its turn under the rate limit"


class RateLimitMiddleware:
    """Limits how many requests are sent in a time; the others wait, and go in the order they came.

    Pass it as one of the ``middlewares`` of sessions.  All sessions that have the same object share
    the limit.  Put it after :class:`RetryMiddleware`, so that each attempt counts.  Redirects
    count, too.

    Event loops that run one after the other share the limit.  Event loops that run at the same
    time, in several threads, do not.

    :param rate: how many requests may be sent in *per* seconds
    :param per: that time, in seconds: 1 by default
    :param burst: how many requests may be sent at once after a pause.  With 1, the default,
        requests are spaced evenly; with more, up to ``rate + burst - 1`` of them may be sent in
        *per* seconds
    :param per_host: whether each host has a limit of its own, as by default, or all share one
    :param concurrency: how many requests may be in progress at the same time, until the body of
        the response has been received or the response released; for each host, or for all.  No
        limit by default.  Only the handshake of a WebSocket counts
    :raises TypeError: an argument has the wrong type
    :raises ValueError: an argument has a value that is not allowed

    It remembers at most 10 000 hosts to which requests were sent lately.  Those that would be
    free again soonest are forgotten first.
    """

    def __init__(
        self,
        rate: float,
        per: float = 1.0,
        *,
        burst: int = 1,
        per_host: bool = True,
        concurrency: int | None = None,
    ) -> None:
        _check_positive("rate", rate)
        _check_positive("per", per)
        check_count("burst", burst, least=1)
        _check_positive("burst", burst)
        check_flag("per_host", per_host)
        check_count("concurrency", concurrency, least=1, optional=True)
        interval = per / rate
        _check_positive("per / rate", interval)
        self._per_host: bool = per_host
        self._rule: _Rule = _Rule(interval, interval * (burst - 1), concurrency)
        self._hosts: _Hosts | None = None  # of the event loop that has sent the last request

    @watches_time
    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send *request* by *handler* when it is its turn.

        After cancellation while it waits, its place is that of the next one.
        """
        hosts, loop = self._hosts, current_loop()
        if hosts is None or hosts.loop is not loop:
            hosts = self._hosts = _Hosts(self._rule, loop, hosts)
        # Another middleware may have set a text as the URL.
        name = URL(request.url).raw_host or "" if self._per_host else ""
        turn = _Turn(hosts.find(name))
        try:
            if not (turn.has_place() and hosts.take_turn(turn.host)):
                with waiting_phase(request, _WAITING):
                    if not turn.has_place():
                        # A middleware around this one may send a request again, and still hold
                        # the former response, which would be waited for here.
                        await give_back(request)
                        await turn.wait_for_place()
                    await hosts.wait_for_turn(turn.host)
            response = await handler(request)
        except BaseException:
            turn.end()
            raise
        if turn.limiter is None:
            turn.end()
        else:
            when_over(response, lambda size, error: turn.end())
        return response


@dataclass(frozen=True, slots=True)
class _Rule:
    """The limit of each host.

    :param interval: seconds between two requests, on average
    :param tolerance: how much earlier a request may come, in seconds
    :param concurrency: how many may be under way at the same time
    """

    interval: float
    tolerance: float
    concurrency: int | None


class _Hosts:
    """What is remembered of hosts, in one event loop.

    An event loop that runs in another thread at the same time has an object of its own, and uses
    nothing of this one but the numbers that it began with.

    :param before: what was remembered in another event loop, where time has gone on meanwhile
    """

    __slots__ = ("_clock", "_found", "_rule", "_sweep_at", "loop")

    def __init__(self, rule: _Rule, loop: object, before: _Hosts | None) -> None:
        self.loop = loop
        self._rule = rule
        self._found: dict[str, _Host] = {}
        self._sweep_at = 64  # so many hosts
        self._clock: _Clock = _Clock(None if before is None else before._clock)
        if before is not None:
            # A list of them at once, as another thread may add some.
            for name, host in list(before._found.items()):
                self._found[name] = _Host(rule.concurrency, host.rests_at)
            self._sweep_at = before._sweep_at

    def find(self, name: str) -> _Host:
        """Return what is remembered of the host *name*."""
        host = self._found.get(name)
        if host is None:
            if len(self._found) >= self._sweep_at:
                self._sweep()
            host = self._found[name] = _Host(self._rule.concurrency)
        return host

    def _sweep(self) -> None:
        """Forget the hosts that are at rest, and others if there are too many."""
        now = self._clock.now()
        idle = {name: host for name, host in self._found.items() if not host.turns}
        for name, host in idle.items():
            if host.rests_at <= now:
                del self._found[name]
        if len(self._found) >= MAX_HOSTS:
            others = [name for name in idle if name in self._found]
            others.sort(key=lambda name: idle[name].rests_at)
            for name in others[: len(self._found) - MAX_HOSTS // 2]:
                del self._found[name]
        left = len(self._found)
        self._sweep_at = max(min(2 * left, MAX_HOSTS), left + 64)

    def take_turn(self, host: _Host) -> bool:
        """Return whether it is the turn of a request to *host* now; if so, that is taken."""
        return not host.waiting and not self._take(host)

    async def wait_for_turn(self, host: _Host) -> None:
        """Wait until it is the turn of a request to *host*."""
        if self.take_turn(host):
            return
        # The first one waits for the time, and the others wait for the first one.
        queue = host.queue
        if queue is None:
            queue = host.queue = anyio.Lock(fast_acquire=True)
        host.waiting += 1
        try:
            async with queue:
                while wait := self._take(host):  # noqa: ASYNC110  (there is no event for time)
                    await anyio.sleep(wait)
        finally:
            host.waiting -= 1

    def _take(self, host: _Host) -> float:
        """Take a turn if there is one, and return 0; else return how long to wait for it.

        The limit is at rest at a time that each turn puts off by one interval (the generic cell
        rate algorithm of ITU-T I.371, which counts like a bucket of tokens).
        """
        now = self._clock.now()
        wait = host.rests_at - self._rule.tolerance - now
        if wait > _SHORTEST_WAIT:
            return wait
        host.rests_at = max(host.rests_at, now) + self._rule.interval
        return 0.0


class _Host:
    """What is remembered of a host."""

    __slots__ = ("limiter", "queue", "rests_at", "turns", "waiting")

    def __init__(self, concurrency: int | None, rests_at: float = -math.inf) -> None:
        #: when the limit is as if no request had ever been sent
        self.rests_at = rests_at
        #: how many requests are under way, or wait
        self.turns = 0
        #: how many wait for the time; the queue has them in their order
        self.waiting = 0
        self.queue: anyio.Lock | None = None
        self.limiter = None if concurrency is None else anyio.CapacityLimiter(concurrency)


class _Turn:
    """One request of a host, until it is over."""

    __slots__ = ("_has_place", "host", "limiter")

    def __init__(self, host: _Host) -> None:
        host.turns += 1
        self.host = host
        self.limiter = host.limiter
        self._has_place = host.limiter is None

    def has_place(self) -> bool:
        """Return whether it may be under way beside the others; it takes a place that is free."""
        if not self._has_place:
            assert self.limiter is not None
            try:
                self.limiter.acquire_on_behalf_of_nowait(self)
            except anyio.WouldBlock:
                return False
            self._has_place = True
        return True

    async def wait_for_place(self) -> None:
        """Take a place when one is free."""
        assert self.limiter is not None
        await self.limiter.acquire_on_behalf_of(self)
        self._has_place = True

    def end(self) -> None:
        """Let the next one begin."""
        self.host.turns -= 1
        if self.limiter is not None and self._has_place:
            self.limiter.release_on_behalf_of(self)


class _Clock:
    """The clock of the running event loop; that of another one has another origin.

    :param before: the clock of another event loop, from which this one goes on
    """

    __slots__ = ("_last", "_offset", "_time")

    def __init__(self, before: _Clock | None) -> None:
        self._time = clock()
        self._offset = 0.0
        if before is not None:
            told, at = before._last
            self._offset = told + time.monotonic() - at - self._time()
        # the time that was told last, and when that was by the clock of the system
        self._last: tuple[float, float] = (0.0, 0.0)
        self.now()

    def now(self) -> float:
        """Return the time in seconds."""
        now = self._time() + self._offset
        self._last = (now, time.monotonic())
        return now


def _check_positive(name: str, value: object) -> None:
    if not is_number(value):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not 0 < value <= sys.float_info.max:
        raise ValueError(f"{name} must be greater than 0 and finite, got {value!r}")
