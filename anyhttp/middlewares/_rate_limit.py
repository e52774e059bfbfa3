"""``RateLimitMiddleware``: lets requests wait for their turn."""

from __future__ import annotations

import math
import time
from typing import Final

import anyio

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
    """Lets requests wait so that no more than so many are sent in a time, in the order they came.

    Pass it as one of the ``middlewares`` of sessions.  All sessions that have the same object share
    the limit.  Put it behind :class:`RetryMiddleware`, so that each attempt takes its turn.
    Redirects take theirs too.

    Time passes for the limit also between event loops that run one after the other.  It does not
    count for several at once.

    :param rate: how many requests may be sent in *per* seconds
    :param per: that time, in seconds
    :param burst: how many may be sent at once after a pause.  With 1, requests are spaced evenly;
        with more, a time of *per* seconds may see up to ``rate + burst - 1`` of them
    :param per_host: whether each host has a limit of its own, or there is one for all requests
    :param concurrency: how many requests may be under way at the same time, from the turn until
        the body of the response has been received, or released; for each host, or for all.  Of a
        WebSocket, only the handshake counts
    :raises TypeError: an argument is of another type
    :raises ValueError: an argument has a value that it cannot have

    What it remembers of hosts is bounded: if there are more than 10 000 for which the limit is not
    at rest, those that are closest to it are forgotten first.
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
        check_flag("per_host", per_host)
        check_count("concurrency", concurrency, least=1, optional=True)
        self._interval: float = per / rate
        self._tolerance: float = self._interval * (burst - 1)
        self._per_host: bool = per_host
        self._concurrency: int | None = concurrency
        self._clock: _Clock = _Clock()
        self._hosts: dict[str, _Host] = {}
        self._sweep_at: int = 64  # so many hosts

    @watches_time
    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send *request* by *handler* when it is its turn.

        After cancellation while it waits, its place is that of the next one.
        """
        if self._clock.has_changed():
            self._begin_anew()
        turn = _Turn(self._host_of(request))
        try:
            with waiting_phase(request, _WAITING):
                if turn.limiter is not None:
                    # A middleware around this one may send a request again, and still hold the
                    # former response, which would be waited for here.
                    await give_back(request)
                    await turn.limiter.acquire_on_behalf_of(turn)
                    turn.is_limited = True
                await self._wait_for_turn(turn.host)
            response = await handler(request)
        except BaseException:
            turn.end()
            raise
        if turn.limiter is None:
            turn.end()
        else:
            when_over(response, lambda size, error: turn.end())
        return response

    async def _wait_for_turn(self, host: _Host) -> None:
        if not host.waiting and not self._take(host):
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
        wait = host.rests_at - self._tolerance - now
        if wait > _SHORTEST_WAIT:
            return wait
        host.rests_at = max(host.rests_at, now) + self._interval
        return 0.0

    # -- hosts

    def _host_of(self, request: ClientRequest) -> _Host:
        name = request.host if self._per_host else ""
        host = self._hosts.get(name)
        if host is None:
            if len(self._hosts) >= self._sweep_at:
                self._sweep()
            host = self._hosts[name] = _Host(self._concurrency)
        return host

    def _sweep(self) -> None:
        """Forget the hosts that are at rest, and others if there are too many."""
        now = self._clock.now()
        idle = {name: host for name, host in self._hosts.items() if not host.turns}
        for name, host in idle.items():
            if host.rests_at <= now:
                del self._hosts[name]
        if len(self._hosts) >= MAX_HOSTS:
            others = [name for name in idle if name in self._hosts]
            others.sort(key=lambda name: idle[name].rests_at)
            for name in others[: len(self._hosts) - MAX_HOSTS // 2]:
                del self._hosts[name]
        left = len(self._hosts)
        self._sweep_at = max(min(2 * left, MAX_HOSTS), left + 64)

    def _begin_anew(self) -> None:
        """Forget who waits, and what is under way, in an event loop that has ended."""
        for name, host in self._hosts.items():
            self._hosts[name] = _Host(self._concurrency, host.rests_at)


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

    __slots__ = ("host", "is_limited", "limiter")

    def __init__(self, host: _Host) -> None:
        host.turns += 1
        self.host = host
        self.limiter = host.limiter
        #: whether it has its part of the limiter
        self.is_limited = False

    def end(self) -> None:
        """Let the next one begin."""
        self.host.turns -= 1
        if self.limiter is not None and self.is_limited:
            self.limiter.release_on_behalf_of(self)


class _Clock:
    """Time that goes on from one event loop to the next, whose clocks have other origins."""

    __slots__ = ("_loop", "_offset", "_seen", "_seen_at", "_time")

    def __init__(self) -> None:
        self._loop: object = None
        self._time = time.monotonic  # the clock of the loop, when there is one
        self._offset = 0.0
        self._seen = 0.0  # the time that was told last
        self._seen_at = time.monotonic()

    def has_changed(self) -> bool:
        """Whether another event loop runs than before."""
        loop = current_loop()
        if loop is self._loop:
            return False
        self._loop, self._time = loop, clock()
        passed = time.monotonic() - self._seen_at
        self._offset = self._seen + passed - self._time()
        return True

    def now(self) -> float:
        """Return the time in seconds; in an event loop, it goes as the clock of the loop does."""
        self._seen = self._time() + self._offset
        self._seen_at = time.monotonic()
        return self._seen


def _check_positive(name: str, value: object) -> None:
    if not is_number(value):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be greater than 0 and finite, got {value!r}")
