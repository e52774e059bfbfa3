"""A temporary certificate for loopback, made by trustme."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import Final

import trustme

#: How long the certificate is valid, and how far the verifying clock may be behind.
LIFETIME: Final = timedelta(days=1)
HEAD_START: Final = timedelta(hours=1)


def throw_away_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context with a new certificate, and a client's that trusts only that one.

    The authority's private key is not kept, so nobody can issue another trusted certificate.
    """
    authority = trustme.CA()
    now = datetime.now(UTC)
    certificate = authority.issue_cert(
        "localhost", "127.0.0.1", not_before=now - HEAD_START, not_after=now + LIFETIME
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(server)
    server.set_alpn_protocols(["h2", "http/1.1"])
    client = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    return server, client
