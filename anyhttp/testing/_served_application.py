"""An ASGI application on the loopback server."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeGuard

from .._tasks import TaskOwner
from ._application import checked_root_path
from ._asgi import asgi_call
from ._asgi_call import ASGIApplication, CallSettings, ServerCall
from ._lifespan import Lifespan, LifespanMode
from ._server_connection import ServerExchange

__all__ = ("ServedApplication", "is_application")


class ServedApplication:
    """Starts and stops an application, and calls it for requests.

    :param root_path: where the application is mounted
    :param lifespan: whether it is told of startup and shutdown
    :param seconds: how long it may take to return after its shutdown
    """

    def __init__(
        self, app: ASGIApplication, root_path: str, lifespan: LifespanMode, seconds: float
    ) -> None:
        self._app = app
        self._root_path = checked_root_path(root_path)
        self._lifespan = Lifespan(app, lifespan, seconds)
        self._owner: TaskOwner | None = None

    async def start(self) -> None:
        """Start the application; it has ended if this raises an exception.

        :raises LifespanError: it has reported a failure
        :raises BaseException: what it has raised
        """
        self._owner = TaskOwner()
        await self._lifespan.start(self._owner.tasks)

    async def stop(self, raised: BaseException | None) -> None:
        """Stop the application; it has ended when this returns or is cancelled.

        :param raised: the exception of the block that ends
        :raises LifespanError: it has reported a failure, or did not return in time
        :raises BaseException: what it has raised
        """
        assert self._owner is not None
        try:
            await self._lifespan.stop()
        finally:
            await self._owner.leave(raised)

    def call_for(self, exchange: ServerExchange, server: tuple[str, int | None]) -> ServerCall:
        """Return a call in answer to the request of *exchange*.

        :param server: host and port of the server
        """
        settings = CallSettings(
            client=exchange.connection.client,
            server=server,
            root_path=self._root_path,
            state=self._lifespan.state,
        )
        return asgi_call(self._app, exchange, settings)


def is_application(source: object) -> TypeGuard[ASGIApplication]:
    """Whether *source* is an ASGI application, and no function of a request.

    :raises TypeError: it may be called as both
    """
    if not callable(source) or isinstance(source, (type, Exception)):
        return False
    try:
        signature = inspect.signature(source)
    except (TypeError, ValueError):  # some built-in callables do not tell
        return False
    takes_three = _takes(signature, {}, None, None)
    if takes_three and _takes(signature, None):
        raise TypeError(
            f"source {source!r} takes {signature}, so it may be an ASGI application as well as a "
            "function of a request: wrap it in a function of three arguments or of one"
        )
    return takes_three


def _takes(signature: inspect.Signature, *arguments: object) -> bool:
    bind: Callable[..., Any] = signature.bind
    try:
        bind(*arguments)
    except TypeError:
        return False
    return True
