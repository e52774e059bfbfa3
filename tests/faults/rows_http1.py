"""Rows of the table: a request and its answer by HTTP/1.1."""

from __future__ import annotations

from typing import Final

from anyhttp import (
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
    SocketTimeoutError,
)

from .http1 import Exchange
from .model import ANSWER, Fault, Phase, sees

_BY_LENGTH: Final = Exchange()
_GROUP: Final = "HTTP/1.1"

HTTP1: Final = (
    Phase(
        _GROUP,
        "waiting for the head",
        _BY_LENGTH,
        "head",
        {
            Fault.CLOSE: sees(ServerDisconnectedError),
            Fault.RESET: sees(ClientOSError),
            Fault.HALF_CLOSE: sees(ServerDisconnectedError),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.GARBAGE: sees(ClientResponseError),
        },
        last=0,
    ),
    Phase(
        _GROUP,
        "the body, by its length",
        _BY_LENGTH,
        "body",
        {
            Fault.CLOSE: sees(ClientPayloadError),
            Fault.RESET: sees(ClientPayloadError),
            Fault.HALF_CLOSE: sees(ClientPayloadError),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.DRIP: sees(ANSWER),
            Fault.SPLIT: sees(ANSWER),
            Fault.ANSWER_TWICE: sees(
                ANSWER, why="The surplus is never read as the answer to another request."
            ),
        },
    ),
)
