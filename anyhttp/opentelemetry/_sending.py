"""One sending of a request: its span, and what the metrics say of it."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from opentelemetry import context as contexts
from opentelemetry.trace import Span, StatusCode, set_span_in_context

from ..client_middlewares import time_left
from ..client_reqrep import exchange_of, peer_of, when_over
from ._conventions import (
    ACTIVE_REQUESTS,
    DURATION_BUCKETS,
    ERROR_TYPE,
    PEER_ADDRESS,
    PEER_PORT,
    PROTOCOL_VERSION,
    REQUEST_BODY_SIZE,
    REQUEST_DURATION,
    RESPONSE_BODY_SIZE,
    STATUS_CODE,
    error_type,
)

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, Meter, UpDownCounter

    from ..client_reqrep import ClientRequest, ClientResponse

__all__ = ("Instruments", "Sending")


class Instruments:
    """The metrics of an HTTP client.

    :param in_development: whether to make those, too, whose names may change
    """

    __slots__ = ("active_requests", "duration", "request_size", "response_size")

    def __init__(self, meter: Meter, *, in_development: bool) -> None:
        self.duration: Histogram = meter.create_histogram(
            REQUEST_DURATION,
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=DURATION_BUCKETS,
        )
        self.request_size: Histogram | None = None
        self.response_size: Histogram | None = None
        self.active_requests: UpDownCounter | None = None
        if in_development:
            self.request_size = meter.create_histogram(
                REQUEST_BODY_SIZE, unit="By", description="Size of HTTP client request bodies."
            )
            self.response_size = meter.create_histogram(
                RESPONSE_BODY_SIZE, unit="By", description="Size of HTTP client response bodies."
            )
            self.active_requests = meter.create_up_down_counter(
                ACTIVE_REQUESTS, unit="{request}", description="Number of active HTTP requests."
            )


class Sending:
    """A request from before it is sent until its response is over.

    In a ``with`` block its span is the current one.

    :param span: has been started already
    :param started: when, in nanoseconds, on the clock of :func:`time.time_ns`
    :param labels: attributes that each metric has
    :param records_errors: whether the span gets an event with the text of an error
    """

    __slots__ = (
        "_attributes",
        "_begun",
        "_context",
        "_instruments",
        "_is_received",
        "_labels",
        "_records_errors",
        "_request",
        "_request_size",
        "_span",
        "_started",
        "_token",
    )

    def __init__(
        self,
        request: ClientRequest,
        instruments: Instruments,
        span: Span,
        started: int,
        labels: dict[str, str | int],
        records_errors: bool,
    ) -> None:
        self._request = request
        self._instruments = instruments
        self._span = span
        self._records_errors = records_errors
        self._started = started
        self._begun = perf_counter_ns()  # the other clock may be set meanwhile
        self._labels = labels
        self._attributes = dict(labels)
        self._request_size: int | None = None
        self._is_received = False
        # Without an SDK, the span that the program is in stays the one that servers are told of.
        is_valid = span.get_span_context().is_valid
        self._context = set_span_in_context(span) if is_valid else contexts.get_current()
        self._token: Token[Context] | None = None
        if instruments.active_requests is not None:
            instruments.active_requests.add(1, labels)

    def __enter__(self) -> None:
        self._token = contexts.attach(self._context)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._token is not None
        # A coroutine that nobody awaits any longer is closed in whatever context that happens, and
        # perhaps when no event loop is running.
        is_closed = isinstance(exc, GeneratorExit)
        if not is_closed or contexts.get_current() is self._context:
            contexts.detach(self._token)
        if exc is None:
            return
        # A cancellation may come from the time limit, as the caller gets to know later.
        is_cancelled = not (is_closed or isinstance(exc, Exception))
        is_late = is_cancelled and time_left(self._request) == 0
        self.fail(TimeoutError() if is_late else exc)

    def answered(self, response: ClientResponse) -> None:
        """Take what the head of *response* says."""
        told: dict[str, str | int] = {STATUS_CODE: response.status}
        self._is_received = exchange_of(response) is not None
        if self._is_received:  # and not made by a middleware
            major, minor = response.version
            told[PROTOCOL_VERSION] = f"{major}.{minor}" if major < 2 else str(major)
            if self._request.payload is not None:
                self._request_size = self._request.framing.content_length
        if response.status >= 400:
            told[ERROR_TYPE] = str(response.status)
        self._attributes.update(told)
        if self._span.is_recording():
            self._span.set_attributes(told | _peer(response))
            if response.status >= 400:
                self._span.set_status(StatusCode.ERROR)

    def follow(self, response: ClientResponse) -> None:
        """End when *response* is over, which may be now."""
        exchange = exchange_of(response)
        if exchange is not None and exchange.switches:  # what follows is another protocol
            self._end()
        else:
            when_over(response, self._end_with_body)

    def _end_with_body(self, size: int, error: BaseException | None) -> None:
        if error is not None:
            self.fail(error)
            return
        metric = self._instruments.response_size
        if metric is not None and self._is_received:
            metric.record(size, self._attributes, self._context)
        self._end()

    def fail(self, error: BaseException) -> None:
        """End with *error*."""
        if ERROR_TYPE not in self._attributes:  # the status says more than what came after it
            self._attributes[ERROR_TYPE] = kind = error_type(error)
            self._span.set_attribute(ERROR_TYPE, kind)
        self._span.set_status(StatusCode.ERROR)
        if self._records_errors and isinstance(error, Exception):
            self._span.record_exception(error)
        self._end()

    def _end(self) -> None:
        elapsed = perf_counter_ns() - self._begun
        attributes, context, instruments = self._attributes, self._context, self._instruments
        self._span.end(self._started + elapsed)
        instruments.duration.record(elapsed / 1e9, attributes, context)
        if instruments.request_size is not None and self._request_size is not None:
            instruments.request_size.record(self._request_size, attributes, context)
        if instruments.active_requests is not None:
            instruments.active_requests.add(-1, self._labels, context)


def _peer(response: ClientResponse) -> dict[str, str | int]:
    """Return the attributes for who is at the other end of the connection."""
    match peer_of(response):
        case (str(host), int(port)):
            return {PEER_ADDRESS: host, PEER_PORT: port}
        case str(path) if path:
            return {PEER_ADDRESS: path}
    return {}
