"""The session, with one method for each method of HTTP."""

from __future__ import annotations

import random as random_numbers
import warnings
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from logging import INFO
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final, Self, Unpack, cast

import anyio

from .. import hdrs
from .._common import (
    AsyncWithOnly,
    Hooks,
    HttpVersion,
    HttpVersion11,
    check_callable,
    check_flag,
    check_instance,
    is_own_method,
    warn_about_loop,
    warn_without_effect,
    without_user_info,
)
from .._headers import checked_method
from .._http1 import UploadTracker, abort_unsent
from .._targets import (
    BasicAuth,
    Destination,
    checked_auth,
    destination_of,
    origin_of,
    with_params,
)
from .._tasks import ClientTimeout, HelperTasks
from ..abc import AbstractCookieJar
from ..client_middlewares import ClientMiddlewareType
from ..client_reqrep import REQUEST_HOOKS, RESPONSE_HOOKS, ClientRequest, ClientResponse
from ..client_ws import ClientWebSocketResponse
from ..connector import BaseConnector, TCPConnector, check_hooks, default_proxy, forget_warning
from ..cookiejar import CookieJar, checked_jar
from ..tracing import TraceConfig
from ..typedefs import (
    DEFAULT_JSON_ENCODER,
    JSONBytesEncoder,
    JSONEncoder,
    LooseCookies,
    LooseHeaders,
    Query,
    StrOrURL,
)
from ._call import Call
from ._call_log import is_logged
from ._call_scope import CallScope
from ._call_tracing import tracer_of
from ._context_managers import RequestContextManager, refused
from ._deprecated_options import fold_options
from ._event_source import EventRequest, EventSource
from ._hooks import SESSION_REFUSED
from ._hop import Hop, RaiseForStatus, Settings
from ._options import (
    OPTIONS,
    PLAIN_OPTIONS,
    ReadOptions,
    RequestOptions,
    WriteOptions,
    checked_base_url,
    checked_trace_configs,
    class_or_default,
    make_payload,
    overridden,
)
from ._package_names import REQUEST_SIGNATURE
from ._session_headers import SessionHeaders
from ._session_properties import SessionProperties
from ._session_scope import SessionDefaults, SessionScope
from ._session_settings import names_to_skip, proxy_for, request_settings, session_settings
from ._ws_connect import WSOptions, WSRequestContextManager, open_websocket

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("ClientSession", "pause")


