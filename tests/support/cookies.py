"""Jars that got cookies from responses, what they send, and a clock for them."""

from __future__ import annotations

from typing import Final

from yarl import URL

from anyhttp.cookiejar import CookieJar, cookie_header

SITE: Final = URL("https://example.com/")


def jar_with(*headers: str, url: URL | str = SITE, jar: CookieJar | None = None) -> CookieJar:
    """Return a jar that got *headers* in one response from *url*."""
    jar = CookieJar() if jar is None else jar
    jar.update_cookies_from_headers(headers, URL(url))
    return jar


def sent(jar: CookieJar, url: URL | str = SITE) -> str:
    """Return the Cookie header for *url*, empty if there is none."""
    return cookie_header(jar, URL(url)) or ""


class Clock:
    """Stands in for ``time.time``."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now
