"""Exceptions of httpx for those of this package, the most specific ones first."""

from __future__ import annotations

import errno
from typing import Final

from .._http1 import Exchange, MalformedResponse, ParseError, SendTimeout
from .._tasks import Expired
from ..client_exceptions import (
    ClientConnectionError,
    ClientHttpProxyError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ConnectionTimeoutError,
    ServerDisconnectedError,
    SocketTimeoutError,
)
from ..connector import NoSlotInTime
from .library import Library

__all__ = ("BODY_ERRORS", "CONNECT_ERRORS", "EXCHANGE_ERRORS", "body_error", "connect_error",
           "exchange_error")  # fmt: skip

#: What :func:`connect_error` translates.
CONNECT_ERRORS: Final = (
    ClientConnectionError, ClientHttpProxyError, NoSlotInTime,
)  # fmt: skip

#: What :func:`exchange_error` translates.
EXCHANGE_ERRORS: Final = (
    ClientConnectionError, ClientPayloadError, Expired, MalformedResponse, SendTimeout,
)  # fmt: skip

#: What :func:`body_error` translates.
BODY_ERRORS: Final = (ClientConnectionError, ClientPayloadError)


def connect_error(library: Library, error: Exception) -> Exception:
    """Return the library's exception for *error*: there is no connection."""
    if isinstance(error, NoSlotInTime):
        return library.error("PoolTimeout", "no connection has become free in time")
    if isinstance(error, ConnectionTimeoutError):
        return library.error("ConnectTimeout", str(error))
    if isinstance(error, ClientHttpProxyError):
        return library.error("ProxyError", f"{error.status} {error.message}".rstrip())
    if isinstance(error, ClientProxyConnectionError):
        return library.error(_proxy_error(error), str(error))
    return library.error("ConnectError", str(error))


def _proxy_error(error: ClientProxyConnectionError) -> str:
    if not error.is_reached:
        return "ConnectError"
    left = error.errno in {errno.ECONNRESET, errno.EPIPE, errno.EPROTO}
    return "RemoteProtocolError" if left else "ProxyError"


def exchange_error(library: Library, exchange: Exchange, error: Exception) -> Exception:
    """Return the exception to raise for *error*, as there is no response.

    An exception that the body of the request raised is returned as it is.
    """
    upload = exchange.upload
    if upload is not None and upload.is_broken and isinstance(upload.error, Exception):
        if not isinstance(upload.error, EXCHANGE_ERRORS):
            return upload.error
        error = upload.error
    made = _exchange_error(library, error)
    made.__cause__ = error
    return made


def _exchange_error(library: Library, error: Exception) -> Exception:
    if isinstance(error, (Expired, SendTimeout)):
        return library.error("WriteTimeout", "the peer has not taken the request in time")
    if isinstance(error, SocketTimeoutError):
        return library.error("ReadTimeout", "the response has not begun in time")
    if isinstance(error, ServerDisconnectedError):
        return library.error(
            "RemoteProtocolError", "Server disconnected without sending a response."
        )
    if isinstance(error, MalformedResponse):
        return library.error("RemoteProtocolError", str(error))
    if isinstance(error, ClientPayloadError):
        return library.error("LocalProtocolError", str(error))
    return library.error("ReadError", str(error))


def body_error(library: Library, error: Exception) -> Exception:
    """Return the exception to raise for *error*: the body of the response is not complete."""
    if isinstance(error, SocketTimeoutError):
        made = library.error("ReadTimeout", "the response has not gone on in time")
    elif isinstance(error.__cause__, ParseError):
        made = library.error("RemoteProtocolError", str(error))
    else:
        made = library.error("ReadError", str(error))
    made.__cause__ = error
    return made
