"""A small model of RFC 6265bis, for jars to be compared with; "§" below means that document.

It follows the steps of the document one by one, looks at every cookie each time, and shares no
code with the package.  Where it differs from the document, it says so, as the package does.
"""

from __future__ import annotations

import math
from calendar import timegm
from dataclasses import dataclass
from typing import Final

from yarl import URL

__all__ = ("ModelCookie", "ModelJar", "model_date")

BLANKS: Final = " \t"
MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


# -- dates (§5.1.1)


def model_date(text: str) -> int | None:
    """Return the POSIX time of a cookie date."""
    time: tuple[int, ...] | None = None
    day = month = year = None
    for token in _tokens(text):
        if time is None and (found := _time(token)) is not None:
            time = found
        elif day is None and (number := _number(token, 1, 2)) is not None:
            day = number
        elif month is None and token[:3].lower() in MONTHS:
            month = MONTHS.index(token[:3].lower()) + 1
        elif year is None and (number := _number(token, 2, 4)) is not None:
            year = number
    if time is None or day is None or month is None or year is None:
        return None
    if 70 <= year <= 99:
        year += 1900
    elif 0 <= year <= 69:
        year += 2000
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = [31, 29 if is_leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    hour, minute, second = time
    if not 1 <= day <= days or year < 1601 or hour > 23 or minute > 59 or second > 59:
        return None
    return timegm((year, month, day, hour, minute, second))


def _tokens(text: str) -> list[str]:
    delimiters = {9, *range(0x20, 0x30), *range(0x3B, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x7F)}
    return "".join(" " if ord(char) in delimiters else char for char in text).split(" ")


def _digits(text: str) -> int:
    count = 0
    while text[count : count + 1] in set("0123456789"):
        count += 1
    return count


def _number(token: str, least: int, most: int) -> int | None:
    """Return the number that *token* begins with; no digit may follow it."""
    count = _digits(token)
    return int(token[:count]) if least <= count <= most else None


def _time(token: str) -> tuple[int, ...] | None:
    found = []
    for place in range(3):
        if place:
            if not token.startswith(":"):
                return None
            token = token[1:]
        number = _number(token, 1, 2)
        if number is None:
            return None
        found.append(number)
        token = token[_digits(token) :]
    return tuple(found)


# -- cookies


@dataclass
class ModelCookie:
    """A cookie that is stored (§5.7)."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    expiry: float
    created: int

    @property
    def protection(self) -> int:
        """Who could have set it: the package sends the better protected of one name."""
        return self.secure + (self.secure and self.name.lower().startswith("__host-"))


@dataclass
class _Attributes:
    domain: str = ""
    path: str = ""
    secure: bool = False
    http_only: bool = False
    expires: float | None = None
    max_age: float | None = None


def _domain_match(host: str, domain: str) -> bool:
    """§5.1.3, for hosts that are names."""
    return host == domain or host.endswith("." + domain)


def _path_match(path: str, cookie_path: str) -> bool:
    """§5.1.4."""
    if path == cookie_path:
        return True
    if not path.startswith(cookie_path):
        return False
    return cookie_path.endswith("/") or path[len(cookie_path)] == "/"


def _default_path(path: str) -> str:
    """§5.1.4."""
    if not path.startswith("/") or path.count("/") == 1:
        return "/"
    return path[: path.rindex("/")]


class ModelJar:
    """All cookies of a user agent for hosts that are names, without limits on their number."""

    def __init__(self) -> None:
        self.cookies: list[ModelCookie] = []
        self._made = 0

    def expire(self, now: float) -> None:
        """Remove what has expired."""
        self.cookies = [cookie for cookie in self.cookies if cookie.expiry > now]

    # -- a response

    def receive(self, header: str, url: URL, now: float) -> None:
        """Take one ``Set-Cookie`` (§5.6)."""
        if any((char < " " and char != "\t") or char == "\x7f" for char in header):
            return
        pair, *attributes = header.split(";")
        name, equals, value = pair.partition("=")
        name, value = name.strip(BLANKS), value.strip(BLANKS)
        # The package takes no cookie without a name, and none with a tab inside.
        if not equals or not name or "\t" in name + value:
            return
        if len((name + value).encode("utf-8", "surrogateescape")) > 4096:
            return
        found = _Attributes()
        for attribute in attributes:
            self._read(attribute, found, now)
        self._store(name, value, found, url, now)

    def _read(self, text: str, found: _Attributes, now: float) -> None:
        """§5.6.1 to §5.6.7: of each attribute the last one counts, if it can be read."""
        name, _, value = text.partition("=")
        name, value = name.strip(BLANKS).lower(), value.strip(BLANKS)
        if len(value.encode("utf-8", "surrogateescape")) > 1024 or "\t" in value:
            return
        if name == "secure":
            found.secure = True
        elif name == "httponly":
            found.http_only = True
        elif name == "path":
            found.path = value
        elif name == "domain" and value:  # without a value it is absent, as RFC 6265 had it
            found.domain = value.lower().removeprefix(".")
        elif name == "expires":
            date = model_date(value)
            found.expires = found.expires if date is None else date
        elif name == "max-age":
            number = value.removeprefix("-")
            if number and set(number) <= set("0123456789"):
                seconds = int(value)
                found.max_age = now + seconds if seconds > 0 else -math.inf

    def _store(self, name: str, value: str, found: _Attributes, url: URL, now: float) -> None:
        """§5.7."""
        host, is_secure = (url.raw_host or "").lower(), url.scheme in {"https", "wss"}
        domain = found.domain
        if domain.endswith("."):  # the package takes it for absent
            domain = ""
        if domain and "." not in domain:  # a public suffix, as far as one is known without a list
            if domain != host:
                return
            domain = ""
        if domain and not _domain_match(host, domain):
            return
        path = found.path if found.path.startswith("/") else _default_path(url.raw_path)
        expiry = found.expires if found.max_age is None else found.max_age
        cookie = ModelCookie(
            name=name,
            value=value,
            domain=domain or host,
            path=path,
            host_only=not domain,
            secure=found.secure,
            expiry=math.inf if expiry is None else expiry,
            created=0,
        )
        if cookie.secure and not is_secure:
            return
        if not is_secure and any(self._overlays(cookie, other) for other in self.cookies):
            return
        prefix = name.lower()
        if prefix.startswith(("__secure-", "__host-")) and not cookie.secure:
            return
        if prefix.startswith("__host-") and (found.domain or found.path != "/"):
            return
        for other in self.cookies:
            same = (other.name, other.domain, other.path) == (name, cookie.domain, path)
            if same:
                cookie.created = other.created
                self.cookies.remove(other)
                break
        else:
            self._made += 1
            cookie.created = self._made
        if cookie.expiry > now:
            self.cookies.append(cookie)

    def _overlays(self, cookie: ModelCookie, other: ModelCookie) -> bool:
        """Whether *cookie*, which comes without TLS, would overlay *other*."""
        is_near = _domain_match(cookie.domain, other.domain) or _domain_match(
            other.domain, cookie.domain
        )
        same_name = other.secure and other.name == cookie.name
        return same_name and is_near and _path_match(cookie.path, other.path)

    # -- a request

    def header(self, url: URL) -> str:
        """Return the ``Cookie`` header for *url* (§5.8.3); empty for none."""
        host, is_secure = (url.raw_host or "").lower(), url.scheme in {"https", "wss"}
        found = [
            cookie
            for cookie in self.cookies
            if (host == cookie.domain if cookie.host_only else _domain_match(host, cookie.domain))
            and _path_match(url.raw_path or "/", cookie.path)
            and (is_secure or not cookie.secure)
        ]
        found.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
        # The package sends one of each name, as its public methods return mappings.
        best: dict[str, ModelCookie] = {}
        for cookie in found:
            rank = cookie.protection, len(cookie.domain), len(cookie.path)
            other = best.get(cookie.name)
            if other is None or rank > (other.protection, len(other.domain), len(other.path)):
                best[cookie.name] = cookie
        return "; ".join(
            f"{cookie.name}={cookie.value}" for cookie in found if best[cookie.name] is cookie
        )
