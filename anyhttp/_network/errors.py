"""Translates errors of the operating system, of TLS and of anyio into the package's exceptions."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from .._common import ConnectionKey
from ..client_exceptions import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientOSError,
)
from .tls_stream import TlsRefused

__all__ = (
    "STREAM_ERRORS",
    "dial_errors",
    "socket_errors",
)


@contextmanager
def dial_errors(
    key: ConnectionKey,
    unreachable: Callable[[ConnectionKey, OSError], Exception] = ClientConnectorError,
) -> Iterator[None]:
    """Translate any error of setting up a connection to *key* into an exception of ours.

    :param unreachable: makes the exception for an error of the operating system
    """
    try:
        yield
    except ClientConnectionError:
        raise
    except ssl.SSLCertVerificationError as exc:
        raise ClientConnectorCertificateError(key, exc) from exc
    except ssl.SSLError as exc:
        raise ClientConnectorSSLError(key, exc) from exc
    except socket.gaierror as exc:
        raise ClientConnectorDNSError(key, exc) from exc
    except OSError as exc:
        raise unreachable(key, exc) from exc
    except TlsRefused as exc:
        raise tls_refused(key, exc) from exc
    except (anyio.EndOfStream, anyio.BrokenResourceError) as exc:
        reason = OSError(errno.ECONNRESET, "the peer closed the connection during the handshake")
        raise unreachable(key, _os_error(exc, reason)) from exc


def tls_refused(key: ConnectionKey | None, exc: TlsRefused) -> ClientConnectorSSLError:
    """Return our exception for a peer *key* that refused TLS by an alert."""
    alert = exc.__cause__
    assert isinstance(alert, ssl.SSLError)
    return ClientConnectorSSLError(key, alert)


def socket_errors(exc: Exception, key: ConnectionKey | None = None) -> Exception:
    """Return our exception for *exc*, which a connected stream raised.

    :param key: the peer with which the stream speaks TLS
    """
    if isinstance(exc, TlsRefused):
        return tls_refused(key, exc)
    if isinstance(exc, anyio.ClosedResourceError):
        return ClientConnectionResetError(errno.ECONNRESET, "the connection has been closed")
    if isinstance(exc, anyio.BusyResourceError):
        return ClientConnectionError("another task is using the connection at the same time")
    fallback = OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    cause = _os_error(exc, fallback)
    code = _errno_of(cause)
    return ClientOSError(code, cause.strerror or str(cause) or os.strerror(code))


def _errno_of(error: OSError) -> int:
    """Return the number of *error*; asyncio raises some of these exceptions without one."""
    if error.errno is not None:
        return error.errno
    return next((code for kind, code in _ERRNOS if isinstance(error, kind)), errno.EIO)


_ERRNOS: Final = (
    (BrokenPipeError, errno.EPIPE),
    (ConnectionAbortedError, errno.ECONNABORTED),
    (ConnectionError, errno.ECONNRESET),
    (TimeoutError, errno.ETIMEDOUT),
)


def _os_error(exc: BaseException, fallback: OSError) -> OSError:
    """Find the operating system's error among the causes of anyio's error."""
    below: BaseException | None = exc
    while below is not None:
        if isinstance(below, OSError):
            return below
        below = below.__cause__
    return fallback


STREAM_ERRORS: Final = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.BusyResourceError,
    OSError,
)
