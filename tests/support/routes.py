"""What the tests' general server answers, on sockets and in memory.

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
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .links import Head

DOCUMENT: Final = {"title": "anyhttp", "numbers": [1, 2, 3], "text": "grüße " * 100}
JSON: Final = ("Content-Type", "application/json")


class Exchange(ABC):
    """A received request, and methods to respond to it; where it came from, subclasses know."""

    def __init__(self, head: Head) -> None:
        self.head = head
        url = urlsplit(head.target)
        self.path = url.path
        self.query = parse_qsl(url.query, keep_blank_values=True)

    def option(self, name: str, default: str) -> str:
        """Return one parameter of the query."""
        return dict(self.query).get(name, default)

    @abstractmethod
    def body(self) -> Iterator[bytes]:
        """Yield the body as it arrives."""

    @abstractmethod
    def respond(self, body: bytes = b"", *headers: tuple[str, str], status: str = "200 OK") -> None:
        """Send a whole response."""

    @abstractmethod
    def stream(self, pieces: Iterator[bytes], content_type: str) -> None:
        """Send a chunked response; each piece is sent as soon as *pieces* yields it."""

    @abstractmethod
    def drip(self, count: int, delay: float) -> None:
        """Send *count* chunks of one byte, *delay* seconds apart."""

    @abstractmethod
    def hang(self) -> None:
        """Send nothing until the client closes."""

    @abstractmethod
    def close(self) -> None:
        """Send nothing, and close."""

    def respond_json(
        self, value: object, *headers: tuple[str, str], status: str = "200 OK"
    ) -> None:
        """Send *value* as JSON."""
        self.respond(json.dumps(value).encode(), JSON, *headers, status=status)


def _json(exchange: Exchange, _: str) -> None:
    exchange.respond_json(DOCUMENT)


def _bytes(exchange: Exchange, count: str) -> None:
    data = bytes(range(256)) * (int(count) // 256 + 1)
    exchange.respond(data[: int(count)], ("Content-Type", "application/octet-stream"))


def _stream(exchange: Exchange, count: str) -> None:
    lines = (json.dumps({"id": number}).encode() + b"\n" for number in range(int(count)))
    exchange.stream(lines, "application/json")


def _drip(exchange: Exchange, _: str) -> None:
    exchange.drip(int(exchange.option("n", "5")), float(exchange.option("delay", "0.1")))


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
    exchange.hang()


def _close(exchange: Exchange, _: str) -> None:
    exchange.close()


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


def answer(exchange: Exchange) -> None:
    """Respond as the route for the path of the request says, or with 404 if there is none."""
    name, _, argument = exchange.path.removeprefix("/").partition("/")
    _ROUTES.get(name, _not_found)(exchange, argument)
