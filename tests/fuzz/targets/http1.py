"""Responses of HTTP/1.1: both readers, whatever is wrong with the bytes and however they come."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import h11

from anyhttp._http1 import Limits
from tests.fuzz.target import target
from tests.support.engines import Answer, agreed

_METHODS: Final = ("GET", "HEAD", "CONNECT", "POST")
_SMALL: Final = Limits(max_line_size=40, max_field_size=36, max_headers=4)
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NO_VALUE: Final = re.compile(rb"[\r\n\x00]|\A[ \t]|[ \t]\Z")
_CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Read(NamedTuple):
    """What h11 reads: a final response, and the bytes after it."""

    status: int
    body: bytes
    surplus: bytes


def _read_by_h11(raw: bytes, method: str) -> _Read:
    """Return the response in *raw* as h11 reads it by itself.

    :raises h11.RemoteProtocolError: it does not allow the bytes
    """
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "x.test")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    status, body = 0, b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            assert isinstance(event, h11.InformationalResponse), event
    return _Read(status, body, connection.trailing_data[0])


def _check(raw: bytes, method: str, *, upgrade: bool, limits: Limits) -> None:
    """Both engines give the same answer for any split, and it is one that may be given."""
    answer = agreed(raw, method=method, upgrade=upgrade, limits=limits)
    if not isinstance(answer, Answer):
        return
    assert 100 < answer.status <= 999
    assert raw.endswith(answer.surplus)
    assert len(answer.body) + len(answer.surplus) <= len(raw)
    assert list(answer.chunk_ends) == sorted(set(answer.chunk_ends))
    for name, value in answer.headers:
        assert _NAME.fullmatch(name), name
        assert not _NO_VALUE.search(value), value
    # If another request may follow, a stricter reader finds the end at the same place.
    if answer.keep_alive and answer.status != 101 and method != "CONNECT":
        read = _read_by_h11(raw, method)
        assert read == (answer.status, answer.body, answer.surplus)


@target(calls=1500, memory=2000)
def responses(data: bytes) -> None:
    """Heads and bodies of any kind; the first byte tells to which request."""
    how, raw = data[:1] or b"\0", data[1:]
    if raw:
        limits = _SMALL if how[0] & 8 else Limits()
        _check(raw, _METHODS[how[0] & 3], upgrade=bool(how[0] & 4), limits=limits)


@target(calls=1500, memory=2000)
def chunks(data: bytes) -> None:
    """Chunked bodies, with extensions and trailers; the first byte tells the limits."""
    limits = _SMALL if data[:1] == b"\1" else Limits()
    _check(_CHUNKED + data[1:], "GET", upgrade=False, limits=limits)
