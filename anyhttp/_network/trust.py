"""Which certificates are accepted: TLS contexts, fingerprints, and the option ``ssl``."""

from __future__ import annotations

import os
import ssl
import sys
from functools import cache
from hashlib import sha256
from ssl import SSLContext
from typing import Any, Final

import anyio
import anyio.lowlevel
import anyio.to_thread
import truststore
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute

from .._common import check_flag, class_has, shown_class, warn_deprecated
from ..client_exceptions import ServerFingerprintMismatch
from .alpn import HTTP1, Protocols

__all__ = (
    "Fingerprint",
    "SSLOption",
    "check_protocol",
    "context_for",
    "context_of",
    "fold_ssl",
    "ssl_option",
    "verifies_in_handshake",
)


class Fingerprint:
    """Accepts only the certificate with the given SHA-256 digest, and checks nothing else.

    :param fingerprint: digest of the certificate in DER form, 32 bytes
    :raises TypeError: *fingerprint* is not bytes
    :raises ValueError: the digest is not 32 bytes long, such as one of MD5 or SHA-1
    """

    __slots__ = ("_fingerprint",)

    def __init__(self, fingerprint: bytes) -> None:
        if not isinstance(fingerprint, (bytes, bytearray, memoryview)):
            raise TypeError(f"fingerprint must be bytes, not {type(fingerprint).__name__}")
        if len(fingerprint) != 32:
            raise ValueError(
                f"fingerprint must be a SHA-256 digest of 32 bytes, not {len(fingerprint)} bytes"
            )
        self._fingerprint = bytes(fingerprint)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._fingerprint.hex()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and other._fingerprint == self._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    @property
    def fingerprint(self) -> bytes:
        """The expected digest."""
        return self._fingerprint

    def check(self, stream: ByteStream, host: str | None = None, port: int | None = None) -> None:
        """Compare the digest with the peer's certificate on *stream*; do nothing without TLS.

        :param host: name of the peer for the error; the peer's address when left out
        :param port: port of the peer for the error
        :raises ServerFingerprintMismatch: the peer has another certificate
        """
        if stream.extra(TLSAttribute.ssl_object, None) is None:
            return
        certificate = stream.extra(TLSAttribute.peer_certificate_binary)
        got = sha256(certificate or b"").digest()
        if got != self._fingerprint:
            address = stream.extra(SocketAttribute.remote_address, ())
            if host is None and isinstance(address, tuple) and address:
                host, port = str(address[0]), address[1]
            raise ServerFingerprintMismatch(self._fingerprint, got, host or "", port or 0)


SSLOption = SSLContext | bool | Fingerprint


def ssl_option(value: object) -> SSLOption:
    """Check the ``ssl`` argument of a connector or a request.

    :raises TypeError: *value* is none of the documented kinds
    """
    if value is None:
        warn_deprecated("ssl=None is deprecated: True means the default")
        return True
    if isinstance(value, (bool, SSLContext, Fingerprint)):
        return value
    if (pinned := _foreign_fingerprint(value)) is not None:
        return pinned
    raise TypeError(
        f"ssl must be True, False, an ssl.SSLContext or an anyhttp.Fingerprint, "
        f"not {shown_class(type(value))}"
    )


def _foreign_fingerprint(value: Any) -> Fingerprint | None:
    """Return the fingerprint in *value*, if it is like aiohttp's object, else ``None``.

    :raises ValueError: it is not that of SHA-256
    :raises TypeError: its class checks something else
    """
    if not (class_has(value, "fingerprint", "check") and isinstance(value.fingerprint, bytes)):
        return None
    kind = type(value)
    *_, root = (each for each in kind.__mro__ if "fingerprint" in vars(each))
    if kind.check is not getattr(root, "check", None):
        name = shown_class(kind)
        raise TypeError(f"{name}.check() would be passed over: derive it from anyhttp.Fingerprint")
    return Fingerprint(value.fingerprint)


@cache
def _verified_context(alpn: Protocols) -> ssl.SSLContext:
    """Return the default context: the operating system's trust store, TLS 1.2 or newer."""
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _set_defaults(context, alpn)
    if sys.platform not in {"win32", "darwin"}:  # pragma: no branch  (Windows, macOS)
        # Here OpenSSL itself verifies, and truststore's context would only read the whole trust
        # store again for each connection, which takes longer than all the rest of it (70 ms).
        # The first object has made it read the store into the plain context that it wraps.
        context = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), False, "localhost").context
        context.sslobject_class = ssl.SSLObject
    return context


