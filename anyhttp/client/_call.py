"""One call of a session, from its checked options to the response."""

from __future__ import annotations

import math
from collections.abc import Coroutine
from typing import Any

from .. import hdrs
from .._targets import ProxyOptions, environment_proxy, is_secure, netrc_auth
from .._tasks import Expired
from ..client_exceptions import TooManyRedirects
from ..client_reqrep import ClientResponse, exchange_of, read_error_body, set_history
from ..connector import uses_proxies
from ._attempt import Attempt, request_of
from ._call_scope import CallScope
from ._call_tracing import CallTracer
from ._middleware_chain import send_through_middlewares
from ._redirects import REDIRECT_STATUSES, redirect_target

__all__ = ("Call",)


class Call:
    """One call, from checked arguments to a response whose head has been received."""

    def __init__(self, scope: CallScope, tracer: CallTracer | None) -> None:
        self.scope: CallScope = scope
        self._tracer = tracer
        #: whether an ``async with`` block runs the call; set before :meth:`run` begins
        self.in_block: bool = False
        #: the response that this ``async with`` block has entered
        self.entered: ClientResponse | None = None
        # An error, while the beginning of its body is awaited.
        self._awaits_body_of: ClientResponse | None = None

    async def run(self) -> ClientResponse:
        """Return the final response, entered already if an ``async with`` block runs the call.

        A task of the entered session sends a streamed body.  If the session has not been
        entered, a task of the caller's ``async with`` block sends it, and ends with the block;
        for a bare ``await`` the body has been sent before this returns.
        """
        scope = self.scope
        settings = scope.settings
        scope.begin()
        try:
            if self._tracer is not None or settings.runs_other_code:
                response = await self._run_limited()
            else:
                request = request_of(scope)
                # As _send() does it, written out as it runs for each request.
                if settings.middlewares:
                    response = await send_through_middlewares(request, scope, None)
                else:
                    response = await Attempt(scope, None).send(request)
                if (
                    response.status >= 300
                    or settings.raise_for_status is not False
                    or scope.body is not None
                    or scope.owner is not None
                ):
                    response = await self._finish(response)
            if self.in_block:
                self.entered = response
                response = await response.__aenter__()
        except BaseException as exc:
            if scope.can_await(exc):
                await self._fail(exc)
            else:
                scope.close()
            raise
        if scope.progress is not None:
            scope.progress.end_request()
        return response

    async def _run_limited(self) -> ClientResponse:
        """Do all steps of the call within its ``total`` time, by one cancel scope for them all.

        Sending and receiving watch the time by themselves, and so do the middlewares of this
        package.  Handlers, middlewares and the files of the user do not.

        :raises Expired: the ``total`` time is over
        """
        if self.scope.total_at == math.inf:
            return await self._run_steps()
        with self.scope.limited():
            return await self._run_steps()
        if self._awaits_body_of is not None:
            self._awaits_body_of.raise_for_status()  # with what has come
        raise Expired

    async def _run_steps(self) -> ClientResponse:
        tracer = self._tracer
        if tracer is not None:
            await tracer.start()
        if self.scope.settings.trust_env:
            await self._look_up_credentials(default=True)
            await self._look_up_proxy()
        response = await self._finish(await self._send())
        if tracer is not None:
            await tracer.end(response)
        return response

    async def _finish(self, response: ClientResponse) -> ClientResponse:
        """Return the final response, with which the sending of the body is settled."""
        scope = self.scope
        if response.status in REDIRECT_STATUSES and scope.hop.follows:
            response = await self._follow(response)
        if scope.settings.raise_for_status is not False:
            await self._judge(response)
        if scope.body is not None or scope.owner is not None:
            await scope.settle(exchange_of(response), in_block=self.in_block)
        return response

    async def _fail(self, error: BaseException) -> None:
        """End the call, which failed with *error*, and tell the trace handlers.

        :raises TimeoutError: *error* says that the ``total`` time is over
        """
        scope = self.scope
        failure = scope.timed_out() if isinstance(error, Expired) else error
        await scope.aclose(failure)
        if self._tracer is not None:
            await self._tracer.fail(failure)
        if failure is not error:
            raise failure from None

    async def _judge(self, response: ClientResponse) -> None:
        """Apply the ``raise_for_status`` option of the request, or else of the session."""
        scope = self.scope
        judge = scope.settings.raise_for_status
        if callable(judge):
            scope.phase = "running the raise_for_status callback"
            await judge(response)
            return
        if not response.ok:
            self._awaits_body_of = response
            await read_error_body(response, scope.total_at)
        response.raise_for_status()

    # -- one hop, and the next one after a redirect

    def _send(self) -> Coroutine[Any, Any, ClientResponse]:
        """Return the coroutine that sends the request of the present hop."""
        scope = self.scope
        request = request_of(scope)
        if scope.settings.middlewares:
            return send_through_middlewares(request, scope, self._tracer)
        return Attempt(scope, self._tracer).send(request)

    async def _follow(self, response: ClientResponse) -> ClientResponse:
        """Follow *response* and further redirects, and return the final response."""
        scope = self.scope
        session, settings, hop = scope.session, scope.settings, scope.hop
        history: list[ClientResponse] = []
        while response.status in REDIRECT_STATUSES:
            if self._tracer is not None:
                await self._tracer.redirect(response)
            target = redirect_target(
                response.real_url,
                response.headers,
                requote=session.requote_redirect_url,
                websocket=hop.is_handshake,
            )
            if target is None:
                break
            history.append(response)
            limit = settings.max_redirects
            if limit and len(history) >= limit:
                raise TooManyRedirects(
                    history[0].request_info,
                    tuple(history),
                    message=f"the limit of {limit} redirects was reached",
                )
            # Whoever can change what comes without TLS may have chosen this redirect, too.
            downgraded = not is_secure(target) and any(is_secure(past.url) for past in history)
            hop.redirect(response.status, target, session.defaults)
            exchange = exchange_of(response)
            if exchange is not None:
                await exchange.drain()
            response.release()
            if settings.trust_env:
                if not downgraded:
                    # The server chose this host, so the netrc entry "default" must not match it.
                    await self._look_up_credentials(default=False)
                await self._look_up_proxy()
            response = await self._send()
        set_history(response, tuple(history))
        return response

    async def _look_up_credentials(self, *, default: bool) -> None:
        """Take credentials from the user's netrc file, unless the hop has some already.

        :param default: use the ``default`` entry of the file for a host that has no entry
        """
        hop = self.scope.hop
        if hop.auth is None and hdrs.AUTHORIZATION not in hop.headers:
            self.scope.phase = "reading the netrc file"
            hop.auth = await netrc_auth(hop.url, default=default)

    async def _look_up_proxy(self) -> None:
        """Find the proxy that the environment names for the present URL, unless the caller did."""
        scope = self.scope
        hop = scope.hop
        given, hop.environment = hop.proxy, None
        if (given is not None and given.url is not None) or not uses_proxies(scope.connector):
            return
        scope.phase = "looking for a proxy"
        found = await environment_proxy(hop.url, websocket=hop.is_handshake)
        if found is None:
            # No proxy is used for this URL, so the origin would get credentials for a proxy.
            if hdrs.PROXY_AUTHORIZATION in hop.headers:
                hop.change_headers().popall(hdrs.PROXY_AUTHORIZATION)
        elif given is None:
            hop.environment = found
        else:
            auth = found.auth if given.auth is None else given.auth
            hop.environment = ProxyOptions(found.url, auth, given.headers)
