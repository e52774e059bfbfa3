"""TLS sessions that are kept to shorten the handshake of later connections (resumption).

A connection that resumes a session takes its keys from it, so it costs both sides much less than
a full handshake.  The peer does not show its certificate again: it proves that it is the one that
was verified when the session began.  So a session may only be resumed by a connection that would
have verified the same peer in the same way, and not for ever.
"""

from __future__ import annotations

import ssl
import sys
from collections import OrderedDict
from collections.abc import Callable
from threading import get_ident
from time import time
from typing import Final, NamedTuple

from .._common import ConnectionKey
from .alpn import Protocols
from .trust import verifies_in_handshake

__all__ = ("Resumption", "TlsSessions")

#: Whether this Python loses some KiB whenever it hands out the session of a connection, as it did
#: from 3.10 until 3.12.8 and 3.13.1 (python/cpython#116810).
LEAKS_SESSIONS: Final = sys.version_info < (3, 12, 8) or sys.version_info[:3] == (3, 13, 0)

#: Seconds after a full handshake in which its session, and those that follow from it, are resumed.
#: After that the certificate is verified again.
MOST_SECONDS: Final = 3600.0

#: How many sessions of one peer are kept: so many new connections at once can resume one.
MOST_OF_ONE_PEER: Final = 8

#: How many peers have their sessions kept.  A session takes a few KiB, mostly for the certificate.
MOST_PEERS: Final = 100


#: Whether certificates are looked for in the lists of those that have been revoked.
#: An ``int``, as operators of flags are slow.
_CHECKS_REVOKED: Final = int(ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_CRL_CHECK_CHAIN)


class _Terms(NamedTuple):
    """What must be equal for a connection to resume the session of another one.

    A context can be changed between two connections, so what it verifies is part of the terms.
    """

    peer: ConnectionKey
    hostname: str
    context: ssl.SSLContext
    alpn: Protocols | None
    verify_mode: ssl.VerifyMode
    verify_flags: ssl.VerifyFlags
    check_hostname: bool
    common_name: bool
    oldest: int
    newest: int
    revoked: int


class _Kept(NamedTuple):
    session: ssl.SSLSession
    until: float
    cipher: str | None


class _Peer:
    """What is known of one peer."""

    __slots__ = ("is_known", "sessions")

    def __init__(self) -> None:
        self.sessions: list[_Kept] = []
        #: whether there have been two connections to it
        self.is_known: bool = False


class Resumption:
    """What one connection resumes, and where it leaves a session for a later one."""

    __slots__ = ("_from", "_peer", "_sessions", "_verified_at")

    def __init__(self, sessions: TlsSessions, peer: _Peer, context: ssl.SSLContext) -> None:
        self._sessions = sessions
        self._peer = peer
        self._verified_at = sessions.clock()
        kept = peer.sessions.pop() if peer.sessions else None
        if kept is not None and (self._verified_at >= kept.until or not _offers(context, kept)):
            kept = None
        self._from = kept

    @property
    def session(self) -> ssl.SSLSession | None:
        """The session to resume; ``None`` for a full handshake."""
        return None if self._from is None else self._from.session

    @property
    def wants_session(self) -> bool:
        """Whether :meth:`keep` is worth its price by now."""
        return self._peer.is_known and self._sessions.is_usable

    def keep(self, ssl_object: ssl.SSLObject) -> None:
        """Keep the session of a connection for a later one, if the peer has sent a ticket for it.

        :param ssl_object: of the connection; tickets come behind its handshake
        """
        if self._from is not None and ssl_object.session_reused:
            until = self._from.until
        else:
            until = min(self._verified_at + MOST_SECONDS, _last_second(ssl_object))
        if self._sessions.clock() < until:
            session = ssl_object.session
            if session is not None and session.has_ticket:
                kept = self._peer.sessions
                kept.append(_Kept(session, until, _cipher_to_offer(ssl_object)))
                del kept[:-MOST_OF_ONE_PEER]


