"""Exceptions of this package, one of each class."""

from __future__ import annotations

import ssl

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from anyhttp import client_exceptions as errors
from anyhttp._common.values import ConnectionKey, RequestInfo
from anyhttp.http_exceptions import LineTooLong

KEY = ConnectionKey("host", 443, True, True, None, None, None)
HEADERS = CIMultiDictProxy(CIMultiDict([("A", "1"), ("Set-Cookie", "s=secret"), ("a", "2")]))
INFO = RequestInfo(
    URL("http://user:secret@host/path"),
    "GET",
    CIMultiDictProxy(CIMultiDict({"Authorization": "secret"})),
    URL("http://user:secret@host/path#f"),
)
REFUSED = ConnectionRefusedError(111, "Connection refused")
BAD_CERTIFICATE = ssl.SSLCertVerificationError(1, "certificate verify failed")

# One of each class that can be raised, with arguments that tell it from any other.
RAISED: list[Exception] = [
    errors.ClientError("text"),
    errors.ClientResponseError(INFO, (), status=404, message="Not Found", headers=HEADERS),
    errors.ContentTypeError(INFO, (), message="m"),
    errors.WSServerHandshakeError(INFO, (), status=200),
    errors.TooManyRedirects(INFO, ()),
    errors.ClientHttpProxyError(INFO, (), status=407, headers=CIMultiDict(A="1")),
    errors.ClientConnectionError("text"),
    errors.ClientConnectionResetError("text"),
    errors.ClientOSError(32, "Broken pipe"),
    errors.ClientConnectorError(KEY, REFUSED),
    errors.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")),
    errors.ClientProxyConnectionError(KEY, REFUSED),
    errors.UnixClientConnectorError("/run/socket", KEY, REFUSED),
    errors.ClientSSLError(KEY, REFUSED),
    errors.ClientConnectorSSLError(KEY, ssl.SSLError(1, "wrong version")),
    errors.ClientConnectorCertificateError(KEY, BAD_CERTIFICATE),
    errors.ServerConnectionError("text"),
    errors.ServerDisconnectedError(),
    errors.ServerFingerprintMismatch(b"\1", b"\2", "host", 443),
    errors.ServerTimeoutError("text"),
    errors.ConnectionTimeoutError("text"),
    errors.SocketTimeoutError("text"),
    errors.ClientPayloadError("text"),
    errors.BodyTooLargeError("text"),
    errors.DownloadError("text", "/a/file"),
    errors.DigestMismatchError("/a/file", "sha256", "00", "ff"),
    errors.UploadAbortedError("text"),
    errors.OAuth2Error("invalid_grant", "it has expired", "https://login.test/errors"),
    errors.InvalidURL("u", "why"),
    errors.InvalidUrlClientError(URL("/u")),
    errors.RedirectClientError("text"),
    errors.NonHttpUrlClientError(URL("ftp://user:secret@host")),
    errors.InvalidUrlRedirectClientError("u", "why"),
    errors.NonHttpUrlRedirectClientError("ftp://user:secret@host"),
    errors.WSMessageTypeError("text"),
    errors.WebSocketError(1002, "text"),
    LineTooLong(b"line", 4, 5),
]


def by_class(exc: Exception) -> str:
    """Name the class of *exc*."""
    return type(exc).__name__
