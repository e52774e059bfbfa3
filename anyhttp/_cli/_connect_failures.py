"""What a command says when there is no connection: to what, why, and which option may help."""

from __future__ import annotations

import os
from typing import Final

import click

from anyhttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    UnixClientConnectorError,
)
from anyhttp._common import ProxyKey
from anyhttp._targets import checked_proxy

VARIABLES: Final = ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy")

SKIP: Final = "-k connects without verification"
TRUST: Final = f"--cacert FILE names issuers to trust, {SKIP}"
#: What is wrong with a certificate, by OpenSSL's number.
CERTIFICATES: Final = {
    9: f"is not valid yet, or the clock here is wrong; {SKIP}",
    10: f"has expired; {SKIP}",
    62: f"is for other hosts; {SKIP}",
    64: f"is for other hosts; {SKIP}",
    **dict.fromkeys((2, 18, 19, 20, 21), f"is not from a trusted issuer; {TRUST}"),
}

#: What went wrong in the handshake, each by parts of OpenSSL's names for it.
HANDSHAKES: Final = (
    (
        ("WRONG_VERSION", "HTTP_REQUEST", "PACKET_LENGTH", "RECORD_LAYER"),
        "it does not speak TLS; try http:// (or ws://)",
    ),
    (("CERTIFICATE_REQUIRED",), "it asks for a client certificate; give one with --cert FILE"),
    (
        ("HANDSHAKE_FAILURE",),
        "it refuses the handshake; perhaps it asks for a client certificate (--cert FILE)",
    ),
    (
        ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"),
        "it speaks no version of TLS that is accepted here",
    ),
    (
        ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE"),
        "it does not accept the client certificate (--cert)",
    ),
)


def not_connected(failure: ClientConnectorError) -> str:
    """Return the message about *failure* for the user."""
    if isinstance(failure, UnixClientConnectorError):
        return f"cannot connect to the Unix socket {failure.path}: {_reason(failure)}"
    host = f"[{failure.host}]" if ":" in failure.host else failure.host
    peer = host if failure.port is None else f"{host}:{failure.port}"
    # The argument is the key of the connection.
    if isinstance(failure.args[0], ProxyKey):
        source = _source_of_proxy(failure.host, failure.port)
        host, peer = (f"the proxy {name}{source}" for name in (host, peer))
    if isinstance(failure, ClientConnectorCertificateError):
        return f"the certificate of {peer} {_about_certificate(failure.certificate_error)}"
    if isinstance(failure, ClientConnectorSSLError):
        return f"no TLS with {peer}: {_about_handshake(failure.os_error)}"
    if isinstance(failure, ClientConnectorDNSError):
        return f"no address found for {host}: {_reason(failure)}"
    return f"cannot connect to {peer}: {_reason(failure)}"


def _reason(failure: ClientConnectorError) -> str:
    return failure.strerror or str(failure.os_error)


def _source_of_proxy(host: str, port: int | None) -> str:
    """Return where a proxy was named, in parentheses; the option precedes the environment."""
    context = click.get_current_context(silent=True)
    if context and context.params.get("proxy"):
        return " (--proxy)"
    for name in (*VARIABLES, *map(str.upper, VARIABLES)):
        try:
            value = os.environ.get(name, "")
            url, _ = checked_proxy(value if "://" in value else f"http://{value}")
        except ValueError:
            continue
        if (url.host, url.port) == (host, port):
            return f" (from the variable {name})"
    return ""


def _about_certificate(error: Exception) -> str:
    code = getattr(error, "verify_code", None)
    if code in CERTIFICATES:
        return CERTIFICATES[code]
    # With one argument, as a system's verifier raises it, its str() is that of a tuple.
    text = str(error.args[-1]) if error.args else "no reason is known"
    problem = getattr(error, "verify_message", None) or text
    return f"cannot be verified: {problem}; {SKIP}"


def _about_handshake(error: OSError) -> str:
    name = getattr(error, "reason", None) or ""  # of an SSLError that OpenSSL made
    for parts, words in HANDSHAKES:
        if any(part in name for part in parts):
            return words
    return name.replace("_", " ").lower() or str(error)
