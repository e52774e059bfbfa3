"""Tracing: the application's handlers are told about each step of a request.

A :class:`TraceConfig` has signals, each a list of handlers.  For each request, a session
makes one :class:`Trace` of each configuration; it holds the context of that request.  The code
that does a step calls :func:`tell` with the parameters of the signal.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Iterable, MutableSequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar, Final, Generic, Never, Self, TypeVar, overload

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ._common import AttrsFields, HttpVersion, class_has
from .client_reqrep import ClientResponse

__all__ = (
    "Signal",
    "Trace",
    "TraceConfig",
    "TraceConnectionCreateEndParams",
    "TraceConnectionCreateStartParams",
    "TraceConnectionQueuedEndParams",
    "TraceConnectionQueuedStartParams",
    "TraceConnectionReuseconnParams",
    "TraceConnectionTlsEndParams",
    "TraceConnectionTlsStartParams",
    "TraceConnectionTunnelParams",
    "TraceDnsCacheHitParams",
    "TraceDnsCacheMissParams",
    "TraceDnsResolveHostEndParams",
    "TraceDnsResolveHostStartParams",
    "TraceRequestChunkSentParams",
    "TraceRequestEndParams",
    "TraceRequestExceptionParams",
    "TraceRequestHeadersSentParams",
    "TraceRequestRedirectParams",
    "TraceRequestRetryParams",
    "TraceRequestStartParams",
    "TraceResponseChunkReceivedParams",
    "TraceResponseEndParams",
    "tell",
)

logger: Final = logging.getLogger("anyhttp.client")

P = TypeVar("P")
S = TypeVar("S")
C = TypeVar("C")
R = TypeVar("R")

#: Called with the session, the context that the configuration made for the request, and the
#: parameters of the signal.  Only the handler's author knows the types of the first two.
Handler = Callable[[Any, Any, P], Awaitable[object]]


# -- what handlers are told ------------------------------------------------------------

# Headers and bodies may contain credentials, so ``repr`` does not show them.
#
# Making a dataclass takes time, and most programs import this module without tracing.  So classes
# with the same fields share one dataclass as their base; its generated methods compare the classes.


@dataclass(frozen=True, slots=True)
class TraceParams:
    """Base of the parameters of signals; they are frozen, and each signal has a class."""

    #: name of the signal
    _signal: ClassVar[str]

    __attrs_attrs__: ClassVar[AttrsFields] = AttrsFields()


@dataclass(frozen=True, slots=True)
class _OfHost(TraceParams):
    host: str


@dataclass(frozen=True, slots=True)
class _OfChunk(TraceParams):
    method: str
    url: URL
    chunk: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _OfResponse(TraceParams):
    method: str
    url: URL
    headers: CIMultiDict[str] = field(repr=False)
    response: ClientResponse


@dataclass(frozen=True, slots=True)
class TraceRequestStartParams(TraceParams):
    """A call has begun; nothing has been sent yet.

    :param method: of the request
    :param url: including the query that ``params`` added
    :param headers: of session and request; changes that a handler makes here are sent
    """

    _signal: ClassVar[str] = "on_request_start"

    method: str
    url: URL
    headers: CIMultiDict[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TraceRequestHeadersSentParams(TraceParams):
    """The head of a request is about to be sent, again after each redirect.

    :param method: of the request
    :param url: of the request
    :param headers: all headers as they are sent; they can no longer be changed
    """

    _signal: ClassVar[str] = "on_request_headers_sent"

    method: str
    url: URL
    headers: CIMultiDictProxy[str] = field(repr=False)


class TraceRequestChunkSentParams(_OfChunk):
    """A piece of the body of the request is about to be sent.

    :param method: of the request
    :param url: of the request
    :param chunk: the piece before compression and framing
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_request_chunk_sent"


