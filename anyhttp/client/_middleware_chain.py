"""A request that goes through middlewares: they may send it several times, change it, or not."""

from __future__ import annotations

from typing import Final

import anyio

from .. import hdrs
from .._headers import IDEMPOTENT_METHODS
from .._targets import Origin
from .._tasks import Expired, PendingWaits
from ..client_exceptions import ClientOSError, ClientPayloadError, ServerDisconnectedError
from ..client_middlewares import build_client_middlewares
from ..client_reqrep import (
    ClientRequest,
    ClientResponse,
    adopt,
    cookies_of,
    exchange_of,
    set_call,
)
from ..cookiejar import cookie_header
from ..payload import Payload
from ._attempt import Attempt, request_of
from ._call_scope import CallScope
from ._call_tracing import CallTracer

__all__ = ("send_through_middlewares",)

_AT_WORK: Final = "a middleware was at work"


async def send_through_middlewares(
    request: ClientRequest, scope: CallScope, tracer: CallTracer | None, *, once: bool = False
) -> ClientResponse:
    """Pass *request* through the middlewares; pass a new one if the connection was stale.

    A connection is stale if it was kept from an earlier request and the server has closed it.

    :param once: raise the error of a stale connection
    """
    handler = Handler(scope, tracer, request)
    chain = build_client_middlewares(handler, scope.settings.middlewares)
    set_call(request, handler)
    scope.phase = _AT_WORK
    response = None
    try:
        try:
            response = await chain(request)
            handler.take(response)
        except (ServerDisconnectedError, ClientOSError) as exc:
            if once or exc is not handler.stale or not _can_begin_anew(request.payload, scope):
                raise
            handler.begins_anew = True
        await handler.end(response)
    finally:
        handler.over = True
        set_call(request, None)
        if not handler.begins_anew:
            _adopt_body(request.payload, scope)
    if scope.replaced:
        await scope.close_replaced()
    if response is None:
        return await send_through_middlewares(request_of(scope), scope, tracer, once=True)
    # A task that a middleware has started and not ended may still be using another exchange.
    scope.close_others(exchange_of(response))
    return response


def _can_begin_anew(present: Payload | None, scope: CallScope) -> bool:
    """Whether the body that the middlewares were given first can be passed through them again.

    If they have replaced it by *present*, that must not pass through them a second time.  The
    first body can only be used again if it is in memory: a file has been closed by now.
    """
    first = scope.hop.body
    if present is first:
        return True
    if first is not None and first.in_memory() is None:
        return False
    if present is not None:
        scope.close_later(present)
    return True


def _adopt_body(payload: Payload | None, scope: CallScope) -> None:
    """Take *payload*, the body that the middlewares left, for the rest of the call.

    A redirect that keeps the body sends this one.
    """
    hop = scope.hop
    if payload is hop.body:
        return
    scope.replace_body(payload)
    hop.body = payload
    headers = hop.change_headers()
    for name in (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING):  # they describe the previous body
        headers.popall(name, None)


