"""Middlewares between a session and the network: their types, and how they are chained.

:func:`base_origin`, :func:`phase` and the functions after them are for the middlewares of this
package.  They know the call of the request that the session has made, until the middlewares have
answered.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import anyio

from ._targets import Origin
from ._tasks import closable_scope
from .client_reqrep import ClientRequest, ClientResponse, call_of

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


CallT = TypeVar("CallT", bound=Callable[..., Awaitable[ClientResponse]])

#: what :func:`watches_time` has decorated
_WATCHING: Final[set[object]] = set()


def watches_time(call: CallT) -> CallT:
    """Decorate the ``__call__`` of a middleware that needs nobody to limit its time.

    It awaits nothing but its handler, and what it awaits within :func:`phase`.  A cancel scope
    around the call would cost more than the middleware does.
    """
    _WATCHING.add(call)
    return call


def all_watch_time(middlewares: Iterable[ClientMiddlewareType]) -> bool:
    """Whether :func:`watches_time` has decorated all of *middlewares*.

    A class that is derived from one of this package may override its ``__call__``.
    """
    return all(getattr(type(each), "__call__", None) in _WATCHING for each in middlewares)  # noqa: B004


def base_origin(request: ClientRequest) -> Origin | None:
    """Return the origin of the ``base_url`` of the session that has made *request*.

    :returns: ``None`` if the session has none, or a middleware has made the request
    """
    call = call_of(request)
    return None if call is None else call.base_origin


@contextmanager
def phase(request: ClientRequest, doing: str) -> Iterator[None]:
    """Say what the call of *request* is doing in a block, which its ``total`` time limits.

    :param doing: what follows "ran out while", such as ``"waiting for a token"``
    :raises TimeoutError: the time is over
    """
    call = call_of(request)
    if call is None:  # a request that a middleware has made itself
        yield
        return
    before, call.phase = call.phase, doing
    with closable_scope(call.total_at) as scope:
        try:
            yield
        except Exception:
            call.phase = before
            raise
    if scope.cancelled_caught:
        raise call.timed_out() from None
    # Not after a cancellation from outside: if that is a time limit, the message is made next.
    call.phase = before


@contextmanager
def waiting_phase(request: ClientRequest, doing: str) -> Iterator[None]:
    """Do what :func:`phase` does, and leave the block when the session is closed.

    The block does nothing but wait.  If the session is closed, sending *request* after it raises
    the exception that says so.
    """
    call = call_of(request)
    if call is None:
        yield
        return
    with phase(request, doing), call.waits.leaving():
        yield


def is_session_closed(request: ClientRequest) -> bool:
    """Whether the session of *request* has been closed, so that sending it fails."""
    call = call_of(request)
    return call is not None and call.waits.cancelled


async def tell_of_retry(
    request: ClientRequest,
    *,
    attempt: int,
    delay: float,
    response: ClientResponse | None = None,
    exception: BaseException | None = None,
) -> None:
    """Tell trace handlers and the log that *request* is going to be sent again.

    :param attempt: number of the attempt that follows; 2 for the first one after a failure
    :param delay: how long the caller waits before it, in seconds
    :param response: the response that is not good enough, if there was one
    :param exception: why there was no response

    An exception of a trace handler is passed on.
    """
    call = call_of(request)
    if call is not None:
        await call.tell_of_retry(request, attempt, delay, response, exception)


async def give_back(request: ClientRequest) -> None:
    """Give back the connections of the responses that the call of *request* has had so far.

    The rest of a short body is read, so that its connection can be used again.  Sending a request
    does the same; this is for a middleware that waits before that.
    """
    call = call_of(request)
    if call is not None:
        await call.give_back()


def take_stale(request: ClientRequest, error: BaseException | None) -> bool:
    """Whether *error* says that the server had closed a connection that was kept.

    Then the call would begin anew.  If this is true, the caller sends *request* again, or raises
    *error*, and the call does not begin anew.
    """
    call = call_of(request)
    return call is not None and error is not None and call.take_stale(error)


def time_left(request: ClientRequest) -> float:
    """Return the seconds that are left of the ``total`` time of *request*; ``inf`` for no limit.

    It is 0, never less, when the time is over.
    """
    call = call_of(request)
    if call is None or call.total_at == math.inf:
        return math.inf
    return max(0.0, call.total_at - anyio.current_time())


def times_sent(request: ClientRequest) -> int:
    """Return how many requests have been sent already for the call that *request* belongs to.

    Those before a redirect count, and so do those that middlewares have sent again.
    """
    call = call_of(request)
    return 0 if call is None else call.sent
