"""Making the request of a session, of the class that the session has been given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from multidict import CIMultiDict

from ._client_request import ClientRequest
from ._prepared import PREPARED_DEFAULTS
from ._response import ClientResponse
from ._settings import RequestParts, RequestSettings
from ._unopened import UnopenedConnection

__all__ = ("class_to_call", "make_request", "sending_steps", "steps_at_end")


_Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]

#: A middleware that comes after those of the program.
_SendingStep = Callable[[ClientRequest, _Handler], Awaitable[ClientResponse]]


def make_request(
    request_class: type[ClientRequest],
    parts: RequestParts,
    headers: CIMultiDict[str],
    cookies: str | None,
) -> ClientRequest:
    """Make a request from *parts*.

    :param headers: the headers to send, besides those that are added automatically
    :param cookies: value of the ``Cookie`` header
    """
    if request_class is ClientRequest and ClientRequest.DEFAULT_HEADERS == PREPARED_DEFAULTS:
        # For a call with keyword arguments Python makes two dictionaries, which takes longer
        # than the rest of this function.
        request = _new_request(ClientRequest)
        request._assemble(parts, headers, cookies)
        return request
    # A subclass may have its own constructor, so call the class.
    make: Callable[..., ClientRequest] = request_class
    return make(
        parts.method,
        parts.destination.original_url,
        headers=headers,
        data=parts.body,
        cookies=cookies,
        auth=parts.auth,
        session=parts.session,
        **{name: getattr(parts.settings, name) for name in RequestSettings.__slots__},
    )


def class_to_call(request_class: type[ClientRequest]) -> type[ClientRequest]:
    """Return *request_class*, or a subclass if only that is called by :func:`make_request`.

    It makes a :class:`ClientRequest` without a call of its constructor, in whose place a mocking
    library may have put another.
    """
    if request_class is ClientRequest and ClientRequest.__init__ is not _CONSTRUCTOR:
        return _Called
    return request_class


def sending_steps(request_class: type[ClientRequest]) -> tuple[_SendingStep, ...]:
    """Return what a session does with each request after its middlewares.

    That is nothing, unless a program has put another method in the place of ``send()``.
    """
    return () if request_class.send is _SEND else (_send_by_method,)


def steps_at_end(middlewares: tuple[_SendingStep, ...]) -> tuple[_SendingStep, ...]:
    """Return those of *middlewares* that are the session's, not the program's."""
    return middlewares[-1:] if _send_by_method in middlewares[-1:] else ()


async def _send_by_method(request: ClientRequest, handler: _Handler) -> ClientResponse:
    """Send *request* by its method, which passes it to *handler*."""
    return await request.send(UnopenedConnection(handler))


class _Called(ClientRequest):
    """A request that is made by its constructor."""


_CONSTRUCTOR: Final = ClientRequest.__init__
_SEND: Final = ClientRequest.send
_new_request: Final[Callable[[type[ClientRequest]], ClientRequest]] = ClientRequest.__new__
