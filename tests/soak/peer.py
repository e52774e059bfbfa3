"""The other end of a long run, in a process of its own: a server that behaves as it is asked to.

``python -m tests.soak.peer CERTIFICATE PORT TLS-PORT``.  It speaks HTTP/1.1 and HTTP/2 at both
ports.  Each answer names the request that it belongs to, by the parameter ``id`` of its query: in
a field ``X-Id``, and in the body.

======================  =================================================================
route                   answers
======================  =================================================================
``/small``              an object of JSON
``/large``              300 kB
``/lines``              500 lines, in chunks
``/packed``             100 kB, compressed
``/until-eof``          20 kB, and closes the connection (HTTP/1.1 only)
``/redirect/N``         N redirects with the status 307, then as ``/upload``
``/upload``             what was sent, as JSON: method, length, digest, type, and how many
                        times the id was found in it
``/cookies``            sets ten cookies
``/events``             server-sent events from ``Last-Event-ID`` on, in two responses
``/file``               200 kB with an entity tag, or a part of them
``/websocket``          sends each message back
``/websocket-cut``      the first of them, and closes the connection
======================  =================================================================

What follows is against the protocol, or as slow or strange as the protocol allows:

======================  =================================================================
``/close`` ``/reset``   nothing, and ends the connection
``/cut``                half of a body
``/cut-chunk``          half of a chunk
``/garbage``            something that is not HTTP
``/wrong-gzip``         a body that cannot be decompressed
``/endless-head``       fields without an end
``/stall``              half of a body, and nothing more
``/drip``               a small answer, byte by byte
``/interim``            six interim responses, then as ``/small``
``/early``              the answer before the body of the request has come
``/twice``              the answer, and another one that nobody asked for
``/late``               the answer and, a moment later, another one that nobody asked for
``/stream-reset``       half of a body, then ``RST_STREAM`` (HTTP/2 only)
``/refused``            ``REFUSED_STREAM``, half of the times (HTTP/2 only)
======================  =================================================================
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import ssl
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from tests.support import routes, server
from tests.support.http2_server import Http2Exchange, Http2Server
from tests.support.links import Gone, Inbox, Link
from tests.support.websocket import CLOSE, PING, PONG, Accept, frame, take_frame

from .bodies import EVENTS, LARGE, LINES, PACKED, UNTIL_EOF, body_of, cookies_of, file_of, lines_of

#: After so many requests an HTTP/2 connection ends with GOAWAY.
REQUESTS_PER_CONNECTION: Final = 500

#: What clients may send on an HTTP/2 connection; many uploads would wait for each other with less.
WINDOW: Final = 2**20

JSON: Final = "Content-Type: application/json"

Route = Callable[[routes.Exchange, str], None]


def link_of(exchange: routes.Exchange) -> Link:
    """Return the connection of an exchange over HTTP/1.1."""
    assert isinstance(exchange, server.Exchange)
    return exchange.link


def small(exchange: routes.Exchange, ident: str) -> None:
    """Respond with the id."""
    exchange.respond_json({"id": ident}, ("X-Id", ident))


def large(exchange: routes.Exchange, ident: str) -> None:
    """Respond with many bytes."""
    exchange.respond(body_of(ident, LARGE), ("X-Id", ident))


def lines(exchange: routes.Exchange, ident: str) -> None:
    """Respond with a line in each chunk."""
    exchange.stream(iter(lines_of(ident, LINES)), "text/plain")


def packed(exchange: routes.Exchange, ident: str) -> None:
    """Respond with a compressed body."""
    body = gzip.compress(body_of(ident, PACKED), 1)
    exchange.respond(body, ("X-Id", ident), ("Content-Encoding", "gzip"))


def until_eof(exchange: routes.Exchange, ident: str) -> None:
    """Respond with a body that ends with the connection."""
    head = f"HTTP/1.1 200 OK\r\nX-Id: {ident}\r\nConnection: close\r\n\r\n"
    link_of(exchange).send(head.encode() + body_of(ident, UNTIL_EOF))
    raise Gone("the body ends here")


def redirect(exchange: routes.Exchange, ident: str) -> None:
    """Send the request elsewhere, as many times as the path says."""
    left = int(exchange.path.rpartition("/")[2])
    where = f"redirect/{left - 1}" if left > 1 else "upload"
    for _ in exchange.body():
        pass
    exchange.respond(
        b"elsewhere",
        ("X-Id", ident),
        ("Location", f"/{where}?id={ident}"),
        status="307 Temporary Redirect",
    )


def upload(exchange: routes.Exchange, ident: str) -> None:
    """Tell what was sent."""
    body = b"".join(exchange.body())
    if exchange.head.has("content-encoding", "deflate"):
        body = zlib.decompress(body)
    exchange.respond_json(
        {
            "id": ident,
            "method": exchange.head.method,
            "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "type": "".join(exchange.head.all("content-type")),
            "found": body.count(ident.encode()),
        },
        ("X-Id", ident),
    )


def cookies(exchange: routes.Exchange, ident: str) -> None:
    """Set cookies."""
    fields = [("Set-Cookie", f"{name}=1; Path=/") for name in cookies_of(ident)]
    exchange.respond_json({"id": ident}, ("X-Id", ident), *fields)


def events(exchange: routes.Exchange, ident: str) -> None:
    """Send the first half of the events, or those after the one that the client had last."""
    last = "".join(exchange.head.all("last-event-id")) or "-1"
    first = int(last) + 1
    if first >= EVENTS:
        exchange.respond(status="204 No Content")
        return
    texts = (
        f"retry: 1\nid: {number}\ndata: {json.dumps({'id': ident, 'number': number})}\n\n"
        for number in range(first, min(first + EVENTS // 2, EVENTS))
    )
    exchange.stream((text.encode() for text in texts), "text/event-stream")


def file(exchange: routes.Exchange, ident: str) -> None:
    """Send a file, or what is asked for of it; without a range, break off in the middle."""
    data = file_of(ident)
    tag = ("ETag", f'"{ident}"')
    asked = "".join(exchange.head.all("range"))
    if asked:
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        where = ("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        exchange.respond(data[start:], ("X-Id", ident), tag, where, status="206 Partial Content")
    elif isinstance(exchange, Http2Exchange):
        exchange.respond(data, ("X-Id", ident), tag)
    else:
        head = (
            f"HTTP/1.1 200 OK\r\nX-Id: {ident}\r\n{tag[0]}: {tag[1]}\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        link_of(exchange).send(head.encode() + data[: len(data) // 2])
        raise Gone("the rest is for another request")


class BodyInbox(Inbox):
    """The bytes that a client sends on a stream of HTTP/2."""

    def __init__(self, exchange: Http2Exchange) -> None:
        super().__init__()
        self._pieces = exchange.body()

    def fill(self) -> bool:
        """Receive some bytes; return false when the client sends no more."""
        piece = next(self._pieces, b"")
        self.inbox += piece
        return bool(piece)


def accepted(exchange: routes.Exchange) -> tuple[Inbox, Callable[[bytes], None]]:
    """Accept a WebSocket; return what comes, and how to send."""
    if isinstance(exchange, Http2Exchange):
        exchange.send_head(200)
        return BodyInbox(exchange), exchange.send
    link = link_of(exchange)
    link.send(Accept().data(bytes(link.received)))
    return link, link.send


def websocket(exchange: routes.Exchange, _: str, *, messages: int = -1) -> None:
    """Send each message back.

    :param messages: how many; then the connection ends without a word
    """
    inbox, send = accepted(exchange)
    while messages:
        received = take_frame(inbox)
        if received.opcode == PING:
            send(frame(PONG, received.data))
            continue
        send(frame(received.opcode, received.data, last=received.last))
        if received.opcode == CLOSE:
            break
        messages -= 1
    if isinstance(exchange, Http2Exchange):
        exchange.end()
    raise Gone("the WebSocket is over")


def websocket_cut(exchange: routes.Exchange, ident: str) -> None:
    """Send one message back."""
    websocket(exchange, ident, messages=1)


# -- what is against the protocol, or slow or strange


def close(exchange: routes.Exchange, _: str) -> None:
    """Close the connection."""
    exchange.close()


def reset(exchange: routes.Exchange, _: str) -> None:
    """Reset the connection."""
    link_of(exchange).reset()
    raise Gone("as was asked for")


def raw(data: Callable[[str], bytes]) -> Route:
    """Return a route that sends these bytes and closes."""

    def route(exchange: routes.Exchange, ident: str) -> None:
        link_of(exchange).send(data(ident))
        raise Gone("as was asked for")

    return route


def head(ident: str, *fields: str, status: str = "200 OK") -> bytes:
    """Return the head of a response."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"X-Id: {ident}", *fields, "", ""]).encode()


