"""Makes names importable from here too, as older programs import them."""

from __future__ import annotations

from ._common import SERVER_SOFTWARE, HttpVersion, HttpVersion10, HttpVersion11

__all__ = ("SERVER_SOFTWARE", "HttpVersion", "HttpVersion10", "HttpVersion11")
