"""Rows of the table: WebSockets on streams of HTTP/2."""

from __future__ import annotations

from typing import Final

from anyhttp import SocketTimeoutError, WSServerHandshakeError

from .model import ANSWER, Fault, Phase, sees
from .rows_websocket import WEBSOCKET, ends
from .websocket_http2 import Http2WebSocket

_GROUP: Final = "WebSocket over HTTP/2"

#: On HTTP/1.1.
_CELLS: Final = {phase.part: phase.cells for phase in WEBSOCKET}

#: Its stream is reset, which stands for the reset of a connection (RFC 8441 §5).
_CANCELLED: Final = ends("ClientOSError")

_LOST: Final = ends(
    "ClientOSError",
    "ServerDisconnectedError",
    why="Whether receiving notices it first, or sending the answer to a `PING`, decides.",
)

_SENT_AGAIN: Final = sees(
    ANSWER,
    why="The server had probably closed the connection before: the handshake, to which no whole "
    "`HEADERS` have come, is sent once more by another connection.",
)

WEBSOCKET_HTTP2: Final = (
    Phase(
        _GROUP,
        "in the answer to the handshake, on a kept connection",
        Http2WebSocket(),
        "handshake",
        {
            **dict.fromkeys((Fault.CLOSE, Fault.RESET, Fault.HALF_CLOSE), _SENT_AGAIN),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.DRIP: sees(ANSWER),
            Fault.SPLIT: sees(ANSWER),
            Fault.REFUSE: sees(WSServerHandshakeError),
        },
    ),
    Phase(
        _GROUP,
        "in the messages",
        Http2WebSocket(),
        "frames",
        {
            **_CELLS["frames"],
            Fault.RESET: _LOST,
            Fault.CANCEL: _CANCELLED,
            Fault.GO_AWAY: sees(ANSWER),
        },
        limit="ws_receive",
    ),
    Phase(
        _GROUP,
        "in the `CLOSE` of the server",
        Http2WebSocket(),
        "close",
        {
            **_CELLS["close"],
            Fault.RESET: _LOST,
            Fault.CANCEL: _CANCELLED,
            Fault.GO_AWAY: sees(ANSWER),
        },
        limit="ws_receive",
    ),
    Phase(
        _GROUP,
        "in the answer to the client's `CLOSE`",
        Http2WebSocket(client_closes=True),
        "answer to close",
        {
            **_CELLS["answer to close"],
            Fault.CANCEL: ends("ClientOSError", message=""),
            Fault.GO_AWAY: sees(ANSWER),
        },
        limit="ws_close",
    ),
)
