"""Making the request of a session, of the class that the session has been given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from multidict import CIMultiDict

from .. import hdrs
from ._prepared import PREPARED_DEFAULTS
from ._request import ClientRequest
from ._settings import RequestParts, RequestSettings

__all__ = ("cookies_of", "make_request")


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


def cookies_of(request: ClientRequest) -> str | None:
    """Return the ``Cookie`` header, without making the dictionary of headers for that."""
    if request._headers is not None:
        return request._headers.get(hdrs.COOKIE)
    for name, value in request._block.fields:
        if name == hdrs.COOKIE:
            return value
    return None


_new_request: Final[Callable[[type[ClientRequest]], ClientRequest]] = ClientRequest.__new__
