"""Everything the client raises on its own account.

ClientError
├── ClientConnectionError
│   ├── ClientConnectionResetError          (+ ConnectionResetError)
│   ├── ClientOSError                       (+ OSError)
│   │   └── ClientConnectorError
│   │       ├── ClientConnectorDNSError
│   │       ├── ClientProxyConnectionError
│   │       ├── UnixClientConnectorError
│   │       └── ClientSSLError
│   │           ├── ClientConnectorSSLError          (+ ssl.SSLError)
│   │           └── ClientConnectorCertificateError  (+ ssl.CertificateError)
│   └── ServerConnectionError
│       ├── ServerDisconnectedError
│       ├── ServerFingerprintMismatch
│       └── ServerTimeoutError              (+ TimeoutError)
│           ├── ConnectionTimeoutError
│           └── SocketTimeoutError
├── ClientResponseError
│   ├── ClientHttpProxyError
│   ├── ContentTypeError
│   ├── TooManyRedirects
│   └── WSServerHandshakeError
├── ClientPayloadError
├── UploadAbortedError
├── InvalidURL                              (+ ValueError)
│   └── InvalidUrlClientError
│       └── InvalidUrlRedirectClientError   (+ RedirectClientError)
├── NonHttpUrlClientError
│   └── NonHttpUrlRedirectClientError       (+ RedirectClientError)
└── RedirectClientError
WSMessageTypeError                          (TypeError)
WebSocketError                              (Exception)

All of them can be pickled and copied with their attributes.  Their texts never show the
user info of a URL, a proxy's credentials or a cookie.
"""

from __future__ import annotations

import ssl
import warnings
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ._common import ConnectionKey, RequestInfo, shown_headers, without_user_info

if TYPE_CHECKING:
    from collections.abc import Callable

    from multidict import MultiMapping

    from ._common import PastResponse, SupportsFingerprint

__all__ = (
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientHttpProxyError",
    "ClientOSError",
    "ClientPayloadError",
    "ClientProxyConnectionError",
    "ClientResponseError",
    "ClientSSLError",
    "ConnectionTimeoutError",
    "ContentTypeError",
    "FingerprintMismatch",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "RedirectClientError",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerFingerprintMismatch",
    "ServerTimeoutError",
    "SocketTimeoutError",
    "TooManyRedirects",
    "UnixClientConnectorError",
    "UploadAbortedError",
    "WSMessageTypeError",
    "WSServerHandshakeError",
    "WebSocketError",
)

_Reduced = tuple["Callable[..., Any]", tuple[Any, ...], dict[str, Any]]


class ClientError(Exception):
    """Root of everything the client raises on its own account."""


# -- there was a response, and it is not acceptable ------------------------------------------


