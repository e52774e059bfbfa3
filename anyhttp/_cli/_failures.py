"""What a command says when it fails: one line on stderr."""

from __future__ import annotations

import sys
from typing import Final

from anyhttp import (
    ClientError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ClientResponseError,
    InvalidURL,
    NonHttpUrlClientError,
    TooManyRedirects,
    WSServerHandshakeError,
)
from anyhttp.client_exceptions import CONNECTION_FAILURES, LASTING_FAILURES

from ._terminal import printable_line

#: What the client and the files of a command fail with.
FAILURES: Final = (
    ClientError,
    OSError,
    ValueError,
    RuntimeError,  # a package of an extra is not installed
)

#: Statuses of a server that is busy, or is being replaced by another.
PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})


def may_pass(failure: BaseException) -> bool:
    """Whether another connection may do better than the one that failed with *failure*."""
    if isinstance(failure, ClientResponseError):
        return failure.status in PASSING_STATUSES
    passing = isinstance(failure, (*CONNECTION_FAILURES, TimeoutError))
    return passing and not isinstance(failure, LASTING_FAILURES)


def print_error(message: str) -> None:
    """Print one line on stderr."""
    print(f"anyhttp: {printable_line(' '.join(message.split()))}", file=sys.stderr)


def describe(failure: Exception, timeout: float | None = None) -> str:
    """Return the message about *failure* for the user.

    :param timeout: seconds that the whole request had, if there was a limit
    """
    if isinstance(failure, TooManyRedirects):
        return f"more than {len(failure.history) - 1} redirects"
    if isinstance(failure, ClientHttpProxyError):
        return f"the proxy refuses: {failure.status} {failure.message}"
    if isinstance(failure, WSServerHandshakeError):
        return f"no WebSocket: {failure.message} ({failure.status})"
    if isinstance(failure, ClientResponseError):
        return f"not a proper HTTP response: {failure.message}"
    if isinstance(failure, InvalidURL):
        return f"not a proper URL: {failure}"
    if isinstance(failure, NonHttpUrlClientError):
        return f"not a URL of http, https, ws or wss: {failure}"
    if isinstance(failure, ClientProxyConnectionError):
        return f"the proxy cannot be reached: {failure}"
    if type(failure) is TimeoutError and timeout:  # the client's own errors say more
        return f"no complete answer within {timeout:g} seconds"
    if isinstance(failure, OSError) and failure.filename:  # a local file
        return f"{failure.filename}: {failure.strerror}"
    return str(failure) or type(failure).__name__
