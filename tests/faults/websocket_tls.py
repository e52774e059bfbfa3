"""Conversations by WebSocket over TLS."""

from __future__ import annotations

import ssl

from .conversation import Program
from .secured import context_of
from .server import FaultyServer
from .websocket import WebSocket
from .wire import TlsWire, Wire


class SecuredWebSocket(WebSocket):
    """A WebSocket over TLS 1.3."""

    has_readers = False

    def serve(self, wire: Wire, server: FaultyServer) -> None:
        context = context_of(server.authority, ssl.TLSVersion.TLSv1_3, wire.plan, "TLS")
        super().serve(TlsWire(wire, context, "TLS"), server)

    def url(self, program: Program) -> str:
        return f"https://127.0.0.1:{program.server.port}/{program.name}"
