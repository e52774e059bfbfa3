"""``request()`` and ``ws_connect()`` without a session: each call makes a session for itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack, cast

from .._common import HttpVersion, HttpVersion11
from ..client_reqrep import ClientRequest, ClientResponse
from ..client_ws import ClientWebSocketResponse
from ..connector import BaseConnector, TCPConnector, forget_warning
from ..typedefs import StrOrURL
from ._context_managers import RequestContextManager
from ._deprecated_options import fold_options
from ._options import OPTIONS, PLAIN_OPTIONS, LoneRequestOptions
from ._session import ClientSession
from ._ws_connect import WSOptions, WSRequestContextManager

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("request", "ws_connect")


def request(
    method: str,
    url: StrOrURL,
    *,
    version: HttpVersion = HttpVersion11,
    connector: BaseConnector | None = None,
    loop: object = None,
    request_class: type[ClientRequest] | None = ClientRequest,
    response_class: type[ClientResponse] | None = ClientResponse,
    **options: Unpack[LoneRequestOptions],
) -> SessionRequestContextManager:
    """Make one request with a new session; see :meth:`ClientSession.request`.

    With ``async with`` the end of the block closes response and session; a bare ``await``
    returns a response that closes the session when it is read to its end or released.

    :param connector: used and left open; when left out, a new one without keep-alive
    """
    given: dict[str, Any] = {**options}
    if not PLAIN_OPTIONS.issuperset(given):
        given = fold_options(given, OPTIONS)
    owner = connector is None
    session = ClientSession(
        connector=TCPConnector(force_close=True) if connector is None else connector,
        connector_owner=owner,
        cookies=given.pop("cookies", None),
        version=version,
        request_class=request_class,
        response_class=response_class,
        loop=loop,
    )
    return SessionRequestContextManager(session, method, url, given)


def ws_connect(
    url: StrOrURL, *, connector: BaseConnector | None = None, **options: Unpack[WSOptions]
) -> WSRequestContextManager:
    """Open a WebSocket with a new session; see :meth:`ClientSession.ws_connect`.

    With ``async with`` the end of the block closes WebSocket and session; a bare ``await``
    returns a WebSocket that closes the session when it is closed.

    :param connector: used and left open; when left out, a new one
    """
    folded = fold_options(options, WSOptions.__optional_keys__)
    session = ClientSession(
        connector=TCPConnector(force_close=True) if connector is None else connector,
        connector_owner=connector is None,
    )
    return SessionWSContextManager(session, url, cast("WSOptions", folded))


class SessionRequestContextManager(RequestContextManager):
    """A request with a new session, which is closed with the response."""

    __slots__ = ("_session", "_started")

    def __init__(
        self, session: ClientSession, method: str, url: StrOrURL, options: Mapping[str, Any]
    ) -> None:
        # Holds what ClientSession.request() returns, once _request_alone() has called it.
        self._started: list[RequestContextManager] = []
        super().__init__(_request_alone(session, self._started, method, url, options))
        self._session = session

    async def __aenter__(self) -> ClientResponse:
        try:
            await self._session.__aenter__()
        except BaseException:
            self.close()  # the coroutine of the request; Python would warn that nobody awaited it
            raise
        try:
            return await self._coroutine
        except BaseException as exc:
            await self._session.__aexit__(type(exc), exc, exc.__traceback__)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._started.pop().__aexit__(exc_type, exc, traceback)
        finally:
            await self._session.__aexit__(exc_type, exc, traceback)


async def _request_alone(
    session: ClientSession,
    started: list[RequestContextManager],
    method: str,
    url: StrOrURL,
    options: Mapping[str, Any],
) -> ClientResponse:
    request = session._start(method, url, options)
    if session._scope.helper_tasks is not None:  # entered by "async with", which also leaves it
        started.append(request)
        return await request.__aenter__()
    try:
        response = await request
    except BaseException:
        await session.close()
        raise
    exchanges = session._scope.exchanges.all()
    if exchanges:
        # The caller cannot close this session, so the end of its last exchange closes it.
        for exchange in exchanges:
            exchange.on_end = lambda: _end_session(session)
    else:
        await session.close()
    return response


_request_alone.__qualname__ = "request"


class SessionWSContextManager(WSRequestContextManager):
    """A WebSocket with a new session, which is closed with the WebSocket."""

    __slots__ = ("_own",)

    def __init__(self, session: ClientSession, url: StrOrURL, options: WSOptions) -> None:
        super().__init__(
            session._scope,
            partial(session._ws_connect, url, options),
            heartbeat=bool(options.get("heartbeat")),
        )
        self._own = session

    async def _open(self) -> ClientWebSocketResponse:
        session = self._own
        try:
            websocket = await super()._open()
        except BaseException:
            if session._scope.helper_tasks is None:
                await session.close()
            raise
        if session._scope.helper_tasks is None:
            (exchange,) = session._scope.exchanges
            exchange.also_on_end(lambda: _end_session(session))
        return websocket

    async def __aenter__(self) -> ClientWebSocketResponse:
        await self._own.__aenter__()
        try:
            return await super().__aenter__()
        except BaseException as exc:
            await self._own.__aexit__(type(exc), exc, exc.__traceback__)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await super().__aexit__(exc_type, exc, traceback)
        finally:
            await self._own.__aexit__(exc_type, exc, traceback)


def _end_session(session: ClientSession) -> None:
    """Close *session*, whose connection has just been given back, unless it has another one."""
    if session._scope.exchanges.all():
        return  # a middleware has sent further requests with this session
    connector = session.connector
    session.detach()
    if connector is not None and session.connector_owner:
        forget_warning(connector)
