"""The exceptions of the client.

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
│   └── BodyTooLargeError
├── DownloadError
│   └── DigestMismatchError
├── UploadAbortedError
├── OAuth2Error
├── InvalidURL                              (+ ValueError)
│   └── InvalidUrlClientError
│       └── InvalidUrlRedirectClientError   (+ RedirectClientError)
├── NonHttpUrlClientError
│   └── NonHttpUrlRedirectClientError       (+ RedirectClientError)
└── RedirectClientError
WSMessageTypeError                          (TypeError)
WebSocketError                              (Exception)

All of them can be pickled and copied with their attributes.  Their texts never show the
user info of a URL, the credentials of a proxy, or a cookie.

In a program that has imported aiohttp, each :exc:`ClientError` here is also derived from the
class of the same name there, so that ``except aiohttp.ClientError`` catches it.
"""

from __future__ import annotations

import ssl
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ._common import (
    ConnectionKey,
    ProxyKey,
    RequestInfo,
    printable,
    shown_headers,
    without_user_info,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from multidict import MultiMapping

    from ._common import PastResponse, SupportsFingerprint

__all__ = (
    "BodyTooLargeError",
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
    "DigestMismatchError",
    "DownloadError",
    "FingerprintMismatch",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "OAuth2Error",
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


class _Base(Exception):
    """First base of :exc:`ClientError`, before those that it may get from aiohttp.

    Python can change the bases of a class only if its objects keep their layout.  They do if the
    base that decides on the layout stays, and a base written in Python can stay the first.
    """

    #: the module of aiohttp whose classes are bases of ours, if there is one
    _beside: ClassVar[ModuleType | None] = None

    def __init__(self, *args: object) -> None:
        theirs = sys.modules.get("aiohttp.client_exceptions")
        if theirs is not None and theirs is not _Base._beside:
            _derive_from(theirs)
        # Not super(): that may be a class of aiohttp, whose constructor has other parameters.
        if isinstance(self, OSError):
            OSError.__init__(self, *args)
        else:
            Exception.__init__(self, *args)


class _OSErrorBase(OSError):
    """The same for exceptions that are an :exc:`OSError`, which has a layout of its own."""


class ClientError(_Base):
    """Base of all exceptions of the client."""


# -- there was a response, and it is not acceptable ------------------------------------------


class ClientResponseError(ClientError):
    """A response came, but it is not acceptable.

    :param request_info: the request as it was sent
    :param history: the responses that redirected here, oldest first
    :param code: deprecated name of *status*
    :param status: the HTTP status
    :param message: the reason phrase, or a description of what is wrong with the response
    :param headers: the headers of the response
    :raises ValueError: both *code* and *status* are given

    ``body`` is the beginning of the response body, decoded, at most 8 KiB.  With
    ``raise_for_status=True``, the client reads it before it raises, for at most a second.
    The method :meth:`ClientResponse.raise_for_status` uses the bytes that have arrived.
    ``body`` is ``None`` if no bytes had arrived or if the body was not looked at, and ``b""``
    if the body is empty.
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
        self._headers = headers
        self._make_headers: Callable[[], MultiMapping[str]] | None = None
        self.body: bytes | None = None

    @property
    def headers(self) -> MultiMapping[str] | None:
        """The headers of the response."""
        if self._make_headers is not None:
            self._headers, self._make_headers = self._make_headers(), None
        return self._headers

    @headers.setter
    def headers(self, headers: MultiMapping[str] | None) -> None:
        self._headers, self._make_headers = headers, None

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
        headers = self.headers
        state = self.__dict__.copy()
        if not isinstance(headers, CIMultiDictProxy):
            return type(self), self.args, state
        # The read-only view cannot be pickled, so pickle a copy of its headers.
        del state["_headers"]
        return _with_headers, (type(self), self.args, CIMultiDict(headers)), state


def _with_headers(
    cls: type[ClientResponseError], args: tuple[Any, ...], headers: CIMultiDict[str]
) -> ClientResponseError:
    exc = cls(*args)
    exc.headers = CIMultiDictProxy(headers)
    return exc


def take_headers_later(error: ClientResponseError, make: Callable[[], MultiMapping[str]]) -> None:
    """Have *make* make the headers of *error* when somebody looks at them, as few programs do."""
    error._make_headers = make


class ContentTypeError(ClientResponseError):
    """JSON or events were requested, but the ``Content-Type`` names another type.

    ``body`` is the beginning of what was in their place, such as an HTML page.
    """


class WSServerHandshakeError(ClientResponseError):
    """The server's response to the WebSocket handshake does not accept it."""


class ClientHttpProxyError(ClientResponseError):
    """The proxy answered ``CONNECT`` with a status other than 2xx (:rfc:`9110#section-9.3.6`).

    Status, reason and headers are the proxy's; ``body`` is the beginning of the proxy's body.
    """

    def __str__(self) -> str:
        return f"the proxy refused to connect: {super().__str__()}"


class TooManyRedirects(ClientResponseError):
    """The limit of redirects was reached; ``history`` holds the redirects."""


# -- the connection failed -------------------------------------------------------------------


class ClientConnectionError(ClientError):
    """The connection failed, was closed, or could not be made."""


class ClientConnectionResetError(ClientConnectionError, _OSErrorBase, ConnectionResetError):
    """The connection was already closed when the client wanted to send."""


class ClientOSError(ClientConnectionError, _OSErrorBase):
    """The operating system reported an error of the socket; see ``errno`` and ``strerror``."""


_UNKNOWN_KEY: Final = ConnectionKey("", None, False, True, None, None, None, None)


class ClientConnectorError(ClientOSError):
    """No connection could be opened.

    :param connection_key: the endpoint and the options of the connection; ``None`` if unknown
    :param os_error: the error of the operating system or of TLS
    """

    def __init__(self, connection_key: ConnectionKey | None, os_error: OSError) -> None:
        super().__init__(os_error.errno, os_error.strerror)
        # Tests of applications create such errors themselves, without a key.
        self._connection_key = _UNKNOWN_KEY if connection_key is None else connection_key
        self._os_error = os_error
        # OSError stores errno and strerror itself, so args can hold the constructor's arguments.
        self.args: tuple[Any, ...] = (connection_key, os_error)

    @property
    def os_error(self) -> OSError:
        """The error of the operating system or of TLS."""
        return self._os_error

    @property
    def host(self) -> str:
        """Host of the endpoint, as written in the URL."""
        return self._connection_key.host

    @property
    def port(self) -> int | None:
        """Port of the endpoint."""
        return self._connection_key.port

    @property
    def ssl(self) -> ssl.SSLContext | bool | SupportsFingerprint:
        """The ``ssl`` option of the request; True is the default."""
        return self._connection_key.ssl

    def __str__(self) -> str:
        # Some errors have neither errno nor strerror, only a message.
        reason = self.strerror or self._os_error
        return f"Cannot connect {self._shown_peer()} ssl:{self._shown_ssl()} [{reason}]"

    def __repr__(self) -> str:
        # Not the arguments: the connection key may contain a proxy's credentials.
        return f"<{type(self).__name__} {self}>"

    def _shown_peer(self) -> str:
        word = "through proxy" if isinstance(self._connection_key, ProxyKey) else "to host"
        return f"{word} {self.host}:{self.port}"

    def _shown_ssl(self) -> object:
        return "default" if self.ssl is True else self.ssl

    def __reduce__(self) -> _Reduced:
        # A TLS context cannot be pickled; whether it verifies the peer can.
        key = self._connection_key
        if isinstance(key.ssl, ssl.SSLContext):
            key = key._replace(ssl=key.ssl.verify_mode is not ssl.CERT_NONE)
        args = tuple(key if arg is self._connection_key else arg for arg in self.args)
        return type(self), args, {**self.__dict__, "_connection_key": key}


class ClientConnectorDNSError(ClientConnectorError):
    """The host name could not be resolved."""


class ClientProxyConnectionError(ClientConnectorError):
    """The proxy could not be reached, or it failed.

    It closed the connection, did not speak its protocol, or is a SOCKS proxy that refused.
    """

    #: whether there was a connection to the proxy before it failed
    is_reached: bool = False


class UnixClientConnectorError(ClientConnectorError):
    """The unix socket could not be reached.

    :param path: path of the socket
    :param connection_key: the endpoint of the request
    :param os_error: the error of the operating system
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
        # An abstract socket's name begins with NUL, which tools show as "@".
        path = printable(f"@{self.path[1:]}" if self.path.startswith("\0") else self.path)
        return f"Cannot connect to unix socket {path} ssl:{self._shown_ssl()} [{reason}]"


class ClientSSLError(ClientConnectorError):
    """TLS could not be set up: base of the two exceptions that say why."""


class ClientConnectorSSLError(ClientSSLError, ssl.SSLError):
    """The TLS handshake failed for a reason other than the certificate of the peer.

    If the peer refuses the certificate of the client, or its absence, the error shows its alert.
    """


class ClientConnectorCertificateError(ClientSSLError, ssl.CertificateError):
    """The client did not accept the certificate of the peer.

    :param connection_key: the endpoint and the options of the connection
    :param certificate_error: the error that describes the certificate
    """

    def __init__(self, connection_key: ConnectionKey | None, certificate_error: Exception) -> None:
        os_error = certificate_error if isinstance(certificate_error, OSError) else OSError()
        super().__init__(connection_key, os_error)
        self._certificate_error = certificate_error
        self.args: tuple[Any, ...] = (connection_key, certificate_error)

    @property
    def certificate_error(self) -> Exception:
        """The error that describes the certificate."""
        return self._certificate_error

    @property
    def ssl(self) -> bool:
        """Whether the endpoint uses TLS."""
        return self._connection_key.is_ssl

    def __str__(self) -> str:
        error = self.certificate_error
        return (
            f"Cannot connect {self._shown_peer()} ssl:{self.ssl} "
            f"[{type(error).__name__}: {error.args}]"
        )


class ServerConnectionError(ClientConnectionError):
    """The server failed: base of the exceptions that say how."""


class ServerDisconnectedError(ServerConnectionError):
    """The server closed the connection before the head of the response was complete.

    :param message: the part of the response that has arrived, or a text
    """

    def __init__(self, message: object = None) -> None:
        self.message = "Server disconnected" if message is None else message
        super().__init__(self.message)


class ServerTimeoutError(ServerConnectionError, _OSErrorBase, TimeoutError):
    """The server took longer than allowed."""


class ConnectionTimeoutError(ServerTimeoutError):
    """No connection was opened in time (``connect``, ``sock_connect``)."""


class SocketTimeoutError(ServerTimeoutError):
    """No bytes arrived for too long (``sock_read``)."""


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


# -- a body is incomplete or malformed -------------------------------------------------------


class ClientPayloadError(ClientError):
    """The body of the response ended early, or could not be decoded."""


class BodyTooLargeError(ClientPayloadError):
    """The body of the response has more bytes than ``max_body_size`` allows."""


class DownloadError(ClientError):
    """A download could not give the file, for a reason other than that of a response.

    :param message: the reason
    :param path: path of the file that it is about
    """

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message, path)
        self.message: str = message
        self.path: str = path

    def __str__(self) -> str:
        return f"{self.message}: {self.path!r}"


class DigestMismatchError(DownloadError):
    """The file that was downloaded does not have the digest that it should have.

    :param algorithm: its name, such as ``"sha256"``
    :param expected: the digest that was asked for, in hexadecimal digits
    :param got: the digest of what came
    """

    def __init__(self, path: str, algorithm: str, expected: str, got: str) -> None:
        super().__init__(f"{algorithm} is {got}, and should be {expected}", path)
        self.algorithm: str = algorithm
        self.expected: str = expected
        self.got: str = got
        # What the constructor takes, for pickle.
        self.args: tuple[Any, ...] = (path, algorithm, expected, got)


class UploadAbortedError(ClientError):
    """The body of the request was not sent completely."""


class OAuth2Error(ClientError):
    """A token endpoint gave no token (:rfc:`6749#section-5.2`).

    :param error: the code of the error, such as ``"invalid_grant"``; ``None`` if the answer is
        neither a token nor such an error
    :param description: what the server says of it, or what is wrong with the answer
    :param uri: a page about the error

    Text from the server is shortened, and unprintable characters are escaped.
    """

    def __init__(
        self, error: str | None, description: str | None = None, uri: str | None = None
    ) -> None:
        super().__init__(error, description, uri)
        self.error = error
        self.description = description
        self.uri = uri

    def __str__(self) -> str:
        said = (self.error, self.description, self.uri and f"see {self.uri}")
        return f"the token endpoint gave no token: {', '.join(filter(None, said))}"


# -- the request could not even be tried -----------------------------------------------------


def _shown(argument: object) -> str:
    return without_user_info(argument) if isinstance(argument, (str, URL)) else str(argument)


class InvalidURL(ClientError, ValueError):
    """A request cannot be sent to this URL.

    :param url: the URL as given
    :param description: what is wrong with the URL
    """

    def __init__(self, url: str | URL, description: str | None = None) -> None:
        super().__init__(*([url, description] if description else [url]))
        self._url = url
        self._description = description

    @property
    def url(self) -> str | URL:
        """The URL as given, including the user info."""
        return self._url

    @property
    def description(self) -> str | None:
        """What is wrong with the URL."""
        return self._description

    def __str__(self) -> str:
        url = without_user_info(self._url)
        return f"{url} - {self._description}" if self._description else url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class InvalidUrlClientError(InvalidURL):
    """A request cannot be sent to the URL that the caller gave."""


class RedirectClientError(ClientError):
    """The server redirects to a URL that the client does not request."""


class NonHttpUrlClientError(ClientError):
    """The client does not support the scheme of the URL.

    The arguments are the URL and, if the scheme seems to be missing, a text that says so.
    """

    def __str__(self) -> str:
        return " - ".join(map(_shown, self.args))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class InvalidUrlRedirectClientError(InvalidUrlClientError, RedirectClientError):
    """The server redirects to an invalid URL."""


class NonHttpUrlRedirectClientError(NonHttpUrlClientError, RedirectClientError):
    """The server redirects to a URL with a scheme that the client does not support."""


# -- what may pass ---------------------------------------------------------------------------


#: Failures of a connection after which another one may do better.  ClientConnectionError, the base
#: of all of them, is not here: by it, a closed session refuses further requests.
CONNECTION_FAILURES: Final = (ClientOSError, ClientConnectionResetError, ServerConnectionError)

#: Those of them that another connection would meet again: the peer is not whom it should be.
LASTING_FAILURES: Final = (ClientSSLError, ServerFingerprintMismatch)


# -- beside aiohttp --------------------------------------------------------------------------


_BASES: Final = {
    value: value.__bases__
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, ClientError)
}


def _derive_from(theirs: ModuleType) -> None:
    """Make the classes of *theirs* bases of those here that have the same names.

    ``except`` looks at nothing but the bases of a class, and either package may be imported
    first.  So this is done when the first exception is made after aiohttp was imported.  The
    classes here come before those of aiohttp in the order in which attributes are looked up.
    """
    names = getattr(theirs, "__all__", None)
    if names is None or not all(hasattr(theirs, name) for name in names):
        return  # another thread is importing it
    for cls, bases in _BASES.items():
        same = getattr(theirs, cls.__name__, None)
        if same is None:
            continue  # an older aiohttp
        ours = [base for base in bases if issubclass(base, (_Base, _OSErrorBase))]
        others = [base for base in bases if base not in ours]
        # It fails if *same* is *cls*, or derived from it, and if the program has a class that is
        # derived from both and names aiohttp's first.  Then the class stays as it is.
        with suppress(TypeError):
            cls.__bases__ = (*ours, same, *others)
    _Base._beside = theirs


# -- WebSocket -------------------------------------------------------------------------------


class WSMessageTypeError(TypeError):
    """The message is not of the requested type."""


class WebSocketError(Exception):
    """The peer broke the WebSocket protocol.

    :param code: close code for the violation (:rfc:`6455#section-7.4.1`)
    :param message: description of the violation
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[1])