class TraceRequestRedirectParams(_OfResponse):
    """The response is a redirect.

    :param method: of the request
    :param url: of the request
    :param headers: those of session and request, without the automatic ones
    :param response: the redirecting response
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_request_redirect"


@dataclass(frozen=True, slots=True)
class TraceRequestRetryParams(TraceParams):
    """A middleware is about to send the request again.

    :param method: of the request
    :param url: of the request
    :param headers: those that a middleware sees; changes that a handler makes here are sent
    :param attempt: number of the attempt that follows; 2 for the first one after a failure
    :param delay: how long the middleware waits before it, in seconds
    :param response: the response that is not good enough; ``None`` if there was none
    :param exception: why there was no response; ``None`` if there was one
    """

    _signal: ClassVar[str] = "on_request_retry"

    method: str
    url: URL
    headers: CIMultiDict[str] = field(repr=False)
    attempt: int
    delay: float
    response: ClientResponse | None
    exception: BaseException | None


class TraceRequestEndParams(_OfResponse):
    """The request has its final response; the caller gets it next.

    :param method: of the last request, after redirects
    :param url: of the last request
    :param headers: those of session and request, without the automatic ones
    :param response: the final response; its body has not been read yet
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_request_end"


@dataclass(frozen=True, slots=True)
class TraceRequestExceptionParams(TraceParams):
    """The request has failed or was cancelled; it has released its connection.

    :param method: of the last request, after redirects
    :param url: of the last request
    :param headers: those of session and request, without the automatic ones
    :param exception: the exception that the caller gets next
    """

    _signal: ClassVar[str] = "on_request_exception"

    method: str
    url: URL
    headers: CIMultiDict[str] = field(repr=False)
    exception: BaseException


class TraceResponseChunkReceivedParams(_OfChunk):
    """The body of the response has been read by ``read()``, ``text()`` or ``json()``.

    :param method: of the request
    :param url: of the request
    :param chunk: the whole body, decoded
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_response_chunk_received"


@dataclass(frozen=True, slots=True)
class TraceResponseEndParams(TraceParams):
    """Nothing more of the final response will be received, whether it was read or not.

    :param method: of the last request, after redirects
    :param url: of the last request
    :param status: of the response
    :param size: bytes of the body that have arrived: before decoding, and without the framing of
        chunks; 0 if the program has forgotten the response
    :param error: why the body ended early; ``None`` also if the program wanted no more of it
    """

    _signal: ClassVar[str] = "on_response_end"

    method: str
    url: URL
    status: int
    size: int
    error: BaseException | None


class TraceConnectionQueuedStartParams(TraceParams):
    """All slots are taken, and the request begins to wait for one."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_queued_start"


class TraceConnectionQueuedEndParams(TraceParams):
    """The request has got the slot that it waited for."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_queued_end"


class TraceConnectionCreateStartParams(TraceParams):
    """A new connection is about to be opened."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_create_start"


class TraceConnectionCreateEndParams(TraceParams):
    """A new connection is open, including TLS."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_create_end"


class TraceConnectionTlsStartParams(_OfHost):
    """The TLS handshake of a new connection is about to begin.

    Through a proxy there may be two handshakes, one with the proxy and one with the origin.

    :param host: name that the certificate of the peer must be for
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_tls_start"


class TraceConnectionTlsEndParams(_OfHost):
    """The TLS handshake has succeeded, and the certificate is trusted.

    :param host: name that the certificate of the peer is for
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_tls_end"


@dataclass(frozen=True, slots=True)
class TraceConnectionTunnelParams(TraceParams):
    """An HTTP proxy has answered the ``CONNECT`` request for a tunnel.

    :param proxy: URL of the proxy, without credentials
    :param target: host and port that the tunnel leads to
    :param headers: those that were sent to the proxy
    :param version: HTTP version of the answer
    :param status: of the answer; the tunnel is open if it is between 200 and 299
    :param reason: of the answer
    :param response_headers: those of the answer
    """

    _signal: ClassVar[str] = "on_connection_tunnel"

    proxy: URL
    target: str
    headers: CIMultiDictProxy[str] = field(repr=False)
    version: HttpVersion
    status: int
    reason: str
    response_headers: CIMultiDictProxy[str] = field(repr=False)


class TraceConnectionReuseconnParams(TraceParams):
    """The request uses a connection of an earlier request."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_reuseconn"


