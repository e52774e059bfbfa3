"""Calls the trace handlers of a session for the events of one call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .. import hdrs
from .._http1 import Upload, goes_inline
from .._tasks import CLEAN_UP_SECONDS, Expired
from ..client_reqrep import ClientRequest, ClientResponse, watch_body, when_over
from ..tracing import (
    Trace,
    TraceConfig,
    TraceParams,
    TraceRequestChunkSentParams,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    TraceRequestRetryParams,
    TraceRequestStartParams,
    TraceResponseChunkReceivedParams,
    TraceResponseEndParams,
    tell,
    tell_at_once,
)
from ._call_log import config_of_log, is_logged
from ._call_scope import CallScope
from ._options import checked_trace_configs

__all__ = ("CallTracer", "tracer_of")

logger: Final = logging.getLogger("anyhttp.client")


def tracer_of(scope: CallScope, configs: Sequence[TraceConfig]) -> CallTracer:
    """Return what tells of the call of *scope*: to the handlers of *configs*, and to the log."""
    hop = scope.hop
    # The list may be changed by the program, so what it holds is checked again.
    traces = [
        Trace(hop.session, each, hop.trace_context) for each in checked_trace_configs(configs)
    ]
    if is_logged(logging.INFO):
        traces.insert(0, Trace(hop.session, config_of_log(), scope))
    return CallTracer(scope, traces)


class CallTracer:
    """Calls the trace handlers for the events of one call.

    Each method raises what a handler raises.  Those that the task of the call awaits are limited
    by the cancel scope of :meth:`Call.run`.
    """

    def __init__(self, scope: CallScope, traces: Sequence[Trace]) -> None:
        self._scope = scope
        self._untold = traces
        # The traces whose handlers of on_request_start have returned; only these are told more.
        self._traces: Sequence[Trace] = ()
        self._has_copied_headers = False

    @property
    def of_connections(self) -> Sequence[Trace]:
        """The traces with handlers for how a connection is got."""
        return [trace for trace in self._traces if trace.tells_of_connections]

    def tells_of(self, kind: type[TraceParams]) -> bool:
        """Whether there is a handler that takes parameters of this *kind*."""
        return any(trace.tells_of(kind) for trace in self._traces)

    async def _tell(self, params: TraceParams) -> None:
        self._scope.phase = "running trace handlers"
        await tell(self._traces, params)

    async def start(self) -> None:
        """Tell that the call starts."""
        hop = self._scope.hop
        if any(trace.tells_of(TraceRequestStartParams) for trace in self._untold):
            await self._start()
        self._traces = self._untold
        if hop.auth is not None and hdrs.AUTHORIZATION in hop.headers:
            raise ValueError(
                "a handler of on_request_start set an Authorization header, which cannot be "
                "combined with auth"
            )

    async def _start(self) -> None:
        hop = self._scope.hop
        params = TraceRequestStartParams(hop.method, hop.url, self._headers())
        self._scope.phase = "running trace handlers"
        for trace in self._untold:
            await trace.send(params)
            self._traces = (*self._traces, trace)

    def _headers(self) -> CIMultiDict[str]:
        """Return the headers of the call, which handlers may change, but not the session's own."""
        hop = self._scope.hop
        if not self._has_copied_headers:
            self._has_copied_headers = True
            hop.copy_headers()
        return hop.headers

    async def send(self, request: ClientRequest) -> None:
        """Tell of the head that is sent next, and of a body that is sent with it.

        This is called before sending: a handler that fails must not fail a request that the
        server may have acted on.
        """
        if self.tells_of(TraceRequestHeadersSentParams):
            headers = CIMultiDictProxy(request.headers)
            await self._tell(TraceRequestHeadersSentParams(request.method, request.url, headers))
        payload, framing = request.payload, request.framing
        if payload is None or not self.tells_of(TraceRequestChunkSentParams):
            return
        if goes_inline(payload, framing.compress, framing.expect_continue):
            body = payload.in_memory()
            if body and (chunk := bytes(body[: framing.content_length])):
                await self._tell(TraceRequestChunkSentParams(request.method, request.url, chunk))

    def watch(self, upload: Upload, request: ClientRequest) -> None:
        """Tell of each piece of a streamed body, in the task that writes it."""
        if self.tells_of(TraceRequestChunkSentParams):
            upload.on_chunk = partial(self._tell_chunk, request)

    async def _tell_chunk(self, request: ClientRequest, chunk: bytes) -> None:
        params = TraceRequestChunkSentParams(request.method, request.url, bytes(chunk))
        # This runs in the task that sends the body, so it must not change the phase of the call.
        await self._scope.within_total(tell(self._traces, params), self._scope.phase)

    async def redirect(self, response: ClientResponse) -> None:
        """Tell that *response* redirects."""
        hop = self._scope.hop
        await self._tell(TraceRequestRedirectParams(hop.method, hop.url, self._headers(), response))

    async def retry(
        self,
        request: ClientRequest,
        attempt: int,
        delay: float,
        response: ClientResponse | None,
        exception: BaseException | None,
    ) -> None:
        """Tell that a middleware is going to send *request* again."""
        if self.tells_of(TraceRequestRetryParams):
            url = URL(request.url)  # a middleware may have set a text
            params = TraceRequestRetryParams(
                request.method, url, request.headers, attempt, delay, response, exception
            )
            await self._tell(params)

    async def end(self, response: ClientResponse) -> None:
        """Tell that *response* is the final one."""
        if self.tells_of(TraceRequestEndParams):
            hop = self._scope.hop
            await self._tell(TraceRequestEndParams(hop.method, hop.url, self._headers(), response))
        traces = [trace for trace in self._traces if trace.tells_of(TraceResponseEndParams)]
        if traces:
            when_over(response, _EndOf(response, traces))

    def watch_body(self, response: ClientResponse) -> None:
        """Tell of the body of *response* when the application has read it."""
        if self.tells_of(TraceResponseChunkReceivedParams):
            watch_body(response, self._tell_body)

    async def _tell_body(self, response: ClientResponse, body: bytes) -> None:
        params = TraceResponseChunkReceivedParams(response.method, response.url, body)
        if self._scope.total_at <= anyio.current_time():
            # The body arrived in time; only the application read it after the time was over.
            await tell(self._traces, params)
            return
        try:
            await self._scope.within_total(tell(self._traces, params), "running trace handlers")
        except Expired:
            raise self._scope.timed_out() from None

    async def fail(self, error: BaseException) -> None:
        """Tell that the call fails with *error*.

        The time of the call may be over, so the handlers get a time limit of their own.  If
        *error* is a cancellation, the handlers are shielded from it, and their errors are only
        logged, so that the call ends with the cancellation.
        """
        hop = self._scope.hop
        params = TraceRequestExceptionParams(hop.method, hop.url, self._headers(), error)
        failed = isinstance(error, Exception)
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=not failed) as scope:
            try:
                await tell(self._traces, params)
            except Exception:
                if failed:
                    raise
                logger.exception("a handler of on_request_exception failed")
        if scope.cancelled_caught:
            logger.warning(
                "the handlers of on_request_exception took more than %s seconds",
                CLEAN_UP_SECONDS,
            )


class _EndOf:
    """Tells that a response is over, without keeping it alive."""

    __slots__ = ("_method", "_status", "_traces", "_url")

    def __init__(self, response: ClientResponse, traces: Sequence[Trace]) -> None:
        self._method = response.method
        self._url = response.real_url
        self._status = response.status
        self._traces = traces

    def __call__(self, size: int, error: BaseException | None) -> None:
        params = TraceResponseEndParams(self._method, self._url, self._status, size, error)
        tell_at_once(self._traces, params)
