"""One call of a session: cookies, sending, retry, redirects, time limits."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup
from multidict import CIMultiDictProxy
from yarl import URL

from .. import hdrs
from .._common import without_user_info
from .._http1 import (
    Exchange,
    Head,
    MalformedResponse,
    Upload,
    UploadProgress,
    UploadTracker,
    goes_inline,
    upload_progress,
)
from .._targets import (
    BasicAuth,
    ProxyOptions,
    environment_proxy,
    netrc_auth,
)
from .._tasks import (
    CLEAN_UP_SECONDS,
    Expired,
    PendingWaits,
    TaskOwner,
    Watchdog,
    asyncio_loop,
    deadline_after,
    drop_group,
    end_group,
    work_for,
)
from ..abc import AbstractCookieJar
from ..client_exceptions import (
    ClientConnectionError,
    ClientOSError,
    ClientResponseError,
    ServerDisconnectedError,
    TooManyRedirects,
)
from ..client_reqrep import (
    ClientRequest,
    ClientResponse,
    request_by_name,
)
from ..connector import (
    BaseConnector,
    LendingTerms,
    finish_closing,
    lend,
    lend_nowait,
    uses_proxies,
)
from ..cookiejar import cookie_header
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
from ._hop import (
    Hop,
    Settings,
)
from ._redirects import (
    REDIRECT_STATUSES,
    redirect_target,
)

logger: Final = logging.getLogger("anyhttp.client")

__all__ = ("Call", "SessionState")

IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


class SessionState(Protocol):
    """What a call needs of its session."""

    @property
    def closed(self) -> bool: ...
    @property
    def cookie_jar(self) -> AbstractCookieJar: ...
    @property
    def auth(self) -> BasicAuth | None: ...
    @property
    def requote_redirect_url(self) -> bool: ...

    base_origin: URL | None
    retry_connections: bool
    request_class: type[ClientRequest]
    response_class: type[ClientResponse]
    fallback_charset_resolver: Callable[[ClientResponse, bytes], str]
    task_group: TaskGroup | None
    watchdog: Watchdog | None
    exchanges: set[Exchange]
    #: the waits for a connection, to be cancelled with the session
    connecting: PendingWaits

    def let_go_of_lost_tasks(self) -> None: ...


class Call:
    """One call, from checked arguments to a response whose head is there."""

    __slots__ = ("_connector", "_exchange", "_follows", "_hop", "_over", "_owner", "_payload",
                 "_phase", "_progress", "_session", "_settings", "_total_at", "_traces",
                 "_tracker", "_untold", "entered", "group", "in_block")  # fmt: skip

    def __init__(
        self,
        session: SessionState,
        connector: BaseConnector,
        hop: Hop,
        settings: Settings,
        allow_redirects: bool,
        tracker: UploadTracker | None = None,
    ) -> None:
        self._session = session
        self._connector = connector
        self._hop = hop
        self._payload = hop.payload
        self._settings = settings
        self._follows = allow_redirects
        #: tasks of the caller's block, or of a lone ``await``; :meth:`leave` ends them
        self.group: TaskGroup | None = None
        self._owner: TaskOwner | None = None  # of the group, if it is to stream
        self._exchange: Exchange | None = None
        self._total_at = math.inf
        self._phase = "preparing the request"
        self._over = False
        self._tracker = tracker
        self._progress: UploadProgress | None = None
        #: those to be told that the request starts, and those that have been
        self._untold: Sequence[Trace] = ()
        self._traces: Sequence[Trace] = ()
        #: whether an ``async with`` block runs it; to be said before it begins
        self.in_block: bool = False
        #: the response that such a block has entered
        self.entered: ClientResponse | None = None

    def trace(self, traces: Sequence[Trace]) -> None:
        """Tell *traces* what happens from the start to the end."""
        self._untold = traces

    # -- tasks and time

    async def run(self) -> ClientResponse:
        """Return the final response; an ``async with`` block has entered it by then.

        A streamed body is written by a task of the entered session.  Without one it is
        written by a task of the caller's ``async with`` block, which :meth:`leave` ends; or,
        for a bare ``await``, before this returns.
        """
        hop, session = self._hop, self._session
        if session.closed:
            raise RuntimeError("Session is closed")
        if self._tracker is not None:
            # From here on somebody has to tell it of the end.
            self._progress = upload_progress(self._tracker)
        if session.task_group is not None:
            session.let_go_of_lost_tasks()
        total = self._settings.timeout.total
        if total:
            watchdog = session.watchdog
            self._total_at = deadline_after(total) if watchdog is None else watchdog.clock() + total
        try:
            if session.task_group is None and self._may_need_tasks:
                await self._enter_group()
            if self._untold:
                await self._tell_start()
            if self._settings.trust_env:
                await self._look_up_credentials(default=True)
                await self._look_up_proxy()
            response = await self._send(self._make_request(hop))
            if response.status in REDIRECT_STATUSES and self._follows:
                response = await self._follow(response)
            if self._settings.raise_for_status is not False:
                await self._judge(response)
            if self._payload is not None or self.group is not None:
                await self._settle_body()
            if self._traces:
                await self._tell(TraceRequestEndParams(hop.method, hop.url, hop.headers, response))
            if self.in_block:
                self.entered = response
                response = await response.__aenter__()
        except BaseException as exc:
            if isinstance(exc, GeneratorExit) and not self._must_await(exc):
                self._drop()
            else:
                await self._fail(exc)
            raise
        if self._progress is not None:
            self._progress.end_request()
        return response

    async def _judge(self, response: ClientResponse) -> None:
        """Let the session's ``raise_for_status``, or the request's, have its say."""
        judge = self._settings.raise_for_status
        if callable(judge):
            self._phase = "running the raise_for_status callback"
            await self._within_total(judge(response))
            return
        if not response.ok:
            await response._read_error_body(self._total_at)
        response.raise_for_status()

    async def _settle_body(self) -> None:
        """Leave a body that is still being sent to whoever has the tasks; wait if nobody has."""
        if self.group is not None and not self.in_block and self._exchange is not None:
            self._phase = "sending the body"
            await self._within_total(self._exchange.wait_stopped())
        if self._payload is not None:
            await self._close_payload()
        if self.group is not None and not (self.in_block and self._is_sending):
            await self.leave()

    async def _fail(self, exc: BaseException) -> None:
        """End a call that failed with *exc*, and tell of it.

        :raises TimeoutError: it was the ``total`` time that ran out
        """
        try:
            await self._clean_up()
        finally:  # asyncio cancels again, whatever is shielded
            self._over = True
            await self.leave(exc)
            if self._progress is not None:
                self._progress.end_request()
        failure = self._timed_out() if isinstance(exc, Expired) else exc
        if self._traces:
            await self._tell_failure(failure)
        if failure is not exc:
            raise failure from None

    def _drop(self) -> None:
        """End a call whose coroutine is thrown away, and cannot await anything any more."""
        self._over = True
        if self._exchange is not None:
            self._exchange.close()
        if self._owner is not None:
            self._owner.let_go()
        elif self.group is not None:
            drop_group(self.group)
        if self._progress is not None:
            self._progress.end_request()

    def _must_await(self, exc: GeneratorExit) -> bool:
        """Whether there are tasks to wait for, as the body raised *exc*, or as trio insists."""
        upload = None if self._exchange is None else self._exchange.upload
        raised = upload is not None and upload.error is exc
        return self.group is not None and (raised or asyncio_loop() is None)

    @property
    def _may_need_tasks(self) -> bool:
        return self._streams

    @property
    def _streams(self) -> bool:
        hop = self._hop
        return not goes_inline(hop.payload, hop.compress, hop.expect100)

    @property
    def _is_sending(self) -> bool:
        return self._exchange is not None and self._exchange.is_sending

    async def _enter_group(self) -> None:
        if self._streams:
            # A generator that holds the block, and is dropped, ends in another task.  And if
            # a program cancels the writer before its first step, the group is cancelled too.
            owner = TaskOwner()
            self.group = await owner.enter()
            self._owner = owner
        else:
            self.group = anyio.create_task_group()
            await self.group.__aenter__()

    async def leave(self, raised: BaseException | None = None) -> None:
        """End the tasks of the ``async with`` block, which *raised* something or nothing."""
        group, self.group = self.group, None
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.leave(raised)
        elif group is not None:
            await end_group(group, raised)

    async def _within_total(self, work: Awaitable[None]) -> None:
        with anyio.CancelScope(deadline=self._total_at) as scope:
            await work
        if scope.cancelled_caught:
            raise Expired

    def _timed_out(self) -> TimeoutError:
        hop = self._hop
        return TimeoutError(
            f"the request's total timeout of {self._settings.timeout.total} s ran out while "
            f"{self._phase} ({hop.method} {without_user_info(hop.url)})"
        )

    async def _clean_up(self) -> None:
        """Leave nothing open or running after a failure."""
        exchange = self._exchange
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            if exchange is not None:
                exchange.close()
                await exchange.wait_stopped()
            await finish_closing(self._connector)
            await self._close_payload()

    async def _close_payload(self) -> None:
        """Close a file that was sent, unless it is still being sent."""
        self._over = True
        payload = self._payload
        if payload is None or payload.autoclose:
            return
        upload = None if self._exchange is None else self._exchange.upload
        if upload is None or upload.is_over:
            try:
                await payload.close()
            except Exception as exc:  # noqa: BLE001  (it has been read, so nothing is lost)
                logger.warning("closing the body of a request failed: %r", exc)

    async def _upload(self, upload: Upload, group: TaskGroup) -> None:
        """Body of the task that writes, which is one of *group*."""
        work_for(group)
        try:
            await upload.run()
        finally:
            if self._over:
                # The session or the block that is left cancels what it has started.
                with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                    await self._close_payload()

    def _track(self, progress: UploadProgress, request: ClientRequest, exchange: Exchange) -> None:
        """Tell the tracker of a body that has gone out with the head, if it has."""
        payload, error = request.payload, exchange.send_error
        body = (payload.in_memory() or b"") if payload is not None and error is None else b""
        progress.end_attempt(len(body[: request.content_length]), error)

    # -- redirects

    async def _follow(self, response: ClientResponse) -> ClientResponse:
        """Go to wherever *response* redirects, and on from there."""
        history: list[ClientResponse] = []
        while response.status in REDIRECT_STATUSES:
            if self._traces:
                hop = self._hop
                await self._tell(
                    TraceRequestRedirectParams(hop.method, hop.url, hop.headers, response)
                )
            target = redirect_target(
                response.real_url,
                response.headers,
                requote=self._session.requote_redirect_url,
            )
            if target is None:
                break
            history.append(response)
            limit = self._settings.max_redirects
            if limit and len(history) >= limit:
                raise TooManyRedirects(
                    history[0].request_info,
                    tuple(history),
                    message=f"the limit of {limit} redirects was reached",
                )
            downgraded = response.url.scheme == "https" != target.scheme
            self._hop.redirect(response.status, target, self._session)
            if self._exchange is not None:
                await self._exchange.drain()
            response.release()
            if self._settings.trust_env and not downgraded:
                # "default" is for hosts that the user turns to, not those a server names.
                await self._look_up_credentials(default=False)
            if self._settings.trust_env:
                await self._look_up_proxy()
            response = await self._send(self._make_request(self._hop))
        response._history = tuple(history)
        return response

    async def _look_up_credentials(self, *, default: bool) -> None:
        """Ask the user's netrc, unless there are credentials already.

        :param default: let its ``default`` entry stand for hosts that have none
        """
        hop = self._hop
        if hop.auth is not None or hdrs.AUTHORIZATION in hop.headers:
            return
        self._phase = "reading the netrc file"
        with anyio.CancelScope(deadline=self._total_at) as scope:
            hop.auth = await netrc_auth(hop.url, default=default)
        if scope.cancelled_caught:
            raise Expired

    async def _look_up_proxy(self) -> None:
        """Ask the environment which proxy the present URL is for, unless one was named."""
        hop = self._hop
        given, hop.environment = hop.proxy, None
        if (given is not None and given.url is not None) or not uses_proxies(self._connector):
            return
        self._phase = "looking for a proxy"
        with anyio.CancelScope(deadline=self._total_at):
            found = await environment_proxy(hop.url)
            if found is None:
                # It may be there for a proxy that this URL does not go through.
                if hdrs.PROXY_AUTHORIZATION in hop.headers:
                    hop.headers = hop.headers.copy()
                    hop.headers.popall(hdrs.PROXY_AUTHORIZATION)
            elif given is None:
                hop.environment = found
            else:
                auth = found.auth if given.auth is None else given.auth
                hop.environment = ProxyOptions(found.url, auth, given.headers)
            return
        raise Expired

    # -- one hop

    def _may_retry(self, request: ClientRequest, exchange: Exchange) -> bool:
        """Decide as :rfc:`9110#section-9.2.2` allows: nothing of the request was processed."""
        if not exchange.reused:
            return False
        if exchange.upload is not None and exchange.upload.is_broken:
            return False  # by the body, or whoever watches it, and not by the connection
        if exchange.has_response or request.method not in IDEMPOTENT_METHODS:
            return False
        if not self._session.retry_connections:
            return False
        payload = request.payload
        return payload is None or not payload.consumed

    def _make_request(self, hop: Hop) -> ClientRequest:
        """Build the request of one hop; the jar is asked anew for each."""
        session = self._session
        explicit = None
        headers = hop.headers
        if hdrs.COOKIE in headers:
            headers = headers.copy()
            explicit = "; ".join(headers.popall(hdrs.COOKIE))
        make: Callable[..., ClientRequest] = session.request_class
        if make is not ClientRequest:  # a subclass, whose constructor may know names only
            make = partial(request_by_name, make)
        request = make(
            # By position, as Python makes a dict of what is given to a class by name.
            hop.method,
            hop.url,
            headers,
            hop.skip_auto_headers,
            hop.payload,
            cookie_header(session.cookie_jar, hop.url, explicit, hop.cookies),
            hop.auth,
            hop.version,
            hop.compress,
            hop.chunked,
            hop.expect100,
            not self._connector.force_close,
            hop.ssl,
            hop.server_hostname,
            session,
            session.response_class,
        )
        proxy = hop.environment or hop.proxy
        if proxy is not None:
            request.use_proxy(proxy)
        return request

    async def _send(self, request: ClientRequest, *, again: bool = False) -> ClientResponse:
        """Send *request*, and once more if a kept connection turns out to be stale."""
        settings, session, traces = self._settings, self._session, self._traces
        target, fields = request.target(), request.fields()
        progress = self._progress
        if progress is not None:
            progress.begin_attempt()
        self._exchange = None
        # connect() tells of reused connections too.
        connection = None if traces else lend_nowait(self._connector, request)
        if connection is None:
            self._phase = "waiting for a connection"
            terms = LendingTerms(
                traces=traces,
                timeout=settings.timeout,
                total_at=self._total_at,
                watchdog=session.watchdog,
                waits=session.connecting,
            )
            connection = await lend(self._connector, request, terms)
        if session.closed:  # by another task, while this one was waiting for the connection
            connection.close()
            raise ClientConnectionError("Session is closed")
        self._exchange = exchange = Exchange(
            connection,
            request,
            settings.limits,
            self._total_at,
            settings.timeout.sock_read,
            session.watchdog,
            session.exchanges,
        )
        self._phase = "sending the request"
        if traces:
            await self._tell_sending(request)
        upload = await exchange.send(target, fields)
        if upload is not None:
            self._start_upload(upload, request, exchange)
        elif progress is not None:
            self._track(progress, request, exchange)
        self._phase = "waiting for the response"
        try:
            head = await exchange.receive_head()
        except (ServerDisconnectedError, ClientOSError):
            if again or not self._may_retry(request, exchange):
                raise
            exchange.close()
            await exchange.wait_stopped()
            return await self._send(request, again=True)
        except MalformedResponse as exc:
            raise ClientResponseError(
                request.request_info, (), status=400, message=str(exc)
            ) from exc
        return self._respond(request, exchange, head)

    def _start_upload(self, upload: Upload, request: ClientRequest, exchange: Exchange) -> None:
        """Have a task send the body from now on."""
        if self._traces:
            upload.on_chunk = partial(self._tell_chunk, request)
        group = self._session.task_group or self.group
        assert group is not None
        if self._progress is not None:
            self._progress.follow(upload)
        task = group.start_soon(self._upload, upload, group)
        loop = asyncio_loop()
        if loop is not None:  # which takes the task's first step before it calls this
            loop.call_soon(_end_unless_begun, upload, task.coro)
        exchange.attach(upload)

    def _respond(self, request: ClientRequest, exchange: Exchange, head: Head) -> ClientResponse:
        """Return the response of which *head* has arrived, and keep its cookies."""
        settings, session = self._settings, self._session
        if head.set_cookies:
            session.cookie_jar.update_cookies_from_headers(head.set_cookies, request.url)
        content = exchange.open_body(
            limit=settings.read_bufsize,
            auto_decompress=settings.auto_decompress,
            read_until_eof=settings.read_until_eof,
            max_body_size=settings.max_body_size,
        )
        response = request.response_class(
            request,
            head,
            exchange,
            content,
            session.fallback_charset_resolver,
        )
        if self._traces:
            response._on_body = self._tell_body
        return response

    # -- tracing

    async def _tell(self, params: TraceParams) -> None:
        """Await the handlers of a signal, within ``total``."""
        self._phase = "running trace handlers"
        await self._within_total(tell(self._traces, params))

    async def _tell_start(self) -> None:
        """Tell that the request starts; only those who have been told hear of its end."""
        hop = self._hop
        # The handlers may change them, and they may be the session's.
        hop.headers = hop.headers.copy()
        self._phase = "running trace handlers"
        params = TraceRequestStartParams(hop.method, hop.url, hop.headers)
        for trace in self._untold:
            await self._within_total(trace.send(params))
            self._traces = (*self._traces, trace)
        if hop.auth is not None and hdrs.AUTHORIZATION in hop.headers:
            raise ValueError(
                "a handler of on_request_start set an Authorization header, which cannot be "
                "combined with auth"
            )

    async def _tell_sending(self, request: ClientRequest) -> None:
        """Tell of the head that goes out next, and of a body that goes with it.

        Were it told afterwards, a handler that fails would fail what may have been acted on.
        """
        headers = CIMultiDictProxy(request.headers)
        await self._tell(TraceRequestHeadersSentParams(request.method, request.url, headers))
        payload = request.payload
        if payload is not None and goes_inline(payload, request.compress, request.expect100):
            body = payload.in_memory()
            if body and (chunk := body[: request.content_length]):
                await self._tell_chunk(request, chunk)
        self._phase = "sending the request"

    async def _tell_chunk(self, request: ClientRequest, chunk: bytes) -> None:
        """Tell of a piece of the body; for a streamed one, in the task that writes it."""
        params = TraceRequestChunkSentParams(request.method, request.url, bytes(chunk))
        await self._within_total(tell(self._traces, params))

    async def _tell_body(self, response: ClientResponse, body: bytes) -> None:
        """Tell of the body of *response*; called by whoever has read it."""
        params = TraceResponseChunkReceivedParams(response.method, response.url, body)
        if self._total_at <= anyio.current_time():
            # The body was there in time, and lay waiting for its reader.
            await tell(self._traces, params)
            return
        try:
            await self._tell(params)
        except Expired:
            raise self._timed_out() from None

    async def _tell_failure(self, error: BaseException) -> None:
        """Tell that the request fails with *error*.

        Its time may be over, so the handlers get some of their own.  A cancellation stays
        one whatever they do: they are shielded from it, and their errors are only logged.
        """
        if isinstance(error, GeneratorExit):
            return  # a coroutine that is thrown away cannot await anything
        hop = self._hop
        params = TraceRequestExceptionParams(hop.method, hop.url, hop.headers, error)
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


def _end_unless_begun(upload: Upload, writer: Coroutine[Any, Any, None]) -> None:
    """End *upload* if asyncio has not begun *writer*, as with a task that is cancelled at once.

    Nothing of it runs then, and nobody but us can tell the request.
    """
    if getcoroutinestate(writer) == CORO_CREATED:
        writer.close()  # or Python complains that nobody has awaited it
        upload.fail_unstarted()