class TraceDnsResolveHostStartParams(_OfHost):
    """A host name is about to be looked up.

    :param host: the host name
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_dns_resolvehost_start"


class TraceDnsResolveHostEndParams(_OfHost):
    """A host name has been looked up.

    :param host: the host name
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_dns_resolvehost_end"


class TraceDnsCacheHitParams(_OfHost):
    """The addresses are in the cache, or another request's lookup for them is in progress.

    :param host: the host name
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_dns_cache_hit"


class TraceDnsCacheMissParams(_OfHost):
    """The addresses are not in the cache.

    :param host: the host name
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_dns_cache_miss"


# -- the handlers ----------------------------------------------------------------------


class Signal(MutableSequence[Handler[P]]):
    """The handlers of one signal: a list that can be changed until it is frozen.

    It can be used as a decorator: calling it with a function appends the function.
    """

    __slots__ = ("_frozen", "_handlers")

    def __init__(self) -> None:
        self._handlers: list[Handler[P]] = []
        self._frozen = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} frozen={self._frozen} {self._handlers!r}>"

    @property
    def frozen(self) -> bool:
        """Whether the list can no longer be changed."""
        return self._frozen

    def freeze(self) -> None:
        """From now on, a change of the list raises an error."""
        self._frozen = True

    async def send(self, session: object, context: object, params: P) -> None:
        """Await the handlers, one after the other.

        :raises RuntimeError: the signal has not been frozen

        An exception of a handler is passed on, and the handlers after it are not called.
        """
        if not self._frozen:
            raise RuntimeError("a signal must be frozen before it can be sent")
        for handler in self._handlers:
            await handler(session, context, params)

    def __call__(
        self, handler: Callable[[S, C, P], Awaitable[R]]
    ) -> Callable[[S, C, P], Awaitable[R]]:
        """Append *handler* and return it."""
        self.append(handler)
        return handler

    def _check_open(self) -> None:
        if self._frozen:
            raise RuntimeError("a signal cannot be changed once a session uses its TraceConfig")

    def __len__(self) -> int:
        return len(self._handlers)

    @overload
    def __getitem__(self, index: int) -> Handler[P]: ...
    @overload
    def __getitem__(self, index: slice) -> list[Handler[P]]: ...
    def __getitem__(self, index: int | slice) -> Handler[P] | list[Handler[P]]:
        return self._handlers[index]

    @overload
    def __setitem__(self, index: int, value: Handler[P]) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[Handler[P]]) -> None: ...
    def __setitem__(self, index: Any, value: Any) -> None:
        self._check_open()
        self._handlers[index] = value

    def __delitem__(self, index: int | slice) -> None:
        self._check_open()
        del self._handlers[index]

    def insert(self, index: int, value: Handler[P]) -> None:
        """Insert a handler.

        :raises RuntimeError: the signal is frozen
        """
        self._check_open()
        self._handlers.insert(index, value)


class SignalOf(Generic[P]):
    """A class attribute that gives each configuration its own :class:`Signal`.

    The attribute cannot be set; append handlers to the signal.
    """

    __slots__ = ("_name",)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, config: None, owner: type) -> Self: ...
    @overload
    def __get__(self, config: TraceConfig, owner: type) -> Signal[P]: ...
    def __get__(self, config: TraceConfig | None, owner: type) -> Self | Signal[P]:
        return self if config is None else config._signals[self._name]

    def __set__(self, config: TraceConfig, value: Never) -> Never:
        raise AttributeError(f"{self._name} cannot be replaced: append to it")


