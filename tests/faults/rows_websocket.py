"""Rows of the table: WebSockets over HTTP/1.1."""

from __future__ import annotations

from typing import Final

from anyhttp import (
    ClientOSError,
    ClientResponseError,
    ServerDisconnectedError,
    SocketTimeoutError,
    WSServerHandshakeError,
)

from .model import ANSWER, UNREAD, Cell, Fault, Phase, sees
from .websocket import WebSocket
from .websocket_tls import SecuredWebSocket

_GROUP: Final = "WebSocket over HTTP/1.1"


def ends(*errors: str, message: str = "`CLOSED`, ", code: int = 1006, why: str = "") -> Cell:
    """Return a cell for a WebSocket that ends with one of these errors."""
    shown = [f"{message}`close_code` {code}, `exception()` {error}" for error in errors]
    return sees(*shown, why=why)


_LOST: Final = {
    Fault.CLOSE: ends("ServerDisconnectedError", "ClientOSError", why=UNREAD),
    Fault.RESET: ends("ClientOSError"),
    Fault.HALF_CLOSE: ends("ServerDisconnectedError"),
    Fault.STALL: sees(TimeoutError, why="`ws_receive` is short."),
}

WEBSOCKET: Final = (
    Phase(
        _GROUP,
        "in the answer to the handshake",
        WebSocket(),
        "handshake",
        {
            Fault.CLOSE: sees(ServerDisconnectedError),
            Fault.RESET: sees(ClientOSError),
            Fault.HALF_CLOSE: sees(ServerDisconnectedError),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.GARBAGE: sees(ClientResponseError),
            Fault.DRIP: sees(ANSWER),
            Fault.SPLIT: sees(ANSWER),
            Fault.REFUSE: sees(WSServerHandshakeError),
            Fault.WRONG_KEY: sees(WSServerHandshakeError),
        },
    ),
    Phase(
        _GROUP,
        "in the messages",
        WebSocket(),
        "frames",
        {
            **_LOST,
            Fault.GARBAGE: sees(
                "`ERROR`, `close_code` 1002, `exception()` WebSocketError",
                "`ERROR`, `close_code` 1007, `exception()` WebSocketError",
                why="1007 where it stands in the place of text.",
            ),
            Fault.DRIP: sees(ANSWER),
            Fault.SPLIT: sees(ANSWER),
            Fault.JOIN: sees(ANSWER),
        },
        limit="ws_receive",
    ),
    Phase(
        _GROUP,
        "in the `CLOSE` of the server",
        WebSocket(),
        "close",
        {
            **_LOST,
            Fault.GARBAGE: ends("WebSocketError", message="`ERROR`, ", code=1002),
            Fault.DRIP: sees(ANSWER),
            Fault.SPLIT: sees(ANSWER),
        },
        limit="ws_receive",
    ),
    Phase(
        _GROUP,
        "in the answer to the client's `CLOSE`",
        WebSocket(client_closes=True),
        "answer to close",
        {
            Fault.CLOSE: ends("ServerDisconnectedError", message=""),
            Fault.RESET: ends("ClientOSError", message=""),
            Fault.HALF_CLOSE: ends("ServerDisconnectedError", message=""),
            Fault.STALL: ends("TimeoutError", message="", why="`ws_close` is short."),
            Fault.GARBAGE: ends("WebSocketError", message=""),
            Fault.DRIP: sees(ANSWER),
            Fault.SPLIT: sees(ANSWER),
        },
        limit="ws_close",
    ),
)

_VARIANTS: Final = "WebSocket over HTTP/1.1, in other ways"

_MESSAGES: Final = next(phase.cells for phase in WEBSOCKET if phase.part == "frames")

WEBSOCKET_VARIANTS: Final = (
    Phase(
        _VARIANTS,
        "in the messages, with permessage-deflate",
        WebSocket(compressed=True),
        "frames",
        _MESSAGES,
        limit="ws_receive",
    ),
    Phase(
        _VARIANTS,
        "in the messages, with a heartbeat",
        WebSocket(heartbeat=True),
        "frames",
        {
            Fault.STALL: ends("ServerTimeoutError", message="`ERROR`, ", why="The heartbeat."),
            Fault.DRIP: sees(ANSWER),
        },
        limit="ws_receive",
    ),
    Phase(
        _VARIANTS,
        "in the messages, over TLS",
        SecuredWebSocket(),
        "frames",
        _MESSAGES,
        limit="ws_receive",
    ),
)
