"""What a command says when it fails: one line on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EBADF
from typing import Any, Final

from anyhttp import (
    ClientConnectorError,
    ClientError,
    ClientHttpProxyError,
    ClientOSError,
    ClientResponseError,
    InvalidURL,
    NonHttpUrlClientError,
    ServerDisconnectedError,
    TooManyRedirects,
    WSServerHandshakeError,
)
from anyhttp.client_exceptions import CONNECTION_FAILURES, LASTING_FAILURES

from ._connect_failures import not_connected
from ._terminal import printable_line

#: What the client and the files of a command fail with.
FAILURES: Final = (
    ClientError,
    OSError,
    ValueError,
    RuntimeError,  # a package of an extra is not installed
)

#: What messages call it.
STDOUT: Final = "standard output"

#: What a server of TLS answers to a request without TLS, as messages show it.
TLS_ALERT: Final = r"\x15\x03"

#: Statuses of a server that is busy, or is being replaced by another.
PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})


def may_pass(failure: BaseException) -> bool:
    """Whether another connection may do better than the one that failed with *failure*."""
    if isinstance(failure, ClientResponseError):
        return failure.status in PASSING_STATUSES
    passing = isinstance(failure, (*CONNECTION_FAILURES, TimeoutError))
    return passing and not isinstance(failure, LASTING_FAILURES)


@contextmanager
def named(name: str) -> Iterator[None]:
    """Have an error of a file in the block say that it is about *name*, unless it names a file."""
    try:
        yield
    except ClientError:
        raise
    except OSError as exc:
        if exc.filename is not None or exc.errno in {None, EBADF}:  # EBADF: see ClosedOutput
            raise
        raise OSError(exc.errno, exc.strerror, name) from exc


def print_line(text: str) -> None:
    """Print *text* on stderr; if that cannot be written, it is lost."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def print_error(message: str) -> None:
    """Print one line on stderr."""
    line = printable_line(" ".join(message.split()))
    print_line(f"anyhttp: {line}")


def describe(failure: Exception, timeout: float | None = None) -> str:
    """Return the message about *failure* for the user.

    :param timeout: seconds that the whole request had, if there was a limit
    """
    for kind, message_of in MESSAGES:
        if isinstance(failure, kind):
            return message_of(failure)
    if type(failure) is TimeoutError and timeout:  # the client's own errors say more
        return f"no complete answer within {timeout:g} seconds"
    if isinstance(failure, OSError):
        return _about_system(failure)
    return str(failure) or type(failure).__name__


def _about_redirects(failure: TooManyRedirects) -> str:
    return f"more than {len(failure.history) - 1} redirects"


def _about_proxy(failure: ClientHttpProxyError) -> str:
    hint = "; --proxy takes a URL with user and password" if failure.status == 407 else ""
    return f"the proxy refused the request: {failure.status} {failure.message}{hint}"


def _about_handshake(failure: WSServerHandshakeError) -> str:
    return f"the WebSocket was not opened: {failure.message} ({failure.status})"


def _about_response(failure: ClientResponseError) -> str:
    hint = "; this looks like TLS: try https:// (or wss://)"
    looks_like_tls = TLS_ALERT in failure.message
    return f"invalid HTTP response: {failure.message}{hint if looks_like_tls else ''}"


def _about_connection(failure: ClientOSError) -> str:
    return f"the connection failed: {failure.strerror or failure}"


def _about_system(failure: OSError) -> str:
    if failure.filename:  # a local file
        return f"{failure.filename}: {failure.strerror}"
    return failure.strerror or str(failure) or type(failure).__name__


#: What is said of each kind of failure; the first kind that fits counts.
MESSAGES: Final[Sequence[tuple[type[Exception], Callable[[Any], str]]]] = (
    (TooManyRedirects, _about_redirects),
    (ClientHttpProxyError, _about_proxy),
    (WSServerHandshakeError, _about_handshake),
    (ClientResponseError, _about_response),
    (InvalidURL, "invalid URL: {}".format),
    (NonHttpUrlClientError, "not a URL of http, https, ws or wss: {}".format),
    (ServerDisconnectedError, "the connection was closed before there was an answer".format),
    (ClientConnectorError, not_connected),
    (ClientOSError, _about_connection),
)
