"""Rows of the table: other calls than requests, and other sockets, by HTTP/1.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .calls import Digest, Download, Events, UnixExchange
from .model import ANSWER, Cell, Fault, Phase, sees
from .rows_http1 import HTTP1

_GROUP: Final = "HTTP/1.1, by other calls"

#: Those of requests.
_CELLS: Final = {phase.name: phase.cells for phase in HTTP1}
_HEAD: Final = _CELLS["in the head"]
_BODY: Final = _CELLS["in a body with its length"]


def _without_reset(cells: Mapping[Fault, Cell]) -> Mapping[Fault, Cell]:
    """Leave out what a Unix socket cannot do."""
    return {fault: cell for fault, cell in cells.items() if fault is not Fault.RESET}


_AGAIN: Final = sees(ANSWER, why="It asks for it once more, by another connection.")

#: What the next attempt of a call makes good.
_TWO_ATTEMPTS: Final[Mapping[Fault, Cell]] = {
    Fault.CLOSE: _AGAIN,
    Fault.RESET: _AGAIN,
    Fault.HALF_CLOSE: _AGAIN,
    Fault.STALL: _AGAIN,
    Fault.STALL_TOTAL: sees(TimeoutError),
    Fault.DRIP: sees(ANSWER),
}

#: `total` is of each of its connections.
_EVENTS: Final = {**_TWO_ATTEMPTS, Fault.STALL_TOTAL: _AGAIN}

CALLS: Final = (
    Phase(
        _GROUP,
        "in the head, on a Unix socket",
        UnixExchange(),
        "head",
        _without_reset(_HEAD),
        first=1,
    ),
    Phase(
        _GROUP,
        "in a body with its length, on a Unix socket",
        UnixExchange(),
        "body",
        _without_reset(_BODY),
    ),
    Phase(
        _GROUP, "in the head, by `download()` with two attempts", Download(), "head", _TWO_ATTEMPTS
    ),
    Phase(
        _GROUP, "in the body, by `download()` with two attempts", Download(), "body", _TWO_ATTEMPTS
    ),
    Phase(_GROUP, "in the head, by `session.sse()` with two attempts", Events(), "head", _EVENTS),
    Phase(_GROUP, "in an event, by `session.sse()`", Events(), "body", _EVENTS),
    Phase(
        _GROUP,
        "in the body of a challenge that `DigestAuthMiddleware` answers",
        Digest(),
        "body",
        _CELLS["in the body of an error that `RetryMiddleware` answers"],
        last=1,
    ),
    Phase(
        _GROUP,
        "in the head of the answer to a signed request",
        Digest(signed=True),
        "head",
        _HEAD,
        first=1,
    ),
)
