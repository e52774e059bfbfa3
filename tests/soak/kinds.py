"""The kinds of requests of a long run.

Each is a coroutine function that makes one request and checks that the answer is the one to it.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio.lowlevel

from anyhttp import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientPayloadError,
    ClientResponse,
    ClientResponseError,
    ClientTimeout,
    FormData,
    ServerDisconnectedError,
    SocketTimeoutError,
    WSMsgType,
    download,
)

from .bodies import EVENTS, LARGE, LINES, PACKED, UNTIL_EOF, body_of, cookies_of, file_of, lines_of
from .sites import Site


class WrongAnswer(Exception):
    """The answer is not the one to the request, or is none where there should be an error."""


class Unavailable(Exception):
    """A server on the way says that another one is away, or a WebSocket ended without a word."""


@dataclass(frozen=True)
class Errand:
    """One request that is to be made.

    :param ident: what the answer has to name
    :param timeout: the time limits of the request, if they are not the session's
    :param folder: where files may be written
    """

    site: Site
    ident: str
    chance: random.Random
    timeout: ClientTimeout | None
    folder: Path

    @property
    def options(self) -> dict[str, Any]:
        """Options of the request."""
        return {} if self.timeout is None else {"timeout": self.timeout}

    def url(self, path: str) -> str:
        """Return the URL of a route for this request."""
        return f"{self.site.url}{path}?id={self.ident}"

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Begin the request; returns what ``session.request()`` does."""
        return self.site.session.request(method, self.url(path), **{**self.options, **options})

    def check(self, response: ClientResponse, *, status: int = 200) -> None:
        """Check the head of the answer."""
        if response.status in {502, 503, 504}:
            raise Unavailable(f"status {response.status}")
        named = response.headers.get("X-Id")
        if (response.status, named) != (status, self.ident):
            raise WrongAnswer(f"status {response.status} for {named}, not {self.ident}")

    def must_be(self, got: object, wanted: object) -> None:
        """Check a part of the answer."""
        if got != wanted:
            raise WrongAnswer(f"{str(got)[:200]!r} instead of {str(wanted)[:200]!r}")


@contextmanager
def must_raise(*expected: type[Exception]) -> Iterator[None]:
    """Fail if the block raises nothing; what is expected ends here."""
    try:
        yield
    except expected:
        return
    raise WrongAnswer(f"there was none of {[each.__name__ for each in expected]}")


# -- answers of many sorts


async def get_small(errand: Errand) -> None:
    """GET of a few bytes of JSON."""
    async with errand.request("GET", "small") as response:
        errand.check(response)
        errand.must_be(await response.json(), {"id": errand.ident})


async def get_large(errand: Errand) -> None:
    """GET of 300 kB, read at once."""
    async with errand.request("GET", "large") as response:
        errand.check(response)
        errand.must_be(await response.read(), body_of(errand.ident, LARGE))


async def get_in_pieces(errand: Errand) -> None:
    """The same, read in pieces while others have their turn."""
    body = bytearray()
    async with errand.request("GET", "large") as response:
        errand.check(response)
        async for piece in response.content.iter_chunked(50_000):
            body += piece
            await anyio.lowlevel.checkpoint()
    errand.must_be(body, body_of(errand.ident, LARGE))


async def get_and_leave(errand: Errand) -> None:
    """The same, left before it is read to its end."""
    async with errand.request("GET", "large") as response:
        errand.check(response)
        await response.content.read(1000)


