"""Tracing: handlers of the caller's that are told what happens to a request, and when.

A :class:`TraceConfig` has sixteen signals, each a list of handlers.  A session makes of each
configuration, for each request, one :class:`Trace`, which knows the context of that request;
whoever has something to tell gives :func:`tell` the parameters of the signal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableSequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar, Generic, Never, Self, TypeVar, overload

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

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
    "TraceDnsCacheHitParams",
    "TraceDnsCacheMissParams",
    "TraceDnsResolveHostEndParams",
    "TraceDnsResolveHostStartParams",
    "TraceRequestChunkSentParams",
    "TraceRequestEndParams",
    "TraceRequestExceptionParams",
    "TraceRequestHeadersSentParams",
    "TraceRequestRedirectParams",
    "TraceRequestStartParams",
    "TraceResponseChunkReceivedParams",
    "tell",
)

P = TypeVar("P")
S = TypeVar("S")
C = TypeVar("C")
R = TypeVar("R")

#: Called with the session, the context that the configuration made for the request, and the
#: parameters of the signal.  What the first two are is known to whoever wrote the handler.
Handler = Callable[[Any, Any, P], Awaitable[object]]


# -- what handlers are told ------------------------------------------------------------

# Headers and bodies hold credentials, which no ``repr`` should show.
#
# To make a dataclass takes a while, and most programs import these without using any.  So those
# with the same fields are made once: what is generated tells them apart by their class.


@dataclass(frozen=True, slots=True)
class TraceParams:
    """Base of what handlers are told: frozen, one class for each signal."""

    #: name of the signal
    _signal: ClassVar[str]


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
    """Nothing has been done yet.

    :param method: of the request
    :param url: with the query that ``params`` has given it
    :param headers: those of session and request; what a handler changes here is sent
    """

    _signal: ClassVar[str] = "on_request_start"

    method: str
    url: URL
    headers: CIMultiDict[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TraceRequestHeadersSentParams(TraceParams):
    """The head of a request goes out now, on each hop.

    :param method: of the request
    :param url: of the request
    :param headers: all of them, as they are sent; they cannot be changed any more
    """

    _signal: ClassVar[str] = "on_request_headers_sent"

    method: str
    url: URL
    headers: CIMultiDictProxy[str] = field(repr=False)


class TraceRequestChunkSentParams(_OfChunk):
    """A piece of the body of the request goes out now.

    :param method: of the request
    :param url: of the request
    :param chunk: as the body gave it, before compression and framing
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_request_chunk_sent"


class TraceRequestRedirectParams(_OfResponse):
    """The response is a redirect.

    :param method: of the request
    :param url: of the request
    :param headers: those of session and request, without the automatic ones
    :param response: the one that redirects
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_request_redirect"


class TraceRequestEndParams(_OfResponse):
    """The request has its final response; the caller gets it next.

    :param method: of the last hop
    :param url: of the last hop
    :param headers: those of session and request, without the automatic ones
    :param response: its body has not been read yet
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_request_end"


@dataclass(frozen=True, slots=True)
class TraceRequestExceptionParams(TraceParams):
    """The request has failed, or was cancelled; it holds nothing any more.

    :param method: of the last hop
    :param url: of the last hop
    :param headers: those of session and request, without the automatic ones
    :param exception: what the caller gets next
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


class TraceConnectionQueuedStartParams(TraceParams):
    """All slots are taken; the request starts to wait for one."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_queued_start"


class TraceConnectionQueuedEndParams(TraceParams):
    """The request has got a slot that it waited for."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_queued_end"


class TraceConnectionCreateStartParams(TraceParams):
    """A new connection is about to be made."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_create_start"


class TraceConnectionCreateEndParams(TraceParams):
    """A new connection has been made, TLS included."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_create_end"


class TraceConnectionReuseconnParams(TraceParams):
    """A connection of an earlier request is used again."""

    __slots__ = ()

    _signal: ClassVar[str] = "on_connection_reuseconn"


class TraceDnsResolveHostStartParams(_OfHost):
    """A host name is about to be looked up.

    :param host: name that is looked up
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_dns_resolvehost_start"


class TraceDnsResolveHostEndParams(_OfHost):
    """A host name has been looked up.

    :param host: name that is looked up
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_dns_resolvehost_end"


class TraceDnsCacheHitParams(_OfHost):
    """The addresses are known, or another request is asking for them already.

    :param host: name that is looked up
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_dns_cache_hit"


class TraceDnsCacheMissParams(_OfHost):
    """The addresses are not known.

    :param host: name that is looked up
    """

    __slots__ = ()

    _signal: ClassVar[str] = "on_dns_cache_miss"


# -- who is told -----------------------------------------------------------------------


