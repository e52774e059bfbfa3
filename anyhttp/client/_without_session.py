"""``request()`` and ``ws_connect()`` without a session: each call makes a session for itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, Unpack

from .._common import HttpVersion, HttpVersion11
from ..client_reqrep import ClientRequest, ClientResponse
from ..client_ws import ClientWebSocketResponse
from ..connector import BaseConnector, TCPConnector, forget_warning
from ..typedefs import StrOrURL
from ._context_managers import AwaitableOrEntered
from ._deprecated_options import fold_options
from ._options import OPTIONS, PLAIN_OPTIONS, LoneRequestOptions
from ._session import ClientSession
from ._ws_connect import WSOptions

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ("request", "ws_connect")

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


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
) -> LoneContextManager[ClientResponse]:
    """Make one request with a new session; see :meth:`ClientSession.request`.

    With ``async with``, the end of the block closes the response and the session.  A bare
    ``await`` returns a response that closes the session when it is read to its end or released.

    :param version: as for :class:`ClientSession`
    :param connector: is used and left open; by default a new one, which keeps no connection
    :param loop: no effect; accepted for compatibility with aiohttp
    :param request_class: as for :class:`ClientSession`
    :param response_class: as for :class:`ClientSession`
    :param options: see :class:`RequestOptions`
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
    return LoneContextManager(session, partial(session._start, method, url, given), "request")


def ws_connect(
    url: StrOrURL, *, connector: BaseConnector | None = None, **options: Unpack[WSOptions]
) -> LoneContextManager[ClientWebSocketResponse]:
    """Open a WebSocket with a new session; see :meth:`ClientSession.ws_connect`.

    With ``async with``, the end of the block closes the WebSocket and the session.  A bare
    ``await`` returns a WebSocket that closes the session when it is closed.

    :param connector: is used and left open; by default a new one
    :param options: see :class:`WSOptions`
    """
    folded = fold_options(options, WSOptions.__optional_keys__)
    session = ClientSession(
        connector=TCPConnector(force_close=True) if connector is None else connector,
        connector_owner=connector is None,
    )
    return LoneContextManager(session, partial(session.ws_connect, url, **folded), "ws_connect")


class Start(Protocol[T_co]):
    """What a session returns for a request, or for a WebSocket that is to be opened."""

    def __await__(self) -> Generator[Any, None, T_co]: ...
    async def __aenter__(self) -> T_co: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class LoneContextManager(AwaitableOrEntered[T]):
    """A request, or a WebSocket, with a session of its own that ends with it.

    The session is not entered: an ``async with`` block owns what needs a task.

    :param name: of the function that was called, for Python's warning that nobody awaited it
    """

    __slots__ = ("_coroutine", "_session", "_start", "_started")

    def __init__(self, session: ClientSession, start: Callable[[], Start[T]], name: str) -> None:
        self._session = session
        self._start = start
        self._started: Start[T] | None = None
        coroutine: Any = _alone(session, start)
        coroutine.__qualname__ = name
        self._coroutine: Coroutine[Any, Any, T] = coroutine

    async def __aenter__(self) -> T:
        self._coroutine.close()  # Python would warn that nobody has awaited it
        session = self._session
        session._scope.check_open()  # it is closed if this has been awaited or entered before
        self._started = started = self._start()
        try:
            return await started.__aenter__()
        except BaseException as exc:
            await session._scope.leave(exc)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        started = self._started
        assert started is not None
        try:
            await started.__aexit__(exc_type, exc, traceback)
        finally:
            await self._session._scope.leave(exc)


async def _alone(session: ClientSession, start: Callable[[], Start[T]]) -> T:
    """Return what *start* begins; the end of its last exchange closes *session*."""
    try:
        result = await start()
    except BaseException as exc:
        await session._scope.leave(exc)
        raise
    exchanges = session._scope.exchanges.all()
    for exchange in exchanges:
        exchange.also_on_end(partial(_end_session, session))
    if not exchanges:
        await session.close()
    return result


def _end_session(session: ClientSession) -> None:
    """Close *session*, whose connection has just been given back, unless it has another one."""
    if session._scope.exchanges.all():
        return  # a middleware has sent further requests with this session
    connector = session.connector
    session.detach()
    if connector is not None and session.connector_owner:
        forget_warning(connector)
