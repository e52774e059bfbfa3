"""What the time of a request goes into: the phases of each of its hops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, TypeAlias

from anyhttp import (
    ClientResponse,
    TraceConfig,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    TraceRequestRetryParams,
    TraceRequestStartParams,
    TraceResponseEndParams,
)
from anyhttp._common import without_user_info

PAUSE: Final = "pause"
QUEUE: Final = "queue"
DNS: Final = "DNS"
CONNECT: Final = "connect"
TLS: Final = "TLS"
SEND: Final = "send"
FIRST_BYTE: Final = "first byte"
BODY: Final = "body"

#: All phases, in the order in which they begin.
PHASES: Final = (PAUSE, QUEUE, DNS, CONNECT, TLS, SEND, FIRST_BYTE, BODY)

Handler: TypeAlias = Callable[[Any, "Call", Any], Awaitable[None]]


@dataclass(slots=True)
class Phase:
    """A time that was spent on one thing, in seconds on the clock of the timeline."""

    name: str
    begin: float
    end: float | None = None


@dataclass(slots=True)
class Hop:
    """One request to one server, as far as it has come."""

    method: str = ""
    url: str = ""
    outcome: str = "no answer"
    phases: list[Phase] = field(default_factory=list)

    def enter(self, name: str | None, now: float) -> None:
        """End the present phase, and begin the one of this *name* if there is one."""
        if self.phases and self.phases[-1].end is None:
            self.phases[-1].end = now
        if name is not None:
            self.phases.append(Phase(name, now))

    def send_more(self, now: float) -> None:
        """Note that a piece of the body is sent now, and the first byte cannot come before."""
        waiting = self.phases.pop()
        if self.phases and self.phases[-1].name == SEND:
            self.phases[-1].end = now
        else:
            self.phases.append(Phase(SEND, waiting.begin, now))
        self.phases.append(Phase(FIRST_BYTE, now))

    def seconds(self, name: str) -> float | None:
        """Return how long the phases of this *name* took; ``None`` if there were none."""
        times = [
            phase.end - phase.begin
            for phase in self.phases
            if phase.name == name and phase.end is not None
        ]
        return sum(times) if times else None


def _ignore(hop: Hop) -> None:
    """Nobody is told."""


class Call:
    """A request that is running; the context of the trace handlers below."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._hop: Hop | None = None

    @property
    def hop(self) -> Hop:
        """The present hop; it begins with the first thing that is told of it."""
        if self._hop is None:
            self._hop = Hop()
            self._timeline.begins(self._hop)
        return self._hop

    def enter(self, name: str | None) -> None:
        """Begin another phase of the present hop."""
        self.hop.enter(name, self._timeline.now())

    def send_more(self) -> None:
        """Note that a piece of the body is sent."""
        self.hop.send_more(self._timeline.now())

    def end(self, outcome: str) -> None:
        """End the present hop; another may follow."""
        self.enter(None)
        self.hop.outcome = outcome
        self._timeline.ends(self.hop)
        self._hop = None


class Timeline:
    """The phases of requests while they run.

    :param begins: called with each hop when it begins
    :param ends: called with it when it is over
    :param now: the clock, in seconds
    """

    def __init__(
        self,
        *,
        begins: Callable[[Hop], object] = _ignore,
        ends: Callable[[Hop], object] = _ignore,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self.begins = begins
        self.ends = ends
        self.now = now

    def config(self) -> TraceConfig:
        """Return the handlers that watch the requests of a session."""
        config = TraceConfig(lambda trace_request_ctx: Call(self))
        config.on_request_start.append(_begins)
        config.on_connection_queued_start.append(_entering(QUEUE))
        config.on_connection_queued_end.append(_entering(None))
        config.on_connection_create_start.append(_entering(CONNECT))
        config.on_dns_resolvehost_start.append(_entering(DNS))
        config.on_dns_resolvehost_end.append(_entering(CONNECT))
        config.on_connection_tls_start.append(_entering(TLS))
        config.on_connection_tls_end.append(_entering(CONNECT))
        config.on_connection_create_end.append(_entering(None))
        config.on_request_headers_sent.append(_sends)
        config.on_request_chunk_sent.append(_sends_more)
        config.on_request_redirect.append(_is_redirected)
        config.on_request_retry.append(_is_repeated)
        config.on_request_end.append(_is_answered)
        config.on_request_exception.append(_fails)
        config.on_response_end.append(_ends)
        return config


def _entering(name: str | None) -> Handler:
    async def enter(_: Any, call: Call, params: object) -> None:
        call.enter(name)

    return enter


def _status(response: ClientResponse) -> str:
    return f"{response.status} {response.reason}"


async def _begins(_: Any, call: Call, params: TraceRequestStartParams) -> None:
    call.hop.method, call.hop.url = params.method, without_user_info(params.url)


async def _sends(_: Any, call: Call, params: TraceRequestHeadersSentParams) -> None:
    call.hop.method, call.hop.url = params.method, without_user_info(params.url)
    call.enter(FIRST_BYTE)


async def _sends_more(_: Any, call: Call, params: object) -> None:
    call.send_more()


async def _is_redirected(_: Any, call: Call, params: TraceRequestRedirectParams) -> None:
    call.end(_status(params.response))


async def _is_repeated(_: Any, call: Call, params: TraceRequestRetryParams) -> None:
    failure = type(params.exception).__name__
    call.end(failure if params.response is None else _status(params.response))
    call.enter(PAUSE)


async def _is_answered(_: Any, call: Call, params: TraceRequestEndParams) -> None:
    # What follows a WebSocket's handshake is no body.
    call.enter(None if params.response.status == 101 else BODY)
    call.hop.outcome = _status(params.response)


async def _fails(_: Any, call: Call, params: TraceRequestExceptionParams) -> None:
    call.hop.method, call.hop.url = params.method, without_user_info(params.url)
    call.end(type(params.exception).__name__)


async def _ends(_: Any, call: Call, params: TraceResponseEndParams) -> None:
    outcome = call.hop.outcome
    if params.status != 101:
        outcome += f", {params.size} bytes"
    if params.error is not None:
        outcome += f", {type(params.error).__name__}"
    call.end(outcome)
