"""Rows of the table: a request and its answer by HTTP/1.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from anyhttp import (
    ClientConnectorError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
    SocketTimeoutError,
)

from .http1 import (
    Exchange,
    Idle,
    Redirect,
    Refusal,
    Retried,
    Upload,
    chunked,
    compressed,
    compressed_until_eof,
    until_eof,
    with_trailers,
)
from .model import ANSWER, BEGINNING, UNREAD, Cell, Fault, Phase, sees

_GROUP: Final = "HTTP/1.1"

_BY_LENGTH: Final = Exchange()

#: Before the head of the response is complete.
_BEFORE: Final[Mapping[Fault, Cell]] = {
    Fault.CLOSE: sees(ServerDisconnectedError),
    Fault.RESET: sees(ClientOSError),
    Fault.HALF_CLOSE: sees(ServerDisconnectedError),
    Fault.STALL: sees(SocketTimeoutError),
    Fault.STALL_TOTAL: sees(TimeoutError),
    Fault.GARBAGE: sees(ClientResponseError),
}

#: The bytes of the server arrive in other pieces.
_PIECES: Final[Mapping[Fault, Cell]] = {
    Fault.DRIP: sees(ANSWER),
    Fault.SPLIT: sees(ANSWER),
    Fault.JOIN: sees(ANSWER),
}

#: In a body whose end is told.
_BODY: Final[Mapping[Fault, Cell]] = {
    Fault.CLOSE: sees(ClientPayloadError),
    Fault.RESET: sees(ClientPayloadError),
    Fault.HALF_CLOSE: sees(ClientPayloadError),
    Fault.STALL: sees(SocketTimeoutError),
    Fault.STALL_TOTAL: sees(TimeoutError),
    Fault.DRIP: sees(ANSWER),
    Fault.SPLIT: sees(ANSWER),
}

_TWICE: Final = sees(ANSWER, why="The surplus is never read as the answer to another request.")

_SENDING: Final[Mapping[Fault, Cell]] = {
    Fault.CLOSE: sees(ServerDisconnectedError, ClientOSError, why=UNREAD),
    Fault.RESET: sees(ClientOSError),
    Fault.HALF_CLOSE: sees(ServerDisconnectedError),
    Fault.STALL: sees(
        SocketTimeoutError,
        why="`sock_read` begins when the body has been sent. While the peer does not take it, only "
        "`total` ends the call.",
    ),
    Fault.STALL_TOTAL: sees(TimeoutError),
    Fault.GARBAGE: sees(ClientResponseError),
    Fault.ANSWER_EARLY: sees(ANSWER, why="The rest of the body is not sent."),
}

_SENT_AGAIN: Final = sees(
    ANSWER,
    why="The server had probably closed the connection before: the request is sent once more, by "
    "another connection, if its method is idempotent.",
)

_OTHER_CONNECTION: Final = sees(
    ANSWER, why="The next request notices it, and is sent by another connection."
)

_DRAINED: Final = sees(
    ANSWER,
    why="Nobody asks for this body: what is left of it is awaited for one second at most, and the "
    "connection closed.",
)

_UNWANTED: Final[Mapping[Fault, Cell]] = {
    Fault.CLOSE: _DRAINED,
    Fault.RESET: _DRAINED,
    Fault.HALF_CLOSE: _DRAINED,
    Fault.STALL: _DRAINED,
    Fault.STALL_TOTAL: sees(TimeoutError),
    Fault.DRIP: sees(ANSWER),
    Fault.SPLIT: sees(ANSWER),
}

_REFUSED: Final = sees(
    ClientResponseError, why="Its `body` is what had come, for which one second is waited at most."
)

HTTP1: Final = (
    Phase(
        _GROUP,
        "sending the head",
        _BY_LENGTH,
        "connection",
        {
            Fault.CLOSE: sees(ServerDisconnectedError, ClientOSError, why=UNREAD),
            Fault.RESET: sees(
                ClientOSError,
                ClientConnectorError,
                why="It may come before the client has connected.",
            ),
            Fault.HALF_CLOSE: sees(ServerDisconnectedError),
            Fault.STALL: sees(SocketTimeoutError),
            Fault.STALL_TOTAL: sees(TimeoutError),
            Fault.GARBAGE: sees(ClientResponseError),
            Fault.ANSWER_EARLY: sees(
                ANSWER, why="On a new connection nothing tells it from one that came in time."
            ),
        },
    ),
    Phase(_GROUP, "sending a body", Upload(streamed=False), "body of the request", _SENDING),
    Phase(
        _GROUP, "sending a body in chunks", Upload(streamed=True), "body of the request", _SENDING
    ),
    Phase(
        _GROUP,
        "waiting for `100 Continue`",
        Upload(streamed=False, expect=True),
        "100",
        {
            **_BEFORE,
            Fault.STALL: sees(
                SocketTimeoutError, why="After a second the body is sent without it."
            ),
            Fault.ANSWER_EARLY: sees(ANSWER, why="The body is not sent."),
        },
    ),
    Phase(_GROUP, "waiting for the head", _BY_LENGTH, "head", _BEFORE, last=0),
    Phase(
        _GROUP,
        "waiting for the head after `103 Early Hints`",
        Exchange(before=b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
        "head",
        _BEFORE,
        last=0,
    ),
    Phase(
        _GROUP,
        "waiting for the head, on a kept connection",
        Exchange(kept=True),
        "head",
        {
            **_BEFORE,
            Fault.CLOSE: _SENT_AGAIN,
            Fault.RESET: _SENT_AGAIN,
            Fault.HALF_CLOSE: _SENT_AGAIN,
        },
        last=0,
    ),
    Phase(
        _GROUP,
        "waiting for the head of a `POST`, on a kept connection",
        Exchange(kept=True, method="POST"),
        "head",
        _BEFORE,
        last=0,
    ),
    Phase(
        _GROUP,
        "in `103 Early Hints`",
        Exchange(before=b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
        "before",
        {**_BEFORE, **_PIECES},
        first=1,
    ),
    Phase(_GROUP, "in the head", _BY_LENGTH, "head", {**_BEFORE, **_PIECES}, first=1),
    Phase(
        _GROUP,
        "in a body with its length",
        _BY_LENGTH,
        "body",
        {**_BODY, Fault.ANSWER_TWICE: _TWICE},
    ),
    Phase(
        _GROUP,
        "in a body in chunks",
        Exchange(chunked),
        "body",
        {**_BODY, Fault.GARBAGE: sees(ClientPayloadError), Fault.JOIN: sees(ANSWER)},
    ),
    Phase(
        _GROUP,
        "in the trailers",
        Exchange(with_trailers),
        "trailers",
        {**_BODY, Fault.GARBAGE: sees(ClientPayloadError), Fault.JOIN: sees(ANSWER)},
    ),
    Phase(
        _GROUP,
        "in a compressed body with its length",
        Exchange(compressed),
        "body",
        {**_BODY, Fault.GARBAGE: sees(ClientPayloadError)},
    ),
    Phase(
        _GROUP,
        "in a body until the end of the connection",
        Exchange(until_eof),
        "body",
        {
            **_BODY,
            Fault.CLOSE: sees(BEGINNING, why="This framing tells nobody that more should follow."),
            Fault.HALF_CLOSE: sees(
                BEGINNING, why="This framing tells nobody that more should follow."
            ),
        },
    ),
    Phase(
        _GROUP,
        "in a compressed body until the end of the connection",
        Exchange(compressed_until_eof),
        "body",
        {**_BODY, Fault.GARBAGE: sees(ClientPayloadError)},
        first=1,
    ),
    Phase(
        _GROUP,
        "in the body of a redirect",
        Redirect(),
        "body",
        _UNWANTED,
        last=1,
    ),
    Phase(
        _GROUP,
        "in the body of an error that `RetryMiddleware` answers",
        Retried(),
        "body",
        _UNWANTED,
        last=1,
    ),
    Phase(
        _GROUP,
        "in the body of an error, with `raise_for_status`",
        Refusal(),
        "body",
        dict.fromkeys(
            (
                Fault.CLOSE,
                Fault.RESET,
                Fault.HALF_CLOSE,
                Fault.STALL,
                Fault.STALL_TOTAL,
            ),
            _REFUSED,
        ),
        last=1,
    ),
    Phase(
        _GROUP,
        "idle, between two requests",
        Idle(),
        "idle",
        dict.fromkeys(
            (
                Fault.CLOSE,
                Fault.RESET,
                Fault.HALF_CLOSE,
                Fault.GARBAGE,
                Fault.ANSWER_EARLY,
            ),
            _OTHER_CONNECTION,
        ),
    ),
)
