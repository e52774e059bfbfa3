"""Makes names importable from here too, as programs and libraries import them."""

from __future__ import annotations

from types import EllipsisType as _SENTINEL  # noqa: N814  (aiohttp's name of the type, for hints)

from ._common import ChainMapProxy, ETag, TimerNoop, sentinel
from ._headers import HeadersMixin, MimeType, parse_mimetype
from ._targets import BasicAuth, encode_basic_auth, strip_auth_from_url
from .cookiejar import DummyCookieJar

__all__ = (
    "BasicAuth",
    "ChainMapProxy",
    "DummyCookieJar",
    "ETag",
    "HeadersMixin",
    "MimeType",
    "TimerNoop",
    "_SENTINEL",
    "encode_basic_auth",
    "parse_mimetype",
    "sentinel",
    "strip_auth_from_url",
)
