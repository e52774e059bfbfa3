"""A small HTTP/1.1 server on loopback, for tests that do not look at exact bytes.

======================================  ===================================================
route                                   answers
======================================  ===================================================
``/json``                               a JSON object
``/bytes/N``                            N bytes, counting 0 to 255 over and over
``/stream/N``                           N lines of JSON, one chunk each
``/drip?n=5&delay=0.1``                 n chunks of one byte, *delay* seconds apart
``/echo``                               the request as JSON: method, target, path, query,
                                        version, headers (pairs), body (base64), length
``/echo-body``                          the body, piece by piece while it comes in
``/upload``                             length and sha256 of the body, once it is complete
``/redirect/N``                         N redirects, then as ``/echo``
``/redirect-to?url=U&status=302``       one redirect
``/anything``                           what a form, file or JSON sent there holds, as JSON:
                                        method, args, headers, form, files, data, json
``/send?type=T&text=X&charset=C&name=v`` *text*, in *charset*, as *type*, with each other
                                        argument as a header
``/cookies``                            the cookies received, as JSON
``/cookies/set?name=value``             sets each, redirects to ``/cookies``
``/gzip`` ``/deflate`` ``/deflate-raw`` the JSON object, encoded; 501 where the codec of
``/br`` ``/zstd``                       ``/br`` or ``/zstd`` is not installed
``/status/N``                           that status, with a short body if it may have one
``/basic-auth/USER/PASSWORD``           401 unless these are the credentials
``/hang``                               nothing, until the client closes
``/close``                              nothing, the connection is closed
======================================  ===================================================
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib
import json
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from yarl import URL

from .links import BadRequest, Gone, Head, Link, LinkThreads, Listener, parse_head
from .waiting import comes_true_in_thread, until

DOCUMENT = {"title": "anyhttp", "numbers": [1, 2, 3], "text": "grüße " * 100}
JSON = ("Content-Type", "application/json")

# This side sees a connection closed a moment after the client has closed it.
SETTLING = 2.0  # seconds


class Server:
    """Listens for http, for https, and for http on a Unix socket, until it is stopped."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._lock = threading.Lock()
        self._links = LinkThreads(self._serve)
        self.requests: list[str] = []
        """The first two words of each request."""
        self._plain = Listener(self._links.start)
        self._tls = Listener(self._links.start, tls=tls)
        self._unix = Listener(self._links.start, unix=True)

    @property
    def url(self) -> URL:
        """The root URL for http."""
        return URL(f"http://127.0.0.1:{self._plain.port}/")

    @property
    def https_url(self) -> URL:
        """The root URL for https."""
        return URL(f"https://localhost:{self._tls.port}/")

    @property
    def unix_path(self) -> str:
        """The path of the Unix socket."""
        return str(self._unix.unix_path)

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return self._links.open

    @property
    def connections(self) -> int:
        """How many connections were opened."""
        return self._links.opened

    @property
    def peak_connections(self) -> int:
        """The largest number of connections that were open at once."""
        return self._links.peak

    async def until_asked(self, target: str) -> None:
        """Wait until a GET request for *target* has arrived."""
        await until(lambda: f"GET {target}" in self.requests, f"a request for {target}")

    def reset(self) -> None:
        """Reset the counters, after the connections of the previous test have been closed."""
        listeners = (self._plain, self._tls, self._unix)
        comes_true_in_thread(
            lambda: all(each.quiet for each in listeners) and not self.open_connections,
            seconds=SETTLING,
        )
        self._links.forget()
        with self._lock:
            self.requests = []

    def stop(self) -> None:
        """Close everything."""
        for listener in (self._plain, self._tls, self._unix):
            listener.stop()
        self._links.stop()

    def _serve(self, link: Link) -> None:
        try:
            link.handshake()
            while self._answer(link):
                link.received.clear()  # no test reads them, and uploads are large
        except Gone:
            pass
        except BadRequest as exc:
            with suppress(Gone):
                link.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n%a" % str(exc))

    def _answer(self, link: Link) -> bool:
        """Serve one request; return whether another one may follow."""
        head = parse_head(link.take_until(b"\r\n\r\n"))
        with self._lock:
            self.requests.append(f"{head.method} {head.target}")
        exchange = Exchange(link, head)
        route, argument = _find_route(exchange.path)
        route(exchange, argument)
        return exchange.finish()


