"""Makes names importable from here too, as older programs import them."""

from __future__ import annotations

from ._common import ChainMapProxy, ETag
from ._targets import BasicAuth, encode_basic_auth
from .cookiejar import DummyCookieJar

__all__ = ("BasicAuth", "ChainMapProxy", "DummyCookieJar", "ETag", "encode_basic_auth")
