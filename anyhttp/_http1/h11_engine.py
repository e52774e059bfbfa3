"""The reference engine, the only user of h11."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import ClassVar, Final

import h11

from .._common import (
    HttpVersion10,
    HttpVersion11,
)
from .engine import Engine
from .strict import (
    Head,
    Limits,
    ParseError,
)

__all__ = ("H11Engine",)

_CODING: Final = re.compile(rb"\r\n(transfer-encoding):[ \t]*([!-~]*)[ \t]*\r\n", re.IGNORECASE)


class H11Engine(Engine):
    """h11 reads heads."""

    __slots__ = ("_connection",)

    name: ClassVar[str] = "h11"

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        # The shell bounds every line before h11 sees it, so h11's own bound, which
        # counts whole heads, must never be the one that strikes.
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=sys.maxsize)

    def _parse_head(self, raw: bytes) -> Head:
        connection = self._connection
        # Most responses need no request.  h11 has to know one that an interim response, or a
        # switch to another protocol, can follow; and for a switch, that it has been sent.
        asks_switch = self._upgrade or self._method == "CONNECT"
        try:
            if connection.our_state is h11.IDLE and (asks_switch or raw.startswith(b"1", 9)):
                connection.send(_request(self._method, self._upgrade))
                if asks_switch:
                    connection.send(_END)
            connection.receive_data(raw)
            event = connection.next_event()
        except h11.RemoteProtocolError as exc:
            raise ParseError(str(exc)) from exc
        assert isinstance(event, (h11.Response, h11.InformationalResponse))
        fields = event.headers.raw_items()
        if any(value == b"chunked" for _, value in fields):
            fields = _as_sent(raw, fields)
        return Head(
            self._method,
            HttpVersion10 if event.http_version == b"1.0" else HttpVersion11,
            event.status_code,
            event.reason.decode("utf-8", "surrogateescape"),
            fields,
            self._upgrade,
        )


_END: Final = h11.EndOfMessage()


@lru_cache(maxsize=64)
def _request(method: str, upgrade: bool) -> h11.Request:
    """Return as much of a request as decides how h11 reads the response."""
    fields = [("Host", "")]
    if upgrade:
        fields += [("Connection", "Upgrade"), ("Upgrade", "yes")]
    return h11.Request(method=method, target="/", headers=fields)


def _as_sent(raw: bytes, fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Undo that h11 writes the transfer coding, of which it lets only one pass, in lower case."""
    coding = _CODING.search(raw)
    if coding is None or coding[2].islower():
        return fields
    name, value = coding[1], coding[2]
    return [(name, value) if field[0] == name else field for field in fields]
