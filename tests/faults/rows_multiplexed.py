"""Rows of the table: three exchanges at a time on a connection of HTTP/2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from anyhttp import (
    ClientConnectionResetError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
    SocketTimeoutError,
)

from .model import ANSWER, UNREAD, Cell, Fault, Phase, Together, sees
from .multiplexed import Multiplexed

_GROUP: Final = "HTTP/2: the second of three exchanges on a connection"

_ALL: Final = Multiplexed()

#: The others have their answers.
_OTHERS: Final = (ANSWER,)

_PIECES: Final[Mapping[Fault, Cell]] = {
    Fault.DRIP: sees(ANSWER),
    Fault.SPLIT: sees(ANSWER),
    Fault.JOIN: sees(ANSWER),
}

_TIMES: Final[Mapping[Fault, Cell]] = {
    Fault.STALL: sees(SocketTimeoutError),
    Fault.STALL_TOTAL: sees(TimeoutError),
}


def _lost_in_head(error: type[Exception]) -> Together:
    """Return what the three see when the first has its head, and the others wait for theirs."""
    return Together(error, (ClientPayloadError, error))


MULTIPLEXED: Final = (
    Phase(
        _GROUP,
        "in its `HEADERS`, when the first has its own",
        _ALL,
        "head",
        {
            **_PIECES,
            **_TIMES,
            Fault.CLOSE: sees(
                _lost_in_head(ServerDisconnectedError), _lost_in_head(ClientOSError), why=UNREAD
            ),
            Fault.RESET: sees(_lost_in_head(ClientOSError)),
            Fault.HALF_CLOSE: sees(_lost_in_head(ServerDisconnectedError)),
        },
    ),
    Phase(
        _GROUP,
        "in the header of its `HEADERS` frame",
        _ALL,
        "head",
        {Fault.GARBAGE: sees(_lost_in_head(ClientResponseError))},
        last=8,
    ),
    Phase(
        _GROUP,
        "in its `DATA`, when all have `HEADERS`",
        _ALL,
        "body",
        {
            **_PIECES,
            **_TIMES,
            Fault.CLOSE: sees(ClientPayloadError),
            Fault.RESET: sees(ClientPayloadError),
            Fault.HALF_CLOSE: sees(ClientPayloadError),
        },
    ),
    Phase(
        _GROUP,
        "in the header of its `DATA` frame",
        _ALL,
        "body",
        {Fault.GARBAGE: sees(ClientPayloadError)},
        last=8,
    ),
    Phase(
        _GROUP,
        "in its last `DATA`, when the first is complete",
        _ALL,
        "last",
        {
            **_PIECES,
            **dict.fromkeys(
                (Fault.CLOSE, Fault.RESET, Fault.HALF_CLOSE),
                sees(Together(ClientPayloadError, (ANSWER, ClientPayloadError))),
            ),
            Fault.STALL: sees(Together(SocketTimeoutError, (ANSWER, SocketTimeoutError))),
            Fault.STALL_TOTAL: sees(Together(TimeoutError, (ANSWER, TimeoutError))),
        },
    ),
    Phase(
        _GROUP,
        "on its stream only, before its `HEADERS`",
        _ALL,
        "frames",
        {
            Fault.STALL: sees(Together(SocketTimeoutError, _OTHERS)),
            Fault.STALL_TOTAL: sees(Together(TimeoutError, _OTHERS)),
            Fault.REFUSE: sees(ANSWER),
            Fault.CANCEL: sees(Together(ClientConnectionResetError, _OTHERS)),
            Fault.GO_AWAY: sees(
                ANSWER, why="Its stream is the last one of `GOAWAY`; the third is sent again."
            ),
        },
        last=0,
    ),
    Phase(
        _GROUP,
        "on its stream only, after `HEADERS`",
        _ALL,
        "frames",
        {
            Fault.STALL: sees(Together(SocketTimeoutError, _OTHERS)),
            Fault.STALL_TOTAL: sees(Together(TimeoutError, _OTHERS)),
            Fault.CANCEL: sees(Together(ClientPayloadError, _OTHERS)),
            Fault.GO_AWAY: sees(
                Together(ANSWER, (ANSWER, ClientPayloadError)),
                why="Its stream is the last one of `GOAWAY`, and the third has `HEADERS`.",
            ),
        },
        first=1,
    ),
    Phase(
        _GROUP,
        "a rule of its stream, before its `HEADERS`",
        _ALL,
        "rules of the head",
        {Fault.BREAK: sees(Together(ClientResponseError, _OTHERS))},
    ),
    Phase(
        _GROUP,
        "a rule of its stream, after `HEADERS`",
        _ALL,
        "rules of the body",
        {Fault.BREAK: sees(Together(ClientPayloadError, _OTHERS))},
    ),
    Phase(
        _GROUP,
        "a rule of the connection, before its `HEADERS`",
        _ALL,
        "rules before HEADERS",
        {Fault.BREAK: sees(_lost_in_head(ClientResponseError))},
    ),
    Phase(
        _GROUP,
        "a rule of the connection, after `HEADERS`",
        _ALL,
        "rules after HEADERS",
        {Fault.BREAK: sees(ClientPayloadError)},
    ),
)
