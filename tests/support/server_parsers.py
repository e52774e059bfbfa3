"""How servers that others wrote read a request: h11's parser, and llhttp, which Node.js has."""

from __future__ import annotations

from dataclasses import dataclass, field

import h11
import httptools

__all__ = ("ReadRequest", "read_by_h11", "read_by_llhttp")


@dataclass
class ReadRequest:
    """What a server has read; names of fields are in lower case."""

    method: bytes = b""
    target: bytes = b""
    version: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


def read_by_h11(data: bytes) -> ReadRequest:
    """Read *data*, which must be one request with its whole body and nothing more.

    :raises h11.RemoteProtocolError: it is no request
    """
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    read = ReadRequest()
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA, "the request is not complete"
        if isinstance(event, h11.Request):
            read.method, read.target, read.version = event.method, event.target, event.http_version
            read.fields = list(event.headers)
        elif isinstance(event, h11.Data):
            read.body += event.data
    assert not event.headers
    assert connection.trailing_data[0] == b""
    return read


def read_by_llhttp(data: bytes) -> ReadRequest:
    """Read *data*, which must be one request with its whole body and nothing more.

    :raises httptools.HttpParserError: it is no request
    """
    reader = _Llhttp()
    parser = httptools.HttpRequestParser(reader)
    parser.feed_data(data)
    assert reader.complete == 1
    reader.read.method = parser.get_method()
    reader.read.version = parser.get_http_version().encode()
    return reader.read


class _Llhttp:
    """Collects what llhttp calls back."""

    def __init__(self) -> None:
        self.read = ReadRequest()
        self.complete = 0

    def on_url(self, url: bytes) -> None:
        self.read.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.read.fields.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.read.body += body

    def on_message_complete(self) -> None:
        self.complete += 1
