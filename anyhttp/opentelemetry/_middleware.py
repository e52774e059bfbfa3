"""A middleware that tells OpenTelemetry of each request."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from time import time_ns
from typing import Final

from opentelemetry import context as contexts, metrics, propagate as propagation, trace

# The names of these two are private until OpenTelemetry decides how to suppress instrumentation.
# The SDK's exporters, and ``suppress_http_instrumentation()``, set them.
from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
)
from opentelemetry.trace import Span, SpanKind
from yarl import URL

from .._common import __version__, check_callable, check_flag, check_instance
from .._headers import is_token
from ..client_middlewares import ClientHandlerType, times_sent, watches_time
from ..client_reqrep import ClientRequest, ClientResponse
from ._conventions import (
    KNOWN_METHODS,
    METHOD,
    METHOD_ORIGINAL,
    OTHER_METHOD,
    REDACTED_QUERY,
    REQUEST_HEADER,
    RESEND_COUNT,
    RESPONSE_HEADER,
    SCHEMA_URL,
    SERVER_ADDRESS,
    SERVER_PORT,
    URL_FULL,
    full_url,
    text_of,
)
from ._sending import Instruments, Sending

__all__ = ("OpenTelemetryMiddleware",)

#: A variable of the environment for all instrumentations, in all languages.
_KNOWN_METHODS_VARIABLE: Final = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"

#: Headers with credentials.
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})

#: The name of an attribute, and the header that it has the values of.
_Captured = tuple[tuple[str, str], ...]


class OpenTelemetryMiddleware:
    """Makes a span of each request, measures it, and tells the server which trace it belongs to.

    It follows the semantic conventions for HTTP.  Each request that is sent has a span of its own:
    also the request that a redirect leads to, and each attempt of a :class:`RetryMiddleware` that
    comes before this middleware.  So it is best put last.  A span ends when the body of the
    response has been received or has failed, or when the response is released.

    Without an SDK, it only passes on the trace that the program is part of.

    :param tracer_provider: makes the spans; the global one by default
    :param meter_provider: takes the measurements; the global one by default
    :param propagate: whether requests get the headers of the global propagator, such as
        ``traceparent`` and ``baggage``; or a function that takes the URL and decides.  On by
        default
    :param captured_request_headers: names of headers that become attributes of spans; none by
        default
    :param captured_response_headers: the same for headers of responses
    :param redacted_query: names in the query of a URL whose values are not shown, in upper or lower
        case; :data:`REDACTED_QUERY` by default
    :param known_methods: methods that are shown as they are, and not as ``_OTHER``; by default,
        those of the variable ``OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS``, or else those of HTTP
    :param record_exceptions: add an event with the text and the traceback of an error to its span;
        off by default, as they may contain secrets
    :param development_metrics: also measure what the conventions have not settled yet: how many
        requests are active, and the sizes of bodies.  Off by default
    :param request_hook: called with each recorded span and its request, before the request is sent
    :param response_hook: called with each recorded span, the request, and the response, when its
        head has arrived
    :raises TypeError: an argument has the wrong type
    :raises ValueError: one of the captured headers has no valid name, or contains credentials

    The request raises what a hook or *propagate* raises.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        propagate: bool | Callable[[URL], bool] = True,
        captured_request_headers: Collection[str] = (),
        captured_response_headers: Collection[str] = (),
        redacted_query: Collection[str] = REDACTED_QUERY,
        known_methods: Collection[str] | None = None,
        record_exceptions: bool = False,
        development_metrics: bool = False,
        request_hook: Callable[[Span, ClientRequest], object] | None = None,
        response_hook: Callable[[Span, ClientRequest, ClientResponse], object] | None = None,
    ) -> None:
        check_instance("tracer_provider", tracer_provider, trace.TracerProvider)
        check_instance("meter_provider", meter_provider, metrics.MeterProvider)
        if not callable(propagate):
            check_flag("propagate", propagate)
        check_flag("record_exceptions", record_exceptions)
        check_flag("development_metrics", development_metrics)
        for name, hook in (("request_hook", request_hook), ("response_hook", response_hook)):
            if hook is not None:
                check_callable(name, hook)
        self._propagate = propagate
        self._request_headers = _captured(
            "captured_request_headers", captured_request_headers, REQUEST_HEADER
        )
        self._response_headers = _captured(
            "captured_response_headers", captured_response_headers, RESPONSE_HEADER
        )
        redacted = _checked_names("redacted_query", redacted_query)
        self._redacted = frozenset(map(str.lower, redacted))
        self._known_methods = _checked_methods(known_methods)
        self._records_exceptions = record_exceptions
        self._request_hook = request_hook
        self._response_hook = response_hook
        self._tracer = trace.get_tracer(
            "anyhttp", __version__, tracer_provider, schema_url=SCHEMA_URL
        )
        meter = metrics.get_meter("anyhttp", __version__, meter_provider, schema_url=SCHEMA_URL)
        self._instruments = Instruments(meter, in_development=development_metrics)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    @watches_time
    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Pass *request* on to *handler*, with a span that begins here.

        After cancellation, and after any other failure, the span has ended.
        """
        if _is_suppressed():
            return await handler(request)
        url = URL(request.url)  # another middleware may have set a text
        span, sending = self._begin(request, url)
        with sending:
            if self._request_hook is not None and span.is_recording():
                self._request_hook(span, request)
            if self._propagates(url):
                _inject(request)
            response = await handler(request)
            sending.answered(response)
            if span.is_recording():
                self._describe(span, request, response)
            sending.follow(response)
        return response

    def _begin(self, request: ClientRequest, url: URL) -> tuple[Span, Sending]:
        method = request.method
        known = method if method in self._known_methods else OTHER_METHOD
        labels: dict[str, str | int] = {METHOD: known, SERVER_ADDRESS: url.raw_host or ""}
        if url.port is not None:
            labels[SERVER_PORT] = url.port
        # These may be what a sampler decides by.
        attributes: dict[str, str | int | tuple[str, ...]] = dict(labels)
        attributes[URL_FULL] = full_url(url, self._redacted)
        if known is OTHER_METHOD:
            attributes[METHOD_ORIGINAL] = method
        resent = times_sent(request)
        if resent:
            attributes[RESEND_COUNT] = resent
        for attribute, name in self._request_headers:
            values = request.headers.getall(name, ())
            if values:
                attributes[attribute] = tuple(map(text_of, values))
        started = time_ns()
        span = self._tracer.start_span(
            "HTTP" if known is OTHER_METHOD else method,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=started,
        )
        sending = Sending(
            request, self._instruments, span, started, labels, self._records_exceptions
        )
        return span, sending

    def _propagates(self, url: URL) -> bool:
        return self._propagate(url) if callable(self._propagate) else self._propagate

    def _describe(self, span: Span, request: ClientRequest, response: ClientResponse) -> None:
        for attribute, name in self._response_headers:
            values = response.headers.getall(name, ())
            if values:
                span.set_attribute(attribute, tuple(map(text_of, values)))
        if self._response_hook is not None:
            self._response_hook(span, request, response)


def _is_suppressed() -> bool:
    """Whether the program wants no instrumentation at this place, as exporters do."""
    context = contexts.get_current()
    return bool(
        context.get(_SUPPRESS_HTTP_INSTRUMENTATION_KEY)
        or context.get(_SUPPRESS_INSTRUMENTATION_KEY)
    )


def _inject(request: ClientRequest) -> None:
    """Add the headers of the propagator, in the place of those of an earlier attempt."""
    carrier: dict[str, str] = {}
    propagation.inject(carrier)
    if carrier:  # reading the headers of a request costs something
        request.headers.update(carrier)


def _captured(argument: str, names: Collection[str], prefix: str) -> _Captured:
    """Return the attributes for the headers *names*."""
    lowered = tuple(name.lower() for name in _checked_names(argument, names))
    for name in lowered:
        if not is_token(name):
            raise ValueError(f"{argument}: {name!r} is not the name of a header")
        if name in _SECRET_HEADERS:
            raise ValueError(f"{argument}: {name} contains credentials, which no span must show")
    return tuple((f"{prefix}.{name}", name) for name in lowered)


def _checked_names(argument: str, names: Collection[str]) -> Collection[str]:
    if isinstance(names, (str, bytes)) or not isinstance(names, Collection):
        raise TypeError(f"{argument} must be a collection of str, not {type(names).__name__}")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{argument} must contain str, not {type(name).__name__}")
    return names


def _checked_methods(methods: Collection[str] | None) -> frozenset[str]:
    if methods is not None:
        return frozenset(_checked_names("known_methods", methods))
    listed = os.environ.get(_KNOWN_METHODS_VARIABLE, "")
    return frozenset(name.strip() for name in listed.split(",") if name.strip()) or KNOWN_METHODS
