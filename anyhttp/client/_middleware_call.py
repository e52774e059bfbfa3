"""A call that goes through middlewares: they may send it several times, changed, or not at all."""

from __future__ import annotations

import logging
from typing import Any, Final, cast

import anyio
from anyio.abc import TaskGroup
from yarl import URL

from .. import hdrs
from .._http1 import (
    Exchange,
    Upload,
)
from .._tasks import CLEAN_UP_SECONDS, Expired
from ..client_exceptions import (
    ClientOSError,
    ClientPayloadError,
    ServerDisconnectedError,
)
from ..client_middlewares import build_client_middlewares
from ..client_reqrep import (
    ClientRequest,
    ClientResponse,
)
from ..cookiejar import cookie_header
from ..payload import Payload
from ._call import (
    IDEMPOTENT_METHODS,
    Call,
)

logger: Final = logging.getLogger("anyhttp.client")

__all__ = ("MiddlewareCall",)

_AT_WORK: Final = "a middleware was at work"


class MiddlewareCall(Call):
    """A call of which each hop goes through the middlewares before it is sent."""

    __slots__ = ("_legs", "_replaced")

    _legs: list[_Leg]  # what was sent for the present hop
    _replaced: list[Payload]  # bodies that middlewares put others in the place of

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._legs = []
        self._replaced = []

    @property
    def _may_need_tasks(self) -> bool:
        # A middleware may give the request a body that needs a task, from within a cancel
        # scope of its own, in which no task group can be opened that outlives it.
        return True

    async def _send(self, request: ClientRequest, *, again: bool = False) -> ClientResponse:
        """Pass *request* through the middlewares, and another one if a connection was stale."""
        self._exchange = None
        self._phase = _AT_WORK
        handler = Handler(self, request)
        response: ClientResponse | None = None
        anew = False
        try:
            with anyio.CancelScope(deadline=self._total_at) as scope:
                try:
                    chain = build_client_middlewares(handler, self._settings.middlewares)
                    response = _checked(await chain(request))
                    # It may be one that a middleware has got elsewhere, or made: whatever
                    # happens from here on, it is closed with the rest.
                    self._exchange = cast("Exchange | None", response._exchange)
                except (ServerDisconnectedError, ClientOSError) as exc:
                    anew = not again and exc is handler.stale and self._can_begin_anew(request)
                    if not anew:
                        raise
                await handler.end(response)
        finally:
            handler.over = True
            if not anew:
                self._adopt(request.payload)
        if scope.cancelled_caught:
            raise Expired
        await self._close_replaced()
        if response is None:
            return await self._send(self._make_request(self._hop), again=True)
        for leg in self._legs:
            if leg._exchange is not None and leg._exchange is not self._exchange:
                leg._exchange.close()  # a task that the middleware has left behind waits for it
        self._legs = [leg for leg in self._legs if leg._exchange is self._exchange]
        return response

    def cookies_for(self, url: URL) -> str | None:
        """Return the ``Cookie`` header of a request for *url*."""
        hop = self._hop
        explicit = "; ".join(hop.headers.getall(hdrs.COOKIE, ())) or None
        return cookie_header(self._session.cookie_jar, url, explicit, hop.cookies)

    def start_leg(self) -> _Leg:
        """Return what sends the request once."""
        leg = _Leg(self)
        # One that polls sends many: what is over holds nothing any more.
        self._legs = [*(each for each in self._legs if not each.is_over), leg]
        return leg

    # -- the bodies of the request

    def _can_begin_anew(self, request: ClientRequest) -> bool:
        """Whether the middlewares can be given the body again that they were given first.

        What they have made of it must not go through them once more.  The first one has
        been closed if it was a file.
        """
        first, present = self._hop.payload, request.payload
        if present is first:
            return True
        if first is not None and first.in_memory() is None:
            return False
        if present is not None:
            self._replaced.append(present)
        return True

    def _adopt(self, payload: Payload | None) -> None:
        """Let the body that the request has now be the one of the call, also after redirects."""
        hop = self._hop
        if payload is hop.payload:
            return
        if self._payload is not None:
            self._replaced.append(self._payload)
        hop.payload = self._payload = payload
        hop.headers = hop.headers.copy()
        for name in (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING):  # those of the body that is gone
            hop.headers.popall(name, None)

    async def _close_replaced(self) -> None:
        while self._replaced:
            payload = self._replaced.pop()
            if not payload.autoclose:
                try:
                    await payload.close()
                except Exception as exc:  # noqa: BLE001  (it is not needed any more)
                    logger.warning("closing the body of a request failed: %r", exc)

    def _close_exchanges(self) -> list[Exchange]:
        exchanges = [leg._exchange for leg in self._legs if leg._exchange is not None]
        for exchange in exchanges:
            exchange.close()
        return exchanges

    def _drop(self) -> None:
        self._close_exchanges()
        super()._drop()

    async def _clean_up(self) -> None:
        exchanges = self._close_exchanges()
        try:
            with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                for exchange in exchanges:
                    await exchange.wait_stopped()
                await self._close_replaced()
        finally:
            await super()._clean_up()


