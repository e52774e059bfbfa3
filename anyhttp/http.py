"""Makes names importable from here too, as some programs import them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from ._common import SERVER_SOFTWARE, HttpVersion, HttpVersion10, HttpVersion11
from ._websocket import CLOSED_MESSAGE, CLOSING_MESSAGE, WSCloseCode, WSMessage, WSMsgType
from .client_exceptions import WebSocketError
from .http_exceptions import HttpProcessingError

__all__ = (
    "RESPONSES",
    "SERVER_SOFTWARE",
    "HttpProcessingError",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "WSCloseCode",
    "WSMessage",
    "WSMsgType",
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "WebSocketError",
)

#: Phrase and description of each status.
RESPONSES: Final[Mapping[int, tuple[str, str]]] = {
    status: (status.phrase, status.description) for status in HTTPStatus
}

WS_CLOSED_MESSAGE: Final = CLOSED_MESSAGE
WS_CLOSING_MESSAGE: Final = CLOSING_MESSAGE