class TlsSessions:
    """The sessions that the connections of one connector have left, each to be resumed once.

    A ticket of TLS 1.3 that is used twice lets an observer link the connections (:rfc:`8446`
    appendix C.4).  A connection that resumes one gets others.

    The :mod:`ssl` module hands out a copy of a session, which takes OpenSSL 3.0 as long as a
    quarter of a full handshake.  A program that visits many hosts once should not pay for that,
    so sessions of a peer are kept from the second connection to it on.
    """

    __slots__ = ("_closed", "_peers", "_thread", "clock")

    def __init__(self, clock: Callable[[], float] = time) -> None:
        #: the time that certificates mean, in seconds since 1970
        self.clock: Callable[[], float] = clock
        self._peers: OrderedDict[_Terms, _Peer] = OrderedDict()
        self._closed = False
        self._thread = get_ident()

    def __len__(self) -> int:
        return sum(len(peer.sessions) for peer in self._peers.values())

    @property
    def is_usable(self) -> bool:
        """Whether sessions can be kept: not when closed, and not by another thread."""
        return not self._closed and self._thread == get_ident()

    def resumption(
        self,
        peer: ConnectionKey,
        hostname: str,
        context: ssl.SSLContext,
        alpn: Protocols | None = None,
    ) -> Resumption | None:
        """Return what a new connection to *peer* resumes; ``None`` if it can leave no session.

        :param alpn: the protocols that the connection offers; ``None`` for those of *context*

        That is so with a context that switches resumption off by :data:`ssl.OP_NO_TICKET`, and
        with one that verifies by itself after the handshake: it would miss the certificates that
        the peer does not show again.  It is also so where Python would leak a session for each.
        """
        if LEAKS_SESSIONS:
            return None
        if context.options & ssl.OP_NO_TICKET or not verifies_in_handshake(context):
            return None
        terms = _Terms(
            peer,
            hostname,
            context,
            alpn,
            context.verify_mode,
            context.verify_flags,
            context.check_hostname,
            context.hostname_checks_common_name,
            context.minimum_version,
            context.maximum_version,
            # A list may have come that names the certificate of the peer.
            int(context.verify_flags) & _CHECKS_REVOKED and context.cert_store_stats()["crl"],
        )
        if self._thread != get_ident():
            self.clear()
            self._thread = get_ident()
        known = self._peers.get(terms)
        if known is None:
            known = self._peers[terms] = _Peer()
            if len(self._peers) > MOST_PEERS:
                self._peers.popitem(last=False)
        else:
            known.is_known = True
            self._peers.move_to_end(terms)
        return Resumption(self, known, context)

    def clear(self) -> None:
        """Forget all sessions."""
        for peer in self._peers.values():
            peer.is_known = False  # open connections refer to it
        self._peers.clear()

    def close(self) -> None:
        """Forget all sessions, and keep no others."""
        self._closed = True
        self.clear()


def _cipher_to_offer(ssl_object: ssl.SSLObject) -> str | None:
    """Return what a connection that resumes this one has to offer; ``None``: nothing special.

    That is the cipher up to TLS 1.2, where a peer refuses a connection that resumes another one
    and does not offer its cipher (:rfc:`5246#section-7.4.1.2`).
    """
    cipher = ssl_object.cipher()
    return None if cipher is None or ssl_object.version() == "TLSv1.3" else cipher[0]


def _offers(context: ssl.SSLContext, kept: _Kept) -> bool:
    """Whether *context*, whose ciphers may have been changed, still offers that of *kept*."""
    if kept.cipher is None:
        return True
    return any(cipher["name"] == kept.cipher for cipher in context.get_ciphers())


def _last_second(ssl_object: ssl.SSLObject) -> float:
    """Return when the verified certificate of the peer expires; never, if none was verified."""
    certificate = ssl_object.getpeercert()
    if not certificate:  # it is empty for a certificate that was not verified
        return float("inf")
    return ssl.cert_time_to_seconds(str(certificate["notAfter"]))