class _Leg(Call):
    """One sending of the request, with an exchange of its own."""

    __slots__ = ("_parent",)

    def __init__(self, parent: MiddlewareCall) -> None:
        for name in Call.__slots__:
            setattr(self, name, getattr(parent, name))
        self._parent = parent
        self._exchange: Exchange | None = None
        self._payload: Payload | None = None  # the parent closes it

    @property
    def is_over(self) -> bool:
        """Whether its connection has been given back, and no task writes the body."""
        exchange = self._exchange
        return exchange is not None and exchange.connection is None and not exchange.is_sending

    async def send(self, request: ClientRequest) -> ClientResponse:
        """Send *request*, once."""
        return await self._send(request, again=True)

    async def _upload(self, upload: Upload, group: TaskGroup) -> None:
        await self._parent._upload(upload, group)


class Handler:
    """What the innermost middleware of one hop calls, as often as it likes."""

    __slots__ = (
        "_call",
        "_cookies",
        "_giving_back",
        "_repeatable",
        "_responses",
        "_streamed",
        "over",
        "stale",
    )

    def __init__(self, call: MiddlewareCall, request: ClientRequest) -> None:
        self._call = call
        self._cookies = request.headers.get(hdrs.COOKIE)
        self._responses: list[ClientResponse] = []
        self._giving_back = anyio.Lock(fast_acquire=True)
        self._repeatable = True  # nothing was sent that must not be sent twice
        self._streamed = False  # a body that is no copy in memory is being sent
        #: the middlewares have answered
        self.over = False
        #: what told that a kept connection had been closed by its server
        self.stale: BaseException | None = None

    async def __call__(self, request: ClientRequest) -> ClientResponse:
        """Send *request* and return the response.

        The response to an earlier one is given back before: with its connection held, a
        connector with a limit of one would wait for ever.
        """
        call = self._call
        if self.over:
            raise RuntimeError("the handler was called after its middleware had answered")
        if not isinstance(request, ClientRequest):
            raise TypeError(
                f"the handler must be given a ClientRequest, not {type(request).__name__}"
            )
        await self._give_back()
        request.settle(call._connector.allowed_protocol_schema_set)
        self._settle_cookies(request)
        payload = request.payload
        streamed = payload is not None and payload.in_memory() is None
        if payload is not None and payload.consumed:
            raise ClientPayloadError("the body has been used up and cannot be sent again")
        if streamed and self._streamed:
            raise RuntimeError("a streamed body cannot be sent by two calls of the handler at once")
        leg = call.start_leg()
        self._streamed = self._streamed or streamed
        self._repeatable = self._repeatable and request.method in IDEMPOTENT_METHODS
        try:
            response = await leg.send(request)
        except GeneratorExit:
            raise  # nothing can be awaited any more: the call closes what there is
        except BaseException as exc:
            call._phase = leg._phase
            exchange = leg._exchange
            if exchange is not None and self._repeatable and call._may_retry(request, exchange):
                self.stale = exc
            await leg._clean_up()
            if isinstance(exc, Expired):
                raise call._timed_out() from None
            raise
        finally:
            self._streamed = self._streamed and not streamed
        if self.over:
            response.close()
            raise RuntimeError("the middleware had answered before its handler did")
        call._phase = _AT_WORK
        self._responses.append(response)
        return response

    def _settle_cookies(self, request: ClientRequest) -> None:
        """Send what the jar has now, for where the request goes now, unless told otherwise."""
        headers = request.headers
        if headers.get(hdrs.COOKIE) == self._cookies:
            self._cookies = cookies = self._call.cookies_for(request.url)
            if cookies:
                headers[hdrs.COOKIE] = cookies
            else:
                headers.popall(hdrs.COOKIE, None)

    async def _give_back(self, kept: ClientResponse | None = None) -> None:
        """Give back the connections of all responses but *kept*, read to their end if short."""
        if not self._responses:
            return
        async with self._giving_back:  # the middleware may call the handler in several tasks
            while self._responses:
                response = self._responses[-1]
                exchange = cast("Exchange | None", response._exchange)
                if exchange is not None and (kept is None or kept._exchange is not exchange):
                    if exchange.connection is not None:
                        try:
                            await exchange.drain()
                        except Expired:
                            raise self._call._timed_out() from None
                        # what was cut off must not be taken for the whole
                        response.release()
                    await exchange.wait_stopped()
                # last, as whoever is cancelled before leaves it to be closed
                self._responses.remove(response)

    async def end(self, response: ClientResponse | None) -> None:
        """Let go of everything but *response*."""
        self.over = True
        await self._give_back(response)


def _checked(response: object) -> ClientResponse:
    if not isinstance(response, ClientResponse):
        raise TypeError(f"a middleware must return a ClientResponse, not {type(response).__name__}")
    return response
