"""The reference engine, the only user of h11."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, Final

import h11

from .._values import HttpVersion10, HttpVersion11
from ._engine import Engine
from ._strict import Head, Limits, ParseError

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

    def send_head(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        *,
        http10: bool = False,
        chunked: bool = False,
    ) -> bytes:
        data = super().send_head(method, target, headers, http10=http10, chunked=chunked)
        connection = self._connection
        # h11 has to know what is answered, and to be done with it before anything can switch.
        connection.send(_request(method, self._upgrade))
        if self._upgrade or method == "CONNECT":
            connection.send(_END)
        return data

    def _parse_head(self, raw: bytes) -> Head:
        try:
            self._connection.receive_data(raw)
            event = self._connection.next_event()
        except h11.RemoteProtocolError as exc:
            raise ParseError(str(exc)) from exc
        assert isinstance(event, (h11.Response, h11.InformationalResponse))
        return Head(
            self._method,
            HttpVersion10 if event.http_version == b"1.0" else HttpVersion11,
            event.status_code,
            event.reason.decode("utf-8", "surrogateescape"),
            _as_sent(raw, event.headers.raw_items()),
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
