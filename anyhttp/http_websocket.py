"""Makes names importable from here too, as older programs and libraries import them."""

from __future__ import annotations

from ._websocket import CLOSED_MESSAGE, CLOSING_MESSAGE, WSCloseCode, WSMessage, WSMsgType
from .client_exceptions import WebSocketError

__all__ = (
    "WSCloseCode",
    "WSMessage",
    "WSMessageTextBytes",
    "WSMsgType",
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "WebSocketError",
)

# Here a text message is of one class, whether its text is decoded or not.
WSMessageTextBytes = WSMessage

WS_CLOSED_MESSAGE = CLOSED_MESSAGE
WS_CLOSING_MESSAGE = CLOSING_MESSAGE
