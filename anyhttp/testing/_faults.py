"""What an exception stands for: a failure to connect, or one of the connection that was made.

Each is brought about by what causes it in reality, so that the client raises what it raises there.
"""

from __future__ import annotations

import enum
import errno
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from .._common import ProxyKey
from .._tasks import ClientTimeout, Expired
from ..client_exceptions import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ClientSSLError,
    ConnectionTimeoutError,
    ServerConnectionError,
    ServerDisconnectedError,
    ServerTimeoutError,
    SocketTimeoutError,
)

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = ("STALL", "ExceptionOrClass", "Fault", "FaultKind", "fault_of")

#: What a route may be given as an exception.
ExceptionOrClass = Exception | type[Exception]


class FaultKind(enum.Enum):
    """When a fault happens, and how."""

    CONNECTING = "no connection can be made"
    BREAK = "the connection breaks, or something else raises an exception"
    END = "the server closes the connection"
    TIMEOUT = "a time limit of the client runs out"
    STALL = "the server says nothing more"


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure.

    :param error: what is raised where the fault happens
    """

    kind: FaultKind
    error: Exception

    def when_connecting(self, request: ClientRequest) -> Exception:
        """Return what is raised instead of making a connection for *request*."""
        error, proxy = self.error, request.proxy
        if type(error) is not ClientProxyConnectionError or proxy is None:
            return error
        is_tls = proxy.scheme == "https"
        key = ProxyKey(proxy.raw_host or "", proxy.port, is_tls, True, None, None, None)
        return ClientProxyConnectionError(key, error.os_error)

    def in_exchange(self, timeout: ClientTimeout) -> Exception:
        """Return what the stream of the client raises: :attr:`error` comes out as it is.

        :param timeout: the limits of the request
        """
        if self.kind is FaultKind.END:
            return anyio.EndOfStream()
        if self.kind is FaultKind.TIMEOUT and (
            timeout.sock_read or (timeout.total and type(self.error) is not SocketTimeoutError)
        ):
            return Expired()
        if not isinstance(self.error, OSError) or isinstance(self.error, ClientError):
            return self.error
        broken = anyio.BrokenResourceError()
        broken.__cause__ = self.error
        return broken


STALL: Final = Fault(FaultKind.STALL, TimeoutError())


def _system_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def _refused() -> OSError:
    return _system_error(errno.ECONNREFUSED)


def _unresolved() -> OSError:
    return socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _tls_failed() -> OSError:
    return ssl.SSLError(1, "[SSL] the TLS handshake failed")


def _not_trusted() -> OSError:
    return ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] not trusted")


# What causes an exception of this package, if its class is exactly this one.
_CAUSES: Final[dict[type[Exception], tuple[FaultKind, Callable[[], Exception]]]] = {
    ClientConnectionError: (FaultKind.CONNECTING, _refused),
    ClientConnectorError: (FaultKind.CONNECTING, _refused),
    ClientConnectorDNSError: (FaultKind.CONNECTING, _unresolved),
    ClientSSLError: (FaultKind.CONNECTING, _tls_failed),
    ClientConnectorSSLError: (FaultKind.CONNECTING, _tls_failed),
    ClientConnectorCertificateError: (FaultKind.CONNECTING, _not_trusted),
    ClientProxyConnectionError: (
        FaultKind.CONNECTING,
        lambda: ClientProxyConnectionError(None, _refused()),
    ),
    ConnectionTimeoutError: (FaultKind.CONNECTING, TimeoutError),
    ClientOSError: (FaultKind.BREAK, lambda: _system_error(errno.ECONNRESET)),
    ServerConnectionError: (FaultKind.END, EOFError),
    ServerDisconnectedError: (FaultKind.END, EOFError),
    ClientPayloadError: (FaultKind.END, EOFError),
    ServerTimeoutError: (FaultKind.TIMEOUT, lambda: _system_error(errno.ETIMEDOUT)),
    SocketTimeoutError: (
        FaultKind.TIMEOUT,
        lambda: SocketTimeoutError("Timeout on reading data from socket"),
    ),
}

# What the system raises as these classes.
_BY_CLASS: Final[dict[type[OSError], Callable[[], OSError]]] = {
    type(OSError(code, "")): partial(_system_error, code)
    for code in (
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EPIPE,
    )
} | {
    socket.gaierror: _unresolved,
    ssl.SSLError: _tls_failed,
    ssl.SSLCertVerificationError: _not_trusted,
}

#: Errors of the operating system that a connection has which was made; all others happen before.
_LATE: Final = (BrokenPipeError, ConnectionAbortedError, ConnectionResetError)


def fault_of(given: ExceptionOrClass) -> Fault:
    """Return the fault that *given* stands for.

    :raises TypeError: it is no exception, or a class that needs arguments
    """
    if isinstance(given, type) and issubclass(given, Exception):
        return _fault_of_class(given)
    if not isinstance(given, Exception):
        raise TypeError(f"exception must be an Exception or a class of them, not {given!r}")
    return _fault_of_object(given)


def _fault_of_class(given: type[Exception]) -> Fault:
    known = _CAUSES.get(given)
    if known is not None:
        kind, cause = known
        return Fault(kind, cause())
    try:
        return _fault_of_object(given())
    except TypeError:
        raise TypeError(f"exception: {given.__name__} needs arguments: give an object") from None


def _fault_of_object(given: Exception) -> Fault:
    known = _CAUSES.get(type(given))
    if known is not None:
        kind, cause = known
        return Fault(kind, _given_cause(given) or cause())
    if isinstance(given, TimeoutError):
        number = given.errno or errno.ETIMEDOUT
        return Fault(FaultKind.TIMEOUT, OSError(number, given.strerror or os.strerror(number)))
    if isinstance(given, (EOFError, anyio.EndOfStream)):
        return Fault(FaultKind.END, given)
    if isinstance(given, OSError):
        kind = FaultKind.BREAK if isinstance(given, _LATE) else FaultKind.CONNECTING
        return Fault(kind, _as_the_system_raises(given))
    return Fault(FaultKind.BREAK, given)


def _as_the_system_raises(given: OSError) -> OSError:
    """Return *given*; in the place of one without arguments, one with a number and a text."""
    if given.args:
        return given
    made = _BY_CLASS.get(type(given))
    return given if made is None else made()


def _given_cause(given: Exception) -> Exception | None:
    """Return the error that *given*, an exception of this package, says to be its cause."""
    if type(given) is ClientProxyConnectionError:
        return given
    if isinstance(given, ClientConnectorCertificateError):
        return given.certificate_error
    if isinstance(given, ClientConnectorError):
        return given.os_error
    if type(given) is ClientOSError and given.errno is not None:
        return OSError(given.errno, given.strerror)
    return None