class ClientSession(SessionProperties, AsyncWithOnly):
    """Makes requests, and keeps cookies and connections between them.

    Use it with ``async with``: then no connection and no task of the session outlives the
    block.  Without ``async with``, call :meth:`close` when you are done.

    :param base_url: absolute URL that relative ones extend, such as ``https://example.org/v1/``;
        its path must end in ``/``
    :param connector: makes and keeps the connections; a new :class:`TCPConnector` by default
    :param connector_owner: whether the connector is closed with the session
    :param cookies: cookies to send to every host
    :param cookie_jar: keeps the cookies; a new :class:`CookieJar` by default
    :param headers: headers to send with every request
    :param skip_auto_headers: names of headers that are not added automatically, such as
        ``User-Agent``
    :param auth: credentials to send with every request.  With *base_url*, only its origin gets
        them; without it, no other origin that a redirect leads to gets them
    :param proxy: URL of the proxy for requests that name no other; none by default
    :param proxy_auth: credentials for the proxy; they override those in its URL
    :param proxy_headers: headers for the proxy; no origin behind a tunnel sees them
    :param json_serialize: turns the option ``json`` into text; :func:`json.dumps` by default
    :param json_serialize_bytes: turns it into bytes, and is used instead of *json_serialize*
    :param request_class: class of the requests, derived from :class:`ClientRequest`
    :param response_class: class of the responses, derived from :class:`ClientResponse`
    :param ws_response_class: class of the WebSockets, derived from
        :class:`ClientWebSocketResponse`
    :param version: version of HTTP to send: 1.1 by default, or ``HttpVersion10``.  A connector
        with *http2* decides about HTTP/2
    :param raise_for_status: ``True`` raises :exc:`ClientResponseError` for each status from 400
        on; an async function is called with each response, and raises what it does not accept
    :param timeout: time limits of each request.  By default a request may take five minutes in
        all, and connecting to one address 30 seconds
    :param read_timeout: deprecated; use ``timeout=ClientTimeout(total=...)``
    :param conn_timeout: deprecated; use ``timeout=ClientTimeout(connect=...)``
    :param ssl_shutdown_timeout: no effect; accepted for compatibility with aiohttp
    :param auto_decompress: decode bodies in gzip and deflate, and in br and zstd if the packages
        for them are installed
    :param trust_env: use the proxies of the environment for requests without a proxy, and the
        credentials of the user's netrc file for requests without credentials
    :param requote_redirect_url: normalise the percent-encoding of redirect targets
    :param read_bufsize: size of the buffer of a body, in bytes: 256 KiB by default.  It holds at
        most twice as many, and no line of :meth:`StreamReader.readline` may be longer than that
    :param max_line_size: longest status line and chunk-size line, in bytes; 8190 by default
    :param max_field_size: longest header, name and value together, in bytes; 8190 by default
    :param max_headers: largest number of header lines, and of trailer lines; 128 by default
    :param max_body_size: largest decoded body, in bytes; ``None`` sets no limit
    :param fallback_charset_resolver: returns the charset of a text whose headers name none; it
        is called with the response and the body.  UTF-8 by default; see :func:`guess_charset`
    :param trace_configs: functions to call when something happens to a request; they cannot be
        changed afterwards
    :param retry_connections: send an idempotent request once more if the connection that was
        kept for it turns out to be closed
    :param log_query: show the queries of URLs in the log; they often hold credentials
    :param middlewares: every request goes through them, through the first one first, unless the
        request has its own; none by default
    :param loop: no effect; accepted for compatibility with aiohttp
    :raises ValueError: an argument has a value that is not allowed
    :raises TypeError: an argument has the wrong type
    """

    def __init__(
        self,
        base_url: StrOrURL | None = None,
        *,
        connector: BaseConnector | None = None,
        connector_owner: bool = True,
        cookies: LooseCookies | None = None,
        cookie_jar: AbstractCookieJar | None = None,
        headers: LooseHeaders | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        auth: BasicAuth | None = None,
        proxy: StrOrURL | None = None,
        proxy_auth: BasicAuth | None = None,
        proxy_headers: LooseHeaders | None = None,
        json_serialize: JSONEncoder = DEFAULT_JSON_ENCODER,
        json_serialize_bytes: JSONBytesEncoder | None = None,
        request_class: type[ClientRequest] | None = ClientRequest,
        response_class: type[ClientResponse] | None = ClientResponse,
        ws_response_class: type[ClientWebSocketResponse] | None = ClientWebSocketResponse,
        version: HttpVersion = HttpVersion11,
        raise_for_status: RaiseForStatus | None = False,
        timeout: ClientTimeout | None = None,
        read_timeout: float | EllipsisType | None = ...,
        conn_timeout: float | EllipsisType | None = ...,
        ssl_shutdown_timeout: float | None = None,
        auto_decompress: bool = True,
        trust_env: bool = False,
        requote_redirect_url: bool = True,
        read_bufsize: int = 2**18,
        max_line_size: int = 8190,
        max_field_size: int = 8190,
        max_headers: int = 128,
        max_body_size: int | None = None,
        fallback_charset_resolver: Callable[[ClientResponse, bytes], str] = lambda r, b: "utf-8",
        trace_configs: Iterable[TraceConfig] | None = None,
        retry_connections: bool = True,
        log_query: bool = False,
        middlewares: Sequence[ClientMiddlewareType] | None = (),
        loop: object = None,
    ) -> None:
        self._base_url = checked_base_url(base_url)
        check_instance("connector", connector, BaseConnector, example="anyhttp.TCPConnector()")
        cookie_jar = CookieJar() if cookie_jar is None else checked_jar(cookie_jar)
        if json_serialize is not DEFAULT_JSON_ENCODER:
            check_callable("json_serialize", json_serialize)
        if json_serialize_bytes is not None:
            check_callable("json_serialize_bytes", json_serialize_bytes)
        check_flag("connector_owner", connector_owner)
        check_flag("auto_decompress", auto_decompress)
        check_flag("trust_env", trust_env)
        check_flag("requote_redirect_url", requote_redirect_url)
        check_flag("retry_connections", retry_connections)
        check_flag("log_query", log_query)
        check_callable("fallback_charset_resolver", fallback_charset_resolver)
        if loop is not None:
            warn_about_loop(loop)
        if ssl_shutdown_timeout is not None:
            warn_without_effect(ssl_shutdown_timeout=ssl_shutdown_timeout)
        self._proxy = None if connector is None else default_proxy(connector)
        if (proxy, proxy_auth, proxy_headers) != _NO_PROXY:
            self._proxy = proxy_for(connector, proxy, proxy_auth, proxy_headers, self._proxy)
        self._skip_auto_headers = names_to_skip(skip_auto_headers)
        self._json_serialize = json_serialize
        self._json_serialize_bytes = json_serialize_bytes
        self._ws_response_class = class_or_default(
            "ws_response_class", ws_response_class, ClientWebSocketResponse
        )
        defaults = SessionDefaults(
            base_origin=None if self._base_url is None else origin_of(self._base_url),
            auth=checked_auth(auth),
            request_class=class_or_default("request_class", request_class, ClientRequest),
            fallback_charset_resolver=fallback_charset_resolver,
            retry_connections=retry_connections,
            log_query=log_query,
        )
        request = request_settings(
            version,
            self._skip_auto_headers,
            class_or_default("response_class", response_class, ClientResponse),
            keep_alive=connector is None or not connector.force_close,
        )
        self._headers = SessionHeaders(headers, request.skip_auto_headers)
        self._settings = session_settings(
            request,
            raise_for_status=raise_for_status,
            timeout=timeout,
            read_timeout=read_timeout,
            conn_timeout=conn_timeout,
            max_line_size=max_line_size,
            max_field_size=max_field_size,
            max_headers=max_headers,
            read_bufsize=read_bufsize,
            auto_decompress=auto_decompress,
            max_body_size=max_body_size,
            trust_env=trust_env,
            middlewares=middlewares,
            request_class=defaults.request_class,
        )
        self._trace_configs = checked_trace_configs(trace_configs)
        if cookies is not None:
            cookie_jar.update_cookies(cookies)
        if connector is None:
            connector = TCPConnector()
        check_hooks(connector)
        _HOOKS.check_patches(type(self))
        REQUEST_HOOKS.check_patches(defaults.request_class)
        RESPONSE_HOOKS.check_patches(request.response_class)
        self._scope = SessionScope(
            defaults,
            cookie_jar,
            connector,
            connector_owner=connector_owner,
            requote_redirect_url=requote_redirect_url,
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _HOOKS.check_subclass(cls)

    def __del__(self) -> None:
        scope = self.__dict__.get("_scope")  # missing if the constructor has raised
        if scope is not None and not scope.closed:
            warnings.warn(
                f"Unclosed client session {self!r}: use 'async with' or await session.close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            if scope.connector_owner and scope.connector is not None:
                forget_warning(scope.connector)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} at {id(self):#x}>"

    # -- its life

    async def __aenter__(self) -> Self:
        scope = self._scope
        scope.enter()
        if scope.needs_start:
            try:
                await scope.start()
            except BaseException as exc:
                if not isinstance(exc, GeneratorExit):  # then the coroutine is being closed
                    await ClientSession.__aexit__(self, type(exc), exc, exc.__traceback__)
                raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if is_own_method(self, "close", _OWN_CLOSE):
            await self._scope.leave(exc)
        else:
            await self._scope.leave_by(self.close, exc)

    async def close(self) -> None:
        """Close the responses and, if the session owns it, the connector.

        Further calls do nothing.  After this call, also if it is cancelled, no socket of the
        session is open.
        """
        await self._scope.close()

    def detach(self) -> None:
        """Close the session, but not its connector."""
        self._scope.detach()

    # -- requests

    def request(
        self, method: str, url: StrOrURL, **options: Unpack[RequestOptions]
    ) -> RequestContextManager:
        """Make a request; see :class:`RequestOptions` for its options.

        With ``async with`` the response is released at the end of the block.  A bare ``await``
        returns the response, and the caller releases it.

        :param method: such as ``"GET"``; any other token is sent as it is, in upper case
        :param url: absolute, or relative to the *base_url* of the session
        :raises ValueError: an option has a value that cannot be sent, or contradicts another
        :raises TypeError: an option has the wrong type
        :raises InvalidURL: *url* cannot be requested
        :raises ClientConnectionError: the connection failed
        :raises ClientResponseError: the response was not HTTP, or ``raise_for_status`` applies
        :raises TimeoutError: a time limit ran out

        If the request is cancelled, its connection is closed and no longer counts for the limits.
        """
        return self._start(method, url, options)

    def _start(
        self,
        method: str,
        url: StrOrURL,
        options: Mapping[str, Any],
        allow_redirects: bool | None = None,
    ) -> RequestContextManager:
        """Return the request that *options* ask for.

        :param allow_redirects: option of the verbs that have it as a parameter
        """
        # This is is_own_method(), written out as it runs for each request.
        is_own = type(self)._request is _OWN_REQUEST and "_request" not in self.__dict__
        if allow_redirects is not None and not (is_own and allow_redirects is True):
            options = {**options, "allow_redirects": allow_redirects}
        if not is_own:
            # A subclass may have options of its own, and handles them before it calls ours.
            return RequestContextManager(self._request(method, url, **options))
        if options and not PLAIN_OPTIONS.issuperset(options):
            options = fold_options(options, OPTIONS)
        try:
            call = self._make_call(method, url, options)
        except Exception as exc:  # noqa: BLE001  (raised when the caller awaits the request)
            return RequestContextManager(refused(self._first_complaint(exc, options)))
        return RequestContextManager(call.run(), call)

    def _first_complaint(self, error: Exception, options: Mapping[str, Any]) -> Exception:
        """Return what is wrong with a request that *error* refuses: a closed session above all.

        The request's upload tracker, if there is one, is told that nothing will be sent.
        """
        abort_unsent(options.get("upload_tracker"))
        return RuntimeError("Session is closed") if self._scope.closed else error

    def get(
        self, url: StrOrURL, *, allow_redirects: bool = True, **options: Unpack[ReadOptions]
    ) -> RequestContextManager:
        """Make a GET request; see :meth:`request`."""
        return self._start(hdrs.METH_GET, url, options, allow_redirects)

    def options(
        self, url: StrOrURL, *, allow_redirects: bool = True, **options: Unpack[ReadOptions]
    ) -> RequestContextManager:
        """Make an OPTIONS request; see :meth:`request`."""
        return self._start(hdrs.METH_OPTIONS, url, options, allow_redirects)

    def head(
        self, url: StrOrURL, *, allow_redirects: bool = False, **options: Unpack[ReadOptions]
    ) -> RequestContextManager:
        """Make a HEAD request, without following redirects; see :meth:`request`."""
        return self._start(hdrs.METH_HEAD, url, options, allow_redirects)

    def post(
        self, url: StrOrURL, *, data: Any = None, **options: Unpack[WriteOptions]
    ) -> RequestContextManager:
        """Make a POST request; see :meth:`request`."""
        return self._start(hdrs.METH_POST, url, {**options, "data": data})

    def put(
        self, url: StrOrURL, *, data: Any = None, **options: Unpack[WriteOptions]
    ) -> RequestContextManager:
        """Make a PUT request; see :meth:`request`."""
        return self._start(hdrs.METH_PUT, url, {**options, "data": data})

    def patch(
        self, url: StrOrURL, *, data: Any = None, **options: Unpack[WriteOptions]
    ) -> RequestContextManager:
        """Make a PATCH request; see :meth:`request`."""
        return self._start(hdrs.METH_PATCH, url, {**options, "data": data})

    def delete(self, url: StrOrURL, **options: Unpack[RequestOptions]) -> RequestContextManager:
        """Make a DELETE request; see :meth:`request`."""
        return self._start(hdrs.METH_DELETE, url, options)

    def ws_connect(self, url: StrOrURL, **options: Unpack[WSOptions]) -> WSRequestContextManager:
        """Open a WebSocket; see :class:`WSOptions` for its options.

        ``async with`` closes the WebSocket at the end of the block; after a bare ``await`` the
        caller closes it.  Until then it holds its connection, which counts for the limits of the
        connector.  The session's ``total`` time limits the handshake only.

        :raises WSServerHandshakeError: the server answered, but did not open a WebSocket
        :raises ValueError: an option has a value that is not allowed
        :raises TypeError: an option has the wrong type

        It raises the other exceptions of :meth:`request`, too.
        """
        if not is_own_method(self, "_ws_connect", _OWN_WS_CONNECT):
            opening = partial(self._ws_connect, url, **options)
            return WSRequestContextManager(self._scope, lambda tasks: opening(), heartbeat=False)
        folded = cast("WSOptions", fold_options(options, WSOptions.__optional_keys__))
        return WSRequestContextManager(
            self._scope,
            partial(self._open_websocket, url, folded),
            heartbeat=bool(folded.get("heartbeat")),
        )

    async def _ws_connect(self, url: StrOrURL, **options: Any) -> ClientWebSocketResponse:
        """Open a WebSocket; if a subclass overrides this method, :meth:`ws_connect` calls it."""
        folded = cast("WSOptions", fold_options(options, WSOptions.__optional_keys__))
        return await self._open_websocket(url, folded, None)

    def _open_websocket(
        self, url: StrOrURL, options: WSOptions, tasks: HelperTasks | None
    ) -> Coroutine[Any, Any, ClientWebSocketResponse]:
        return open_websocket(
            self._scope,
            url,
            options,
            tasks,
            make_request=self.request,
            websocket_class=self._ws_response_class,
        )

    def sse(
        self,
        url: StrOrURL,
        *,
        method: str = hdrs.METH_GET,
        last_event_id: str = "",
        max_event_size: int = 2**22,
        attempts: int | None = 10,
        backoff: float = 1.0,
        max_backoff: float = 60.0,
        max_retry_after: float = 300.0,
        random: Callable[[], float] = random_numbers.random,
        **options: Unpack[RequestOptions],
    ) -> EventSource:
        """Return the server-sent events of *url*, and connect again when a stream ends.

        Enter it with ``async with`` and iterate over it.  When a stream ends or fails, it connects
        again and sends the last ``id`` as ``Last-Event-ID``.  Before that it waits as long as the
        server asked, by a ``retry`` field or by ``Retry-After``, and then a random time.  The
        bound of this random time doubles with each failure.

        The status 204 ends the iteration.  An error that another connection would meet again is
        raised: a status other than 200, 204, 408, 429, 500, 502, 503 and 504, another media type,
        a failure of TLS, an event that is too large, a body larger than *max_body_size*.

        :param method: of each request
        :param last_event_id: what the first request sends as ``Last-Event-ID``
        :param max_event_size: most characters in the data of an event, and in a line: 4 Mi
            characters by default
        :param attempts: how many connections in a row may fail; the last of them raises its error.
            ``None`` sets no limit.  A connection that brings an event, that the server ends, or
            that lasts longer than *max_backoff* has not failed
        :param backoff: upper bound of the first random wait, in seconds
        :param max_backoff: the bound does not grow beyond this, in seconds
        :param max_retry_after: how long the server can make the client wait, in seconds
        :param random: returns a number from 0 up to 1, for the random wait
        :param options: of each request; see :class:`RequestOptions`.  A body must be in memory.
            Without *timeout*, the limits of the session apply except for ``total``, which would
            end each stream.  It limits each silence instead (``sock_read``), unless the session
            sets a ``sock_read``.  A ``total`` that is given here ends a connection, and the next
            one follows
        :raises TypeError: an option has the wrong type
        :raises ValueError: an option has a value that is not allowed
        """
        given = fold_options(options, OPTIONS)
        data, json = given.pop("data", None), given.pop("json", None)
        request = EventRequest(
            shown_url=without_user_info(str(url)).partition("#")[0].partition("?")[0],
            given=given,
            body=make_payload(data, json, self._json_serialize, self._json_serialize_bytes),
            session_timeout=self.timeout,
            last_event_id=last_event_id,
            max_event_size=max_event_size,
            attempts=attempts,
            backoff=backoff,
            max_backoff=max_backoff,
            max_retry_after=max_retry_after,
            random=random,
        )
        connect = partial(self.request, checked_method(method), url)
        return EventSource(self._scope, connect, request)

    async def _request(self, method: str, str_or_url: StrOrURL, **options: Any) -> ClientResponse:
        """Make a request; if a subclass overrides this method, all verbs call it."""
        if not PLAIN_OPTIONS.issuperset(options):
            options = fold_options(options, OPTIONS)
        try:
            call = self._make_call(method, str_or_url, options)
        except Exception as exc:
            complaint = self._first_complaint(exc, options)
            if complaint is exc:
                raise
            raise complaint from None
        return await call.run()

    def _make_call(self, method: str, url: StrOrURL, options: Mapping[str, Any]) -> Call:
        """Check the options of a request and fill in the session's defaults."""
        scope = self._scope
        connector = scope.connector
        if connector is None:
            raise RuntimeError("Session is closed")
        settings = self._settings
        destination = destination_of(url, connector.allowed_protocol_schema_set, self._base_url)
        hop = Hop(self, checked_method(method), destination, settings.request)
        if self._proxy is not None:
            hop.proxy = self._proxy
        if options:
            settings = self._take_options(hop, connector, **options)
        else:
            self._headers.apply(hop)
            if destination.has_credentials or scope.defaults.auth is not None:
                hop.take_credentials(None, scope.defaults)
        call = CallScope(scope, connector, hop, settings)
        if self._trace_configs or is_logged(INFO):
            return Call(call, tracer_of(call, self._trace_configs))
        return Call(call, None)

    def _take_options(
        self,
        hop: Hop,
        connector: BaseConnector,
        *,
        params: Query = None,
        data: Any = None,
        json: Any = None,
        cookies: LooseCookies | None = None,
        headers: LooseHeaders | None = None,
        auth: BasicAuth | None = None,
        allow_redirects: bool = True,
        proxy: StrOrURL | None = None,
        proxy_auth: BasicAuth | None = None,
        proxy_headers: LooseHeaders | None = None,
        trace_request_ctx: object = None,
        upload_tracker: UploadTracker | None = None,
        **settings: Any,
    ) -> Settings:
        """Give *hop* what the caller asks for; return the settings of the call."""
        check_flag("allow_redirects", allow_redirects)
        hop.follows = allow_redirects
        if params:
            hop.destination = Destination(with_params(hop.url, params))
        effective = self._settings
        if settings:
            effective = overridden(effective, **settings)
            hop.settings = effective.request
        self._headers.apply(hop, headers)
        scope = self._scope
        if scope.handshakes and hop.headers.get(hdrs.SEC_WEBSOCKET_KEY) in scope.handshakes:
            hop.is_handshake = True
        default = scope.defaults.auth
        if auth is not None or default is not None or hop.destination.has_credentials:
            hop.take_credentials(auth, scope.defaults)
        if cookies is not None:
            hop.cookies = cookies
        if data is not None or json is not None:
            hop.body = make_payload(data, json, self._json_serialize, self._json_serialize_bytes)
        if (proxy, proxy_auth, proxy_headers) != _NO_PROXY:
            hop.proxy = proxy_for(connector, proxy, proxy_auth, proxy_headers, self._proxy)
        if upload_tracker is not None:
            check_instance("upload_tracker", upload_tracker, UploadTracker)
            hop.upload_tracker = upload_tracker
        if trace_request_ctx is not None:
            hop.trace_context = trace_request_ctx
        return effective


_NO_PROXY: Final = (None, None, None)

_OWN_REQUEST: Final = ClientSession._request
_OWN_WS_CONNECT: Final = ClientSession._ws_connect
_OWN_CLOSE: Final = ClientSession.close
_OWN_REQUEST.__signature__ = REQUEST_SIGNATURE  # type: ignore[attr-defined]  # read by inspect

_HOOKS: Final = Hooks(ClientSession, SESSION_REFUSED)


async def pause(session: ClientSession, seconds: float) -> None:
    """Wait for so long, or until *session* is closed."""
    with session._scope.waits.leaving():
        await anyio.sleep(seconds)