class Handler:
    """Sends a request; the innermost middleware of one hop calls it, any number of times.

    Middlewares of this package find it by the request, as the :class:`RunningCall`.
    """

    # Defaults of what few requests need; Python finds an attribute of the object itself faster.
    _giving_back: anyio.Lock | None = None
    _repeatable = True  # all requests sent so far had idempotent methods
    _streamed = False  # a body that is not in memory is being sent
    #: whether the middlewares have returned or raised
    over: bool = False
    #: whether the middlewares will be called again, with a new request and the first body
    begins_anew: bool = False
    #: the error of a kept connection that the server had closed
    stale: BaseException | None = None

    def __init__(self, scope: CallScope, tracer: CallTracer | None, request: ClientRequest) -> None:
        self._scope = scope
        self._tracer = tracer
        self._cookies = cookies_of(request)
        self._responses: list[ClientResponse] = []

    async def __call__(self, request: ClientRequest) -> ClientResponse:
        """Send *request* and return the response.

        Before that, the connections of earlier responses are given back.  Otherwise a connector
        with a limit of one connection would wait for ever.
        """
        self._check(request)
        if self._responses:
            await self.give_back()
        request.settle(self._scope.connector.allowed_protocol_schema_set)
        self._settle_cookies(request)
        streamed = self._check_body(request.payload)
        attempt = Attempt(self._scope, self._tracer, once=True)
        self._scope.sent += 1
        self._streamed = self._streamed or streamed
        self._repeatable = self._repeatable and request.method in IDEMPOTENT_METHODS
        try:
            response = await attempt.send(request)
        except GeneratorExit:
            raise  # the coroutine is being closed and cannot await: CallScope.close() does the rest
        except BaseException as exc:
            if self._repeatable and attempt.found_it_stale(request, exc):
                self.stale = exc
            await self._scope.aclose_exchange(attempt.exchange)
            if isinstance(exc, Expired):
                raise self._scope.timed_out() from None
            raise
        finally:
            self._streamed = self._streamed and not streamed
        if self.over:
            response.close()
            raise RuntimeError("the middleware had answered before its handler did")
        self._scope.phase = _AT_WORK
        self._responses.append(response)
        return response

    def _check(self, request: ClientRequest) -> None:
        if self.over:
            raise RuntimeError("the handler was called after its middleware had answered")
        if not isinstance(request, ClientRequest):
            raise TypeError(
                f"the handler must be given a ClientRequest, not {type(request).__name__}"
            )

    def _check_body(self, payload: Payload | None) -> bool:
        """Check that *payload* can be sent; return whether it is streamed, not in memory."""
        if payload is None:
            return False
        if payload.consumed:
            raise ClientPayloadError("the body has been used up and cannot be sent again")
        streamed = payload.in_memory() is None
        if streamed and self._streamed:
            raise RuntimeError("a streamed body cannot be sent by two calls of the handler at once")
        return streamed

    def _settle_cookies(self, request: ClientRequest) -> None:
        """Make the ``Cookie`` header anew from the jar, unless a middleware has changed it.

        The jar may have other cookies by now, and the request another URL.
        """
        if cookies_of(request) != self._cookies:
            return
        hop, jar = self._scope.hop, self._scope.session.cookie_jar
        explicit = None
        if hop.prepared is None:  # else the caller has given none
            explicit = "; ".join(hop.headers.getall(hdrs.COOKIE, ())) or None
        cookies = cookie_header(jar, request.url, explicit, hop.cookies)
        if cookies == self._cookies:
            return
        self._cookies = cookies
        if cookies:
            request.headers[hdrs.COOKIE] = cookies
        else:
            request.headers.popall(hdrs.COOKIE, None)

    def take(self, response: ClientResponse) -> None:
        """Take *response*, by which the middlewares have answered.

        :raises TypeError: it is no response
        """
        if not isinstance(response, ClientResponse):
            raise TypeError(
                f"a middleware must return a ClientResponse, not {type(response).__name__}"
            )
        exchange = exchange_of(response)
        if exchange is not None:
            # A middleware may return a response that this call has not made.  If the call fails
            # after this point, its exchange is closed like the others.
            self._scope.hold(exchange)
            return
        resolver = self._scope.session.defaults.fallback_charset_resolver
        if adopt(response, resolver) and self._tracer is not None:
            self._tracer.watch_body(response)

    async def give_back(self, kept: ClientResponse | None = None) -> None:
        """Give back the connections of all responses but *kept*.

        The rest of a short body is read, so that its connection can be used again.
        """
        if self._giving_back is None:
            self._giving_back = anyio.Lock(fast_acquire=True)
        kept_exchange = None if kept is None else exchange_of(kept)
        async with self._giving_back:  # the middleware may call the handler in several tasks
            while self._responses:
                response = self._responses[-1]
                exchange = exchange_of(response)
                if exchange is not None and exchange is not kept_exchange:
                    if exchange.connection is not None:
                        try:
                            await exchange.drain()
                        except Expired:
                            raise self._scope.timed_out() from None
                        # Reading the body later has to fail: drain() has dropped a part of it.
                        response.release()
                    await exchange.wait_stopped()
                # Only now: if this task is cancelled before, the response stays listed, and the
                # next call gives its connection back.
                self._responses.remove(response)

    async def end(self, response: ClientResponse | None) -> None:
        """Give back the connections of all responses but *response*; accept no more calls."""
        self.over = True
        if self._responses and not (len(self._responses) == 1 and self._responses[0] is response):
            await self.give_back(response)

    # -- as the running call

    @property
    def phase(self) -> str:
        """What the call is doing, for the message of a timeout."""
        return self._scope.phase

    @phase.setter
    def phase(self, phase: str) -> None:
        self._scope.phase = phase

    @property
    def total_at(self) -> float:
        """When the ``total`` time is over, on anyio's clock."""
        return self._scope.total_at

    @property
    def sent(self) -> int:
        """How many requests middlewares have sent for the call."""
        return self._scope.sent

    @property
    def base_origin(self) -> Origin | None:
        """The origin of the ``base_url`` of the session, if it has one."""
        return self._scope.session.defaults.base_origin

    @property
    def waits(self) -> PendingWaits:
        """The waits that are ended when the session is closed."""
        return self._scope.session.waits

    def timed_out(self) -> TimeoutError:
        """Return the error for the caller when the ``total`` time is over."""
        return self._scope.timed_out()

    async def tell_of_retry(
        self,
        request: ClientRequest,
        attempt: int,
        delay: float,
        response: ClientResponse | None,
        exception: BaseException | None,
    ) -> None:
        """Tell trace handlers and the log that *request* will be sent again."""
        if self._tracer is not None:
            await self._tracer.retry(request, attempt, delay, response, exception)

    def take_stale(self, error: BaseException) -> bool:
        """Whether *error* is that of a kept connection; if it is, a middleware handles it."""
        if error is not self.stale:
            return False
        self.stale = None
        return True
