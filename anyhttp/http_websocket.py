"""Another way to import names that older programs know from here."""

from __future__ import annotations

from ._websocket import WSCloseCode, WSMessage, WSMsgType
from .client_exceptions import WebSocketError

__all__ = ("WSCloseCode", "WSMessage", "WSMsgType", "WebSocketError")
