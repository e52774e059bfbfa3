"""Calls the trace handlers of a session for the events of one call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio
from multidict import CIMultiDictProxy

from .. import hdrs
from .._http1 import Upload, goes_inline
from .._tasks import CLEAN_UP_SECONDS, Expired
from ..client_reqrep import ClientRequest, ClientResponse, watch_body
from ..tracing import (
    Trace,
    TraceParams,
    TraceRequestChunkSentParams,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    TraceRequestStartParams,
    TraceResponseChunkReceivedParams,
    tell,
)
from ._call_scope import CallScope

__all__ = ("CallTracer",)

logger: Final = logging.getLogger("anyhttp.client")


class CallTracer:
    """Calls the trace handlers for the events of one call, within its ``total`` time.

    Each method raises what a handler raises, and :exc:`Expired` if the time is over.
    """

    __slots__ = ("_scope", "_untold", "traces")

    def __init__(self, scope: CallScope, traces: Sequence[Trace]) -> None:
        self._scope = scope
        self._untold = traces
        #: the traces whose ``on_request_start`` has returned; only these get further events
        self.traces: Sequence[Trace] = ()

    async def _tell(self, params: TraceParams) -> None:
        await self._scope.within_total(tell(self.traces, params), "running trace handlers")

    async def start(self) -> None:
        """Tell that the call starts."""
        hop = self._scope.hop
        # Handlers may change the headers, and this object may be the session's own.
        hop.change_headers()
        params = TraceRequestStartParams(hop.method, hop.url, hop.headers)
        for trace in self._untold:
            await self._scope.within_total(trace.send(params), "running trace handlers")
            self.traces = (*self.traces, trace)
        if hop.auth is not None and hdrs.AUTHORIZATION in hop.headers:
            raise ValueError(
                "a handler of on_request_start set an Authorization header, which cannot be "
                "combined with auth"
            )

    async def send(self, request: ClientRequest) -> None:
        """Tell of the head that is sent next, and of a body that is sent with it.

        This is called before sending: a handler that fails must not fail a request that the
        server may have acted on.
        """
        headers = CIMultiDictProxy(request.headers)
        await self._tell(TraceRequestHeadersSentParams(request.method, request.url, headers))
        payload, framing = request.payload, request.framing
        if payload is not None and goes_inline(payload, framing.compress, framing.expect_continue):
            body = payload.in_memory()
            if body and (chunk := body[: framing.content_length]):
                await self._tell_chunk(request, chunk)

    def watch(self, upload: Upload, request: ClientRequest) -> None:
        """Tell of each piece of a streamed body, in the task that writes it."""
        upload.on_chunk = partial(self._tell_chunk, request)

    async def _tell_chunk(self, request: ClientRequest, chunk: bytes) -> None:
        params = TraceRequestChunkSentParams(request.method, request.url, bytes(chunk))
        # This runs in the task that sends the body, so it must not change the phase of the call.
        await self._scope.within_total(tell(self.traces, params), self._scope.phase)

    async def redirect(self, response: ClientResponse) -> None:
        """Tell that *response* redirects."""
        hop = self._scope.hop
        await self._tell(TraceRequestRedirectParams(hop.method, hop.url, hop.headers, response))

    async def end(self, response: ClientResponse) -> None:
        """Tell that *response* is the final one."""
        hop = self._scope.hop
        await self._tell(TraceRequestEndParams(hop.method, hop.url, hop.headers, response))

    def watch_body(self, response: ClientResponse) -> None:
        """Tell of the body of *response* when the application has read it."""
        watch_body(response, self._tell_body)

    async def _tell_body(self, response: ClientResponse, body: bytes) -> None:
        params = TraceResponseChunkReceivedParams(response.method, response.url, body)
        if self._scope.total_at <= anyio.current_time():
            # The body arrived in time; only the application read it after the time was over.
            await tell(self.traces, params)
            return
        try:
            await self._tell(params)
        except Expired:
            raise self._scope.timed_out() from None

    async def fail(self, error: BaseException) -> None:
        """Tell that the call fails with *error*.

        The time of the call may be over, so the handlers get a time limit of their own.  If
        *error* is a cancellation, the handlers are shielded from it, and their errors are only
        logged, so that the call ends with the cancellation.
        """
        if isinstance(error, GeneratorExit):
            return  # the coroutine is being closed and cannot await
        hop = self._scope.hop
        params = TraceRequestExceptionParams(hop.method, hop.url, hop.headers, error)
        failed = isinstance(error, Exception)
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=not failed) as scope:
            try:
                await tell(self.traces, params)
            except Exception:
                if failed:
                    raise
                logger.exception("a handler of on_request_exception failed")
        if scope.cancelled_caught:
            logger.warning(
                "the handlers of on_request_exception took more than %s seconds",
                CLEAN_UP_SECONDS,
            )
