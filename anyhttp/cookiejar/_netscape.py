"""The file ``cookies.txt``, which curl, wget, browsers' extensions and ``http.cookiejar`` know.

Each cookie is a line of seven fields, separated by tabs: its domain, whether that includes
subdomains, the path, whether it is ``Secure``, when it expires (0 for a session cookie), name and
value.  ``#HttpOnly_`` before the domain marks an ``HttpOnly`` cookie; other lines that begin with
``#`` are comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from .._headers import BLANK, CONTROL, decoded_value, octets
from ._given import checked_morsel
from ._matching import Cookie, Place, scoped

__all__ = ("BadLine", "is_netscape", "netscape_file", "netscape_line", "read_netscape")

_HTTP_ONLY: Final = "#HttpOnly_"
_FIELDS: Final = 7
_FLAGS: Final = {"TRUE": True, "FALSE": False}

#: Whole seconds or, as some programs write them, with a fraction; -1 is written for 0.
_TIME: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)

_TITLE: Final = "# Netscape HTTP Cookie File"
#: ``http.cookiejar`` accepts a file with the shorter title, too.
_TITLES: Final = (_TITLE.encode(), b"# HTTP Cookie File")

_NOTE: Final = "# A line that begins with #HttpOnly_ is a cookie, not a comment."


class BadLine(ValueError):
    """A line is damaged; the text says which and how, and does not show the value in it."""


def is_netscape(content: bytes) -> bool:
    """Whether *content* is that of such a file: it has the title, or fields in its first line."""
    for line in content.splitlines():
        if line.startswith(_TITLES):
            return True
        if line.strip() and (not line.startswith(b"#") or line.startswith(_HTTP_ONLY.encode())):
            return b"\t" in line
    return False


def netscape_file(lines: Iterable[str]) -> bytes:
    """Return the content of a file with these lines."""
    text = "".join(f"{line}\n" for line in (_TITLE, _NOTE, "", *lines))
    return text.encode("utf-8", "surrogateescape")


def netscape_line(cookie: Cookie) -> str | None:
    """Return the line for *cookie*, ``None`` if there can be none.

    A cookie for all hosts has no domain.  Domain, path and name that the program has given may
    hold control characters, and a tab or a line break would make two fields or lines of one.
    """
    domain = cookie.domain if cookie.host_only else f".{cookie.domain}"
    path, name, text = cookie.path, cookie.name, cookie.text
    if not cookie.domain or CONTROL.search(f"{domain}{path}{name}{text}"):
        return None
    start = _HTTP_ONLY if cookie.morsel["httponly"] else ""
    tail, secure = (str(flag).upper() for flag in (not cookie.host_only, cookie.secure))
    expires = 0 if cookie.expires is None else int(cookie.expires)
    return "\t".join((start + domain, tail, path, secure, str(expires), name, text))


def read_netscape(content: bytes, now: float) -> Iterator[Cookie]:
    """Yield the cookies in *content*, but those that nobody could set, or that have no name.

    :raises BadLine: a line is damaged
    """
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix("\r")
        http_only = line.startswith(_HTTP_ONLY)
        if not line.strip() or (line.startswith("#") and not http_only):
            continue
        try:
            cookie = _read_line(line.removeprefix(_HTTP_ONLY), http_only, now)
        except ValueError as exc:
            raise BadLine(f"line {number}: {exc}") from None
        if cookie is not None:
            yield cookie


def _read_line(line: str, http_only: bool, now: float) -> Cookie | None:
    """Return the cookie of a line; ``None`` if its host could not set it.

    :raises ValueError: the line is damaged
    """
    fields = line.split("\t")
    if len(fields) == _FIELDS - 1:
        fields.append("")  # some programs leave an empty value away, with the tab before it
    if len(fields) != _FIELDS:
        raise ValueError(f"it has {len(fields)} fields, separated by tabs, not {_FIELDS}")
    domain, tail, path, secure, time, name, text = (field.strip(BLANK) for field in fields)
    domain = domain.lower().removeprefix(".")
    if not domain:
        raise ValueError("it has no domain")
    if "|" in domain:  # save() writes it between domain and path
        raise ValueError("its domain holds a '|', which no host has")
    if CONTROL.search(domain + path) or octets(domain + path) is None:
        raise ValueError("its domain or path holds a control character")
    includes_subdomains = _flag("second", tail)
    is_secure = _flag("fourth", secure)
    expires = _expiry(time)
    if not name:
        return None
    morsel = checked_morsel(name, decoded_value(text), text)
    morsel["path"], morsel["domain"] = path or "/", domain if includes_subdomains else ""
    morsel["secure"], morsel["httponly"] = is_secure or "", http_only or ""
    # The cookie was accepted when it was set, so accept it as if its host sets it over TLS.
    cookie = scoped(morsel, Place(domain, "/", secure=True), now)
    if cookie is not None:
        cookie.expires = expires
    return cookie


def _flag(which: str, text: str) -> bool:
    try:
        return _FLAGS[text.upper()]
    except KeyError:
        raise ValueError(f"its {which} field is neither TRUE nor FALSE") from None


def _expiry(text: str) -> float | None:
    """Return when a cookie expires; ``None`` for a session cookie.

    :raises ValueError: *text* is no time
    """
    if not text:
        return None  # as http.cookiejar writes it
    if _TIME.fullmatch(text) is None:
        raise ValueError("its fifth field is not a time in seconds")
    return float(text) if float(text) > 0 else None
