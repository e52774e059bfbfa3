"""One sending of one request: a connection, an exchange on it, the head of the response."""

from __future__ import annotations

from time import perf_counter
from typing import Final

from .. import hdrs
from .._headers import IDEMPOTENT_METHODS
from .._http1 import Exchange, Head, MalformedResponse, Upload, UploadProgress
from .._tasks import HelperTasks, mark_task_of
from ..client_exceptions import (
    ClientConnectionError,
    ClientOSError,
    ClientResponseError,
    ServerDisconnectedError,
)
from ..client_reqrep import ClientRequest, ClientResponse, make_request, make_response
from ..connector import Connection, LendingTerms, answers_to, lend, lend_nowait
from ..cookiejar import cookie_header
from ._call_scope import CallScope
from ._call_tracing import CallTracer
from ._hop import version_of

__all__ = ("Attempt", "request_of")

#: How many times a request is sent again that a server has refused by HTTP/2, while the server
#: answers others.  A server refuses what exceeds a limit that the client did not know yet, and
#: whatever comes after the last request that it takes on a connection.
MAX_REFUSALS: Final = 100

#: How many times it is sent again while the server answers no request at all.
MAX_REFUSALS_IN_VAIN: Final = 5

#: What a kept connection may fail with because the server had closed it.
_STALE: Final = (ServerDisconnectedError, ClientOSError)


def request_of(scope: CallScope) -> ClientRequest:
    """Build the request of the present hop, with the cookies that the jar has now."""
    hop, session = scope.hop, scope.session
    headers, explicit = hop.headers, None
    if hop.prepared is not None and version_of(headers) != hop.headers_version:
        hop.prepared = None
    if hop.prepared is None and hdrs.COOKIE in headers:
        headers = headers.copy()
        explicit = "; ".join(headers.popall(hdrs.COOKIE))
    cookies = cookie_header(session.cookie_jar, hop.url, explicit, hop.cookies)
    request = make_request(session.defaults.request_class, hop, headers, cookies)
    if hop.is_handshake:
        request.is_handshake = True
    proxy = hop.environment or hop.proxy
    if proxy is not None:
        request.use_proxy(proxy)
    return request


