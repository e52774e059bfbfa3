"""Opening a WebSocket: the options of ``ws_connect()``, the handshake, the context manager."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypedDict

from .. import hdrs
from .._common import (
    AsyncWithOnly,
    check_count,
    check_flag,
    check_seconds,
    is_left_out,
    is_number,
    shown_class,
    warn_deprecated,
)
from .._headers import header_pairs
from .._network import SSLOption
from .._targets import BasicAuth
from .._tasks import HelperTasks, TaskOwner
from .._websocket import (
    ClientWSTimeout,
    HandshakeRefused,
    Offer,
    WSSettings,
    foreign_ws_timeout,
    new_key,
)
from ..client_exceptions import WSServerHandshakeError
from ..client_reqrep import ClientResponse, exchange_of, read_error_body, take_exchange
from ..client_ws import ClientWebSocketResponse, keep_response, start_heartbeat
from ..typedefs import LooseHeaders, Query, StrOrURL
from ._context_managers import deadline_of, missing_attribute
from ._session_scope import SessionScope

__all__ = ("WSOptions", "WSRequestContextManager", "open_websocket")

_DEFAULTS: Final = WSSettings()


class WSOptions(TypedDict, total=False):
    """Options of ``ws_connect()``.

    ``method``
        method of the handshake; ``"GET"`` by default
    ``protocols``
        names of subprotocols to offer, the preferred one first; none by default
    ``timeout``
        a :class:`ClientWSTimeout`.  By default messages are awaited without a limit, and closing
        takes 10 seconds at most.  A number is deprecated and means ``ws_close``
    ``receive_timeout``
        deprecated; use ``ws_receive`` of the timeout
    ``autoclose``
        answer the peer's CLOSE and close the connection before CLOSE is returned; ``True`` by
        default
    ``autoping``
        answer pings, and return neither pings nor pongs; ``True`` by default
    ``heartbeat``
        ping the peer after so many seconds without activity; off by default.  If nothing comes
        within half of that time after the ping, the WebSocket is closed.  On trio, after a bare
        ``await`` in a session that has not been entered, this happens only while a task receives
    ``origin``
        value of the header ``Origin``; not sent by default
    ``compress``
        offer compression with a window of 9 to 15 bits; 0, the default, offers none
    ``max_msg_size``
        size of the largest message that is received whole, in bytes: 4 MiB by default, 0 for no
        limit
    ``decode_text``
        return text messages as ``str``, and not as ``bytes``; ``True`` by default
    ``auth``, ``params``, ``headers``, ``proxy``, ``proxy_auth``, ``proxy_headers``
        as for a request; see :class:`~anyhttp.client.RequestOptions`
    ``ssl``, ``server_hostname``
        as for a request
    ``verify_ssl``, ``ssl_context``, ``fingerprint``
        deprecated; use ``ssl``
    """

    method: str
    protocols: Sequence[str]
    timeout: ClientWSTimeout | float
    receive_timeout: float | None
    autoclose: bool
    autoping: bool
    heartbeat: float | None
    auth: BasicAuth | None
    origin: str | None
    params: Query
    headers: LooseHeaders | None
    proxy: StrOrURL | None
    proxy_auth: BasicAuth | None
    proxy_headers: LooseHeaders | None
    ssl: SSLOption | None
    verify_ssl: bool | None
    fingerprint: bytes | None
    ssl_context: ssl_module.SSLContext | None
    server_hostname: str | None
    compress: int
    max_msg_size: int
    decode_text: bool


async def open_websocket(
    scope: SessionScope,
    url: StrOrURL,
    options: WSOptions,
    tasks: HelperTasks | None,
    *,
    make_request: Callable[..., Awaitable[ClientResponse]],
    websocket_class: type[ClientWebSocketResponse],
) -> ClientWebSocketResponse:
    """Open a WebSocket.

    :param tasks: get the task of the heartbeat if the session has no tasks
    :param make_request: ``request()`` of the session, or what a program has put in its place; the
        session knows the request by its key, whichever way it takes from there
    """
    scope.check_open()
    given = dict(options)
    method: Any = given.pop("method", hdrs.METH_GET)
    handshake = WSHandshake(**given)  # type: ignore[arg-type]  # the types are in WSOptions
    scope.forget_lost_tasks()
    tasks = scope.helper_tasks or tasks
    scope.handshakes.add(handshake.key)
    try:
        request = make_request(method, url, **handshake.request)
        response = await request
    finally:
        scope.handshakes.discard(handshake.key)
    return await handshake.finish(response, websocket_class, tasks, deadline_of(request))


class WSHandshake:
    """One call of ``ws_connect()``, with its options checked."""

    __slots__ = ("_offer", "_request", "_settings", "key")

    def __init__(
        self,
        *,
        protocols: Sequence[str] = (),
        timeout: ClientWSTimeout | float = _DEFAULTS.timeout,
        receive_timeout: float | None = None,
        autoclose: bool = True,
        autoping: bool = True,
        heartbeat: float | None = None,
        origin: str | None = None,
        headers: LooseHeaders | None = None,
        compress: int = 0,
        max_msg_size: int = _DEFAULTS.max_msg_size,
        decode_text: bool = True,
        **request: Any,
    ) -> None:
        #: marks the request as a handshake; each attempt to send it has another key
        self.key: str = new_key()
        self._offer = Offer(protocols, compress)
        check_count("max_msg_size", max_msg_size)
        check_flag("autoclose", autoclose)
        check_flag("autoping", autoping)
        check_flag("decode_text", decode_text)
        self._settings = WSSettings(
            timeout=_checked_timeout(timeout, receive_timeout),
            autoclose=autoclose,
            autoping=autoping,
            heartbeat=_checked_heartbeat(heartbeat),
            max_msg_size=max_msg_size,
            decode_text=decode_text,
        )
        # Options that are None are left out, so that the defaults of a request apply.
        self._request = {name: value for name, value in request.items() if value is not None}
        self._request["headers"] = self._headers(headers, origin)
        self._request["raise_for_status"] = False

    def _headers(self, given: LooseHeaders | None, origin: str | None) -> list[tuple[str, str]]:
        """Return the caller's headers and those of the handshake.

        The caller may replace the handshake headers in ``_OVERRIDABLE``, and no others.
        """
        pairs = header_pairs("headers", given)
        ours = [*self._offer.headers(), (hdrs.SEC_WEBSOCKET_KEY, self.key)]
        if not pairs and origin is None:
            return ours
        if origin is not None:
            pairs = [pair for pair in pairs if pair[0].lower() != "origin"]
            pairs.append(("Origin", origin))
        named = {name.lower() for name, _ in pairs}
        kept = [pair for pair in ours if pair[0].lower() not in named & _OVERRIDABLE]
        fixed = {name.lower() for name, _ in kept}
        return [*(pair for pair in pairs if pair[0].lower() not in fixed), *kept]

    @property
    def request(self) -> dict[str, Any]:
        """Options of the request to make."""
        return self._request

    async def finish(
        self,
        response: ClientResponse,
        websocket_class: type[ClientWebSocketResponse],
        tasks: HelperTasks | None,
        total_at: float,
    ) -> ClientWebSocketResponse:
        """Return the open WebSocket.

        :param tasks: get the task of the heartbeat; see :func:`start_heartbeat`
        :param total_at: when the time of the request is over, on anyio's clock
        :raises WSServerHandshakeError: the server refused; the response is closed then
        """
        sent = response.request_info.headers
        named = sent.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ())
        opened = exchange_of(response)
        try:
            if response.version.major == 2 and opened is not None and opened.switches:
                accepted = self._offer.agreed(response.headers, named)
            else:
                key = sent.get(hdrs.SEC_WEBSOCKET_KEY, "")
                accepted = self._offer.check(response.status, response.headers, key, named)
        except HandshakeRefused as exc:
            raise await _refusal(response, str(exc), total_at) from None
        # From now on the WebSocket holds the connection, and not the response.
        exchange = take_exchange(response)
        if exchange is None:
            raise RuntimeError("the response to a WebSocket's handshake has no connection any more")
        try:
            websocket = websocket_class(exchange, accepted, self._settings)
        except BaseException:
            exchange.close()
            raise
        keep_response(websocket, response)
        start_heartbeat(websocket, tasks)
        return websocket


async def _refusal(
    response: ClientResponse, message: str, total_at: float
) -> WSServerHandshakeError:
    """Return the error for *response*, with the beginning of its body; close the response."""
    error = WSServerHandshakeError(
        response.request_info,
        response.history,
        message=message,
        status=response.status,
        headers=response.headers,
    )
    try:
        error.body = await read_error_body(response, total_at)
    finally:
        response.close()
    return error


_OVERRIDABLE: Final = frozenset({"upgrade", "connection", "sec-websocket-version"})


class WSRequestContextManager(AsyncWithOnly, Coroutine[Any, Any, ClientWebSocketResponse]):
    """A WebSocket that is not open yet: await it, or enter it with ``async with``.

    Awaiting returns a WebSocket that the caller closes; ``async with`` closes it at the end of
    the block.
    """

    __slots__ = ("_connect", "_coroutine", "_heartbeat", "_owner", "_scope", "_tasks", "_websocket")

    def __init__(
        self,
        scope: SessionScope,
        connect: Callable[[HelperTasks | None], Coroutine[Any, Any, ClientWebSocketResponse]],
        *,
        heartbeat: bool,
    ) -> None:
        self._scope = scope
        self._connect = connect
        self._heartbeat = heartbeat
        self._coroutine: Coroutine[Any, Any, ClientWebSocketResponse] | None = None
        self._owner: TaskOwner | None = None  # of the task of the heartbeat
        self._tasks: HelperTasks | None = None
        self._websocket: ClientWebSocketResponse | None = None

    if not TYPE_CHECKING:  # it would make each name an attribute for a type checker

        def __getattr__(self, name):
            raise missing_attribute(self, name)

    def _started(self) -> Coroutine[Any, Any, ClientWebSocketResponse]:
        if self._coroutine is None:
            self._coroutine = self._open()
        return self._coroutine

    async def _open(self) -> ClientWebSocketResponse:
        return await self._connect(self._tasks)

    def send(self, value: Any) -> Any:
        """Be a coroutine."""
        return self._started().send(value)

    def throw(self, *args: Any) -> Any:
        """Be a coroutine."""
        return self._started().throw(*args)

    def close(self) -> None:
        """Be a coroutine."""
        self._started().close()

    def __await__(self) -> Generator[Any, None, ClientWebSocketResponse]:
        return self._started().__await__()

    async def __aenter__(self) -> ClientWebSocketResponse:
        self._scope.forget_lost_tasks()
        if self._heartbeat and self._scope.helper_tasks is None:
            self._owner = TaskOwner()
            self._tasks = self._owner.tasks
        try:
            self._websocket = await self._started()
        except BaseException as exc:
            await self._end_tasks(exc)
            raise
        return self._websocket

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        websocket, self._websocket = self._websocket, None
        assert websocket is not None
        try:
            await websocket.__aexit__(exc_type, exc, traceback)
        finally:
            await self._end_tasks(exc)

    async def _end_tasks(self, raised: BaseException | None) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.leave(raised)


# -- arguments -------------------------------------------------------------------------


def _checked_heartbeat(heartbeat: float | None) -> float | None:
    if not heartbeat:
        return None
    check_seconds("heartbeat", heartbeat, finite=True)
    return heartbeat


def _checked_timeout(
    timeout: ClientWSTimeout | float, receive_timeout: float | None
) -> ClientWSTimeout:
    if is_number(timeout):
        warn_deprecated("a number as timeout is deprecated: use ClientWSTimeout(ws_close=...)")
        timeout = ClientWSTimeout(ws_close=timeout)
    elif not isinstance(timeout, ClientWSTimeout):
        left_out = is_left_out(timeout)
        converted = _DEFAULTS.timeout if left_out else foreign_ws_timeout(timeout)
        if converted is None:
            name = shown_class(type(timeout))
            raise TypeError(f"timeout must be an anyhttp.ClientWSTimeout, not {name}")
        timeout = converted
    if receive_timeout is not None:
        warn_deprecated("receive_timeout is deprecated: use ClientWSTimeout(ws_receive=...)")
        timeout = ClientWSTimeout(receive_timeout, timeout.ws_close)
    return timeout
