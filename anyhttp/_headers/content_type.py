"""``Content-Type``: media type, charset, and Python's codec for it (:rfc:`9110#section-8.3`).

Responses, parts of multiparts and request bodies all use this parser.  A server may send
anything: parsing takes time linear in the length of the text and never raises.
"""

from __future__ import annotations

import codecs
import encodings
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from .grammar import TOKEN, unescaped

__all__ = (
    "ContentType",
    "codec_name",
    "encoding_of",
    "json_encoding",
    "parse_content_type",
)

#: Longest charset name, in characters, that :rfc:`2978#section-2.3` allows.  For a name that it
#: does not know, Python looks for a module: longer names are not looked up.
MAX_CHARSET: Final = 40

#: Codecs of Python that are not charsets.  Two are for host names, and their time grows with the
#: square of the length.  Two are for source code, and warn about escapes that a peer may send.
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape"})

# A parameter, or the malformed text in its place: everything from a semicolon to the next one
# outside of quotes.  A missing closing quote counts as one at the end, as in browsers.
_PARAMETER: Final = re.compile(
    rf';[ \t]*+(?>(?:({TOKEN})[ \t]*+=[ \t]*+(?:"((?>(?:[^"\\]++|\\.?)*))|([^;]*+)))?)[^;]*+',
    re.DOTALL,
)
_MEDIA_TYPE: Final = re.compile(rf"{TOKEN}/{TOKEN}")
# What follows the media type is not looked at: some servers separate parameters by commas, or name
# several types.
_JSON_TYPE: Final = re.compile(r"application/(?:[\w.+-]+?\+)?json")


@dataclass(frozen=True)  # without slots: cached properties need a __dict__
class ContentType:
    """A parsed ``Content-Type``."""

    #: the whole value, in lower case
    text: str
    #: in lower case; empty if the header is absent or malformed
    media_type: str
    #: by name in lower case, without malformed and empty ones; of a repeated name, the first
    #: parameter counts
    parameters: Mapping[str, str]

    @cached_property
    def charset(self) -> str | None:
        """The parameter ``charset``, up to a comma: proxies join a header that comes twice."""
        charset, comma, _ = self.parameters.get("charset", "").partition(",")
        return (charset.rstrip() if comma else charset) or None

    @cached_property
    def encoding(self) -> str | None:
        """Python's name of the given charset, or of the one that the media type always has."""
        return encoding_of(self.media_type, self.charset)

    @cached_property
    def is_json(self) -> bool:
        """Whether the text begins with a media type of JSON (:rfc:`6839#section-3.1`)."""
        return _JSON_TYPE.match(self.text) is not None

    def fits(self, expected: str) -> bool:
        """Whether it matches *expected*; ``application/json`` matches every type based on JSON."""
        return self.is_json if expected == "application/json" else expected in self.text


class _Memo(dict[str | None, ContentType]):
    """The parsed values of earlier calls: the responses of a program have few different ones.

    A peer must not make it grow, so it stores few values, and no long ones.
    """

    __slots__ = ()

    SIZE: Final = 64
    LENGTH: Final = 64

    def __missing__(self, header: str | None) -> ContentType:
        read = _parse(header or "")
        if header is None or len(header) <= self.LENGTH:
            if len(self) >= self.SIZE:
                self.clear()
            self[header] = read
        return read


#: Parses a ``Content-Type``; ``None`` stands for an absent one.  Each response is parsed, so a
#: stored value is looked up without calling a Python function.
parse_content_type: Final[Callable[[str | None], ContentType]] = _Memo().__getitem__


def _parse(header: str) -> ContentType:
    kind = header.partition(";")[0]
    parameters: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(header, len(kind)):
        value = unescaped(quoted) if quoted else plain.strip()
        if value:
            parameters.setdefault(name.lower(), value)
    media_type = kind.strip()
    if not _MEDIA_TYPE.fullmatch(media_type):
        media_type = ""
    return ContentType(header.lower(), media_type.lower(), parameters)


def encoding_of(media_type: str, charset: str | None) -> str | None:
    """Return Python's name of *charset*, else of the charset that *media_type* always has."""
    if charset and (name := codec_name(charset)):
        return name
    return "utf-8" if media_type in {"application/json", "application/rdap+json"} else None


def codec_name(charset: str) -> str | None:
    """Return Python's name of *charset*, ``None`` if no codec turns it into text."""
    # Names of charsets are ASCII (RFC 2978 §2.3).  Python up to 3.14 ignores other characters, and
    # later versions warn of them.
    return _codec_name(charset) if charset.isascii() and len(charset) <= MAX_CHARSET else None


@lru_cache(maxsize=64)
def _codec_name(charset: str) -> str | None:
    known = set(_looked_up)
    try:
        codec = codecs.lookup(charset)
        "".encode(charset)  # raises for codecs that do not encode text
    except (LookupError, ValueError):
        # Python remembers each name that it did not find, for ever.
        for name in set(_looked_up) - known:
            _looked_up.pop(name, None)
        return None
    return None if codec.name in _NO_CHARSETS else codec.name


#: Python's memory of the names of codecs, found or not.
_looked_up: Final[dict[str, object]] = getattr(encodings, "_cache", {})


def json_encoding(body: bytes) -> str | None:
    """Return the encoding that the first bytes of *body*, a JSON text, show; ``None`` for UTF-8.

    JSON begins with an ASCII character.  So a byte order mark, or zero bytes beside that character,
    tell the encoding for certain (:rfc:`4627#section-3`), whatever the headers say.
    """
    start = body[:2]
    if start.isascii() and 0 not in start:
        return None
    encoding = json.detect_encoding(body)
    return None if encoding == "utf-8" else encoding
