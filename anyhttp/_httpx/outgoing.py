"""A request of httpx as it is sent: the head, and how the body is framed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import anyio

from .._headers import HeaderBlock
from .._http1 import NO_BODY, Framing, as_text
from .._tasks import CLEAN_UP_SECONDS

__all__ = ("CannotBeSent", "Outgoing", "RawFields", "outgoing_request")

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_METHOD: Final = re.compile(_TOKEN.decode())
_TARGET: Final = re.compile(rb"[\x21-\x7e]++")
_VALUE: Final = rb"(?>(?:[\x21-\x7e\x80-\xff][\t\x20-\x7e\x80-\xff]*+(?<![\t\x20]))?)"
_LINES: Final = re.compile(rb"(?>(?:" + _TOKEN + rb": " + _VALUE + rb"\r\n)*)")
_LENGTH: Final = re.compile(rb"[0-9]{1,19}+")

#: Fields as httpx has them.
RawFields = Sequence[tuple[bytes, bytes]]


class CannotBeSent(Exception):
    """HTTP/1.1 has no such request; the text says why."""


class RequestBody:
    """The body of a request of httpx.

    :param stream: yields its pieces
    :param data: all of it, if it is in memory
    """

    def __init__(self, stream: AsyncIterable[bytes], data: bytes | None) -> None:
        self.stream: AsyncIterable[bytes] = stream
        self._data = data

    def in_memory(self) -> bytes | None:
        """Return the whole body if it is in memory, else ``None``."""
        return self._data

    async def write_with_length(self, writer: Any, content_length: int | None, /) -> None:
        """Write all of the body; the writer compares its length with *content_length*."""
        iterator = aiter(self.stream)
        try:
            async for piece in iterator:
                await writer.write(piece)
        finally:
            # Close an unfinished generator, rather than leave it to the garbage collector.
            close = getattr(iterator, "aclose", None)
            if close is not None and getattr(iterator, "ag_frame", iterator) is not None:
                with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
                    await close()


class Outgoing:
    """A request, checked and ready to be sent."""

    keep_alive: bool = True  # a "Connection: close" is in the block
    http10: bool = False

    def __init__(
        self,
        method: str,
        target: str,
        block: HeaderBlock,
        framing: Framing,
        payload: RequestBody | None,
        fields: RawFields,
    ) -> None:
        self.method: str = method
        self.target: str = target
        self.block: HeaderBlock = block
        self._fields = fields
        self.framing: Framing = framing
        self.payload: RequestBody | None = payload

    @property
    def needs_http1(self) -> bool:
        """Whether HTTP/2 has no such request, or the program could do nothing with the answer."""
        return self.block.upgrades or self.method == "CONNECT"

    def text_fields(self) -> Sequence[tuple[str, str]]:
        """Return the header fields, of which the block has only the lines of HTTP/1.1."""
        return tuple(as_text(self._fields))


class _Places(NamedTuple):
    """Where the fields stand that say how a request is sent; each is an index."""

    host: int | None
    length: int | None
    coding: int | None
    connection: tuple[int, ...]
    upgrades: bool
    complaint: str | None


@lru_cache(maxsize=256)
def _places(names: tuple[bytes, ...]) -> _Places:
    """Find these fields among *names*, which hold no secrets and are mostly the same ones."""
    found: dict[bytes, list[int]] = {}
    for index, name in enumerate(names):
        found.setdefault(name.lower(), []).append(index)
    complaint = None
    if b"host" not in found:
        complaint = "the request has no Host header"
    elif b"content-length" in found and b"transfer-encoding" in found:
        complaint = "the request has both Content-Length and Transfer-Encoding"
    for name in (b"host", b"content-length", b"transfer-encoding"):
        if len(found.get(name, ())) > 1:
            complaint = f"the request has more than one {name.decode()} header"

    def first(name: bytes) -> int | None:
        return found[name][0] if name in found else None

    return _Places(
        first(b"host"),
        first(b"content-length"),
        first(b"transfer-encoding"),
        tuple(found.get(b"connection", ())),
        b"upgrade" in found,
        complaint,
    )


def outgoing_request(
    method: str, target: bytes, fields: RawFields, stream: AsyncIterable[bytes], data: bytes | None
) -> Outgoing:
    """Check a request, and return it as it is sent.

    :param data: the whole body, if it is in memory
    :raises CannotBeSent: a part of it could end the head or the request early, or the fields
        contradict each other or the body
    """
    places = _places(tuple([name for name, _ in fields]))
    if places.complaint is not None:
        raise CannotBeSent(places.complaint)
    if _METHOD.fullmatch(method) is None:
        raise CannotBeSent(f"{method!r} is not a method")
    if _TARGET.fullmatch(target) is None:
        raise CannotBeSent("the target is empty, or holds a character that is not visible ASCII")
    payload, framing = _body(places, fields, stream, data)
    closes = bool(places.connection) and _asks_to_close(places, fields)
    if places.host:  # it should come first (RFC 9110 §7.2)
        fields = [fields[places.host], *fields[: places.host], *fields[places.host + 1 :]]
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    if _LINES.fullmatch(lines) is None or lines.count(b"\r") != len(fields):
        raise CannotBeSent(f"the header {_first_bad(fields)} is not valid")
    block = HeaderBlock((), lines + b"\r\n", upgrades=places.upgrades, closes=closes)
    return Outgoing(method, target.decode("latin-1"), block, framing, payload, fields)


def _first_bad(fields: RawFields) -> str:
    """Return the name of the first field that cannot be sent; its value may be a secret."""
    bad = (name for name, value in fields if not _is_one_line(b"%b: %b\r\n" % (name, value)))
    return ascii(next(bad)[:60])


def _is_one_line(line: bytes) -> bool:
    return line.count(b"\r") == 1 and _LINES.fullmatch(line) is not None


def _asks_to_close(places: _Places, fields: RawFields) -> bool:
    for index in places.connection:
        value = fields[index][1].lower()
        if b"close" in value and b"close" in [option.strip() for option in value.split(b",")]:
            return True
    return False


def _body(
    places: _Places, fields: RawFields, stream: AsyncIterable[bytes], data: bytes | None
) -> tuple[RequestBody | None, Framing]:
    """Return the body and its framing."""
    if places.coding is not None:
        if fields[places.coding][1].strip().lower() != b"chunked":
            raise CannotBeSent("Transfer-Encoding can only be chunked")
        return RequestBody(stream, data), Framing(chunked=True)
    if places.length is None:
        if data:
            raise CannotBeSent("a body needs Content-Length or Transfer-Encoding")
        return (None, NO_BODY) if data is not None else (RequestBody(stream, None), Framing(0))
    text = fields[places.length][1]
    if _LENGTH.fullmatch(text) is None:
        raise CannotBeSent("Content-Length is not a number")
    length = int(text)
    if data is not None and len(data) != length:
        raise CannotBeSent(f"Content-Length is {length}, but the body has {len(data)} bytes")
    if data == b"":
        return None, NO_BODY
    return RequestBody(stream, data), Framing(length)
