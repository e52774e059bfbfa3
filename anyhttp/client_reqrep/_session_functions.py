"""Functions for the session, which makes responses and reaches into them.

They are not part of the public API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from .._http1 import Exchange, ResponseHead
from ..streams import StreamReader, read_ahead
from ._answer import called_as_in_aiohttp
from ._client_request import ClientRequest
from ._response import ERROR_BODY, ClientResponse

__all__ = (
    "adopt",
    "exchange_of",
    "make_response",
    "peer_of",
    "read_error_body",
    "set_history",
    "take_exchange",
    "watch_body",
)

#: How long to wait for the part of the body that goes into an exception, in seconds.
ERROR_BODY_SECONDS: Final = 1.0


def make_response(
    request: ClientRequest,
    head: ResponseHead,
    exchange: Exchange,
    content: StreamReader | bytes,
    fallback_charset_resolver: Callable[[ClientResponse, bytes], str],
    seconds: float,
) -> ClientResponse:
    """Make the response to *request*, which took *seconds*.

    A subclass with a constructor of its own is called as aiohttp calls it.
    """
    kind = request.response_class
    if kind._makes_itself:
        response = called_as_in_aiohttp(kind, request)
        response._cookies = None  # those in the headers are read when somebody asks for them
    else:
        response = _new_response(kind)
    response._request = request
    response._exchange = exchange
    response._head = head
    response._fallback_charset = fallback_charset_resolver
    response._body = None
    response._released = False
    response._in_context = False
    response._on_body = None
    response.method = request.method
    response.version = head.version
    response.status = head.status
    response.reason = head.reason
    response._content = content
    response._seconds = seconds
    return response


_new_response: Final[Callable[[type[ClientResponse]], ClientResponse]] = object.__new__


def exchange_of(response: ClientResponse) -> Exchange | None:
    """Return the exchange of *response*; ``None`` if it has none."""
    return response._exchange


def peer_of(response: ClientResponse) -> object:
    """Return the address that *response* came from: a host and a port, or the path of a socket.

    ``None`` if it came from none, or its connection has been closed.  It may be that of a proxy.
    """
    exchange = response._exchange
    return None if exchange is None else exchange.peer


def take_exchange(response: ClientResponse) -> Exchange | None:
    """Take the exchange of *response* away from it; the caller has to close it."""
    exchange, response._exchange = response._exchange, None
    return exchange


def adopt(
    response: ClientResponse, fallback_charset_resolver: Callable[[ClientResponse, bytes], str]
) -> bool:
    """Give *response* what those of the session have, if ``for_request()`` has made it.

    :returns: whether it has
    """
    if not response._is_answer:
        return False
    response._fallback_charset = fallback_charset_resolver
    return True


def set_history(response: ClientResponse, history: tuple[ClientResponse, ...]) -> None:
    """Set the responses that redirected to *response*."""
    response._history = history


def watch_body(
    response: ClientResponse, on_body: Callable[[ClientResponse, bytes], Awaitable[None]]
) -> None:
    """Make ``response.read()`` await *on_body* with the body; it raises what *on_body* raises."""
    response._on_body = on_body


async def read_error_body(response: ClientResponse, total_at: float) -> bytes | None:
    """Wait a short time for the beginning of the body of an error response, and return it.

    :param total_at: when the request's time is over, on anyio's clock

    After cancellation nothing has been consumed, and the connection cannot be used again.
    """
    content = response._content
    if isinstance(content, StreamReader) and not content.is_eof():
        deadline = min(total_at, anyio.current_time() + ERROR_BODY_SECONDS)
        with anyio.CancelScope(deadline=deadline):
            await read_ahead(content, ERROR_BODY)
    return response._error_body()
