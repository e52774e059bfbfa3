"""HTTP/1.1 client for asyncio and trio with the API of aiohttp's client."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy, istr

from . import hdrs
from ._codings import set_zlib_backend
from ._common import (
    ChainMapProxy,
    ConnectionKey,
    ETag,
    Http2Options,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    RequestInfo,
    __version__,
)
from ._headers import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition_filename,
    parse_content_disposition,
)
from ._http1 import UploadTracker
from ._network import AddrInfoType, Fingerprint, SocketFactoryType
from ._targets import BasicAuth, encode_basic_auth
from ._tasks import ClientTimeout
from ._websocket import ClientWSTimeout, WSCloseCode, WSMessage, WSMessageStream, WSMsgType
from .abc import AbstractCookieJar, AbstractResolver
from .client import ClientSession, EventSource, request, ws_connect
from .client_exceptions import (
    BodyTooLargeError,
    ClientConnectionError,
    ClientConnectionResetError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientHttpProxyError,
    ClientOSError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ClientResponseError,
    ClientSSLError,
    ConnectionTimeoutError,
    ContentTypeError,
    DigestMismatchError,
    DownloadError,
    FingerprintMismatch,
    InvalidURL,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    NonHttpUrlClientError,
    NonHttpUrlRedirectClientError,
    OAuth2Error,
    RedirectClientError,
    ServerConnectionError,
    ServerDisconnectedError,
    ServerFingerprintMismatch,
    ServerTimeoutError,
    SocketTimeoutError,
    TooManyRedirects,
    UnixClientConnectorError,
    UploadAbortedError,
    WebSocketError,
    WSMessageTypeError,
    WSServerHandshakeError,
)
from .client_middleware_digest_auth import DigestAuthMiddleware
from .client_middlewares import ClientHandlerType, ClientMiddlewareType
from .client_reqrep import (
    ClientRequest,
    ClientResponse,
    ContentDisposition,
    EventIterator,
    ServerSentEvent,
    guess_charset,
)
from .client_ws import ClientWebSocketResponse
from .connector import (
    BaseConnector,
    Connection,
    NamedPipeConnector,
    ProxyConnector,
    TCPConnector,
    UnixConnector,
)
from .cookiejar import CookieJar, DummyCookieJar
from .formdata import FormData
from .multipart import BodyPartReader, MultipartReader, MultipartWriter
from .payload import (
    PAYLOAD_REGISTRY,
    AsyncIterablePayload,
    BufferedReaderPayload,
    BytesIOPayload,
    BytesPayload,
    IOBasePayload,
    JsonBytesPayload,
    JsonPayload,
    Payload,
    StringIOPayload,
    StringPayload,
    TextIOPayload,
    get_payload,
    payload_type,
    streamer,
)
from .resolver import AsyncResolver, DefaultResolver, ThreadedResolver
from .streams import EMPTY_PAYLOAD, StreamReader
from .tracing import (
    TraceConfig,
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
    TraceConnectionTlsEndParams,
    TraceConnectionTlsStartParams,
    TraceConnectionTunnelParams,
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
    TraceRequestChunkSentParams,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestHeadersSentParams,
    TraceRequestRedirectParams,
    TraceRequestRetryParams,
    TraceRequestStartParams,
    TraceResponseChunkReceivedParams,
    TraceResponseEndParams,
)

if TYPE_CHECKING:
    from ._downloads import DownloadResult, download
    from .as_aiohttp import install_as_aiohttp, uninstall_as_aiohttp
    from .middlewares import (
        BearerAuthMiddleware,
        BearerToken,
        RateLimitMiddleware,
        RetryAttempt,
        RetryMiddleware,
    )
else:  # for a type checker, it would make any name one of this package
    _ROOMS = {
        "BearerAuthMiddleware": "middlewares",
        "BearerToken": "middlewares",
        "DownloadResult": "_downloads",
        "RateLimitMiddleware": "middlewares",
        "RetryAttempt": "middlewares",
        "RetryMiddleware": "middlewares",
        "download": "_downloads",
        "install_as_aiohttp": "as_aiohttp",
        "uninstall_as_aiohttp": "as_aiohttp",
    }

    def __getattr__(name):
        """Import what few programs use when one asks for it."""
        if name in _ROOMS.values():  # for a type checker, it is an attribute of this package
            return import_module(f".{name}", __name__)
        room = _ROOMS.get(name)
        if room is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{room}", __name__), name)


__all__ = (
    "AbstractCookieJar",
    "AbstractResolver",
    "AddrInfoType",
    "AsyncIterablePayload",
    "AsyncResolver",
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "BaseConnector",
    "BasicAuth",
    "BearerAuthMiddleware",
    "BearerToken",
    "BodyPartReader",
    "BodyTooLargeError",
    "BufferedReaderPayload",
    "BytesIOPayload",
    "BytesPayload",
    "CIMultiDict",
    "CIMultiDictProxy",
    "ChainMapProxy",
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientHandlerType",
    "ClientHttpProxyError",
    "ClientMiddlewareType",
    "ClientOSError",
    "ClientPayloadError",
    "ClientProxyConnectionError",
    "ClientRequest",
    "ClientResponse",
    "ClientResponseError",
    "ClientSSLError",
    "ClientSession",
    "ClientTimeout",
    "ClientWSTimeout",
    "ClientWebSocketResponse",
    "Connection",
    "ConnectionKey",
    "ConnectionTimeoutError",
    "ContentDisposition",
    "ContentTypeError",
    "CookieJar",
    "DefaultResolver",
    "DigestAuthMiddleware",
    "DigestMismatchError",
    "DownloadError",
    "DownloadResult",
    "DummyCookieJar",
    "EMPTY_PAYLOAD",
    "ETag",
    "EventIterator",
    "EventSource",
    "Fingerprint",
    "FingerprintMismatch",
    "FormData",
    "Http2Options",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "IOBasePayload",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "JsonBytesPayload",
    "JsonPayload",
    "MultiDict",
    "MultiDictProxy",
    "MultipartReader",
    "MultipartWriter",
    "NamedPipeConnector",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "OAuth2Error",
    "PAYLOAD_REGISTRY",
    "Payload",
    "ProxyConnector",
    "RateLimitMiddleware",
    "RedirectClientError",
    "RequestInfo",
    "RetryAttempt",
    "RetryMiddleware",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerFingerprintMismatch",
    "ServerSentEvent",
    "ServerTimeoutError",
    "SocketFactoryType",
    "SocketTimeoutError",
    "StreamReader",
    "StringIOPayload",
    "StringPayload",
    "TCPConnector",
    "TextIOPayload",
    "ThreadedResolver",
    "TooManyRedirects",
    "TraceConfig",
    "TraceConnectionCreateEndParams",
    "TraceConnectionCreateStartParams",
    "TraceConnectionQueuedEndParams",
    "TraceConnectionQueuedStartParams",
    "TraceConnectionReuseconnParams",
    "TraceConnectionTlsEndParams",
    "TraceConnectionTlsStartParams",
    "TraceConnectionTunnelParams",
    "TraceDnsCacheHitParams",
    "TraceDnsCacheMissParams",
    "TraceDnsResolveHostEndParams",
    "TraceDnsResolveHostStartParams",
    "TraceRequestChunkSentParams",
    "TraceRequestEndParams",
    "TraceRequestExceptionParams",
    "TraceRequestHeadersSentParams",
    "TraceRequestRedirectParams",
    "TraceRequestRetryParams",
    "TraceRequestStartParams",
    "TraceResponseChunkReceivedParams",
    "TraceResponseEndParams",
    "UnixClientConnectorError",
    "UnixConnector",
    "UploadAbortedError",
    "UploadTracker",
    "WSCloseCode",
    "WSMessage",
    "WSMessageStream",
    "WSMessageTypeError",
    "WSMsgType",
    "WSServerHandshakeError",
    "WebSocketError",
    "__version__",
    "content_disposition_filename",
    "download",
    "encode_basic_auth",
    "get_payload",
    "guess_charset",
    "hdrs",
    "install_as_aiohttp",
    "istr",
    "parse_content_disposition",
    "payload_type",
    "request",
    "set_zlib_backend",
    "streamer",
    "uninstall_as_aiohttp",
    "ws_connect",
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