@cache
def _unverified_context(alpn: Protocols) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _set_defaults(context, alpn)
    return context


def _set_defaults(context: ssl.SSLContext, alpn: Protocols) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(list(alpn))
    _log_keys(context)


def _log_keys(context: ssl.SSLContext) -> None:
    """Write session keys to the file named by ``SSLKEYLOGFILE``, as other programs do."""
    path = os.environ.get("SSLKEYLOGFILE")
    if not path or sys.flags.ignore_environment:
        return
    try:
        context.keylog_filename = path
    except OSError as exc:
        raise OSError(exc.errno, f"SSLKEYLOGFILE={path}: {exc.strerror}") from exc


async def context_for(option: object, alpn: Protocols) -> ssl.SSLContext:
    """Return the context for the ``ssl`` option of a connector.

    One of ours offers *alpn*; for that of a program there is :func:`~.alpn.make_ssl_object`.
    """
    if option is True and alpn not in _read_for:
        # Reading the trust store blocks, so do it in a worker thread.
        await anyio.to_thread.run_sync(_verified_context, alpn)
        _read_for.add(alpn)
    return context_of(option, alpn)


#: the protocols for which there is a context with the operating system's trust store
_read_for: Final[set[Protocols]] = set()


def context_of(option: object, alpn: Protocols = HTTP1) -> ssl.SSLContext:
    """Do what :func:`context_for` does; the first call may block."""
    if isinstance(option, ssl.SSLContext):
        return option
    return _verified_context(alpn) if option is True else _unverified_context(alpn)


def verifies_in_handshake(context: ssl.SSLContext) -> bool:
    """Whether OpenSSL alone verifies for *context*, and no code behind the handshake.

    Classes of others may do that, as truststore's does on Windows and macOS; its class is also
    asked for by name, as it can be put in the place of :class:`ssl.SSLContext`.
    """
    plain = type(context) is ssl.SSLContext and type(context) is not truststore.SSLContext
    return plain and context.sslobject_class is ssl.SSLObject


def check_protocol(ssl_object: ssl.SSLObject, alpn: Protocols) -> None:
    """Refuse a protocol that the caller's context offered and that is not one of *alpn*.

    Other clients add "h2" to a context that they share with us.  The server would then speak
    HTTP/2 where HTTP/1.1 is expected.
    """
    chosen = ssl_object.selected_alpn_protocol()
    if chosen not in {None, "http/1.1", "http/1.0", *alpn}:
        wanted = "http/1.1 alone" if alpn == HTTP1 else " and ".join(alpn)
        reason = f"the server chose {chosen!r} by ALPN; the SSLContext must offer {wanted}"
        raise ssl.SSLError(ssl.SSLErrorNumber.SSL_ERROR_SSL, reason)


def fold_ssl(
    ssl: SSLOption | None,
    *,
    verify_ssl: bool | None,
    ssl_context: SSLContext | None,
    fingerprint: bytes | None,
) -> SSLOption:
    """Return the one ``ssl`` option that these arguments of a connector or a request mean.

    :raises TypeError: an argument has a wrong type
    :raises ValueError: more than one argument is given
    """
    said: list[SSLOption] = [] if ssl is True else [ssl_option(ssl)]
    if verify_ssl is not None:
        check_flag("verify_ssl", verify_ssl)
        warn_deprecated("verify_ssl is deprecated: ssl=False stands for verify_ssl=False")
        # verify_ssl=True is the default; older programs pass it together with a context.
        if not verify_ssl or ssl is False:
            said.append(verify_ssl)
    if ssl_context is not None:
        warn_deprecated("ssl_context is deprecated: give it as ssl")
        if not isinstance(ssl_context, SSLContext):
            name = type(ssl_context).__name__
            raise TypeError(f"ssl_context must be an ssl.SSLContext, not {name}")
        said.append(ssl_context)
    if fingerprint is not None:
        warn_deprecated("fingerprint is deprecated: give ssl=Fingerprint(...)")
        said.append(Fingerprint(fingerprint))
    if len(said) > 1:
        raise ValueError("only one of ssl, verify_ssl, ssl_context and fingerprint can be given")
    return said[0] if said else True