class ClientResponseError(ClientError):
    """A response came, but it is not acceptable.

    :param request_info: what was asked, as sent
    :param history: the responses that redirected here, oldest first
    :param code: deprecated name of *status*
    :param status: the HTTP status
    :param message: the reason phrase, or what was wrong with the response
    :param headers: the headers of the response
    :raises ValueError: both *code* and *status* are given

    ``body`` is the beginning of the response body, decoded, at most 8 KiB of it.  The
    option ``raise_for_status=True`` reads it, for up to a second, before it raises; the
    method :meth:`ClientResponse.raise_for_status` takes what has arrived.  It is ``None``
    if nothing of it had, or if it was not looked for, and ``b""`` if the body is empty.
    """

    def __init__(
        self,
        request_info: RequestInfo,
        history: tuple[PastResponse, ...],
        *,
        code: int | None = None,
        status: int | None = None,
        message: str = "",
        headers: MultiMapping[str] | None = None,
    ) -> None:
        if code is not None:
            if status is not None:
                raise ValueError("code is the old name of status: only one of them can be given")
            warnings.warn("the argument is named status now", DeprecationWarning, stacklevel=2)
            status = code
        super().__init__(request_info, history)
        self.request_info = request_info
        self.history = history
        self.status: int = 0 if status is None else status
        self.message = message
        self.headers = headers
        self.body: bytes | None = None

    @property
    def code(self) -> int:
        """Deprecated name of ``status``."""
        warnings.warn("code is named status now", DeprecationWarning, stacklevel=2)
        return self.status

    @code.setter
    def code(self, value: int) -> None:
        warnings.warn("code is named status now", DeprecationWarning, stacklevel=2)
        self.status = value

    def __str__(self) -> str:
        url = without_user_info(self.request_info.real_url)
        return f"{self.status}, message={self.message!r}, url={url!r}"

    def __repr__(self) -> str:
        parts = [repr(self.request_info), repr(self.history)]
        if self.status:
            parts.append(f"status={self.status!r}")
        if self.message:
            parts.append(f"message={self.message!r}")
        if self.headers is not None:
            parts.append(f"headers={shown_headers(self.headers)}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def __reduce__(self) -> _Reduced:
        state = self.__dict__.copy()
        if not isinstance(self.headers, CIMultiDictProxy):
            return type(self), self.args, state
        # The read-only view refuses to be pickled, a copy of what it shows does not.
        del state["headers"]
        return _with_headers, (type(self), self.args, CIMultiDict(self.headers)), state


def _with_headers(
    cls: type[ClientResponseError], args: tuple[Any, ...], headers: CIMultiDict[str]
) -> ClientResponseError:
    exc = cls(*args)
    exc.headers = CIMultiDictProxy(headers)
    return exc


class ContentTypeError(ClientResponseError):
    """The body was asked for as JSON, but the response says it is something else."""


class WSServerHandshakeError(ClientResponseError):
    """The server answered the WebSocket handshake with something that does not accept it."""


class ClientHttpProxyError(ClientResponseError):
    """The proxy answered ``CONNECT`` with a status other than 2xx (:rfc:`9110#section-9.3.6`).

    Status, reason and headers are the proxy's; ``body`` is the beginning of what it says.
    """


class TooManyRedirects(ClientResponseError):
    """The limit of redirects was reached; ``history`` holds the way there."""


# -- the connection failed -------------------------------------------------------------------


class ClientConnectionError(ClientError):
    """The connection failed, was closed, or could not be made."""


class ClientConnectionResetError(ClientConnectionError, ConnectionResetError):
    """Something was to be written to a connection that is closed already."""


class ClientOSError(ClientConnectionError, OSError):
    """The operating system reported an error of the socket; see ``errno`` and ``strerror``."""


_UNKNOWN_KEY: Final = ConnectionKey("", None, False, True, None, None, None, None)


class ClientConnectorError(ClientOSError):
    """No connection could be made.

    :param connection_key: where to, and by which way; ``None`` if that does not matter
    :param os_error: what the operating system, or TLS, said about it
    """

    def __init__(self, connection_key: ConnectionKey | None, os_error: OSError) -> None:
        super().__init__(os_error.errno, os_error.strerror)
        # Tests of applications make such errors themselves, without a key.
        self._connection_key = _UNKNOWN_KEY if connection_key is None else connection_key
        self._os_error = os_error
        # OSError keeps errno and strerror apart, so args are free to rebuild this from.
        self.args: tuple[Any, ...] = (connection_key, os_error)

    @property
    def os_error(self) -> OSError:
        """What the operating system, or TLS, said about it."""
        return self._os_error

    @property
    def host(self) -> str:
        """Host of the endpoint, as it stands in the URL."""
        return self._connection_key.host

    @property
    def port(self) -> int | None:
        """Port of the endpoint."""
        return self._connection_key.port

    @property
    def ssl(self) -> ssl.SSLContext | bool | SupportsFingerprint:
        """The ``ssl`` option of the request: True stands for the default."""
        return self._connection_key.ssl

    def __str__(self) -> str:
        # Some errors have no number and text, only a message of their own.
        reason = self.strerror or self._os_error
        return f"Cannot connect to host {self.host}:{self.port} ssl:{self._shown_ssl()} [{reason}]"

    def __repr__(self) -> str:
        # The connection key may hold a proxy's credentials.
        return f"<{type(self).__name__} {self}>"

    def _shown_ssl(self) -> object:
        return "default" if self.ssl is True else self.ssl

    def __reduce__(self) -> _Reduced:
        # A TLS context cannot leave the process; whether it verified the peer can.
        key = self._connection_key
        if isinstance(key.ssl, ssl.SSLContext):
            key = key._replace(ssl=key.ssl.verify_mode is not ssl.CERT_NONE)
        args = tuple(key if arg is self._connection_key else arg for arg in self.args)
        return type(self), args, {**self.__dict__, "_connection_key": key}


class ClientConnectorDNSError(ClientConnectorError):
    """The host name could not be resolved."""


class ClientProxyConnectionError(ClientConnectorError):
    """The proxy could not be reached, or did not do its part.

    It closed the connection, or does not speak its protocol; or it is a SOCKS proxy and refused.
    """


class UnixClientConnectorError(ClientConnectorError):
    """The unix socket could not be reached.

    :param path: of the socket
    :param connection_key: the endpoint asked for
    :param os_error: what the operating system said about it
    """

    def __init__(self, path: str, connection_key: ConnectionKey | None, os_error: OSError) -> None:
        super().__init__(connection_key, os_error)
        self._path = path
        self.args: tuple[Any, ...] = (path, connection_key, os_error)

    @property
    def path(self) -> str:
        """Path of the socket."""
        return self._path

    def __str__(self) -> str:
        reason = self.strerror or self._os_error
        # the name of a socket without a file begins with NUL, which tools show as "@"
        path = f"@{self.path[1:]}" if self.path.startswith("\0") else self.path
        return f"Cannot connect to unix socket {path} ssl:{self._shown_ssl()} [{reason}]"


class ClientSSLError(ClientConnectorError):
    """TLS could not be set up: base of the two that say why."""


class ClientConnectorSSLError(ClientSSLError, ssl.SSLError):
    """The TLS handshake failed for a reason other than the certificate."""


class ClientConnectorCertificateError(ClientSSLError, ssl.CertificateError):
    """The certificate of the peer was not accepted.

    :param connection_key: where to, and by which way
    :param certificate_error: what was wrong with the certificate
    """

    def __init__(self, connection_key: ConnectionKey | None, certificate_error: Exception) -> None:
        os_error = certificate_error if isinstance(certificate_error, OSError) else OSError()
        super().__init__(connection_key, os_error)
        self._certificate_error = certificate_error
        self.args: tuple[Any, ...] = (connection_key, certificate_error)

    @property
    def certificate_error(self) -> Exception:
        """What was wrong with the certificate."""
        return self._certificate_error

    @property
    def ssl(self) -> bool:
        """Whether the endpoint speaks TLS."""
        return self._connection_key.is_ssl

    def __str__(self) -> str:
        error = self.certificate_error
        return (
            f"Cannot connect to host {self.host}:{self.port} ssl:{self.ssl} "
            f"[{type(error).__name__}: {error.args}]"
        )


class ServerConnectionError(ClientConnectionError):
    """The server failed: base of the exceptions that say how."""


class ServerDisconnectedError(ServerConnectionError):
    """The server closed the connection before the response was there.

    :param message: the response as far as it came, or a text
    """

    def __init__(self, message: object = None) -> None:
        self.message = "Server disconnected" if message is None else message
        super().__init__(self.message)


class ServerTimeoutError(ServerConnectionError, TimeoutError):
    """The server took longer than it may."""


class ConnectionTimeoutError(ServerTimeoutError):
    """No connection could be made in time (``connect``, ``sock_connect``)."""


class SocketTimeoutError(ServerTimeoutError):
    """Nothing arrived for too long (``sock_read``)."""


class ServerFingerprintMismatch(ServerConnectionError):
    """The certificate of the peer is not the pinned one.

    :param expected: SHA-256 of the pinned certificate
    :param got: SHA-256 of the certificate the peer showed
    """

    def __init__(self, expected: bytes, got: bytes, host: str, port: int) -> None:
        super().__init__(expected, got, host, port)
        self.expected = expected
        self.got = got
        self.host = host
        self.port = port

    def __str__(self) -> str:
        return (
            f"certificate of {self.host}:{self.port} has fingerprint {self.got.hex()}, "
            f"expected {self.expected.hex()}"
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} expected={self.expected!r} got={self.got!r} "
            f"host={self.host!r} port={self.port!r}>"
        )