def answer_to(ident: str) -> bytes:
    """Return a whole response, as bytes."""
    body = json.dumps({"id": ident}).encode()
    return head(ident, JSON, f"Content-Length: {len(body)}") + body


def endless_head(exchange: routes.Exchange, ident: str) -> None:
    """Send fields until the client leaves."""
    link = link_of(exchange)
    link.send(head(ident)[:-2])
    number = 0
    while not link.hangs_up_within(0):
        number += 1
        link.send(f"X-{number}: {'x' * 1000}\r\n".encode())


def stall(exchange: routes.Exchange, ident: str) -> None:
    """Send half of a body, and wait until the client leaves."""
    if isinstance(exchange, Http2Exchange):
        exchange.send_head(200, ("x-id", ident), ("content-length", "1000"))
        exchange.send(b"x" * 500)
        exchange.hang()
    link = link_of(exchange)
    link.send(head(ident, "Content-Length: 1000") + b"x" * 500)
    link.hangs_up_within(30)
    raise Gone("as was asked for")


def drip(exchange: routes.Exchange, ident: str) -> None:
    """Send a small response byte by byte."""
    if isinstance(exchange, Http2Exchange):
        exchange.send_head(200, ("x-id", ident), ("content-type", "application/json"))
        for byte in json.dumps({"id": ident}).encode():
            exchange.send(bytes([byte]))
        exchange.end()
        return
    link = link_of(exchange)
    for byte in answer_to(ident):
        link.send(bytes([byte]))


