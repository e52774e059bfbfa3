"""Rows of the table: before there is a connection, TLS, and proxies."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

from anyhttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientHttpProxyError,
    ClientOSError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ClientResponseError,
    ConnectionTimeoutError,
    ServerDisconnectedError,
    SocketTimeoutError,
)

from .connecting import Connecting, Resolving
from .http1 import until_eof
from .model import ANSWER, BEGINNING, UNREAD, Cell, Fault, Phase, sees
from .secured import Proxied, Secured

_CONNECTING: Final = "Connecting"
_TLS: Final = "TLS"
_HTTP_PROXY: Final = "HTTP proxies"
_SOCKS: Final = "SOCKS proxies"

_TIMES: Final[Mapping[Fault, Cell]] = {
    Fault.STALL: sees(ConnectionTimeoutError),
    Fault.STALL_TOTAL: sees(TimeoutError),
}

_PIECES: Final[Mapping[Fault, Cell]] = {Fault.DRIP: sees(ANSWER), Fault.SPLIT: sees(ANSWER)}


def _breaks(with_error: type[Exception]) -> dict[Fault, Cell]:
    """Return cells for a connection that is lost with this error."""
    return dict.fromkeys((Fault.CLOSE, Fault.RESET, Fault.HALF_CLOSE), sees(with_error))


CONNECTING: Final = (
    Phase(
        _CONNECTING,
        "resolving the name",
        Resolving(),
        "connection",
        {Fault.REFUSE: sees(ClientConnectorDNSError), **_TIMES},
        limit="sock_connect",
    ),
    Phase(
        _CONNECTING,
        "connecting to the server",
        Connecting(),
        "connection",
        {Fault.REFUSE: sees(ClientConnectorError), **_TIMES},
        limit="sock_connect",
    ),
    Phase(
        _CONNECTING,
        "connecting to an HTTP proxy",
        Connecting("http"),
        "connection",
        {Fault.REFUSE: sees(ClientProxyConnectionError), **_TIMES},
        limit="sock_connect",
    ),
    Phase(
        _CONNECTING,
        "connecting to a SOCKS proxy",
        Connecting("socks5"),
        "connection",
        {Fault.REFUSE: sees(ClientProxyConnectionError), **_TIMES},
        limit="sock_connect",
    ),
)

#: Positions in the flight of a server's handshake, the length of which is known only roughly.
_FLIGHT: Final = (*range(8), *range(8, 680, 16), *range(-8, 0))
_FEW: Final = (0, 1, 5, 120, 400, -2, -1)
_END: Final = (*range(40), -2, -1)
_FEW_OF_END: Final = (0, 1, 5, 20, -1)

_HANDSHAKE: Final[Mapping[Fault, Cell]] = {
    **_breaks(ClientConnectorError),
    **_TIMES,
    **_PIECES,
    Fault.GARBAGE: sees(ClientConnectorSSLError),
    Fault.ALERT: sees(ClientConnectorSSLError),
}

#: In a flight that has the certificate of the server.
_WITH_CERTIFICATE: Final[Mapping[Fault, Cell]] = {
    **_HANDSHAKE,
    Fault.CERTIFICATE: sees(ClientConnectorCertificateError),
}

_NO_NOTIFY: Final = (
    "Servers often end TLS without close-notify, so this is an end like any other: the framing of "
    "HTTP tells whether something is missing."
)

TLS: Final = (
    Phase(
        _TLS,
        "in the handshake of TLS 1.3",
        Secured(),
        "TLS",
        _WITH_CERTIFICATE,
        limit="sock_connect",
        every=_FLIGHT,
        few=_FEW,
    ),
    Phase(
        _TLS,
        "in the handshake of TLS 1.2",
        Secured(version=ssl.TLSVersion.TLSv1_2),
        "TLS",
        {
            **_WITH_CERTIFICATE,
            Fault.GARBAGE: sees(
                ClientConnectorSSLError,
                ClientConnectorCertificateError,
                why="The certificate is sent in the clear, so garbage may spoil the certificate "
                "alone.",
            ),
        },
        limit="sock_connect",
        every=_FLIGHT,
        few=_FEW,
    ),
    Phase(
        _TLS,
        "in the last flight of the handshake of TLS 1.2",
        Secured(version=ssl.TLSVersion.TLSv1_2),
        "TLS, end",
        _HANDSHAKE,
        limit="sock_connect",
        every=_END,
        few=_FEW_OF_END,
    ),
    Phase(
        _TLS,
        "after the handshake of TLS 1.3, before any data",
        Secured(),
        "TLS, end",
        {
            Fault.CLOSE: sees(ServerDisconnectedError, ClientOSError, why=UNREAD),
            Fault.RESET: sees(ClientOSError),
            Fault.HALF_CLOSE: sees(ServerDisconnectedError),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.GARBAGE: sees(ClientOSError),
            Fault.ALERT: sees(
                ClientConnectorSSLError,
                why="In TLS 1.3 a server may refuse the certificate of the client, or that there "
                "is none, only when the handshake is over for the client.",
            ),
            **_PIECES,
        },
        every=_END,
        few=_FEW_OF_END,
    ),
    Phase(
        _TLS,
        "in the records of the head",
        Secured(),
        "records",
        {
            Fault.CLOSE: sees(ServerDisconnectedError),
            Fault.RESET: sees(ClientOSError),
            Fault.HALF_CLOSE: sees(ServerDisconnectedError),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.GARBAGE: sees(ClientOSError),
            **_PIECES,
        },
        last=60,
    ),
    Phase(
        _TLS,
        "in a body with its length",
        Secured(),
        "body",
        {
            **_breaks(ClientPayloadError),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            **_PIECES,
        },
    ),
    Phase(
        _TLS,
        "in the records of a body with its length",
        Secured(),
        "records",
        {
            **_breaks(ClientPayloadError),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.GARBAGE: sees(ClientPayloadError),
            **_PIECES,
        },
        first=sum(Secured().sizes("head", Fault.CLOSE)) + 22,
    ),
    Phase(
        _TLS,
        "in a body until the end of the connection",
        Secured(until_eof),
        "body",
        {
            Fault.CLOSE: sees(BEGINNING),
            Fault.RESET: sees(ClientPayloadError),
            Fault.HALF_CLOSE: sees(BEGINNING, why=_NO_NOTIFY),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            **_PIECES,
        },
    ),
)

_TUNNEL: Final[Mapping[Fault, Cell]] = {
    **_breaks(ClientProxyConnectionError),
    **_TIMES,
    **_PIECES,
    Fault.GARBAGE: sees(ClientProxyConnectionError),
    Fault.REFUSE: sees(ClientHttpProxyError),
    Fault.ANSWER_TWICE: sees(
        ClientProxyConnectionError,
        why="The client speaks first in a tunnel, so these bytes are the proxy's own.",
    ),
}

_REFUSAL: Final = sees(
    ClientHttpProxyError, why="Its `body` is what had come, for which one second is waited at most."
)

_WAITED_FOR: Final = sees(
    ClientHttpProxyError,
    why="Half of what is left of the limits is waited for the rest, and one second at most.",
)

HTTP_PROXIES: Final = (
    Phase(
        _HTTP_PROXY,
        "in the answer to `CONNECT`",
        Proxied("http"),
        "answer to CONNECT",
        _TUNNEL,
        limit="sock_connect",
    ),
    Phase(
        _HTTP_PROXY,
        "in the body of its refusal",
        Proxied("http", refuses=True),
        "body of the refusal",
        {
            **dict.fromkeys((Fault.CLOSE, Fault.RESET, Fault.HALF_CLOSE), _REFUSAL),
            **dict.fromkeys((Fault.STALL, Fault.STALL_TOTAL), _WAITED_FOR),
        },
        limit="sock_connect",
    ),
    Phase(
        _HTTP_PROXY,
        "in TLS with the origin",
        Proxied("http"),
        "TLS",
        _WITH_CERTIFICATE,
        limit="sock_connect",
        every=_FLIGHT,
        few=_FEW,
    ),
    Phase(
        _HTTP_PROXY,
        "in the handshake with an `https` proxy",
        Proxied("https"),
        "TLS with the proxy",
        {**_WITH_CERTIFICATE, **_breaks(ClientProxyConnectionError)},
        limit="sock_connect",
        every=_FLIGHT,
        few=_FEW,
    ),
    Phase(
        _HTTP_PROXY,
        "in the answer of an `https` proxy to `CONNECT`",
        Proxied("https"),
        "answer to CONNECT",
        _TUNNEL,
        limit="sock_connect",
    ),
    Phase(
        _HTTP_PROXY,
        "in TLS with the origin through an `https` proxy",
        Proxied("https"),
        "TLS",
        _WITH_CERTIFICATE,
        limit="sock_connect",
        every=_FLIGHT,
        few=_FEW,
    ),
    Phase(
        _HTTP_PROXY,
        "in the head of a forwarded answer",
        Proxied("http", inner="http", forwarded=True),
        "head",
        {
            Fault.CLOSE: sees(ServerDisconnectedError),
            Fault.RESET: sees(ClientOSError),
            Fault.HALF_CLOSE: sees(ServerDisconnectedError),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.GARBAGE: sees(ClientResponseError),
            **_PIECES,
        },
    ),
)

_SOCKS_CELLS: Final[Mapping[Fault, Cell]] = {
    **_breaks(ClientProxyConnectionError),
    **_TIMES,
    **_PIECES,
    Fault.GARBAGE: sees(ClientProxyConnectionError),
    Fault.REFUSE: sees(ClientProxyConnectionError),
}

_GARBAGE_IN_REPLY: Final = sees(
    ClientProxyConnectionError,
    ClientResponseError,
    why="The address in a reply is not looked at, and what follows it is the origin's.",
)

_SOCKS_REPLY: Final = {**_SOCKS_CELLS, Fault.GARBAGE: _GARBAGE_IN_REPLY}


def _socks(name: str, conversation: Proxied, part: str, cells: Mapping[Fault, Cell]) -> Phase:
    return Phase(_SOCKS, name, conversation, part, cells, limit="sock_connect")


SOCKS_PROXIES: Final = (
    _socks(
        "in the reply of `socks4`", Proxied("socks4", inner="http"), "reply of SOCKS4", _SOCKS_REPLY
    ),
    _socks(
        "in the reply of `socks4a`",
        Proxied("socks4a", inner="http"),
        "reply of SOCKS4",
        _SOCKS_REPLY,
    ),
    _socks(
        "in the greeting of `socks5`", Proxied("socks5", inner="http"), "greeting", _SOCKS_CELLS
    ),
    _socks(
        "in the greeting of `socks5`, with credentials",
        Proxied("socks5", inner="http", login=True),
        "greeting with login",
        _SOCKS_CELLS,
    ),
    _socks(
        "in the answer of `socks5` to credentials",
        Proxied("socks5", inner="http", login=True),
        "login",
        _SOCKS_CELLS,
    ),
    _socks(
        "in the reply of `socks5`", Proxied("socks5", inner="http"), "reply of SOCKS5", _SOCKS_REPLY
    ),
    _socks(
        "in the reply of `socks5h`",
        Proxied("socks5h", inner="http"),
        "reply of SOCKS5",
        _SOCKS_REPLY,
    ),
    Phase(
        _SOCKS,
        "in TLS with the origin through `socks5`",
        Proxied("socks5"),
        "TLS",
        _WITH_CERTIFICATE,
        limit="sock_connect",
        every=_FLIGHT,
        few=_FEW,
    ),
)
