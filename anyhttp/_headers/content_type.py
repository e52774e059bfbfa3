"""``Content-Type``: media type, charset, and Python's codec for it (:rfc:`9110#section-8.3`)."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final

from .. import hdrs

__all__ = (
    "announced_encoding",
    "encoding_of",
    "is_of_type",
    "media_type",
)

_JSON_TYPE: Final = re.compile(r"application/(?:[\w.+-]+?\+)?json$", re.IGNORECASE)


#: Codecs of Python that are no charsets, and cost quadratic time on what a peer may send.
_NO_CHARSETS: Final = frozenset({"punycode", "idna"})


@lru_cache(maxsize=128)
def _codec_name(charset: str) -> str | None:
    """Return Python's name of *charset*, ``None`` if it has no codec for it."""
    try:
        codec = codecs.lookup(charset)
        "".encode(charset)  # raises for codecs that turn bytes into bytes
    except (LookupError, ValueError):
        return None
    return None if codec.name in _NO_CHARSETS else codec.name


@lru_cache(maxsize=128)
def announced_encoding(content_type: str | None) -> str | None:
    """Return the charset that a ``Content-Type`` names, or that its media type always has."""
    return encoding_of(*media_type(content_type))


def encoding_of(media_type: str, charset: str | None) -> str | None:
    if charset and (name := _codec_name(charset)):
        return name
    return "utf-8" if media_type in {"application/json", "application/rdap+json"} else None


@lru_cache(maxsize=128)
def is_of_type(content_type: str | None, expected: str) -> bool:
    """Whether a response that says *content_type* can be taken for *expected*."""
    actual = (content_type or "").lower()
    if expected == "application/json":
        return _JSON_TYPE.match(actual.partition(";")[0].strip()) is not None
    return expected in actual


@lru_cache(maxsize=128)
def media_type(value: str | None) -> tuple[str, str | None]:
    """Return media type and charset of a ``Content-Type``."""
    charset = _parameter(value, "charset") if value and ";" in value else None
    media_type = (value or "").partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(media_type):
        media_type = "application/octet-stream"
    return media_type, charset


def _parameter(content_type: str, name: str) -> str | None:
    from email.message import Message  # slow to import, and many types have no parameter

    message = Message()
    message[hdrs.CONTENT_TYPE] = content_type
    value = message.get_param(name)
    return value if value and isinstance(value, str) else None


#: Two tokens (:rfc:`9110#section-8.3.1`).
_MEDIA_TYPE: Final = re.compile(r"[\w!#$&+\-.^`|~*%']+/[\w!#$&+\-.^`|~*%']+", re.ASCII)
