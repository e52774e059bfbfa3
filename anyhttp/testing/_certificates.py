"""A certificate for the loopback server, made by trustme."""

from __future__ import annotations

import ssl
from functools import cache

__all__ = ("tls_contexts",)


@cache
def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context with a certificate for loopback, and a client's that trusts it.

    The certificate is made once in a process.  The authority's private key is not kept, so nobody
    can issue another trusted one.

    :raises RuntimeError: trustme is not installed; the message names the extra to install
    """
    try:
        import trustme
    except ImportError as exc:
        raise RuntimeError(
            "serve(tls=True) needs trustme: pip install 'anyhttp-client[testing]'; "
            "or give an ssl.SSLContext with a certificate of yours"
        ) from exc
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "::1").configure_cert(server)
    client = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    return server, client
