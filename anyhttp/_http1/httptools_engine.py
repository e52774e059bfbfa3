"""The compiled engine: llhttp through httptools, the only user of httptools."""

from __future__ import annotations

from typing import ClassVar

import httptools

from .._common import (
    HttpVersion10,
    HttpVersion11,
)
from .engine import Engine
from .strict import (
    Head,
    ParseError,
    read_content_length,
)

__all__ = ("HttptoolsEngine",)


class HttptoolsEngine(Engine):
    """llhttp reads heads."""

    __slots__ = ("_raw_headers",)

    name: ClassVar[str] = "httptools"

    _raw_headers: list[tuple[bytes, bytes]]

    def _parse_head(self, raw: bytes) -> Head:
        try:
            parser = self._feed_head(raw)
        except ParseError:
            # llhttp refuses every repeated Content-Length; RFC 9110 §8.6 lets a
            # recipient accept one and the same length said twice.
            repaired = _with_one_length(raw)
            if repaired is None:
                raise
            parser = self._feed_head(repaired)
        return Head(
            self._method,
            HttpVersion11 if raw[7:8] == b"1" else HttpVersion10,
            parser.get_status_code(),
            raw[13 : raw.index(b"\r")].decode("utf-8", "surrogateescape"),
            self._raw_headers,
            self._upgrade,
        )

    def _feed_head(self, raw: bytes) -> httptools.HttpResponseParser:
        self._raw_headers = []
        parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            pass  # a 101, or a 200 after CONNECT: the head itself was fine
        except httptools.HttpParserError as exc:
            # llhttp pauses after every 101; httptools takes the pause for an error unless
            # Connection and Upgrade are as they should be, which is not for us to judge.
            read_whole = len(self._raw_headers) == raw.count(b"\r\n") - 2
            if not (parser.get_status_code() == 101 and read_whole):
                raise ParseError(str(exc)) from exc
        return parser

    # -- callbacks of httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._raw_headers.append((name, value.strip(b" \t")))


def _with_one_length(raw: bytes) -> bytes | None:
    """Return the head *raw* with its repeated length said once; ``None`` if none is repeated.

    :raises ParseError: the lengths differ
    """
    lines = raw.split(b"\r\n")
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    value = b",".join(line.partition(b":")[2] for line in lengths)
    if b"," not in value:
        return None
    place = lines.index(lengths[0])
    name = lengths[0].partition(b":")[0]
    kept = [line for line in lines if line not in lengths]
    kept.insert(place, b"%b: %d" % (name, read_content_length(value)))
    return b"\r\n".join(kept)
