"""Sockets, TLS, the byte streams over them, trust in certificates, and names of errors."""

from __future__ import annotations

from .alpn import HTTP1, HTTP2_OR_HTTP1, Protocols
from .errors import dial_errors
from .sockets import (
    AddrInfoType,
    SocketFactoryType,
    SocketOption,
    connect_tcp,
    connect_unix,
    set_options,
    sockets_with,
)
from .stream import NetworkStream
from .tls import start_tls
from .tls_sessions import TlsSessions
from .trust import Fingerprint, SSLOption, context_of, fold_ssl, ssl_option

__all__ = (
    "AddrInfoType",
    "HTTP1",
    "HTTP2_OR_HTTP1",
    "Fingerprint",
    "NetworkStream",
    "Protocols",
    "SSLOption",
    "SocketFactoryType",
    "SocketOption",
    "TlsSessions",
    "connect_tcp",
    "connect_unix",
    "context_of",
    "dial_errors",
    "fold_ssl",
    "set_options",
    "sockets_with",
    "ssl_option",
    "start_tls",
)