def interim(exchange: routes.Exchange, ident: str) -> None:
    """Send interim responses before the final one."""
    for number in range(6):
        if isinstance(exchange, Http2Exchange):
            exchange.inform(103, ("link", f"</{number}.css>; rel=preload"))
        else:
            hint = f"HTTP/1.1 103 Early Hints\r\nLink: </{number}.css>; rel=preload\r\n\r\n"
            link_of(exchange).send(hint.encode())
    small(exchange, ident)


def early(exchange: routes.Exchange, ident: str) -> None:
    """Respond before the body has come."""
    if isinstance(exchange, Http2Exchange):
        small(exchange, ident)
        return
    link = link_of(exchange)
    body = json.dumps({"id": ident}).encode()
    length = f"Content-Length: {len(body)}"
    link.send(head(ident, JSON, length, "Connection: close") + body)
    link.half_close()
    for _ in exchange.body():  # a reset could take away the response before it is read
        pass
    raise Gone("as was said")


def twice(exchange: routes.Exchange, ident: str) -> None:
    """Respond, and respond again."""
    link_of(exchange).send(answer_to(ident) + answer_to("nobody"))


def late(exchange: routes.Exchange, ident: str) -> None:
    """Respond, and a moment later say that the client is too slow."""
    link = link_of(exchange)
    link.send(answer_to(ident))
    if not link.hangs_up_within(0.01):
        link.send(head("nobody", "Content-Length: 0", status="408 Request Timeout"))
    raise Gone("as was asked for")


def stream_reset(exchange: routes.Exchange, ident: str) -> None:
    """Send half of a body, and reset the stream."""
    assert isinstance(exchange, Http2Exchange)
    exchange.send_head(200, ("x-id", ident), ("content-length", "1000"))
    exchange.send(b"x" * 500)
    exchange.reset(ErrorCodes.INTERNAL_ERROR)


def refused(exchange: routes.Exchange, ident: str) -> None:
    """Refuse the stream, so that it is asked for again."""
    assert isinstance(exchange, Http2Exchange)
    if random.random() < 0.5:
        exchange.reset(ErrorCodes.REFUSED_STREAM)
    else:
        small(exchange, ident)


ROUTES: Final[dict[str, Route]] = {
    "small": small,
    "large": large,
    "lines": lines,
    "packed": packed,
    "until-eof": until_eof,
    "redirect": redirect,
    "upload": upload,
    "cookies": cookies,
    "events": events,
    "file": file,
    "websocket": websocket,
    "websocket-cut": websocket_cut,
    "close": close,
    "reset": reset,
    "cut": raw(lambda ident: head(ident, "Content-Length: 1000") + b"x" * 500),
    "cut-chunk": raw(lambda ident: head(ident, "Transfer-Encoding: chunked") + b"3e8\r\nxxx"),
    "garbage": raw(lambda _: b"\x00\x01 what is this\r\n\r\n"),
    "wrong-gzip": raw(
        lambda ident: head(ident, "Content-Encoding: gzip", "Content-Length: 9") + b"no gzip!!"
    ),
    "endless-head": endless_head,
    "stall": stall,
    "drip": drip,
    "interim": interim,
    "early": early,
    "twice": twice,
    "late": late,
    "stream-reset": stream_reset,
    "refused": refused,
}


def answer(exchange: routes.Exchange) -> None:
    """Do what the path asks for."""
    name = exchange.path.removeprefix("/").partition("/")[0]
    ROUTES[name](exchange, exchange.option("id", ""))


class Peer(Http2Server):
    """Keeps nothing of the requests that it has answered."""

    def __init__(self, tls: ssl.SSLContext, ports: tuple[int, int]) -> None:
        super().__init__(
            tls,
            answer,
            settings={SettingCodes.ENABLE_CONNECT_PROTOCOL: 1},
            window=WINDOW,
            go_away_after=REQUESTS_PER_CONNECTION,
            ports=ports,
        )

    def answer(self, exchange: routes.Exchange) -> None:
        """Respond to a request over HTTP/1.1."""
        self.requests.clear()
        answer(exchange)

    def note(self, exchange: Http2Exchange) -> None:
        """Forget it."""

    def complaints(self) -> Iterator[str]:
        """Yield what clients have done wrong, as it is found."""
        while True:
            while self.errors:
                yield self.errors.pop(0)
            time.sleep(0.2)


def main() -> None:
    """Serve until killed, and print what clients do wrong."""
    certificate, port, tls_port = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    for complaint in Peer(context, (int(port), int(tls_port))).complaints():
        print(complaint, flush=True)


if __name__ == "__main__":
    main()
