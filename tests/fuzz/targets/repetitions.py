"""Long inputs, in which something short comes thousands of times: the time must stay linear.

An expression that backtracks, and bytes that are copied again for each piece, are seen by the time
that they take: :meth:`tests.fuzz.target.Target.check_quickly` measures it.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from multidict import CIMultiDict
from yarl import URL

from anyhttp import ClientError, WebSocketError
from anyhttp._common import printable, without_user_info
from anyhttp._event_stream import EventStream
from anyhttp._headers import (
    parse_challenges,
    parse_content_disposition,
    parse_content_type,
    parse_date,
    parse_links,
    parse_parameters,
    read_all,
)
from anyhttp._http1 import Limits
from anyhttp._http1.response_framing import idle_seconds, keeps_alive
from anyhttp._websocket import FrameReader, HandshakeRefused, Inflater, Offer
from anyhttp.client._redirects import redirect_target
from anyhttp.cookiejar._netscape import is_netscape, read_netscape
from anyhttp.http_exceptions import LineTooLong
from anyhttp.multipart import MultipartReader
from anyhttp.streams import StreamReader
from anyhttp.testing._redaction import Filters
from tests.fuzz.target import target
from tests.support.engines import receive

#: Size of a long input, in bytes: eight times that of the longest field by default.
_SIZE: Final = 64 * 1024

_SITE: Final = URL("https://www.example.com/a/b")
_LIMITS: Final = Limits(_SIZE * 2, _SIZE * 2, 10_000)
_CHUNKED: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode("utf-8", "surrogateescape"))


def _redirect(text: str) -> None:
    for requote in (True, False):
        with suppress(ClientError):
            redirect_target(_SITE, CIMultiDict({"Location": text}), requote=requote)


def _extensions(text: str) -> None:
    with suppress(HandshakeRefused):
        Offer((), 15).agreed(CIMultiDict({"Sec-WebSocket-Extensions": text}))


def _cookie_file(data: bytes) -> None:
    is_netscape(data)
    with suppress(ValueError):
        list(read_netscape(data, 0))


def _head(data: bytes) -> None:
    for name in ("auto", "h11"):
        receive(name, [b"HTTP/1.1 200 OK\r\n", data, b"\r\n\r\n"], limits=_LIMITS)
        receive(name, [b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n"], limits=_LIMITS)


def _multipart(data: bytes) -> None:
    async def read() -> None:
        content = StreamReader()
        for start in range(0, len(data), 1000):
            content.feed_data(data[start : start + 1000])
        content.feed_eof()
        headers = {"Content-Type": "multipart/mixed; boundary=:"}
        async for part in MultipartReader(headers, content, max_field_size=2 * _SIZE):
            await part.release()

    with suppress(ValueError, LineTooLong), asyncio.Runner() as runner:
        runner.run(read())


def _events(data: bytes) -> None:
    stream = EventStream(2 * _SIZE, "it")
    for start in range(0, len(data), 100):
        stream.feed(data[start : start + 100])
        while stream.next_event() is not None:
            pass


def _frames(data: bytes) -> None:
    reader = FrameReader(_SIZE, Inflater(15, takes_over=True), decode_text=True)
    with suppress(WebSocketError):
        for start in range(0, len(data), 100):
            reader.feed(data[start : start + 100])
            while reader.next_message() is not None:
                pass


_PARSERS: Final[tuple[Callable[[bytes], Any], ...]] = (
    _text(lambda text: read_all([text])),
    _text(lambda text: read_all(text.split("\n"))),
    _text(parse_date),
    _text(lambda text: parse_links(text, _SITE)),
    _text(parse_content_disposition),
    _text(parse_content_type),
    _text(lambda text: parse_challenges([text])),
    _text(parse_parameters),
    _text(_redirect),
    _text(_extensions),
    _text(without_user_info),
    _text(printable),
    lambda data: keeps_alive((1, 1), data, None, data),  # type: ignore[arg-type]
    idle_seconds,
    _head,
    lambda data: receive("auto", [_CHUNKED, data], limits=_LIMITS),
    _multipart,
    _events,
    _frames,
    _cookie_file,
    lambda data: Filters().body(data, "application/json", is_sent=True),
    lambda data: Filters().body(data, "application/x-www-form-urlencoded", is_sent=True),
    _text(lambda text: Filters().text(text)),
)


@target(max_size=64, calls=200_000, memory=1_000_000)
def repetitions(data: bytes) -> None:
    """Which parser, where the repeated part begins, its length; then the text with that part."""
    if len(data) < 4:
        return
    parse = _PARSERS[data[0] % len(_PARSERS)]
    text = data[3:]
    start = data[1] % len(text)
    repeated = text[start : start + 1 + data[2] % 16]
    rest = text[start + len(repeated) :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parse(text[:start] + repeated * (_SIZE // len(repeated)) + rest)
