"""Single header fields of a request, whose dictionary of headers is made only if it is needed."""

from __future__ import annotations

from .. import hdrs
from .._headers import extended_block
from ._client_request import ClientRequest

__all__ = ("authorization_of", "authorize", "cookies_of")


def cookies_of(request: ClientRequest) -> str | None:
    """Return the ``Cookie`` header."""
    if request._headers is not None:
        return request._headers.get(hdrs.COOKIE)
    for name, value in request._block.fields:
        if name is hdrs.COOKIE:  # a field of this name gets into a block in no other way
            return value
    return None


def authorization_of(request: ClientRequest) -> str | None:
    """Return the ``Authorization`` header: the very object that a program has set."""
    if request._headers is not None:
        return request._headers.get(hdrs.AUTHORIZATION)
    for name, value in request._block.fields:
        if name.lower() == "authorization":
            return value
    return None


def authorize(request: ClientRequest, credentials: str) -> None:
    """Set the ``Authorization`` header.

    :raises ValueError: *credentials* cannot be sent
    """
    if request._headers is None and authorization_of(request) is None:
        request._block = extended_block(request._block, hdrs.AUTHORIZATION, credentials)
    else:
        request.headers[hdrs.AUTHORIZATION] = credentials
