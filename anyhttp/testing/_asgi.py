"""ASGI applications in the place of servers."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from .._common import check_callable, check_flag
from .._tasks import CLEAN_UP_SECONDS
from ._application import ApplicationConnector
from ._asgi_call import ASGIApplication, CallSettings, ServerCall
from ._asgi_http import HTTPCall
from ._asgi_websocket import WebSocketCall
from ._lifespan import Lifespan, LifespanMode
from ._memory import CLIENT_ADDRESS
from ._server_connection import ServerExchange

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("ASGIConnector", "asgi_call", "check_asgi")


class ASGIConnector(ApplicationConnector):
    """Calls an ASGI 3 application where other connectors connect to a server.

    Requests to all hosts go to the application, each over a connection of its own in memory;
    ``https`` and ``wss`` need no certificate.  Bodies are streamed both ways, and each side waits
    for the other.  If a client goes away, the application gets ``http.disconnect`` or
    ``websocket.disconnect``.

    The application runs in a task for each request, with the context variables of the request.
    An entered session starts the application (lifespan); in any other session, the first request
    does.  Closing the connector, as a session does with its own, shuts the application down.

    The request raises what the application raises, unchanged: while it waits for the head of the
    response, or when the program has read the body as far as it was sent.  If no request can raise
    it any more, :meth:`close` does.  After the client has gone, exceptions are only logged, because
    many applications fail then.  An application that breaks the rules of ASGI gets an
    :exc:`ASGIProtocolError`.

    :param app: the application
    :param raise_app_exceptions: ``False`` logs what the application raises, and answers as a server
        does: by a status 500, or a broken connection if the response has begun
    :param root_path: where the application is mounted; URLs of requests contain it
    :param client: host and port of the client, as the application sees it
    :param lifespan: ``"on"``, ``"off"``, or ``"auto"`` for an application that may not support it
    :param wait_for_background: end a response only when the application has returned, so that the
        test goes on after background tasks.  ``False`` ends it as soon as it has been sent, as
        servers do; choose this if the application waits for the test after the response
    :param shutdown_timeout: how long the application may take at the end, see :meth:`close`, and
        for its shutdown, in seconds: 5 by default
    :param limit: largest number of requests in progress: 100 by default; 0 or ``None``: no limit
    :param limit_per_host: the same for one host; no limit by default
    :raises TypeError: *app* is not an ASGI 3 application, or an argument has the wrong type
    :raises ValueError: an argument has a value that is not allowed
    """

    def __init__(
        self,
        app: ASGIApplication,
        *,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = CLIENT_ADDRESS,
        lifespan: LifespanMode = "auto",
        wait_for_background: bool = True,
        shutdown_timeout: float = CLEAN_UP_SECONDS,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
    ) -> None:
        super().__init__(
            raise_app_exceptions=raise_app_exceptions,
            root_path=root_path,
            client=client,
            shutdown_timeout=shutdown_timeout,
            limit=limit,
            limit_per_host=limit_per_host,
        )
        check_asgi(app)
        check_flag("wait_for_background", wait_for_background)
        self._app = app
        self._waits_for_background = wait_for_background
        self._lifespan = Lifespan(app, lifespan, shutdown_timeout)

    async def _start_up(self) -> None:
        await self._lifespan.start(self._owner().tasks)

    async def _stop_application(self) -> None:
        await self._lifespan.stop()

    def _call_for(self, exchange: ServerExchange, request: ClientRequest) -> ServerCall:
        key = request.connection_key
        settings = CallSettings(
            client=self._client,
            server=(key.host, key.port),
            root_path=self._root_path,
            state=self._lifespan.state,
            holds_end=self._waits_for_background,
        )
        return asgi_call(self._app, exchange, settings)


def asgi_call(app: ASGIApplication, exchange: ServerExchange, settings: CallSettings) -> ServerCall:
    """Return a call of *app* in answer to the request of *exchange*."""
    upgrade = exchange.headers.get("Upgrade", "").lower()
    if "websocket" in (token.strip() for token in upgrade.split(",")):
        return WebSocketCall(app, exchange, settings)
    return HTTPCall(app, exchange, settings)


def check_asgi(app: object) -> None:
    """Refuse *app* if it cannot be called as an ASGI 3 application.

    :raises TypeError: it cannot
    """
    check_callable("app", app)
    try:
        signature = inspect.signature(app)  # type: ignore[arg-type]  # a callable
    except (TypeError, ValueError):
        return  # some built-in callables do not tell
    try:
        signature.bind({}, None, None)
    except TypeError:
        raise TypeError(
            f"app must be an ASGI 3 application, which is called with scope, receive and send; "
            f"{app!r} takes {signature} (a WSGI application is for WSGIConnector)"
        ) from None
