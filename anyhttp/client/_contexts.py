"""What a verb returns: a request that has not begun, to be awaited or entered."""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

from .._http1 import Exchange
from ..client_reqrep import ClientResponse
from ..client_ws import ClientWebSocketResponse
from ..connector import (
    BaseConnector,
    forget_warning,
)
from ..typedefs import StrOrURL
from ._call import Call
from ._ws_connect import (
    OpensWebSocket,
    WSOptions,
    WSRequestContextManager,
)

if TYPE_CHECKING:
    from types import TracebackType

__all__ = (
    "RequestContextManager",
    "SessionRequestContextManager",
    "SessionWSContextManager",
    "refused",
)


class RequestContextManager(Coroutine[Any, Any, ClientResponse]):
    """A request that has not begun: await it, or enter it with ``async with``.

    Awaiting returns a response that the caller releases; ``async with`` releases it at the
    end of the block.
    """

    __slots__ = ("_call", "_coroutine", "_response")

    def __init__(
        self, coroutine: Coroutine[Any, Any, ClientResponse], call: Call | None = None
    ) -> None:
        self._coroutine = coroutine
        self._call = call  # whose coroutine it is; None for one that we know nothing of
        self._response: ClientResponse | None = None

    def send(self, value: Any) -> Any:
        """Be a coroutine."""
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        """Be a coroutine."""
        return self._coroutine.throw(*args)

    def close(self) -> None:
        """Be a coroutine."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, ClientResponse]:
        return self._coroutine.__await__()

    # Each coroutine that only awaits another is passed through again whenever the task goes on.

    def _begin(self) -> Coroutine[Any, Any, ClientResponse]:
        call = self._call
        if call is None:
            return self._enter()
        call.in_block = True
        return self._coroutine

    async def _enter(self) -> ClientResponse:
        self._response = await self._coroutine
        return await self._response.__aenter__()

    def _end(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Coroutine[Any, Any, None]:
        call = self._call
        if call is None:
            response, self._response = self._response, None
        else:
            response, call.entered = call.entered, None
        assert response is not None
        leaving = response.__aexit__(exc_type, exc, traceback)
        return leaving if call is None or call.group is None else _leave(leaving, call, exc)

    if TYPE_CHECKING:  # what AsyncExitStack asks for, as pyright reads it

        async def __aenter__(self) -> ClientResponse:
            raise NotImplementedError

        async def __aexit__(
            self,
            exc_type: type[BaseException] | None,
            exc: BaseException | None,
            traceback: TracebackType | None,
        ) -> None:
            raise NotImplementedError

    else:
        __aenter__ = _begin
        __aexit__ = _end


async def _leave(
    leaving: Coroutine[Any, Any, None], call: Call, raised: BaseException | None
) -> None:
    """Leave a response, and then the tasks of the block."""
    try:
        await leaving
    finally:
        await call.leave(raised)


async def refused(error: Exception) -> ClientResponse:
    """Stand for a request that cannot be made: raise *error* where it is awaited."""
    try:
        raise error
    finally:
        del error  # whose traceback holds this frame


# What Python calls a request that is never awaited.
Call.run.__qualname__ = refused.__qualname__ = "ClientSession.request"


# -- with a session of its own ----------------------------------------------------------


class LoneSession(OpensWebSocket, Protocol):
    """What a request needs of the session that is its own."""

    exchanges: set[Exchange]

    @property
    def connector(self) -> BaseConnector | None: ...
    @property
    def connector_owner(self) -> bool: ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def close(self) -> None: ...
    def detach(self) -> None: ...

    def _start(
        self, method: str, url: StrOrURL, options: Mapping[str, Any]
    ) -> RequestContextManager: ...


class SessionRequestContextManager(RequestContextManager):
    """A request with a session of its own, which ends with the response."""

    __slots__ = ("_session", "_started")

    def __init__(
        self, session: LoneSession, method: str, url: StrOrURL, options: Mapping[str, Any]
    ) -> None:
        # The session's own request, once it has begun: before, there is nothing to await.
        self._started: list[RequestContextManager] = []
        super().__init__(_request_alone(session, self._started, method, url, options))
        self._session = session

    async def __aenter__(self) -> ClientResponse:
        try:
            await self._session.__aenter__()
        except BaseException:
            self.close()  # the request, which has not begun
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
    session: LoneSession,
    started: list[RequestContextManager],
    method: str,
    url: StrOrURL,
    options: Mapping[str, Any],
) -> ClientResponse:
    request = session._start(method, url, options)
    if session.task_group is not None:  # by an "async with", which ends it too
        started.append(request)
        return await request.__aenter__()
    try:
        response = await request
    except BaseException:
        await session.close()
        raise
    if session.exchanges:
        # Nobody else holds the session: it is over when its last response is.
        for exchange in session.exchanges:
            exchange.on_end = lambda: _end_session(session)
    else:
        await session.close()
    return response


_request_alone.__qualname__ = "request"


class SessionWSContextManager(WSRequestContextManager):
    """A WebSocket with a session of its own, which ends with it."""

    __slots__ = ("_own",)

    def __init__(self, session: LoneSession, url: StrOrURL, options: WSOptions) -> None:
        super().__init__(session, url, options)
        self._own = session

    async def _open(self) -> ClientWebSocketResponse:
        session = self._own
        try:
            websocket = await super()._open()
        except BaseException:
            if session.task_group is None:
                await session.close()
            raise
        if session.task_group is None:
            (exchange,) = session.exchanges
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


def _end_session(session: LoneSession) -> None:
    """Close a session whose connection has just been given back, if it was the last."""
    if session.exchanges:
        return  # a middleware has asked for something else besides
    connector = session.connector
    session.detach()
    if connector is not None and session.connector_owner:
        forget_warning(connector)
