"""``Content-Type``: media type, charset, and Python's codec for it (:rfc:`9110#section-8.3`).

Responses, parts of multiparts and bodies that are sent are all read here.  A server may send
anything: reading it takes time linear in its length and never raises.
"""

from __future__ import annotations

import codecs
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
    "parse_content_type",
)

#: Longest name of a charset, in characters, that :rfc:`2978#section-2.3` has registered.  Python
#: looks for a module of each name that it does not know, and remembers the name.
MAX_CHARSET: Final = 40

#: Codecs of Python that are no charsets: two for host names, whose time grows with the square of
#: the length, and two for source code, which warn of escapes that a peer may send.
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape"})

# A parameter, or what stands in the place of one: whatever follows a semicolon up to the next
# that is not in quotes.  As browsers do, quotes that are not closed go up to the end.
_PARAMETER: Final = re.compile(
    rf';[ \t]*+(?:({TOKEN})[ \t]*+=[ \t]*+(?:"((?:[^"\\]++|\\.?)*+)|([^;]*+)))?+[^;]*+', re.DOTALL
)
_MEDIA_TYPE: Final = re.compile(rf"{TOKEN}/{TOKEN}")
_JSON_TYPE: Final = re.compile(r"application/(?:[\w.+-]+?\+)?json", re.ASCII)


@dataclass(frozen=True)  # without slots, for the sake of the cached properties
class ContentType:
    """What a ``Content-Type`` says."""

    #: all of it, in lower case
    text: str
    #: in lower case; empty if there is none, or if it is malformed
    media_type: str
    #: by their names in lower case, without those that are malformed or empty; of a repeated one
    #: the first
    parameters: Mapping[str, str]

    @property
    def charset(self) -> str | None:
        """The parameter of this name."""
        return self.parameters.get("charset")

    @cached_property
    def encoding(self) -> str | None:
        """Python's name of the charset that is named, or that the media type always has."""
        return encoding_of(self.media_type, self.charset)

    @cached_property
    def is_json(self) -> bool:
        """Whether it is JSON, or some format that is JSON too (:rfc:`6839#section-3.1`)."""
        return _JSON_TYPE.fullmatch(self.media_type) is not None

    def fits(self, expected: str) -> bool:
        """Whether it can be taken for *expected*; ``application/json`` is anything that is JSON."""
        return self.is_json if expected == "application/json" else expected in self.text


class _Memo(dict[str | None, ContentType]):
    """The types that were read before: the responses of a program have few different ones.

    A peer must not make it grow: it holds few, and none that is long.
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


#: Reads a ``Content-Type``, ``None`` for one that is absent.  It is asked for with each response,
#: so what is found costs no call of a function.
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
    """Return Python's name of *charset*, or else of the charset that *media_type* always has."""
    if charset and (name := codec_name(charset)):
        return name
    return "utf-8" if media_type in {"application/json", "application/rdap+json"} else None


def codec_name(charset: str) -> str | None:
    """Return Python's name of *charset*, ``None`` if it has no codec that turns it into text."""
    return None if len(charset) > MAX_CHARSET else _codec_name(charset)


@lru_cache(maxsize=64)
def _codec_name(charset: str) -> str | None:
    try:
        codec = codecs.lookup(charset)
        "".encode(charset)  # raises for codecs that turn bytes into bytes
    except (LookupError, ValueError):
        return None
    return None if codec.name in _NO_CHARSETS else codec.name
