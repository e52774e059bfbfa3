"""The reference engine, which parses heads with h11; no other module uses h11."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import ClassVar, Final

import h11

from .._common import HttpVersion10, HttpVersion11
from .engine import Engine, KnownHead
from .heads import Head
from .response_framing import announces_identity, is_tunnel
from .response_grammar import Limits, ParseError

__all__ = ("H11Engine",)

RawHeaders = list[tuple[bytes, bytes]]

_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))


class H11Engine(Engine):
    """An engine whose heads are parsed by h11.

    h11 gets the received bytes.  If the head violates the grammar in a tolerated way, h11 gets
    the same head rewritten without the violation.
    """

    name: ClassVar[str] = "h11"

    def __init__(self, limits: Limits, known: KnownHead | None = None) -> None:
        super().__init__(limits)  # h11 reads each head
        # The limits of lines have been checked before h11 gets the head.  So h11's own limit,
        # which is for whole heads, is switched off.
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=sys.maxsize)

    def _read_framing(self, head: Head, data: bytes, end: int) -> None:
        raw = data[:end] if self._reader is None else bytes(self._reader.raw)
        ignored = is_tunnel(self._method, head.status) or announces_identity(head)
        if head.tolerated or ignored:
            raw = _by_grammar(head, without_framing=ignored)
        event = self._parse(raw)
        fields = event.headers.raw_items()
        if head.tolerated:
            fields = [(name, _unescaped(value)) for name, value in fields]
        if ignored:
            for place, field in enumerate(head.raw_headers):
                if field[0].lower() in _FRAMING:
                    fields.insert(place, field)
        elif any(value == b"chunked" for _, value in fields):
            fields = _as_sent(head, fields)
        head.version = HttpVersion10 if event.http_version == b"1.0" else HttpVersion11
        head.status = event.status_code
        head.reason = event.reason.decode("utf-8", "surrogateescape")
        head.take_fields(fields)
        super()._read_framing(head, data, end)

    def _parse(self, raw: bytes) -> h11.Response | h11.InformationalResponse:
        connection = self._connection
        # h11 reads most responses without knowing the request.  It needs the request before an
        # interim response and before a switch to another protocol; for a switch also its end.
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
        return event


_END: Final = h11.EndOfMessage()


@lru_cache(maxsize=64)
def _request(method: str, upgrade: bool) -> h11.Request:
    """Return a request with only those parts that affect how h11 reads the response."""
    fields = [("Host", "")]
    if upgrade:
        fields += [("Connection", "Upgrade"), ("Upgrade", "yes")]
    return h11.Request(method=method, target="/", headers=fields)


def _as_sent(head: Head, fields: RawHeaders) -> RawHeaders:
    """Restore the case of the transfer coding; h11 accepts one only, and lowers its case."""
    codings = [field for field in head.raw_headers if field[0].lower() == b"transfer-encoding"]
    return [codings[0] if name.lower() == b"transfer-encoding" else (name, value)
            for name, value in fields]  # fmt: skip


# -- rewriting heads that h11 would refuse ---------------------------------------------

# h11 refuses the control characters 0x0B and 0x0C in a value.  They are escaped with 0x01, which
# has to be escaped, too.
_ESCAPES: Final = {b"\x01": b"\x01\x01", b"\x0b": b"\x01\x02", b"\x0c": b"\x01\x03"}
_ESCAPED: Final = re.compile(rb"[\x01\x0b\x0c]")
_UNESCAPES: Final = {written: character for character, written in _ESCAPES.items()}
_WRITTEN: Final = re.compile(rb"\x01[\x01-\x03]")


def _escaped(value: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], value)


def _unescaped(value: bytes) -> bytes:
    return _WRITTEN.sub(lambda match: _UNESCAPES[match[0]], value)


def _by_grammar(head: Head, *, without_framing: bool) -> bytes:
    """Return the bytes of *head* without the violations that h11 would refuse.

    :param without_framing: leave out the framing fields, which do not apply to this response
    """
    minor = 0 if head.version == HttpVersion10 else 1
    reason = head.reason.encode("utf-8", "surrogateescape")
    lines = [b"HTTP/1.%d %d %b" % (minor, head.status, reason)]
    lines += [
        b"%b: %b" % (name, _escaped(value) if head.tolerated else value)
        for name, value in head.raw_headers
        if not (without_framing and name.lower() in _FRAMING)
    ]
    return b"\r\n".join((*lines, b"", b""))
