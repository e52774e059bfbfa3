"""Another way to import names that older programs know from here."""

from __future__ import annotations

from ._auth import BasicAuth, encode_basic_auth
from ._maps import ChainMapProxy
from ._values import ETag
from .cookiejar import DummyCookieJar

__all__ = ("BasicAuth", "ChainMapProxy", "DummyCookieJar", "ETag", "encode_basic_auth")
