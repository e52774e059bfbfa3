"""Rows of the table: bodies of requests, and what a server of HTTP/2 lets through of them."""

from __future__ import annotations

from typing import Final

from anyhttp import (
    ClientConnectionResetError,
    ClientOSError,
    ClientResponseError,
    ServerDisconnectedError,
    SocketTimeoutError,
)

from .http2 import Http2
from .model import ANSWER, UNREAD, Fault, Phase, sees
from .windows import Uploading

_GROUP: Final = "HTTP/2: flow control"

#: The body of the request.
_PART: Final = "body of the request"

WINDOWS: Final = (
    Phase(
        _GROUP,
        "sending a body",
        Uploading(),
        _PART,
        {
            Fault.CLOSE: sees(ClientOSError, ServerDisconnectedError, why=UNREAD),
            Fault.RESET: sees(ClientOSError),
            Fault.HALF_CLOSE: sees(ServerDisconnectedError),
            Fault.STALL_TOTAL: sees(
                TimeoutError,
                why="It reads, and gives no room. `sock_read` begins when the body has been sent.",
            ),
            Fault.ANSWER_EARLY: sees(ANSWER, why="The rest of the body is not sent."),
            Fault.CANCEL: sees(ClientConnectionResetError),
            Fault.GO_AWAY: sees(ANSWER),
            Fault.REFUSE: sees(ANSWER),
            Fault.TRICKLE: sees(ANSWER),
            Fault.NARROW: sees(ANSWER),
        },
    ),
    Phase(
        _GROUP,
        "a rule of windows, while a body is sent",
        Uploading(),
        "rules",
        {Fault.BREAK: sees(ClientResponseError)},
    ),
    Phase(
        _GROUP,
        "sending a body to a server that does not read",
        Uploading(deaf=True),
        _PART,
        {Fault.STALL_TOTAL: sees(TimeoutError)},
        every=range(3),
        few=(1,),
    ),
    Phase(
        _GROUP,
        "sending a body, while the window of the whole connection is shut",
        Uploading(shuts_all=True),
        _PART,
        {Fault.STALL_TOTAL: sees(TimeoutError)},
    ),
    Phase(
        _GROUP,
        "waiting for `HEADERS` from a server that sends `PING` after `PING`",
        Http2(pings=True),
        "frames",
        {Fault.STALL: sees(SocketTimeoutError), Fault.STALL_TOTAL: sees(TimeoutError)},
        last=0,
    ),
    Phase(
        _GROUP,
        "waiting for `DATA` from a server that sends `PING` after `PING`",
        Http2(pings=True),
        "frames",
        {Fault.STALL: sees(SocketTimeoutError), Fault.STALL_TOTAL: sees(TimeoutError)},
        first=1,
    ),
)
