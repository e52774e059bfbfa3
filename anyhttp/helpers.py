"""Another way to import names that older programs know from here."""

from __future__ import annotations

from ._common import ChainMapProxy, ETag
from ._targets import BasicAuth, encode_basic_auth
from .cookiejar import DummyCookieJar

__all__ = ("BasicAuth", "ChainMapProxy", "DummyCookieJar", "ETag", "encode_basic_auth")