class Signal(MutableSequence[Handler[P]]):
    """The handlers of one signal: a list that can be changed until it is frozen.

    Calling it with a function appends that, so it can be used as a decorator.
    """

    __slots__ = ("_frozen", "_handlers")

    def __init__(self) -> None:
        self._handlers: list[Handler[P]] = []
        self._frozen = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} frozen={self._frozen} {self._handlers!r}>"

    @property
    def frozen(self) -> bool:
        """Whether it can no longer be changed."""
        return self._frozen

    def freeze(self) -> None:
        """Let nothing be changed from now on."""
        self._frozen = True

    async def send(self, session: object, context: object, params: P) -> None:
        """Await the handlers, one after the other.

        :raises RuntimeError: the signal has not been frozen

        What a handler raises passes, and those after it are not called.
        """
        if not self._frozen:
            raise RuntimeError("a signal must be frozen before it can be sent")
        for handler in self._handlers:
            await handler(session, context, params)

    def __call__(
        self, handler: Callable[[S, C, P], Awaitable[R]]
    ) -> Callable[[S, C, P], Awaitable[R]]:
        """Append *handler*, and return it."""
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
    """An attribute that is a :class:`Signal` of its own in each configuration.

    It cannot be replaced: handlers are appended to it.
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

    Each ``on_...`` is a :class:`Signal`: append async functions to it, which take the
    session, the context of the request and the parameters of the signal.  All are frozen
    when a session is made with the configuration; several sessions may have the same.

    :param trace_config_ctx_factory: makes the context of a request; it is called with
        ``trace_request_ctx``, that option of the request, by name
    """

    on_request_start: SignalOf[TraceRequestStartParams] = SignalOf()
    """Sent when a request begins, before anything is done."""
    on_request_headers_sent: SignalOf[TraceRequestHeadersSentParams] = SignalOf()
    """Sent when the head of a request goes out, on each hop."""
    on_request_chunk_sent: SignalOf[TraceRequestChunkSentParams] = SignalOf()
    """Sent when a piece of the request's body goes out."""
    on_request_redirect: SignalOf[TraceRequestRedirectParams] = SignalOf()
    """Sent when a response redirects, before its target is looked at."""
    on_request_end: SignalOf[TraceRequestEndParams] = SignalOf()
    """Sent when the final response is there, and ``raise_for_status`` let it pass."""
    on_request_exception: SignalOf[TraceRequestExceptionParams] = SignalOf()
    """Sent when a request fails or is cancelled, if its ``on_request_start`` went through."""
    on_response_chunk_received: SignalOf[TraceResponseChunkReceivedParams] = SignalOf()
    """Sent when ``read()``, ``text()`` or ``json()`` has read the body."""
    on_connection_queued_start: SignalOf[TraceConnectionQueuedStartParams] = SignalOf()
    """Sent when a request starts to wait for a slot of the connector."""
    on_connection_queued_end: SignalOf[TraceConnectionQueuedEndParams] = SignalOf()
    """Sent when that wait is over."""
    on_connection_create_start: SignalOf[TraceConnectionCreateStartParams] = SignalOf()
    """Sent when a new connection is about to be made."""
    on_connection_create_end: SignalOf[TraceConnectionCreateEndParams] = SignalOf()
    """Sent when it has been made; a failure has no such end."""
    on_connection_reuseconn: SignalOf[TraceConnectionReuseconnParams] = SignalOf()
    """Sent when a connection of an earlier request is used again."""
    on_dns_resolvehost_start: SignalOf[TraceDnsResolveHostStartParams] = SignalOf()
    """Sent when a host name is about to be looked up."""
    on_dns_resolvehost_end: SignalOf[TraceDnsResolveHostEndParams] = SignalOf()
    """Sent when it has been looked up; a failure has no such end."""
    on_dns_cache_hit: SignalOf[TraceDnsCacheHitParams] = SignalOf()
    """Sent when the addresses of a host are known, or being asked for by another request."""
    on_dns_cache_miss: SignalOf[TraceDnsCacheMissParams] = SignalOf()
    """Sent when the addresses of a host are not known."""

    def __init__(self, trace_config_ctx_factory: Callable[..., Any] = SimpleNamespace) -> None:
        self._factory = trace_config_ctx_factory
        self._signals: dict[str, Signal[Any]] = {
            name: Signal() for name, each in vars(TraceConfig).items() if isinstance(each, SignalOf)
        }

    def trace_config_ctx(self, trace_request_ctx: object = None) -> Any:
        """Return the context of one request, which the handlers of all its signals are given."""
        return self._factory(trace_request_ctx=trace_request_ctx)

    def freeze(self) -> None:
        """Let no signal be changed from now on."""
        for signal in self._signals.values():
            signal.freeze()


class Trace:
    """One configuration, while it watches one request."""

    __slots__ = ("_config", "_context", "_session")

    def __init__(self, session: object, config: TraceConfig, request_context: object) -> None:
        if not config.on_request_start.frozen:  # put into the session's list later on
            config.freeze()
        self._session = session
        self._config = config
        self._context = config.trace_config_ctx(trace_request_ctx=request_context)

    async def send(self, params: TraceParams) -> None:
        """Await the handlers of the signal that has such parameters; what they raise passes."""
        signal: Signal[TraceParams] = getattr(self._config, params._signal)
        if signal:
            await signal.send(self._session, self._context, params)


async def tell(traces: Iterable[Trace], params: TraceParams) -> None:
    """Await the handlers of *traces* for the signal that has such parameters.

    What one raises passes, and those after it are not called.
    """
    for trace in traces:
        await trace.send(params)