class TraceConfig:
    """Handlers for what happens to the requests of a session.

    Each ``on_...`` is a :class:`Signal`: append async functions to it, which take the session,
    the context of the request and the parameters of the signal.  The signals are frozen when a
    session is made with the configuration; several sessions may share a configuration.

    :param trace_config_ctx_factory: makes the context of a request; it gets the request's
        option ``trace_request_ctx`` as a keyword argument of that name
    """

    on_request_start: SignalOf[TraceRequestStartParams] = SignalOf()
    """Sent when a call begins, before anything else."""
    on_request_headers_sent: SignalOf[TraceRequestHeadersSentParams] = SignalOf()
    """Sent when the head of a request is about to be sent, again after each redirect."""
    on_request_chunk_sent: SignalOf[TraceRequestChunkSentParams] = SignalOf()
    """Sent when a piece of the request's body is about to be sent."""
    on_request_redirect: SignalOf[TraceRequestRedirectParams] = SignalOf()
    """Sent when a response redirects, before the client checks its target."""
    on_request_retry: SignalOf[TraceRequestRetryParams] = SignalOf()
    """Sent when a middleware such as :class:`RetryMiddleware` is about to send a request again."""
    on_request_end: SignalOf[TraceRequestEndParams] = SignalOf()
    """Sent when the final response has arrived and ``raise_for_status`` has not refused it."""
    on_request_exception: SignalOf[TraceRequestExceptionParams] = SignalOf()
    """Sent when a request fails or is cancelled, if no handler of ``on_request_start`` failed."""
    on_response_chunk_received: SignalOf[TraceResponseChunkReceivedParams] = SignalOf()
    """Sent when ``read()``, ``text()`` or ``json()`` has read the body."""
    on_response_end: SignalOf[TraceResponseEndParams] = SignalOf()
    """Sent when the body of the final response has been received, has failed or is dropped.

    That may be in a plain call such as ``response.release()``, so these handlers cannot wait: one
    that awaits something which is not there yet is ended.  Their errors are logged, and go no
    further.
    """
    on_connection_queued_start: SignalOf[TraceConnectionQueuedStartParams] = SignalOf()
    """Sent when a request starts to wait for a slot of the connector."""
    on_connection_queued_end: SignalOf[TraceConnectionQueuedEndParams] = SignalOf()
    """Sent when the request has got the slot that it waited for."""
    on_connection_create_start: SignalOf[TraceConnectionCreateStartParams] = SignalOf()
    """Sent when a new connection is about to be opened."""
    on_connection_tunnel: SignalOf[TraceConnectionTunnelParams] = SignalOf()
    """Sent when an HTTP proxy has answered the ``CONNECT`` request, also if it refuses."""
    on_connection_tls_start: SignalOf[TraceConnectionTlsStartParams] = SignalOf()
    """Sent when the TLS handshake of the new connection is about to begin."""
    on_connection_tls_end: SignalOf[TraceConnectionTlsEndParams] = SignalOf()
    """Sent when the handshake has succeeded."""
    on_connection_create_end: SignalOf[TraceConnectionCreateEndParams] = SignalOf()
    """Sent when the new connection is open; not sent if opening it fails."""
    on_connection_reuseconn: SignalOf[TraceConnectionReuseconnParams] = SignalOf()
    """Sent when the request uses a connection of an earlier request."""
    on_dns_resolvehost_start: SignalOf[TraceDnsResolveHostStartParams] = SignalOf()
    """Sent when a host name is about to be looked up."""
    on_dns_resolvehost_end: SignalOf[TraceDnsResolveHostEndParams] = SignalOf()
    """Sent when the host name has been looked up; not sent if the lookup fails."""
    on_dns_cache_hit: SignalOf[TraceDnsCacheHitParams] = SignalOf()
    """Sent when the addresses of a host are in the cache, or another request looks them up."""
    on_dns_cache_miss: SignalOf[TraceDnsCacheMissParams] = SignalOf()
    """Sent when the addresses of a host are not in the cache."""

    def __init__(self, trace_config_ctx_factory: Callable[..., Any] = SimpleNamespace) -> None:
        self._factory = trace_config_ctx_factory
        # The handlers of each signal that has some; made when the signals are frozen.
        self._handlers: dict[str, tuple[Handler[Any], ...]] | None = None
        self._signals: dict[str, Signal[Any]] = {
            name: Signal() for name, each in vars(TraceConfig).items() if isinstance(each, SignalOf)
        }

    def trace_config_ctx(self, trace_request_ctx: object = None) -> Any:
        """Return the context of one request; all its handlers get this object."""
        return self._factory(trace_request_ctx=trace_request_ctx)

    def freeze(self) -> None:
        """From now on, a change of the signals raises an error."""
        if self._handlers is not None:
            return
        for signal in self._signals.values():
            signal.freeze()
        self._handlers = {name: tuple(signal) for name, signal in self._signals.items() if signal}


