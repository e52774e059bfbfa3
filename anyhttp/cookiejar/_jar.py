"""Cookie jars, and the ``Cookie`` header of a request.

The rules are those of RFC 6265bis, section 5; "§" below means that document.  ``Set-Cookie`` is
parsed in :mod:`anyhttp._headers`.  The module ``_matching`` decides which host and path a
cookie is for, and ``_store`` which cookies are dropped when there are too many.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from http.cookies import BaseCookie, CookieError, Morsel, SimpleCookie
from types import MappingProxyType
from typing import Any, Final

from yarl import URL

from .._common import check_str, pairs_of, warn_deprecated
from .._headers import (
    ATTRIBUTES,
    BLANK,
    CONTROL,
    CONTROL_RANGE,
    make_morsel,
    octets,
    read_all,
    response_cookies,
)
from ..abc import AbstractCookieJar, ClearCookiePredicate
from ..typedefs import LooseCookies, PathLikeStr, StrOrURL
from ._matching import Cookie, Place, domain_matches, is_ip, scoped
from ._store import Store

__all__ = ("CookieJar", "DummyCookieJar", "cookie_header", "response_cookies")

logger: Final = logging.getLogger("anyhttp.client")

NO_URL: Final = URL()

_BAD_IN_NAME: Final = re.compile(rf"[{CONTROL_RANGE};=]")
_BAD_IN_VALUE: Final = re.compile(rf"[{CONTROL_RANGE};]")
_QUOTING: Final = SimpleCookie()


def _morsels_of(cookies: LooseCookies, quote: bool) -> list[Morsel[str]]:
    """Return the caller's cookies, each as a morsel with the text to send.

    :raises ValueError: a cookie would alter the rest of the ``Cookie`` header
    :raises TypeError: *cookies* are no cookies
    """
    made = []
    for name, given in pairs_of("cookies", cookies):
        check_str("cookies: a name", name)
        if isinstance(given, Morsel):
            value = given.value
            text = given.coded_value if quote else value
        else:
            if given is None or isinstance(given, (bytes, bytearray)):
                raise TypeError(f"cookies: {name} must be a str, not {type(given).__name__}")
            value = str(given)
            # A control character is looked for in the unquoted *value*: quoting hides it from the
            # check below, but not from servers.
            text = _QUOTING.value_encode(value)[1] if quote else value
        if not name or name != name.strip() or _BAD_IN_NAME.search(name):
            raise ValueError(f"a cookie cannot be named {name!r}")
        if CONTROL.search(value) or _BAD_IN_VALUE.search(text):
            # The value is not shown: it may be a secret.
            raise ValueError(f"cookie {name!r} holds a control character or a semicolon")
        if octets(name + text) is None:
            raise ValueError(f"cookie {name!r} cannot be encoded as UTF-8")
        morsel = make_morsel(name, value, text)
        if isinstance(given, Morsel):
            dict.update(morsel, given)
        made.append(morsel)
    return made


# -- the jars --------------------------------------------------------------------------------

# For one request: servers commonly accept 8 KiB per header line.
MAX_COOKIES_PER_REQUEST: Final = 150
MAX_HEADER_OCTETS: Final = 8190

_SECURE_SCHEMES: Final = frozenset({"https", "wss"})
_NO_ORIGINS: Final[frozenset[URL]] = frozenset()


class CookieJar(AbstractCookieJar):
    """Stores cookies as browsers do (RFC 6265bis).

    :param unsafe: accept cookies from IP addresses too, and send them there
    :param quote_cookie: quote values that the application gives if they hold special
        characters; False sends them verbatim.  Values that servers set are always sent back
        unchanged.
    :param treat_as_secure_origin: origins without TLS that may set and get ``Secure`` cookies
    :param loop: ignored

    Cookies for a whole top-level domain are refused.  Other public suffixes, such as
    ``co.uk``, cannot be recognized without the public suffix list, which no dependency
    contains: a site below such a suffix can set cookies for other sites below it.

    A jar is bounded: 180 cookies per domain and 3300 in all; the least recently used cookies
    are dropped first.
    """

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
        super().__init__(loop=loop)
        if positional_unsafe is not None:
            warn_deprecated("give unsafe= by its name")
            unsafe = positional_unsafe
        if isinstance(treat_as_secure_origin, (str, URL)):
            treat_as_secure_origin = (treat_as_secure_origin,)
        self._unsafe = unsafe
        self._quote_cookie = quote_cookie
        self._secure_origins = (
            _NO_ORIGINS
            if treat_as_secure_origin is None
            else frozenset(URL(url).origin() for url in treat_as_secure_origin)
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

        Cookies for all hosts have the domain ``""``.
        """
        view: dict[tuple[str, str], SimpleCookie] = {}
        for cookie in self._store:
            place = view.setdefault((cookie.domain, cookie.shown_path), SimpleCookie())
            dict.__setitem__(place, cookie.name, cookie.morsel)
        return MappingProxyType(view)

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

    def update_cookies(self, cookies: LooseCookies, response_url: URL = NO_URL) -> None:
        """Store *cookies* as if a response from *response_url* had set them.

        :param response_url: without it, cookies that name no domain are sent to all hosts
        :raises ValueError: a name or a value holds a control character or a separator; no cookie
            is stored then
        """
        self._accept(_morsels_of(cookies, self._quote_cookie), 0, response_url)

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Store the cookies that the ``Set-Cookie`` values *headers* of one response set.

        A malformed one is ignored and does not affect the others.
        """
        if headers:
            self._accept(*read_all(headers), response_url)

    def _accept(self, morsels: Iterable[Morsel[str]], refused: int, url: URL) -> None:
        """Store those of *morsels* that *url* may set; the jar keeps and changes the objects."""
        origin = self._place(url)
        if origin.host is not None and is_ip(origin.host) and not self._unsafe:
            return
        now = time.time()
        for morsel in morsels:
            cookie = scoped(morsel, origin, now)
            if cookie is None or not self._admit(cookie, origin, now):
                refused += 1
        self._store.expire(now)
        if refused:
            # One log line for all of them.
            logger.debug("refused %d cookies of %s", refused, origin.host)

    def _admit(self, cookie: Cookie, origin: Place, now: float) -> bool:
        if origin.host is not None and not origin.secure and self._store.overlaid(cookie):
            return False
        return self._store.put(cookie, now)

    def _place(self, url: URL) -> Place:
        secure = url.scheme in _SECURE_SCHEMES
        if not secure and self._secure_origins:
            try:
                secure = url.origin() in self._secure_origins
            except ValueError:  # not an absolute URL
                secure = False
        host = url.raw_host
        return Place(host and host.lower(), url.raw_path or "/", secure)

    def filter_cookies(self, request_url: StrOrURL = NO_URL) -> BaseCookie[str]:
        """Return the cookies to send to *request_url*, in the order to send them.

        :param request_url: a ``str`` is deprecated

        Cookies with longer paths come first, then those that were set earlier.  Of several with the
        same name only the most specific is returned: the one of the closest domain, then of the
        longest path.
        """
        found: BaseCookie[str] = BaseCookie()
        if not self._store.count:
            return found
        if not isinstance(request_url, URL):
            warn_deprecated("filter_cookies() takes a yarl.URL")
            request_url = URL(request_url)
        self._store.expire(time.time())
        chosen = self._within_limits(self._matching(self._place(request_url)))
        if not chosen:
            return found
        tick = self._store.tick()
        chosen.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
        for cookie in chosen:
            cookie.used = tick
            # Call dict's method: BaseCookie's own refuses some names.
            dict.__setitem__(found, cookie.name, cookie.bare)
        return found

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
                chosen.pop(cookie.name, None)
                chosen[cookie.name] = cookie
        return list(chosen.values())

    def _domains(self, host: str | None) -> list[str]:
        """Return the domains whose cookies may be sent to *host*, the closest last."""
        domains = []
        if host:
            domains.append(host)
            if not is_ip(host):
                while (dot := host.find(".")) >= 0:
                    host = host[dot + 1 :]
                    domains.append(host)
            elif not self._unsafe:
                domains.clear()
        domains.append("")
        domains.reverse()
        return domains

    def _within_limits(self, cookies: list[Cookie]) -> list[Cookie]:
        """Drop cookies, from the front, until the rest is within the limits of a request."""
        room = MAX_HEADER_OCTETS - len("Cookie: ") + len("; ")
        size = sum(cookie.octets + 2 for cookie in cookies)
        if size <= room and len(cookies) <= MAX_COOKIES_PER_REQUEST:
            return cookies
        taken: list[Cookie] = []
        for cookie in reversed(cookies):
            if cookie.octets + 2 <= room and len(taken) < MAX_COOKIES_PER_REQUEST:
                room -= cookie.octets + 2
                taken.append(cookie)
        logger.debug("left out %d cookies of a request", len(cookies) - len(taken))
        return taken

    def save(self, file_path: PathLikeStr) -> None:
        """Write the cookies to a file, as JSON; only its owner can read a new file.

        Session cookies are written too.  The file also records when a cookie expires, and which
        cookies are for one host only.

        :raises OSError: the file could not be written
        """
        now = time.time()
        self._store.expire(now)
        data: dict[str, dict[str, dict[str, object]]] = {}
        for cookie in self._store:
            record: dict[str, object] = {
                "key": cookie.name,
                "value": cookie.morsel.value,
                "coded_value": cookie.text,
            }
            record |= {
                name: value
                for name, value in cookie.morsel.items()
                if value and name not in ("expires", "max-age")
            }
            if cookie.host_only:
                record["host_only"] = True
            if cookie.expires is not None:
                record["expires_timestamp"] = cookie.expires
            data.setdefault(f"{cookie.domain}|{cookie.path}", {})[cookie.name] = record
        text = json.dumps(data, indent=2)

        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        with open(file_path, "w", encoding="utf-8", opener=private) as file:
            file.write(text)

    def load(self, file_path: PathLikeStr) -> None:
        """Replace the cookies by those of a file that ``save`` wrote.

        Cookies that the jar would not accept from their host are left out.

        :raises OSError: the file could not be read
        :raises ValueError: ``save`` did not write this file; the jar is unchanged
        """
        with open(file_path, "rb") as file:
            content = file.read()
        if content.startswith(b"\x80"):  # the first byte of a pickle of protocol 2 or later
            raise ValueError(
                f"{os.fspath(file_path)!r} is a pickle, and loading one could run code; "
                f"save() writes JSON now"
            )
        data = json.loads(content.decode("utf-8"))
        store = Store()
        now = time.time()
        try:
            for place, records in data.items():
                domain, bar, _ = place.partition("|")
                if not bar:
                    raise ValueError("a key without path")
                for record in records.values():
                    cookie = _restored(domain, record, now)
                    if cookie and (self._unsafe or not is_ip(cookie.domain)):
                        store.put(cookie, now)
        except _MALFORMED as exc:
            raise ValueError(f"{os.fspath(file_path)!r} is no file of cookies: {exc}") from exc
        self._store = store


# The errors of reading a JSON file that save() has not written.
_MALFORMED: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    CookieError,
)


def _restored(domain: str, record: dict[str, Any], now: float) -> Cookie | None:
    """Make a cookie from its record in a file of ``save``."""
    given = make_morsel(record["key"], record["value"], record["coded_value"])
    for name, value in record.items():
        if name in ATTRIBUTES:
            if not isinstance(value, (str, int)):  # applications may set "version" to a number
                raise TypeError(f"{name} is neither text nor a flag nor a number")
            given[name] = value
    if record.get("host_only"):
        given["domain"] = ""
    (morsel,) = _morsels_of({given.key: given}, quote=True)
    expires = record.get("expires_timestamp")
    if expires is not None and not (isinstance(expires, (int, float)) and math.isfinite(expires)):
        raise ValueError("an expiry that is no time")
    # The cookie was accepted when it was set, so accept it as if its host sets it over TLS.
    cookie = scoped(morsel, Place(domain or None, "/", secure=True), now)
    if cookie and expires is not None:
        cookie.expires = float(expires)
    return cookie


class DummyCookieJar(AbstractCookieJar):
    """Stores nothing and sends nothing.

    :param loop: ignored
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

    def update_cookies(self, cookies: LooseCookies, response_url: URL = NO_URL) -> None:
        """Do nothing."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Do nothing."""

    def filter_cookies(self, request_url: StrOrURL = NO_URL) -> BaseCookie[str]:
        """Return no cookies."""
        return SimpleCookie()


