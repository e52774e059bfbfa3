"""Makes names importable from here too, as some programs import them."""

from __future__ import annotations

from ._common import SERVER_SOFTWARE, HttpVersion, HttpVersion10, HttpVersion11
from ._websocket import WSCloseCode, WSMessage, WSMsgType
from .client_exceptions import WebSocketError
from .http_exceptions import HttpProcessingError

__all__ = (
    "SERVER_SOFTWARE",
    "HttpProcessingError",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "WSCloseCode",
    "WSMessage",
    "WSMsgType",
    "WebSocketError",
)
