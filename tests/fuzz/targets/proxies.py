"""Answers of proxies: to ``CONNECT``, and of SOCKS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, Final

from multidict import CIMultiDict
from yarl import URL

from anyhttp import BasicAuth, ClientHttpProxyError
from anyhttp._http1 import engine_class
from anyhttp.connector._tunnel import ConnectRequest, open_http_tunnel, open_socks_tunnel
from tests.fuzz.target import target
from tests.support.engines import NAMES, splits

_URL: Final = URL("https://www.example.com/")
_SCHEMES: Final = ("socks4", "socks4a", "socks5", "socks5h")


class _Proxy:
    """A stream with a proxy that has answered before it was asked."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = list(pieces)
        self.for_one_exchange = False

    async def send(self, data: bytes) -> None:
        assert data

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces[0][:max_bytes]
        self.pieces[0] = self.pieces[0][max_bytes:]
        if not self.pieces[0]:
            del self.pieces[0]
        return piece


def _asked(pieces: Iterable[bytes], engine: str) -> tuple[object, ...]:
    """Return how a proxy has answered to ``CONNECT``."""
    stream: Any = _Proxy(pieces)
    asked: Any = SimpleNamespace(authority="www.example.com:443", url=_URL, original_url=_URL)
    request = ConnectRequest(asked, CIMultiDict())
    with asyncio.Runner() as runner:
        try:
            runner.run(open_http_tunnel(stream, request, engine_class(engine)))
        except ClientHttpProxyError as exc:
            headers = None if exc.headers is None else list(exc.headers.items())
            return exc.status, exc.message, headers, exc.body
        except OSError:
            return ("failed",)
    return "open", stream.for_one_exchange


def _agree(first: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Whether two outcomes differ no more than those of other pieces of the same bytes may."""
    if len(first) == len(other) == 4:  # of a body that is malformed, the beginning is kept
        *head, body = first
        *other_head, other_body = other
        assert isinstance(body, bytes)
        assert isinstance(other_body, bytes)
        is_part = body.startswith(other_body) or other_body.startswith(body)
        return head == other_head and is_part
    return other == first or {first[0], other[0]} == {"failed", "open"}


@target(calls=3000, memory=3000)
def connect_answers(data: bytes) -> None:
    """A tunnel is open, or the proxy has refused, or failed: the same with both engines.

    Bytes behind the answer are an error only if they come with it: later they are the origin's.
    """
    if not data:
        return
    first, *others = [_asked(pieces, name) for name in NAMES for pieces in splits(data, 1)]
    for other in others:
        assert _agree(first, other)
    assert first[0] in {"open", "failed"} or not 200 <= int(str(first[0])) <= 299


def _connected(pieces: Iterable[bytes], scheme: str, host: str, auth: BasicAuth | None) -> object:
    """Return whether a SOCKS proxy has connected, and the bytes that it has sent after that."""
    stream: Any = _Proxy(pieces)
    with asyncio.Runner() as runner:
        try:
            runner.run(open_socks_tunnel(stream, scheme, host, 443, auth))
        except OSError:
            return None
    return b"".join(stream.pieces)


@target(calls=2000, memory=3000)
def socks_answers(data: bytes) -> None:
    """The connection is there or not, and not one byte of the origin is lost."""
    how, raw = (data[:1] or b"\0")[0], data[1:]
    if not raw:
        return
    scheme = _SCHEMES[how & 3]
    host = "192.0.2.1" if how & 4 or scheme in {"socks4", "socks5"} else "www.example.com"
    auth = BasicAuth("user", "password") if how & 8 else None
    first, *others = [_connected(pieces, scheme, host, auth) for pieces in splits(raw, 1)]
    for other in others:
        assert other == first
    if first is not None:
        assert first == raw[_size(raw, scheme) :]


def _size(raw: bytes, scheme: str) -> int:
    """Return the size of what the proxy says itself (:rfc:`1928#section-6`)."""
    if scheme.startswith("socks4"):
        return 8
    start = 4 if raw[1] == 2 else 2  # with the answer to a password
    size = {1: 4, 4: 16}.get(raw[start + 3], raw[start + 4] + 1)
    return start + 4 + size + 2