FingerprintMismatch = ServerFingerprintMismatch


# -- a body failed ---------------------------------------------------------------------------


class ClientPayloadError(ClientError):
    """The body of the response ended early, or could not be decoded."""


class UploadAbortedError(ClientError):
    """The body of the request was not sent to its end."""


# -- the request could not even be tried -----------------------------------------------------


def _shown(argument: object) -> str:
    return without_user_info(argument) if isinstance(argument, (str, URL)) else str(argument)


class InvalidURL(ClientError, ValueError):
    """This is no URL to send a request to.

    :param url: as it was given
    :param description: what is wrong with it
    """

    def __init__(self, url: str | URL, description: str | None = None) -> None:
        super().__init__(*([url, description] if description else [url]))
        self._url = url
        self._description = description

    @property
    def url(self) -> str | URL:
        """The URL as it was given, user info included."""
        return self._url

    @property
    def description(self) -> str | None:
        """What is wrong with it."""
        return self._description

    def __str__(self) -> str:
        url = without_user_info(self._url)
        return f"{url} - {self._description}" if self._description else url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class InvalidUrlClientError(InvalidURL):
    """The URL of the request is no URL to send a request to."""


class RedirectClientError(ClientError):
    """The server redirects to where the client does not go."""


class NonHttpUrlClientError(ClientError):
    """The scheme of the URL is none that the client speaks; the URL is the argument."""

    def __str__(self) -> str:
        return ", ".join(map(_shown, self.args))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class InvalidUrlRedirectClientError(InvalidUrlClientError, RedirectClientError):
    """The server redirects to something that is no URL."""


class NonHttpUrlRedirectClientError(NonHttpUrlClientError, RedirectClientError):
    """The server redirects to a scheme that the client does not speak."""


# -- WebSocket -------------------------------------------------------------------------------


class WSMessageTypeError(TypeError):
    """The message is not of the type that was asked for."""


class WebSocketError(Exception):
    """The peer broke the WebSocket protocol.

    :param code: close code that tells how (:rfc:`6455#section-7.4.1`)
    :param message: what it did
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[1])
