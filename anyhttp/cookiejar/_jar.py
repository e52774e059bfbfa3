"""Cookie jars.

The rules are those of RFC 6265bis, section 5.  ``Set-Cookie`` is parsed in
:mod:`anyhttp._headers`.  The module ``_matching`` decides which host and path a cookie is for, and
``_store`` which cookies are dropped when there are too many.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from http.cookies import BaseCookie, Morsel, SimpleCookie
from types import MappingProxyType
from typing import Any, Final, Literal

from yarl import URL

from .._common import Hooks, check_flag, warn_deprecated
from .._headers import read_all
from ..abc import AbstractCookieJar, ClearCookiePredicate
from ..typedefs import LooseCookies, PathLikeStr, StrOrURL
from ._file import read_cookies, write_cookies
from ._given import morsels_of
from ._matching import Cookie, Place, domain_matches, is_ip, is_secure, scoped
from ._store import SecureCookies, Store
from ._view import CookiesByPlace

__all__ = ("CookieJar", "DummyCookieJar")

logger: Final = logging.getLogger("anyhttp.client")

NO_URL: Final = URL()

# For one request: servers commonly accept 8 KiB per header line.
MAX_COOKIES_PER_REQUEST: Final = 150
MAX_HEADER_OCTETS: Final = 8190

_NO_ORIGINS: Final[frozenset[URL]] = frozenset()


def _url(name: str, url: StrOrURL) -> URL:
    """Return the URL that the argument *name* is.

    :raises TypeError: *url* is neither a ``str`` nor a URL
    """
    if not isinstance(url, (str, URL)):
        raise TypeError(f"{name} must be a str or a yarl.URL, not {type(url).__name__}")
    return URL(url)


class CookieJar(AbstractCookieJar):
    """Stores cookies as browsers do (RFC 6265bis).

    :param unsafe: also accept cookies from IP addresses, and send them there; off by default
    :param quote_cookie: quote the values that the program gives if they hold special characters, as
        by default; ``False`` sends them as they are.  Values that servers set are always sent back
        unchanged
    :param treat_as_secure_origin: origins without TLS that may set and get ``Secure`` cookies; none
        by default
    :param loop: no effect; accepted for compatibility with aiohttp

    Cookies for a whole top-level domain are refused.  Other public suffixes, such as
    ``co.uk``, cannot be recognized without the public suffix list, which no dependency
    contains: a site below such a suffix can set cookies for other sites below it.

    A jar holds at most 180 cookies per domain and 3300 in all.  It drops cookies without ``Secure``
    first, then ``Secure`` ones, and last those whose names begin with ``__Host-``; of each kind,
    the least recently used one.  It refuses a new cookie rather than dropping a better protected
    one.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _HOOKS.check_subclass(cls)

    def __init__(
        self,
        positional_unsafe: bool | None = None,
        /,
        *,
        unsafe: bool = False,
        quote_cookie: bool = True,
        treat_as_secure_origin: StrOrURL | Iterable[StrOrURL] | None = None,
        loop: object = None,
    ) -> None:
        if loop is not None:
            super().__init__(loop=loop)
        if positional_unsafe is not None:
            warn_deprecated("give unsafe= by its name")
            unsafe = positional_unsafe
        check_flag("unsafe", unsafe)
        check_flag("quote_cookie", quote_cookie)
        if isinstance(treat_as_secure_origin, (str, URL)):
            treat_as_secure_origin = (treat_as_secure_origin,)
        _HOOKS.check_patches(type(self))
        self._unsafe = unsafe
        self._quote_cookie = quote_cookie
        self._secure_origins = (
            _NO_ORIGINS
            if treat_as_secure_origin is None
            else frozenset(
                _url("treat_as_secure_origin", url).origin() for url in treat_as_secure_origin
            )
        )
        self._store = Store()

    @property
    def unsafe(self) -> bool:
        """Whether cookies of IP addresses are accepted."""
        return self._unsafe

    @property
    def quote_cookie(self) -> bool:
        """Whether values that the application gives are quoted if they need it."""
        return self._quote_cookie

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins without TLS that may set and get ``Secure`` cookies."""
        return self._secure_origins

    @property
    def cookies(self) -> MappingProxyType[tuple[str, str], SimpleCookie]:
        """The stored cookies, by domain and by path without a trailing slash.

        Cookies for all hosts have the domain ``""``.  The mapping follows what happens to the
        jar; a ``SimpleCookie`` in it is made when it is asked for.
        """
        return MappingProxyType(CookiesByPlace(lambda: self._store))

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """(domain, path, name) of the cookies that are not sent to subdomains."""
        return frozenset(
            (cookie.domain, cookie.shown_path, cookie.name)
            for cookie in self._store
            if cookie.host_only
        )

    def __len__(self) -> int:
        self._store.expire(time.time())
        return self._store.count

    def __iter__(self) -> Iterator[Morsel[str]]:
        self._store.expire(time.time())
        return iter([cookie.morsel for cookie in self._store])

    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Remove all cookies, or those for which *predicate* is true."""
        if predicate is None:
            self._store = Store()
            return
        self._store.expire(time.time())
        for cookie in [cookie for cookie in self._store if predicate(cookie.morsel)]:
            self._store.remove(cookie)

    def clear_domain(self, domain: str) -> None:
        """Remove the cookies of *domain* and its subdomains."""
        domain = domain.lower()
        for cookie in list(self._store):
            if cookie.domain and domain_matches(cookie.domain, domain):
                self._store.remove(cookie)

    def update_cookies(self, cookies: LooseCookies, response_url: StrOrURL | None = NO_URL) -> None:
        """Store *cookies* as if a response from *response_url* had set them.

        :param cookies: names with texts or morsels; a morsel is stored under the name in it, and
            its own ``Domain``, ``Path`` and ``Secure`` say where it is sent
        :param response_url: without it, cookies that name no domain are sent to all hosts
        :raises ValueError: a name or a value holds a control character or a separator; no cookie
            is stored then
        """
        self._accept(morsels_of(cookies, self._quote_cookie), 0, response_url)

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: StrOrURL) -> None:
        """Store the cookies that the ``Set-Cookie`` values *headers* of one response set.

        A malformed one is ignored and does not affect the others.
        """
        if headers:
            self._accept(*read_all(headers), response_url)

    def _accept(self, morsels: Iterable[Morsel[str]], refused: int, url: StrOrURL | None) -> None:
        """Store those of *morsels* that *url* may set; the jar keeps and changes the objects."""
        origin = self._place(NO_URL if url is None else _url("response_url", url))
        if origin.host is not None and is_ip(origin.host) and not self._unsafe:
            return
        now = time.time()
        secure = None
        if origin.host is not None and not origin.secure:
            secure = SecureCookies(self._store, origin.host)
        for morsel in morsels:
            cookie = scoped(morsel, origin, now)
            if cookie is None or not self._admit(cookie, secure, now):
                refused += 1
        self._store.expire(now)
        if refused:
            # One log line for all of them.
            logger.debug("refused %d cookies of %s", refused, origin.host)

    def _admit(self, cookie: Cookie, secure: SecureCookies | None, now: float) -> bool:
        if secure is not None and secure.forbid(cookie):
            return False
        return self._store.put(cookie, now)

    def _place(self, url: URL) -> Place:
        host = url.raw_host
        secure = is_secure(url, self._secure_origins)
        return Place(host and host.lower(), url.raw_path or "/", secure)

    def filter_cookies(self, request_url: StrOrURL = NO_URL) -> BaseCookie[str]:
        """Return the cookies to send to *request_url*, in the order to send them.

        :param request_url: a ``str`` is deprecated

        Cookies with longer paths come first, then those that were set earlier.  Of several cookies
        with the same name only one is returned: a ``Secure`` one before others, then the one of the
        closest domain, then the one with the longest path.  A request carries at most 150 cookies
        and 8190 bytes of them; they are chosen in the same way.
        """
        found: BaseCookie[str] = BaseCookie()
        if not self._store.count:
            return found
        if not isinstance(request_url, URL):
            request_url = _url("request_url", request_url)
            warn_deprecated("filter_cookies() takes a yarl.URL")
        for cookie in self._to_send(request_url):
            # Call dict's method: BaseCookie's own refuses some names.
            dict.__setitem__(found, cookie.name, cookie.bare)
        return found

    def _to_send(self, url: URL) -> list[Cookie]:
        """Return the cookies of :meth:`filter_cookies`, and note that they are used."""
        host = url.raw_host
        if self._store.sites.keys().isdisjoint(self._domains(host and host.lower())):
            return []  # as for most requests: the jar has cookies of other hosts only
        self._store.expire(time.time())
        chosen = self._within_limits(self._matching(self._place(url)))
        if chosen:
            tick = self._store.tick()
            chosen.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
            for cookie in chosen:
                cookie.used = tick
        return chosen

    def _domains(self, host: str | None) -> tuple[str, ...]:
        # Long ones, which a redirect may name, are not cached.
        domains = _domains if host is None or len(host) <= 64 else _domains.__wrapped__
        return domains(host, self._unsafe)

    def _matching(self, target: Place) -> list[Cookie]:
        """Return the most specific cookie of each name, the most specific ones last."""
        host, path, secure = target
        chosen: dict[str, Cookie] = {}
        for domain in self._domains(host):
            site = self._store.sites.get(domain)
            if site is None:
                continue
            matching = [
                cookie
                for cookie in site.values()
                if cookie.matches(path, secure) and (domain == host or not cookie.host_only)
            ]
            matching.sort(key=lambda cookie: len(cookie.path))
            for cookie in matching:
                other = chosen.get(cookie.name)
                if other is None or other.protection <= cookie.protection:
                    chosen.pop(cookie.name, None)  # so that it is put in at the end
                    chosen[cookie.name] = cookie
        return list(chosen.values())

    def _within_limits(self, cookies: list[Cookie]) -> list[Cookie]:
        """Drop cookies until the rest is within the limits of a request.

        Those with less protection are dropped first, because anybody between client and server
        can set as many as he likes; of equal ones those at the front.
        """
        room = MAX_HEADER_OCTETS - len("Cookie: ") + len("; ")
        size = sum(cookie.octets + 2 for cookie in cookies)
        if size <= room and len(cookies) <= MAX_COOKIES_PER_REQUEST:
            return cookies
        taken: list[Cookie] = []
        cookies.sort(key=lambda cookie: cookie.protection)
        for cookie in reversed(cookies):
            if cookie.octets + 2 <= room and len(taken) < MAX_COOKIES_PER_REQUEST:
                room -= cookie.octets + 2
                taken.append(cookie)
        logger.debug("left out %d cookies of a request", len(cookies) - len(taken))
        return taken

    def save(
        self,
        file_path: PathLikeStr,
        *,
        format: Literal["json", "netscape"] = "json",  # noqa: A002 (what programs call it)
    ) -> None:
        """Write the cookies to a file that only its owner can read.

        :param format: ``"json"``, which holds everything, or ``"netscape"``, a ``cookies.txt`` as
            curl and :class:`http.cookiejar.MozillaCookieJar` read it
        :raises OSError: the file could not be made in its directory, or *file_path* exists and is
            not a regular file
        :raises ValueError: there is no such format

        Session cookies are written, too.  Both formats record when a cookie expires, and which
        cookies are for one host only.  A ``cookies.txt`` cannot hold ``SameSite``, cookies for all
        hosts, and cookies with a control character; the log says how many were left out.

        A new file with mode 0600 is made beside the old one, and replaces it when it is complete:
        a reader gets the old cookies or the new ones, and if the disk is full, the old ones remain.
        A symbolic link is replaced by the file; its target is left alone.
        """
        self._store.expire(time.time())
        write_cookies(file_path, self._store, format)

    def load(self, file_path: PathLikeStr) -> None:
        """Replace the cookies by those of a file: JSON that ``save`` wrote, or a ``cookies.txt``.

        The content decides which of them it is.  Cookies that the jar would not accept from their
        host are left out, and so are those without a name.

        :raises OSError: the file could not be read
        :raises ValueError: the file is damaged, or is not a file of cookies; the message names the
            file and the line.  The jar is unchanged
        """
        store = Store()
        now = time.time()
        for cookie in read_cookies(file_path, now):
            if self._unsafe or not is_ip(cookie.domain):
                store.put(cookie, now)
        self._store = store


