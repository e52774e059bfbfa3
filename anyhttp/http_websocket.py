"""Another way to import names that older programs know from here."""

from __future__ import annotations

from .client_exceptions import WebSocketError
from .client_ws import WSCloseCode, WSMessage, WSMsgType

__all__ = ("WSCloseCode", "WSMessage", "WSMsgType", "WebSocketError")