class Attempt:
    """One sending of one request, repeated once if the server had closed the kept connection.

    It is also repeated, a few times, if the server says that it did nothing with the request.

    The scope of the call holds the exchanges that this opens, and closes them.

    :param once: do not send it again if a kept connection turns out to be closed
    """

    _refusals = 0  # how many times the server has refused the request
    _refusals_in_vain = 0  # of these, the last ones, during which it has answered no other
    _answers = 0  # how many requests it had answered at the last refusal

    def __init__(self, scope: CallScope, tracer: CallTracer | None, *, once: bool = False) -> None:
        self._scope = scope
        self._tracer = tracer
        self._once = once
        #: the exchange in which the request is sent; ``None`` until there is a connection
        self.exchange: Exchange | None = None
        #: what the attempt is doing, for the message of a timeout
        self.phase: str = "preparing the request"

    async def send(self, request: ClientRequest) -> ClientResponse:
        """Send *request*, and return the response when its head has been received.

        :raises Expired: the ``total`` time is over
        """
        scope, tracer = self._scope, self._tracer
        try:
            while True:
                begun = perf_counter()
                target, fields = request.target(), request.header_block()
                if fields.upgrades:
                    request.needs_http1 = True  # HTTP/2 has no upgrade to another protocol
                if scope.progress is not None:
                    scope.progress.begin_attempt(_size_of_body(request))
                # Handlers that are told of connections are awaited when an idle one is used again.
                connection = None
                if not (scope.session.ended or (tracer is not None and tracer.of_connections)):
                    connection = lend_nowait(scope.connector, request)
                if connection is None:
                    connection = await self._wait_for_connection(request)
                session, settings = scope.session, scope.settings
                self.exchange = exchange = Exchange(
                    connection,
                    request,
                    settings.limits,
                    scope.total_at,
                    settings.timeout.sock_read,
                    session.watchdog,
                    session.exchanges,
                )
                scope.hold(exchange)
                if tracer is not None:
                    self.phase = "running trace handlers"
                    await tracer.send(request)
                self.phase = "sending the request"
                upload = await exchange.send(target, fields)
                if upload is not None:
                    self._start_upload(upload, request, exchange)
                elif scope.progress is not None:
                    _report_sent(scope.progress, request, exchange)
                self.phase = "waiting for the response"
                try:
                    head = await exchange.receive_head()
                    break
                except ClientConnectionError as exc:
                    if not (
                        self._may_send_again(request, exc)
                        and await self._begin_anew(request, exchange)
                    ):
                        raise
                except MalformedResponse as exc:
                    raise ClientResponseError(
                        request.request_info, (), status=400, message=str(exc)
                    ) from exc
        finally:
            scope.phase = self.phase
        return self._respond(request, exchange, head, perf_counter() - begun)

    def _may_send_again(self, request: ClientRequest, error: ClientConnectionError) -> bool:
        """Whether *request*, which failed with *error*, may be sent again; if so, count that."""
        if self.was_refused(request):
            before, self._answers = self._answers, answers_to(self._scope.connector, request)
            self._refusals_in_vain = self._refusals_in_vain + 1 if self._answers == before else 1
            self._refusals += 1
            request.refusals = self._refusals
            return True
        if self._once or not self.found_it_stale(request, error):
            return False
        self._once = True
        return True

    async def _begin_anew(self, request: ClientRequest, exchange: Exchange) -> bool:
        """End *exchange*; return whether all of the body is still there for another one."""
        request.needs_http1 = request.needs_http1 or exchange.needs_http1
        exchange.close()
        await exchange.wait_stopped()
        # The task that sends the body may have begun only now.
        return request.payload is None or not request.payload.consumed

    def was_refused(self, request: ClientRequest) -> bool:
        """Whether the server did nothing with *request*, which can be sent again for that reason.

        By HTTP/2 it says so: it refuses a stream, or closes the connection and names the last
        request that it has looked at (:rfc:`9113#section-8.7`).  The method does not matter then.
        """
        exchange = self.exchange
        if exchange is None or not exchange.is_unprocessed:
            return False
        if not self._is_repeatable(request):
            return False
        if answers_to(self._scope.connector, request) == self._answers:
            return self._refusals_in_vain < MAX_REFUSALS_IN_VAIN
        return self._refusals < MAX_REFUSALS

    def found_it_stale(self, request: ClientRequest, error: BaseException) -> bool:
        """Whether *request*, which failed with *error*, can be sent again for that reason.

        It can if its method is idempotent (:rfc:`9110#section-9.2.2`), and it failed because the
        server had closed a connection that was kept from an earlier request.
        """
        exchange = self.exchange
        if exchange is None or not exchange.reused or not isinstance(error, _STALE):
            return False
        if exchange.has_response or request.method not in IDEMPOTENT_METHODS:
            return False
        return self._is_repeatable(request)

    def _is_repeatable(self, request: ClientRequest) -> bool:
        """Whether the program allows that, and there is the whole body to send again."""
        upload = None if self.exchange is None else self.exchange.upload
        if upload is not None and upload.is_broken:
            return False  # the body or one of its callbacks failed, and not the connection
        if not self._scope.session.defaults.retry_connections:
            return False
        payload = request.payload
        return payload is None or not payload.consumed

    async def _wait_for_connection(self, request: ClientRequest) -> Connection:
        """Return a connection for *request* when there is one.

        :raises ClientConnectionError: another task, or a trace handler, has closed the session
        """
        scope = self._scope
        if not scope.session.closed:
            self.phase = "waiting for a connection"
            connection = await lend(scope.connector, request, self._terms())
            if not scope.session.closed:
                return connection
            connection.close()
        raise ClientConnectionError("Session is closed")

    def _terms(self) -> LendingTerms:
        scope, tracer = self._scope, self._tracer
        return LendingTerms(
            traces=() if tracer is None else tracer.of_connections,
            timeout=scope.settings.timeout,
            total_at=scope.total_at,
            watchdog=scope.session.watchdog,
            waits=scope.session.waits,
        )

    def _respond(
        self, request: ClientRequest, exchange: Exchange, head: Head, seconds: float
    ) -> ClientResponse:
        """Return the response with *head*, and store its cookies in the jar.

        :param seconds: from the beginning of the attempt to the arrival of the head
        """
        settings, session = self._scope.settings, self._scope.session
        if head.set_cookies:
            session.cookie_jar.update_cookies_from_headers(head.set_cookies, request.url)
        content = exchange.open_body(settings)
        resolver = session.defaults.fallback_charset_resolver
        response = make_response(request, head, exchange, content, resolver, seconds)
        if self._tracer is not None:
            self._tracer.watch_body(response)
        return response

    # -- a body that is sent by a task

    def _start_upload(self, upload: Upload, request: ClientRequest, exchange: Exchange) -> None:
        """Start the task that sends the body."""
        scope = self._scope
        tasks = scope.helper_tasks()
        if self._tracer is not None:
            self._tracer.watch(upload, request)
        if scope.progress is not None:
            scope.progress.follow(upload)
        exchange.attach(upload, tasks)
        tasks.start_soon(
            self._run_upload, upload, tasks, scope=upload.scope, unstarted=upload.fail_unstarted
        )

    async def _run_upload(self, upload: Upload, tasks: HelperTasks) -> None:
        mark_task_of(tasks)
        try:
            await upload.run()
        finally:
            await self._scope.body_sent()


def _size_of_body(request: ClientRequest) -> int | None:
    """Return how many bytes of body *request* has before compression; ``None`` if unknown."""
    payload, framing = request.payload, request.framing
    if payload is None:
        return 0
    # With a length of the caller's own, no more than that is sent of the body.
    return payload.size if framing.content_length is None else framing.content_length


def _report_sent(progress: UploadProgress, request: ClientRequest, exchange: Exchange) -> None:
    """Tell *progress* of the body that was sent together with the head; it may be empty."""
    payload, error = request.payload, exchange.send_error
    body = (payload.in_memory() or b"") if payload is not None and error is None else b""
    progress.end_attempt(len(body[: request.framing.content_length]), error)
