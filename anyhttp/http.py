"""Another way to import names that programs know from here."""

from __future__ import annotations

from ._values import HttpVersion, HttpVersion10, HttpVersion11
from ._version import SERVER_SOFTWARE
from .client_exceptions import WebSocketError
from .client_ws import WSCloseCode, WSMessage, WSMsgType
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
