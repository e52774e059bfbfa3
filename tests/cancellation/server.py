"""The general server with some more routes, over HTTP/1.1 and HTTP/2.

=========================  ==============================================================
route                      answers
=========================  ==============================================================
``/events``                one server-sent event after ``Last-Event-ID``; 204 after the 3rd
``/file``                  a file with an entity tag; the whole of it breaks off halfway, and a
                           range does not
``/busy``                  503 and 200 in turn
``/token``                 200 to requests with a token that ends in an even digit, 401 to others
``/digest``                200 to signed requests, 401 to others
``/multipart``             a multipart body, one part of which is multipart too
``/hints``                 an interim response, the body in chunks, and trailer fields
``/websocket``             a WebSocket that sends messages back
=========================  ==============================================================
"""

from __future__ import annotations

import itertools
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.support import routes, websocket
from tests.support.links import Gone, Inbox, Link
from tests.support.server import Exchange, Server

FILE = bytes(range(256)) * 40
EVENTS = 3
PARTS = (
    b"--outer\r\nContent-Type: text/plain\r\n\r\nfirst\r\nlines\r\n"
    b'--outer\r\nContent-Type: application/json\r\n\r\n{"a": 1}\r\n'
    b"--outer\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=1&b=2\r\n"
    b"--outer\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n"
    b"--inner\r\n\r\none\r\n--inner\r\n\r\ntwo\r\n--inner--\r\n"
    b"\r\n--outer\r\nContent-Encoding: identity\r\n\r\n" + b"x" * 9000 + b"\r\n--outer--\r\n"
)
_busy = itertools.count()


def answer(exchange: routes.Exchange) -> None:
    """Answer one of the routes above, or as the general server does."""
    if not isinstance(exchange, Exchange) and exchange.head.has("expect", "100-continue"):
        other: Any = exchange
        other.inform(100)
    _ROUTES.get(exchange.path, routes.answer)(exchange)


def _events(exchange: routes.Exchange) -> None:
    last = int((exchange.head.all("last-event-id") or ["0"])[0])
    if last >= EVENTS:
        exchange.respond(status="204 No Content")
    else:
        event = [b"id: %d\n" % (last + 1), b"retry: 0\ndata: %d\n\n" % (last + 1)]
        exchange.stream(iter(event), "text/event-stream")


def _file(exchange: routes.Exchange) -> None:
    tag = ("ETag", '"1"')
    start = 0
    for value in exchange.head.all("range"):
        start = int(value.removeprefix("bytes=").removesuffix("-"))
    if not start:
        half = FILE[: len(FILE) // 2]
        if isinstance(exchange, Exchange):
            head = f"HTTP/1.1 200 OK\r\nETag: {tag[1]}\r\nContent-Length: {len(FILE)}\r\n\r\n"
            exchange.link.send(head.encode() + half)
            exchange.close()
        exchange.respond(FILE, tag)
    else:
        span = ("Content-Range", f"bytes {start}-{len(FILE) - 1}/{len(FILE)}")
        exchange.respond(FILE[start:], tag, span, status="206 Partial Content")


def _be_busy(exchange: routes.Exchange) -> None:
    if next(_busy) % 2:
        exchange.respond(b"now", status="200 OK")
    else:
        exchange.respond(b"later", ("Retry-After", "0"), status="503 Busy")


def _token(exchange: routes.Exchange) -> None:
    (value,) = exchange.head.all("authorization")
    if int(value[-1]) % 2:
        exchange.respond(b"no", ("WWW-Authenticate", "Bearer"), status="401 Unauthorized")
    else:
        exchange.respond(b"yes")


def _digest(exchange: routes.Exchange) -> None:
    if exchange.head.all("authorization"):
        exchange.respond(b"signed")
    else:
        challenge = 'Digest realm="r", qop="auth", nonce="n", algorithm=SHA-256'
        exchange.respond(b"no", ("WWW-Authenticate", challenge), status="401 Unauthorized")


def _multipart(exchange: routes.Exchange) -> None:
    kind = "multipart/mixed; boundary=outer"
    exchange.stream((PARTS[at : at + 100] for at in range(0, len(PARTS), 100)), kind)


def _hints(exchange: routes.Exchange) -> None:
    if isinstance(exchange, Exchange):
        exchange.link.send(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
        )
        exchange.link.send(b"0\r\nX-Sum: 1\r\n\r\n")
    else:
        other: Any = exchange
        other.inform(103, ("link", "</a>; rel=preload"))
        other.send_head(200)
        other.send(b"ab")
        other.end(("x-sum", "1"))


def _websocket(exchange: routes.Exchange) -> None:
    if isinstance(exchange, Exchange):
        link = exchange.link
        link.send(websocket.Accept().data(bytes(link.received)))
        _echo_frames(link, link)
        raise Gone("the WebSocket is over")
    other: Any = exchange
    other.send_head(200)
    _echo_frames(_Http2Inbox(other), other)
    other.end()


def _echo_frames(inbox: Inbox, outgoing: Link | Any) -> None:
    while True:
        frame = websocket.take_frame(inbox)
        if frame.opcode == websocket.PING:
            outgoing.send(websocket.frame(websocket.PONG, frame.data))
        elif frame.opcode == websocket.CLOSE:
            with suppress(Gone):
                outgoing.send(websocket.frame(websocket.CLOSE, frame.data[:2]))
            return
        elif frame.opcode != websocket.PONG:
            outgoing.send(websocket.frame(frame.opcode, frame.data, last=frame.last))


class _Http2Inbox(Inbox):
    """The bytes of a stream that an extended CONNECT has opened."""

    def __init__(self, exchange: Any) -> None:
        super().__init__()
        self._pieces = exchange.body()

    def fill(self) -> bool:
        """Receive some bytes; return false when the client sends no more."""
        piece = next(self._pieces, b"")
        self.inbox += piece
        return bool(piece)


_ROUTES = {
    "/events": _events,
    "/file": _file,
    "/busy": _be_busy,
    "/token": _token,
    "/digest": _digest,
    "/multipart": _multipart,
    "/hints": _hints,
    "/websocket": _websocket,
}


class StageServer(Server):
    """Speaks HTTP/1.1."""

    def answer(self, exchange: routes.Exchange) -> None:
        """Respond to a request."""
        answer(exchange)


if TYPE_CHECKING:
    from tests.support.http2_server import Http2Server

    StageHttp2Server = Http2Server
else:
    StageHttp2Server = Any


def http2_server(tls: ssl.SSLContext) -> StageHttp2Server:
    """Return a server that speaks HTTP/2, also with WebSockets."""
    from h2.settings import SettingCodes

    from tests.support.http2_server import Http2Server  # imports h2

    return Http2Server(tls, answer, settings={SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