# -- the header ------------------------------------------------------------------------------


def cookie_header(
    jar: AbstractCookieJar,
    url: URL,
    explicit: str | None = None,
    given: LooseCookies | None = None,
) -> str | None:
    """Return the value of the one ``Cookie`` header of a request to *url*; None for no header.

    :param explicit: the application's ``Cookie`` headers, joined by ``"; "``
    :param given: the ``cookies`` option of the request; a morsel among them is sent only where
        its own ``Domain``, ``Path`` and ``Secure`` allow it
    :raises ValueError: a name or a value of *given* holds a control character or a separator

    If a name is in several of them, *given* takes precedence over the jar, and the jar over
    *explicit*.  Octets of a server's cookie that are not UTF-8 are lone surrogates in the text,
    because fields are decoded with ``surrogateescape``; encode the text in the same way.
    """
    if not given and type(jar) is CookieJar and not jar._store.count:
        return explicit  # the common case
    stored = jar.filter_cookies(url)
    pairs = {name: f"{name}={morsel.coded_value}" for name, morsel in stored.items()}
    if given:
        pairs |= _fitting(_morsels_of(given, jar.quote_cookie), url)
    if not pairs:
        return explicit
    own = _without(pairs, explicit) if explicit else ""
    return "; ".join([own, *pairs.values()] if own else pairs.values())


def _fitting(morsels: Iterable[Morsel[str]], url: URL) -> dict[str, str]:
    """Return those of the caller's cookies that may be sent to *url*, by name."""
    host, path = (url.raw_host or "").lower(), url.raw_path or "/"
    secure = url.scheme in _SECURE_SCHEMES
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