def foreign_trace_config(value: Any) -> TraceConfig | None:
    """Return a configuration with the handlers and contexts of *value*, an object like aiohttp's.

    It returns ``None`` if *value* is no such object; else *value* is frozen.
    """
    if not class_has(value, *_INTERFACE):
        return None
    value.freeze()
    own = TraceConfig(value.trace_config_ctx)
    for name in _OF_AIOHTTP:
        own._signals[name].extend(getattr(value, name))
    return own


class Trace:
    """One configuration together with the context of one request."""

    def __init__(self, session: object, config: TraceConfig, request_context: object) -> None:
        config.freeze()  # it may have been added to the session's list later
        assert config._handlers is not None
        self._session = session
        self._handlers = config._handlers
        self._context = config.trace_config_ctx(trace_request_ctx=request_context)

    def tells_of(self, kind: type[TraceParams]) -> bool:
        """Whether there is a handler that takes parameters of this *kind*."""
        return kind._signal in self._handlers

    @property
    def tells_of_connections(self) -> bool:
        """Whether there is a handler for how a connection is got."""
        return not _OF_CONNECTIONS.isdisjoint(self._handlers)

    async def send(self, params: TraceParams) -> None:
        """Await the handlers of the signal with these parameters; an exception is passed on."""
        for handler in self._handlers.get(params._signal, ()):
            await handler(self._session, self._context, params)

    def send_at_once(self, params: TraceParams) -> None:
        """Run the handlers of the signal in a plain call; an exception is passed on.

        :raises RuntimeError: a handler waits for something; it is closed then
        """
        for handler in self._handlers.get(params._signal, ()):
            _run_at_once(handler(self._session, self._context, params), params._signal)


def _run_at_once(work: Awaitable[object], signal: str) -> None:
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration:
        return
    if isinstance(steps, Generator):  # a coroutine, too
        steps.close()
    raise RuntimeError(f"a handler of {signal} must not wait: the signal is sent by a plain call")


#: Signals that aiohttp's configurations do not have.
_OUR_OWN: Final = frozenset(
    {
        "on_connection_tls_end",
        "on_connection_tls_start",
        "on_connection_tunnel",
        "on_request_retry",
        "on_response_end",
    }
)

#: The others.  What a class derived from aiohttp's has under one of our own names is no signal.
_OF_AIOHTTP: Final = tuple(name for name in TraceConfig()._signals if name not in _OUR_OWN)

_INTERFACE: Final = ("freeze", "trace_config_ctx", *_OF_AIOHTTP)

_OF_CONNECTIONS: Final = frozenset(
    name for name in TraceConfig()._signals if name.startswith(("on_connection_", "on_dns_"))
)


def tell_at_once(traces: Iterable[Trace], params: TraceParams) -> None:
    """Run the handlers of *traces* for the signal with these parameters in a plain call.

    Exceptions of handlers, and that they wait, are logged.
    """
    for trace in traces:
        try:
            trace.send_at_once(params)
        except Exception:
            logger.exception("a handler of %s failed", params._signal)


async def tell(traces: Iterable[Trace], params: TraceParams) -> None:
    """Await the handlers of *traces* for the signal with these parameters.

    An exception of a handler is passed on, and the handlers after it are not called.
    """
    for trace in traces:
        await trace.send(params)
