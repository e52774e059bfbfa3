"""Which protocols a TLS handshake offers to the peer (ALPN, :rfc:`7301`)."""

from __future__ import annotations

import ssl
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

__all__ = ("HTTP1", "HTTP2_OR_HTTP1", "Protocols", "make_ssl_object")

#: Names of protocols, the preferred one first.
Protocols = tuple[str, ...]

HTTP1: Final[Protocols] = ("http/1.1",)
HTTP2_OR_HTTP1: Final[Protocols] = ("h2", "http/1.1")

#: The contexts of programs that have offered HTTP/2 for a handshake.  The lock is held while one
#: does: handshakes in other threads must not offer it too.
_LOCKS: Final[WeakKeyDictionary[ssl.SSLContext, Lock]] = WeakKeyDictionary()


def make_ssl_object(
    context: ssl.SSLContext,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    name: str | bytes,
    session: ssl.SSLSession | None = None,
    alpn: Protocols | None = None,
) -> ssl.SSLObject:
    """Return what encrypts and decrypts for one connection of a client.

    :param name: of the server
    :param session: one of *context* to resume
    :param alpn: the protocols to offer; ``None`` for those that *context* is set to

    The :mod:`ssl` module knows protocols of contexts, and none of one connection.  So *context*
    is set to *alpn*, and then to HTTP/1.1 alone: another program that uses it, or the next
    WebSocket, must not get a connection that speaks HTTP/2.
    """
    more = () if session is None else (session,)
    lock = _LOCKS.get(context) if alpn is None else _LOCKS.setdefault(context, Lock())
    if lock is None:
        return context.wrap_bio(incoming, outgoing, False, name, *more)
    with lock:
        if alpn is None:
            return context.wrap_bio(incoming, outgoing, False, name, *more)
        context.set_alpn_protocols(list(alpn))
        try:
            return context.wrap_bio(incoming, outgoing, False, name, *more)
        finally:
            context.set_alpn_protocols(list(HTTP1))