async def get_static(errand: Errand) -> None:
    """GET of a file of 300 kB from nginx."""
    async with errand.request("GET", "static") as response:
        errand.check(response)
        errand.must_be(await response.read(), bytes(range(250)) * (LARGE // 250))


async def get_static_packed(errand: Errand) -> None:
    """GET of the same file, which nginx compresses."""
    async with errand.request("GET", "static-packed") as response:
        errand.check(response)
        errand.must_be(response.headers.get("Content-Encoding"), "gzip")
        errand.must_be(await response.read(), bytes(range(250)) * (LARGE // 250))


async def get_lines(errand: Errand) -> None:
    """GET of 500 lines in chunks."""
    async with errand.request("GET", "lines") as response:
        if response.status != 200:
            errand.check(response)
        errand.must_be([line async for line in response.content], lines_of(errand.ident, LINES))


async def get_packed(errand: Errand) -> None:
    """GET of 100 kB that are compressed."""
    async with errand.request("GET", "packed") as response:
        errand.check(response)
        errand.must_be(await response.read(), body_of(errand.ident, PACKED))


async def get_until_eof(errand: Errand) -> None:
    """GET of a body that ends with the connection."""
    async with errand.request("GET", "until-eof") as response:
        errand.check(response)
        body, wanted = await response.read(), body_of(errand.ident, UNTIL_EOF)
        if len(body) < len(wanted) and wanted.startswith(body):
            raise Unavailable("the body ended early")  # nothing tells this from its end
        errand.must_be(body, wanted)


async def head(errand: Errand) -> None:
    """HEAD."""
    async with errand.request("HEAD", "large") as response:
        errand.check(response)
        errand.must_be(response.headers.get("Content-Length"), str(LARGE))
        errand.must_be(await response.read(), b"")


async def get_cookies(errand: Errand) -> None:
    """GET of cookies with new names, which the jar keeps until it has too many."""
    async with errand.request("GET", "cookies") as response:
        errand.check(response)
        errand.must_be(list(response.cookies), cookies_of(errand.ident))


# -- bodies of many sorts


async def send(errand: Errand, body: bytes, path: str = "upload", **options: Any) -> dict[str, Any]:
    """POST *body*, as *options* say, and check what has arrived."""
    async with errand.request("POST", path, **options) as response:
        errand.check(response)
        told: dict[str, Any] = await response.json()
    errand.must_be(
        (told["id"], told["method"], told["length"], told["sha256"]),
        (errand.ident, "POST", len(body), hashlib.sha256(body).hexdigest()),
    )
    return told


async def post_bytes(errand: Errand) -> None:
    """POST of bytes, of few or of 200 kB."""
    body = body_of(errand.ident, errand.chance.choice([0, 1, 1000, 200_000]))
    await send(errand, body, data=body)


async def post_text(errand: Errand) -> None:
    """POST of text."""
    text = f"grüße von {errand.ident} " * 50
    await send(errand, text.encode(), data=text)


async def post_json(errand: Errand) -> None:
    """POST of JSON."""
    value = {"id": errand.ident, "numbers": list(range(100))}
    await send(errand, json.dumps(value).encode(), json=value)


async def post_form(errand: Errand) -> None:
    """POST of a form."""
    await send(errand, f"id={errand.ident}&more=1".encode(), data={"id": errand.ident, "more": "1"})


async def post_multipart(errand: Errand) -> None:
    """POST of a form with files."""
    form = FormData()
    form.add_field("id", errand.ident)
    form.add_field("file", io.BytesIO(body_of(errand.ident, 30_000)), filename=f"{errand.ident}.x")
    async with errand.request("POST", "upload", data=form) as response:
        errand.check(response)
        told = await response.json()
    errand.must_be(told["type"][:20], "multipart/form-data;"[:20])
    errand.must_be(told["found"], 2 + body_of(errand.ident, 30_000).count(errand.ident.encode()))


async def post_stream(errand: Errand) -> None:
    """POST of pieces that a generator makes while they are sent."""

    async def pieces() -> AsyncIterator[bytes]:
        for line in lines_of(errand.ident, 20):
            yield line * 100
            await anyio.lowlevel.checkpoint()

    try:
        await send(
            errand, b"".join(line * 100 for line in lines_of(errand.ident, 20)), data=pieces()
        )
    except ClientConnectionResetError:
        if not errand.site.is_http2:
            raise
        # The server let the connection end before this request, which cannot be sent again.


async def post_file(errand: Errand) -> None:
    """POST of a file object."""
    body = body_of(errand.ident, 100_000)
    await send(errand, body, data=io.BytesIO(body))


async def post_compressed(errand: Errand) -> None:
    """POST of a body that is compressed."""
    body = body_of(errand.ident, 50_000)
    await send(errand, body, data=body, compress="deflate")


async def post_expecting(errand: Errand) -> None:
    """POST that waits for 100 Continue."""
    body = body_of(errand.ident, 10_000)
    await send(errand, body, data=body, expect100=True)


async def redirect(errand: Errand) -> None:
    """POST that is redirected three times with its body."""
    body = body_of(errand.ident, 1000)
    await send(errand, body, "redirect/3", data=body)


# -- what lasts longer


async def websocket(errand: Errand) -> None:
    """Open a WebSocket; some messages there and back; close it."""
    async with errand.site.session.ws_connect(errand.url("websocket")) as ws:
        for number in range(errand.chance.randrange(1, 6)):
            text = f"{errand.ident} {number} " * errand.chance.choice([1, 100, 10_000])
            await ws.send_str(text)
            message = await ws.receive(timeout=200)
            if message.type is not WSMsgType.TEXT:
                raise Unavailable(f"{message}, {ws.close_code}")
            errand.must_be(message.data, text)


async def websocket_cut(errand: Errand) -> None:
    """A WebSocket whose connection ends without a word."""
    async with errand.site.session.ws_connect(errand.url("websocket-cut")) as ws:
        await ws.send_str(errand.ident)
        message = await ws.receive(timeout=200)
        if message.type is not WSMsgType.TEXT:
            raise Unavailable(f"{message}, {ws.close_code}")
        errand.must_be(message.data, errand.ident)
        message = await ws.receive(timeout=200)
        errand.must_be((message.type, ws.close_code), (WSMsgType.CLOSED, 1006))


async def events(errand: Errand) -> None:
    """Server-sent events, over as many connections as it takes."""
    url = errand.url("events")
    waits: Any = {"attempts": 5, "backoff": 0.01, "max_backoff": 0.1}
    async with errand.site.session.sse(url, **waits, **errand.options) as source:
        async for event in source:
            number = int(event.id)
            errand.must_be(event.json(), {"id": errand.ident, "number": number})
            if number == EVENTS - 1:
                break


async def download_file(errand: Errand) -> None:
    """Download into a file what breaks off in the middle, and goes on with a range."""
    path = errand.folder / errand.ident
    try:
        await download(
            errand.site.session, errand.url("file"), path, backoff=0.01, **errand.options
        )
        errand.must_be(path.read_bytes(), file_of(errand.ident))
    finally:
        for left in (
            path,
            path.with_name(f"{path.name}.part"),
            path.with_name(f"{path.name}.part.json"),
        ):
            left.unlink(missing_ok=True)


# -- what breaks the protocol, or is slow or strange


async def fetch(errand: Errand, path: str, **options: Any) -> None:
    """GET a small answer."""
    async with errand.request("GET", path, **options) as response:
        errand.check(response)
        errand.must_be(await response.json(), {"id": errand.ident})


def fails(
    path: str, *expected: type[Exception], **options: Any
) -> Callable[[Errand], Awaitable[None]]:
    """Return a kind whose request has to fail in that way."""

    async def kind(errand: Errand) -> None:
        with must_raise(*expected):
            await fetch(errand, path, **options)

    kind.__name__, kind.__doc__ = path, f"GET of /{path} of the peer."
    return kind


async def stall(errand: Errand) -> None:
    """GET of a body that stops in the middle."""
    with must_raise(SocketTimeoutError):
        await fetch(errand, "stall", timeout=ClientTimeout(total=200, sock_read=0.2))


async def drip(errand: Errand) -> None:
    """GET of an answer that comes byte by byte."""
    await fetch(errand, "drip")


async def interim(errand: Errand) -> None:
    """GET with interim answers before the final one."""
    await fetch(errand, "interim")


async def twice(errand: Errand) -> None:
    """GET that is answered twice."""
    await fetch(errand, "twice")


async def early(errand: Errand) -> None:
    """POST of 200 kB that is answered before they have come."""
    data = body_of(errand.ident, 200_000)
    async with errand.request("POST", "early", data=data) as response:
        errand.check(response)
        errand.must_be(await response.json(), {"id": errand.ident})


async def late(errand: Errand) -> None:
    """GET after whose answer another one comes; it can meet a request that was sent meanwhile."""
    try:
        async with errand.request("GET", "late") as response:
            if response.status != 408:
                errand.check(response)
                errand.must_be(await response.json(), {"id": errand.ident})
    except ServerDisconnectedError:
        pass  # the connection was closed while the request was on its way


async def refused(errand: Errand) -> None:
    """GET that the server refuses half of the times, before it has done anything for it."""
    try:
        await fetch(errand, "refused")
    except ClientConnectionError:
        pass  # it was refused each time


async def innocent(errand: Errand) -> None:
    """GET on a connection that others make the server close."""
    try:
        async with errand.request("GET", "large") as response:
            errand.check(response)
            errand.must_be(await response.read(), body_of(errand.ident, LARGE))
    except (ClientConnectionError, ClientPayloadError):
        pass


# -- all of them


def anywhere(site: Site) -> bool:
    """Wherever answers are right."""
    return not site.is_fragile


def by_nginx(site: Site) -> bool:
    """Where nginx answers by itself."""
    return "nginx" in site.servers


def over_http1(site: Site) -> bool:
    """Where HTTP/1.1 is spoken."""
    return not (site.is_http2 or site.is_fragile)


def for_websockets(site: Site) -> bool:
    """Where a WebSocket is let through."""
    return not site.is_fragile and site.name != "squid"


def at_the_peer(site: Site) -> bool:
    """Where nobody is between client and peer, whatever they speak."""
    return site.is_peer


def at_the_peer_over_http1(site: Site) -> bool:
    """The same, over HTTP/1.1."""
    return site.is_peer and not site.is_http2


def at_the_peer_over_http2(site: Site) -> bool:
    """The same, over HTTP/2."""
    return site.is_peer and site.is_http2


def among_late_answers(site: Site) -> bool:
    """Where answers come that nobody asked for."""
    return site.name == "peer-late"


def among_closed_connections(site: Site) -> bool:
    """Where requests make the server close the connection of others."""
    return site.name == "peer-fragile"


Act = Callable[[Errand], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """A kind of request, and where it can be made."""

    name: str
    act: Act
    where: Callable[[Site], bool]


def _kinds(where: Callable[[Site], bool], *acts: Act) -> list[Kind]:
    return [Kind(act.__name__, act, where) for act in acts]


KINDS: Final = (
    *_kinds(
        anywhere,
        get_small, get_large, get_in_pieces, get_and_leave, get_lines, get_packed, get_cookies,
        head, post_bytes, post_text, post_json, post_form, post_multipart, post_stream, post_file,
        post_compressed, redirect, events, download_file,
    ),
    *_kinds(by_nginx, get_static, get_static_packed),
    *_kinds(over_http1, get_until_eof, post_expecting),
    *_kinds(for_websockets, websocket, websocket_cut),
    *_kinds(at_the_peer, stall, drip, interim),
    *_kinds(
        at_the_peer_over_http1,
        early,
        twice,
        fails("close", ServerDisconnectedError),
        fails("reset", ClientConnectionError),
        fails("cut", ClientPayloadError),
        fails("cut-chunk", ClientPayloadError),
        fails("garbage", ClientResponseError),
        fails("wrong-gzip", ClientPayloadError),
        fails("endless-head", ClientResponseError),
    ),
    *_kinds(
        at_the_peer_over_http2,
        fails("stream-reset", ClientConnectionError, ClientPayloadError),
        refused,
    ),
    *_kinds(among_late_answers, late),
    *_kinds(among_closed_connections, innocent, fails("close", ClientConnectionError)),
)  # fmt: skip
