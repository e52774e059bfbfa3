"""Cookie jars: which cookies are stored, and which are sent (:rfc:`6265`)."""

from __future__ import annotations

from .._headers import response_cookies
from ._foreign import checked_jar
from ._header import cookie_header
from ._jar import CookieJar, DummyCookieJar

__all__ = (
    "CookieJar",
    "DummyCookieJar",
    "checked_jar",
    "cookie_header",
    "response_cookies",
)
