"""Makes names importable from here too, as older programs import them."""

from __future__ import annotations

from ._websocket import WSCloseCode, WSMessage, WSMsgType
from .client_exceptions import WebSocketError

__all__ = ("WSCloseCode", "WSMessage", "WSMsgType", "WebSocketError")
