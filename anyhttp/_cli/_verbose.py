"""``--verbose``: connections, and the heads that are sent and received, on stderr.

The marks are those of curl: ``*`` for what happens, ``>`` for what is sent, ``<`` for what comes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute
from multidict import MultiMapping
from rich.console import Console
from rich.text import Text

from anyhttp import (
    BaseConnector,
    ClientRequest,
    ClientResponse,
    ClientTimeout,
    TraceConfig,
    TraceConnectionTunnelParams,
    TraceRequestEndParams,
    TraceRequestRedirectParams,
    TraceRequestRetryParams,
    hdrs,
)
from anyhttp._http2 import Http2Stream
from anyhttp.connector import Connection
from anyhttp.tracing import Trace

from ._bars import milliseconds
from ._phases import PHASES, Hop
from ._terminal import printable_line, status_style, version_name

HIDDEN: Final = "***"
# In a URL, as that of a redirect.
_USER_AND_PASSWORD: Final = re.compile(r"(?<=//)[^/?#\s]+@")


def masked(name: str, value: str) -> str:
    """Return the *value* of a header field without secrets.

    The scheme of a login, the names of cookies and the rest of a URL stay.
    """
    match name.lower():
        case "authorization" | "proxy-authorization":
            scheme, blank, _ = value.partition(" ")
            return f"{scheme} {HIDDEN}" if blank else HIDDEN
        case "cookie":
            return ";".join(map(_masked_cookie, value.split(";")))
        case "set-cookie":
            cookie, semicolon, attributes = value.partition(";")
            return f"{_masked_cookie(cookie)}{semicolon}{attributes}"
    return _USER_AND_PASSWORD.sub(f"{HIDDEN}@", value)


def _masked_cookie(text: str) -> str:
    name, equals, _ = text.partition("=")
    return f"{name}={HIDDEN}" if equals else HIDDEN


class Narrator:
    """Tells what happens to the requests of a session."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def config(self) -> TraceConfig:
        """Return the handlers that show the heads of responses."""
        config = TraceConfig()
        config.on_connection_tunnel.append(self._show_tunnel)
        config.on_request_redirect.append(self._show_response)
        config.on_request_retry.append(self._show_retry)
        config.on_request_end.append(self._show_response)
        return config

    def watch(self, connector: BaseConnector) -> None:
        """Show each connection that *connector* lends, and the request that is sent on it."""
        connect = connector.connect

        async def watched(
            req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
        ) -> Connection:
            connection = await connect(req, traces, timeout)
            self._show_connection(req, connection)
            self._show_request(req, connection)
            return connection

        connector.connect = watched  # type: ignore[method-assign, assignment]

    def note(self, text: str) -> None:
        """Show a line about what happens."""
        self._show("*", Text(printable_line(text, self._console.encoding)))

    def show_times(self, hop: Hop) -> None:
        """Show what the time of *hop* went into."""
        times = ((name, hop.seconds(name)) for name in PHASES)
        shown = [f"{name} {milliseconds(time)}" for name, time in times if time is not None]
        if shown:
            self.note(f"{hop.method} {hop.url}: {', '.join(shown)}")

    def _show(self, mark: str, line: Text) -> None:
        self._console.print(Text.assemble((mark, "dim"), " ", line), soft_wrap=True)

    def _show_fields(self, mark: str, fields: MultiMapping[str]) -> None:
        """Show header fields, and the empty line after them."""
        encoding = self._console.encoding
        for name, value in fields.items():
            line = Text.assemble((printable_line(name, encoding), "cyan"), (": ", "dim"))
            self._show(mark, line.append(printable_line(masked(name, value), encoding)))
        self._show(mark, Text())

    # -- what is sent

    def _show_connection(self, request: ClientRequest, connection: Connection) -> None:
        stream = connection.transport
        assert stream is not None  # it has just been lent
        verb = "reusing the connection" if connection.reused else "new connection"
        place = _place(stream)
        whose = "" if request.proxy is None else ", the proxy,"
        purpose = f" for {request.host}" if whose or request.host not in place else ""
        self.note(f"{verb} to {place}{whose}{purpose}")
        if not connection.reused:
            for line in _tls_of(stream):
                self.note(line)

    def _show_request(self, request: ClientRequest, connection: Connection) -> None:
        is_http2 = isinstance(connection.protocol, Http2Stream)
        version = "2" if is_http2 else f"{request.version.major}.{request.version.minor}"
        line = f"{request.method} {request.target()} HTTP/{version}"
        self._show(">", Text(printable_line(line, self._console.encoding), "bold"))
        fields = request.headers.copy()
        if request.is_forwarded:
            fields.update(request.headers_for_proxy())
        self._show_fields(">", fields)

    async def _show_tunnel(self, _: Any, __: Any, params: TraceConnectionTunnelParams) -> None:
        """Show how a proxy was asked for a tunnel, and what it has answered."""
        self.note(f"tunnel to {params.target} through the proxy {params.proxy}")
        line = f"{hdrs.METH_CONNECT} {params.target} HTTP/1.1"
        self._show(">", Text(printable_line(line, self._console.encoding), "bold"))
        self._show_fields(">", params.headers)
        version = f"HTTP/{params.version.major}.{params.version.minor}"
        self._show_status(version, params.status, params.reason)
        self._show_fields("<", params.response_headers)

    # -- what comes

    async def _show_response(
        self, _: Any, __: Any, params: TraceRequestEndParams | TraceRequestRedirectParams
    ) -> None:
        self._show_head(params.response)

    async def _show_retry(self, _: Any, __: Any, params: TraceRequestRetryParams) -> None:
        if params.response is not None:
            self._show_head(params.response)

    def _show_head(self, response: ClientResponse) -> None:
        self._show_status(version_name(response), response.status, response.reason)
        self._show_fields("<", response.headers)

    def _show_status(self, version: str, status: int, reason: str | None) -> None:
        line = printable_line(f"{version} {status} {reason}", self._console.encoding)
        self._show("<", Text(line, f"bold {status_style(status)}"))


def _place(stream: ByteStream) -> str:
    """Return the address of the peer."""
    address = stream.extra(SocketAttribute.remote_address, None)
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return f"the Unix socket {address}" if address else "the server"


def _tls_of(stream: ByteStream) -> list[str]:
    """Return lines about TLS on *stream*; none if there is none."""
    version = stream.extra(TLSAttribute.tls_version, None)
    if version is None:
        return []
    cipher = stream.extra(TLSAttribute.cipher, ("?",))[0]
    chosen = stream.extra(TLSAttribute.alpn_protocol, None) or "none"
    lines = [f"TLS: {version}, {cipher}, ALPN: {chosen}"]
    certificate = stream.extra(TLSAttribute.peer_certificate, None)
    if certificate:
        subject, issuer = _named(certificate, "subject"), _named(certificate, "issuer")
        lines.append(f"certificate of {subject}, issued by {issuer}")
        lines.append(f"certificate expires on {certificate.get('notAfter', '?')}")
    else:
        lines.append("certificate not verified")
    return lines


def _named(certificate: dict[str, Any], whose: str) -> str:
    """Return the name of *whose* in *certificate*; without one, what it is valid for."""
    parts = [f"{key}={value}" for group in certificate.get(whose, ()) for key, value in group]
    names = [value for _, value in certificate.get("subjectAltName", ())]
    return ", ".join(parts or names) or "?"
