"""Starts TLS on a socket or in a tunnel; no other module of the package does."""

from __future__ import annotations

import ssl

from .._common import ConnectionKey, without_zone
from .alpn import HTTP1, Protocols
from .errors import dial_errors
from .stream import NetworkStream
from .tls_sessions import TlsSessions
from .tls_stream import TlsStream
from .trust import check_protocol, context_for

__all__ = ("start_tls",)


async def start_tls(
    below: NetworkStream,
    hostname: str,
    key: ConnectionKey,
    sessions: TlsSessions | None = None,
    *,
    alpn: Protocols | None = None,
) -> NetworkStream:
    """Do the TLS handshake over *below*; close *below* if it fails or is cancelled.

    :param hostname: the name to send and to verify, without a trailing dot and without a zone
    :param sessions: one of which may be resumed; ``None`` for a full handshake
    :param alpn: the protocols to offer; ``None`` for HTTP/1.1 alone, or for what an
        :class:`ssl.SSLContext` of the program is set to
    :raises ClientConnectorSSLError: the handshake failed, or the peer refused it by an alert
    :raises ClientConnectorCertificateError: the certificate is not trusted
    :raises ServerFingerprintMismatch: the certificate is not the pinned one
    """
    try:
        with dial_errors(key):
            protocols = HTTP1 if alpn is None else alpn
            context = await context_for(key.ssl, protocols)
            name = without_zone(hostname).rstrip(".")
            resumption = None
            if sessions is not None:
                resumption = sessions.resumption(key, name, context, alpn)
            session = None if resumption is None else resumption.session
            if context is not key.ssl:
                alpn = None  # our own is set to them
            stream = await TlsStream.wrap(below.stream, context, name, session, alpn)
            check_protocol(stream.ssl_object, protocols)
        if not isinstance(key.ssl, (bool, ssl.SSLContext)):
            key.ssl.check(stream, key.host, key.port)
        # Only now: no session is kept of a connection that failed one of these checks.  For the
        # server a session includes who the client is, and the context may get another certificate.
        if not stream.asked_for_certificate:
            stream.resumption = resumption
    except BaseException:
        await below.aclose()
        raise
    return NetworkStream(stream, key)
