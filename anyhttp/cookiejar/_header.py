"""The ``Cookie`` header of a request."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable
from http.cookies import Morsel
from typing import Final

from yarl import URL

from .._headers import BLANK
from ..abc import AbstractCookieJar
from ..typedefs import LooseCookies
from ._given import morsels_of
from ._jar import CookieJar
from ._matching import Place, domain_matches, is_secure, scoped

__all__ = ("cookie_header",)


def cookie_header(
    jar: AbstractCookieJar,
    url: URL,
    explicit: str | None = None,
    given: LooseCookies | None = None,
) -> str | None:
    """Return the value of the one ``Cookie`` header of a request to *url*; None for no header.

    :param explicit: the application's ``Cookie`` headers, joined by ``"; "``
    :param given: the ``cookies`` option of the request; a morsel among them is sent only where
        its own ``Domain``, ``Path`` and ``Secure`` allow it: a ``Secure`` one over TLS, or to an
        origin that *jar* treats as secure
    :raises ValueError: a name or a value of *given* holds a control character or a separator, or
        one of *jar*, if that is no :class:`CookieJar`, holds a semicolon

    If a name is in several of them, *given* takes precedence over the jar, and the jar over
    *explicit*.  Octets of a server's cookie that are not UTF-8 are lone surrogates in the text,
    because fields are decoded with ``surrogateescape``; encode the text in the same way.
    """
    if (
        type(jar) is CookieJar
        # This is is_own_method(), written out as it runs for each request.
        and CookieJar.filter_cookies is _FILTER_COOKIES
        and "filter_cookies" not in jar.__dict__
    ):
        if not given and not jar._store.count:
            return explicit  # the common case
        pairs = {cookie.name: f"{cookie.name}={cookie.text}" for cookie in jar._to_send(url)}
    else:
        stored = jar.filter_cookies(url)
        # A jar of the application's own may use other keys than the names in the morsels.
        pairs = {cookie.key: _pair(cookie) for cookie in stored.values()}
    if given:
        # A jar of aiohttp has none before 3.14.
        secure = is_secure(url, getattr(jar, "treat_as_secure_origin", frozenset()))
        pairs |= _fitting(morsels_of(given, jar.quote_cookie), url, secure)
    if not pairs:
        return explicit
    own = _without(pairs, explicit) if explicit else ""
    return "; ".join([own, *pairs.values()] if own else pairs.values())


def _pair(cookie: Morsel[str]) -> str:
    """Return the text of a cookie that a jar of the application's own has chosen."""
    text = f"{cookie.key}={cookie.coded_value}"
    if ";" in text:
        # The value is not shown: it may be a secret.
        raise ValueError(f"cookie_jar: cookie {cookie.key!r} holds a semicolon")
    return text


_FILTER_COOKIES: Final = CookieJar.filter_cookies


def _fitting(morsels: Iterable[Morsel[str]], url: URL, secure: bool) -> dict[str, str]:
    """Return those of the caller's cookies that may be sent to *url*, by name."""
    host, path = (url.raw_host or "").lower(), url.raw_path or "/"
    now = time.time()
    pairs = {}
    for morsel in morsels:
        cookie = scoped(morsel, Place(None, "/", secure), now)
        if (
            cookie
            and cookie.matches(path, secure)
            and not cookie.is_expired(now)
            and (not cookie.domain or domain_matches(host, cookie.domain))
        ):
            pairs[cookie.name] = f"{cookie.name}={cookie.text}"
    return pairs


def _without(names: Container[str], header: str) -> str:
    """Return the text of a ``Cookie`` header without the cookies called *names*."""
    kept = [
        piece for piece in header.split(";") if piece.partition("=")[0].strip(BLANK) not in names
    ]
    # Joined exactly as split: the kept cookies of the application's header are unchanged.
    return ";".join(kept).strip(BLANK + ";")