class Exchange:
    """A received request, and methods to respond to it."""

    def __init__(self, link: Link, head: Head) -> None:
        self.link = link
        self.head = head
        url = urlsplit(head.target)
        self.path = url.path
        self.query = parse_qsl(url.query, keep_blank_values=True)
        old = head.version == "HTTP/1.0"
        self._close = old or head.has("connection", "close")
        self._chunked = not old
        self._continue = head.has("expect", "100-continue")
        self._body = self._take_body()

    def option(self, name: str, default: str) -> str:
        """Return one parameter of the query."""
        return dict(self.query).get(name, default)

    def body(self) -> Iterator[bytes]:
        """Yield the body as it arrives."""
        return self._body

    def respond(self, body: bytes = b"", *headers: tuple[str, str], status: str = "200 OK") -> None:
        """Send a whole response."""
        if status[:3] not in ("204", "304"):
            headers = (*headers, ("Content-Length", str(len(body))))
        self._start(status, headers, body)

    def respond_json(
        self, value: object, *headers: tuple[str, str], status: str = "200 OK"
    ) -> None:
        """Send *value* as JSON."""
        self.respond(json.dumps(value).encode(), JSON, *headers, status=status)

    def stream(self, pieces: Iterator[bytes], content_type: str) -> None:
        """Send a chunked response; each piece is sent as soon as *pieces* yields it."""
        headers = [("Content-Type", content_type)]
        if self._chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        self._start("200 OK", tuple(headers), b"")
        if self.head.method == "HEAD":
            return
        for piece in pieces:
            self.link.send(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)
        if self._chunked:
            self.link.send(b"0\r\n\r\n")

    def finish(self) -> bool:
        """Read the rest of the body; return whether another request may follow."""
        if self._close or self._continue:  # without 100 Continue, the body may come or not
            return False
        for _ in self._body:
            pass
        return True

    def _take_body(self) -> Iterator[bytes]:
        if self._continue:
            self._continue = False
            self.link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        yield from self.link.take_body(self.head)

    def _start(self, status: str, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        if self._close or self._continue:
            headers = (*headers, ("Connection", "close"))
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
        if self.head.method == "HEAD" or status[:3] in ("204", "304"):
            body = b""
        self.link.send("\r\n".join(lines).encode("latin-1") + body)


def _json(exchange: Exchange, _: str) -> None:
    exchange.respond_json(DOCUMENT)


def _bytes(exchange: Exchange, count: str) -> None:
    data = bytes(range(256)) * (int(count) // 256 + 1)
    exchange.respond(data[: int(count)], ("Content-Type", "application/octet-stream"))


def _stream(exchange: Exchange, count: str) -> None:
    lines = (json.dumps({"id": number}).encode() + b"\n" for number in range(int(count)))
    exchange.stream(lines, "application/json")


def _drip(exchange: Exchange, _: str) -> None:
    count, delay = int(exchange.option("n", "5")), float(exchange.option("delay", "0.1"))

    def drops() -> Iterator[bytes]:
        for number in range(count):
            if number and exchange.link.hangs_up_within(delay):
                raise Gone("the client had enough")
            yield b"*"

    exchange.stream(drops(), "application/octet-stream")


def _echo(exchange: Exchange, _: str) -> None:
    body = b"".join(exchange.body())
    head = exchange.head
    exchange.respond_json(
        {
            "method": head.method,
            "target": head.target,
            "path": unquote(exchange.path),
            "query": exchange.query,
            "version": head.version,
            "headers": head.headers,
            "body": base64.b64encode(body).decode(),
            "length": len(body),
        }
    )


def _echo_body(exchange: Exchange, _: str) -> None:
    content_type = exchange.head.all("content-type") or ["application/octet-stream"]
    exchange.stream(exchange.body(), content_type[0])


def _upload(exchange: Exchange, _: str) -> None:
    digest, length = hashlib.sha256(), 0
    for piece in exchange.body():
        digest.update(piece)
        length += len(piece)
    exchange.respond_json({"length": length, "sha256": digest.hexdigest()})


def _redirect(exchange: Exchange, count: str) -> None:
    if int(count) <= 0:
        _echo(exchange, "")
    else:
        location = ("Location", f"/redirect/{int(count) - 1}")
        exchange.respond(b"elsewhere", location, status="302 Found")


def _redirect_to(exchange: Exchange, _: str) -> None:
    # Encode as browsers do: escape what a header cannot hold, and leave the rest.
    location = quote(exchange.option("url", "/echo"), safe="%/:=&?~#+!$,;'@()*[]")
    status = exchange.option("status", "302") + " Elsewhere"
    exchange.respond(b"elsewhere", ("Location", location), status=status)


def _anything(exchange: Exchange, _: str) -> None:
    body = b"".join(exchange.body())
    kind = (exchange.head.all("content-type") or [""])[0]
    form: dict[str, str] = {}
    files: dict[str, str] = {}
    data = body.decode("utf-8", "replace")
    if kind.startswith("multipart/"):
        data = ""
        raw = b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body
        for part in BytesParser(policy=HTTP).parsebytes(raw).iter_parts():
            name = part.get_param("name", header="content-disposition")
            into = form if part.get_filename() is None else files
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            into[str(name)] = content.decode("utf-8", "replace")
    elif kind.startswith("application/x-www-form-urlencoded"):
        data, form = "", dict(parse_qsl(data, keep_blank_values=True))
    exchange.respond_json(
        {
            "method": exchange.head.method,
            "args": dict(exchange.query),
            "headers": {name.title(): value for name, value in exchange.head.headers},
            "form": form,
            "files": files,
            "data": data,
            "json": json.loads(data) if kind.startswith("application/json") else None,
        }
    )


def _send(exchange: Exchange, _: str) -> None:
    text = exchange.option("text", "").encode(exchange.option("charset", "utf-8"))
    own = ("Content-Type", exchange.option("type", "text/plain"))
    given = [pair for pair in exchange.query if pair[0] not in {"type", "text", "charset"}]
    exchange.respond(text, own, *given)


def _cookies(exchange: Exchange, action: str) -> None:
    if action == "set":
        cookies = [("Set-Cookie", f"{name}={value}; Path=/") for name, value in exchange.query]
        exchange.respond(b"", ("Location", "/cookies"), *cookies, status="302 Found")
    else:
        pairs = [pair for line in exchange.head.all("cookie") for pair in line.split("; ")]
        exchange.respond_json({"cookies": dict(pair.split("=", 1) for pair in pairs)})


def _status(exchange: Exchange, code: str) -> None:
    exchange.respond(f"status {code}".encode(), status=f"{int(code)} Status")


def _basic_auth(exchange: Exchange, credentials: str) -> None:
    user, _, password = credentials.partition("/")
    wanted = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    if exchange.head.all("authorization") == [f"Basic {wanted}"]:
        exchange.respond_json({"authenticated": True, "user": unquote(user)})
    else:
        challenge = ("WWW-Authenticate", 'Basic realm="tests"')
        exchange.respond_json({"authenticated": False}, challenge, status="401 Unauthorized")


def _hang(exchange: Exchange, _: str) -> None:
    exchange.link.wait_hangup()
    raise Gone("the client had enough")


def _close(exchange: Exchange, _: str) -> None:
    raise Gone("as was asked for")


def _not_found(exchange: Exchange, _: str) -> None:
    exchange.respond(b"no such route", status="404 Not Found")


def _raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


def _encoded(
    encoding: str, compress: Callable[[bytes], bytes] | None
) -> Callable[[Exchange, str], None]:
    """Return a route that sends the JSON object in *encoding*."""

    def route(exchange: Exchange, _: str) -> None:
        if compress is None:
            exchange.respond(b"the codec is not installed", status="501 Not Implemented")
        else:
            body = compress(json.dumps(DOCUMENT).encode())
            exchange.respond(body, JSON, ("Content-Encoding", encoding))

    return route


def _codec(*modules: str) -> Callable[[bytes], bytes] | None:
    """Return ``compress`` of the first module that is installed."""
    for name in modules:
        with suppress(ImportError):
            compress: Callable[[bytes], bytes] = importlib.import_module(name).compress
            return compress
    return None


_ROUTES: dict[str, Callable[[Exchange, str], None]] = {
    "json": _json,
    "bytes": _bytes,
    "stream": _stream,
    "drip": _drip,
    "echo": _echo,
    "echo-body": _echo_body,
    "upload": _upload,
    "redirect": _redirect,
    "redirect-to": _redirect_to,
    "anything": _anything,
    "send": _send,
    "cookies": _cookies,
    "gzip": _encoded("gzip", gzip.compress),
    "deflate": _encoded("deflate", zlib.compress),
    "deflate-raw": _encoded("deflate", _raw_deflate),
    "br": _encoded("br", _codec("brotli", "brotlicffi")),
    "zstd": _encoded("zstd", _codec("compression.zstd", "backports.zstd")),
    "status": _status,
    "basic-auth": _basic_auth,
    "hang": _hang,
    "close": _close,
}


def _find_route(path: str) -> tuple[Callable[[Exchange, str], None], str]:
    """Return the route for *path*, and the rest of the path after the route's name."""
    name, _, argument = path.removeprefix("/").partition("/")
    return _ROUTES.get(name, _not_found), argument
