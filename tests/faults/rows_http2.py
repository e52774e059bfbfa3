"""Rows of the table: a request and its answer by HTTP/2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from anyhttp import (
    ClientConnectionResetError,
    ClientConnectorError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
    SocketTimeoutError,
)

from .http2 import Http2
from .model import ANSWER, UNREAD, Cell, Fault, Phase, sees

_GROUP: Final = "HTTP/2"

_PIECES: Final[Mapping[Fault, Cell]] = {
    Fault.DRIP: sees(ANSWER),
    Fault.SPLIT: sees(ANSWER),
    Fault.JOIN: sees(ANSWER),
}

_BEFORE: Final[Mapping[Fault, Cell]] = {
    Fault.CLOSE: sees(ServerDisconnectedError, ClientOSError, why=UNREAD),
    Fault.RESET: sees(ClientOSError),
    Fault.HALF_CLOSE: sees(ServerDisconnectedError),
    Fault.GARBAGE: sees(ClientResponseError),
    **_PIECES,
}

HTTP2: Final = (
    Phase(
        _GROUP,
        "in the `SETTINGS` of the server",
        Http2(),
        "settings",
        {
            **_BEFORE,
            Fault.RESET: sees(
                ClientOSError,
                ClientConnectorError,
                why="It may come before the client has connected.",
            ),
        },
    ),
    Phase(
        _GROUP,
        "in `HEADERS`",
        Http2(),
        "head",
        {fault: cell for fault, cell in _BEFORE.items() if fault is not Fault.GARBAGE},
    ),
    Phase(
        _GROUP,
        "in the header of the `HEADERS` frame",
        Http2(),
        "head",
        {Fault.GARBAGE: sees(ClientResponseError)},
        last=8,
    ),
    Phase(
        _GROUP,
        "in `DATA`",
        Http2(),
        "body",
        {
            **_PIECES,
            Fault.CLOSE: sees(ClientPayloadError),
            Fault.RESET: sees(ClientPayloadError),
            Fault.HALF_CLOSE: sees(ClientPayloadError),
        },
    ),
    Phase(
        _GROUP,
        "in the header of a `DATA` frame",
        Http2(),
        "body",
        {Fault.GARBAGE: sees(ClientPayloadError)},
        last=8,
    ),
    Phase(
        _GROUP,
        "on the stream, before `HEADERS`",
        Http2(),
        "frames",
        {
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.REFUSE: sees(ANSWER),
            Fault.CANCEL: sees(ClientConnectionResetError),
            Fault.GO_AWAY: sees(ANSWER),
        },
        last=0,
    ),
    Phase(
        _GROUP,
        "on the stream, after `HEADERS`",
        Http2(),
        "frames",
        {
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.CANCEL: sees(ClientPayloadError),
            Fault.GO_AWAY: sees(ClientPayloadError),
        },
        first=1,
    ),
)