@lru_cache(maxsize=256)
def _domains(host: str | None, unsafe: bool) -> tuple[str, ...]:
    """Return the domains whose cookies may be sent to *host*, the closest last.

    :param unsafe: whether an IP address may get cookies
    """
    domains = []
    if host:
        domains.append(host)
        if not is_ip(host):
            while (dot := host.find(".")) >= 0:
                host = host[dot + 1 :]
                domains.append(host)
        elif not unsafe:
            domains.clear()
    domains.append("")
    domains.reverse()
    return tuple(domains)


_STORED: Final = "Override update_cookies() and update_cookies_from_headers()"
_SENT: Final = "cookies would be sent without it. Override filter_cookies()"

#: how programs change aiohttp's jar, and not this one
_HOOKS: Final = Hooks(
    CookieJar,
    refused={
        "_update_cookies": f"cookies would be stored without it. {_STORED}",
        "_can_send": _SENT,
        "_filter_cookies_within_limits": _SENT,
        "_is_domain_match": _SENT,
    },
    unused={"_build_morsel": _STORED, "_do_expiration": "cookies expire by themselves"},
)


class DummyCookieJar(AbstractCookieJar):
    """Stores nothing and sends nothing.

    :param loop: no effect; accepted for compatibility with aiohttp
    """

    @property
    def unsafe(self) -> bool:
        """Whether cookies of IP addresses are accepted: none are."""
        return False

    @property
    def quote_cookie(self) -> bool:
        """Whether the ``cookies`` of a request are quoted if they need it."""
        return True

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """No origins."""
        return frozenset()

    @property
    def cookies(self) -> MappingProxyType[tuple[str, str], SimpleCookie]:
        """No cookies."""
        return MappingProxyType({})

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """No cookies."""
        return frozenset()

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Morsel[str]]:
        return iter(())

    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Do nothing."""

    def clear_domain(self, domain: str) -> None:
        """Do nothing."""

    def update_cookies(self, cookies: LooseCookies, response_url: StrOrURL | None = NO_URL) -> None:
        """Do nothing."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: StrOrURL) -> None:
        """Do nothing."""

    def filter_cookies(self, request_url: StrOrURL = NO_URL) -> BaseCookie[str]:
        """Return no cookies."""
        return SimpleCookie()
