"""Middlewares between a session and the network: their types, and how they are chained."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from .client_reqrep import ClientRequest, ClientResponse

__all__ = (
    "ClientHandlerType",
    "ClientMiddlewareType",
    "build_client_middlewares",
    "checked_middlewares",
)

#: Sends a request; awaiting the call returns the response.
ClientHandlerType = Callable[[ClientRequest], Awaitable[ClientResponse]]

#: Handles a request; usually it changes the request and calls the handler.
ClientMiddlewareType = Callable[[ClientRequest, ClientHandlerType], Awaitable[ClientResponse]]


def build_client_middlewares(
    handler: ClientHandlerType, middlewares: Sequence[ClientMiddlewareType]
) -> ClientHandlerType:
    """Return a handler that passes a request through *middlewares*, then to *handler*.

    The first middleware is the outermost: it sees the request first and the response last.
    """
    for middleware in reversed(middlewares):
        handler = _around(middleware, handler)
    return handler


def _around(middleware: ClientMiddlewareType, handler: ClientHandlerType) -> ClientHandlerType:
    def call(request: ClientRequest) -> Awaitable[ClientResponse]:
        return middleware(request, handler)

    return call


def checked_middlewares(value: Iterable[ClientMiddlewareType]) -> tuple[ClientMiddlewareType, ...]:
    """Return the ``middlewares`` argument of a session or a request.

    :raises TypeError: it is not an iterable of callables; or one of them is a class, and what it
        makes cannot be awaited
    """
    if not isinstance(value, Iterable):
        raise TypeError(f"middlewares must be a sequence of callables, not {type(value).__name__}")
    middlewares = tuple(value)
    for middleware in middlewares:
        if not callable(middleware):
            raise TypeError(
                f"middlewares must be a sequence of callables, but one of them is "
                f"of type {type(middleware).__name__}"
            )
        if isinstance(middleware, type) and not hasattr(middleware, "__await__"):
            name = middleware.__name__
            raise TypeError(f"middlewares holds the class {name}: make an object, {name}(...)")
    return middlewares
