"""Parses ``Set-Cookie`` by RFC 6265bis, section 5.6; "§" below means that document.

A value goes back to its server octet for octet.  So ``http.cookies`` only provides the container
that callers know; it does not parse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from itertools import islice
from typing import Final, NamedTuple

from .grammar import CONTROL, CONTROL_BUT_TAB

__all__ = (
    "ATTRIBUTES",
    "BLANK",
    "MAX_AGE",
    "make_morsel",
    "octets",
    "parse_date",
    "read_all",
    "response_cookies",
)

# For one response.  Browsers have no such limit, but real responses set fewer cookies.
MAX_COOKIES_PER_RESPONSE: Final = 50
# §5.6: the limit that browsers agreed on.
MAX_PAIR_OCTETS: Final = 4096
MAX_ATTRIBUTE_OCTETS: Final = 1024
# Chromium allows 16; some servers repeat attributes.
MAX_ATTRIBUTES: Final = 32

BLANK: Final = " \t"
MAX_AGE: Final = re.compile(r"-?[0-9]{1,1024}", re.ASCII)
_ESCAPE: Final = re.compile(r"\\(?:([0-3][0-7]{2})|(.))")
_FLAGS: Final = frozenset({"secure", "httponly", "partitioned"})
# From Python 3.14 on, "partitioned" is one of them.
ATTRIBUTES: Final = frozenset(Morsel[str]())


def octets(text: str) -> int | None:
    """Return the number of octets of *text* when sent; None if it cannot be encoded."""
    if text.isascii():
        return len(text)
    try:
        # Octets that were not UTF-8 when received are lone surrogates in the text.
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return None


def make_morsel(name: str, value: str, text: str) -> Morsel[str]:
    """Make a morsel with a name that ``Morsel.set`` would refuse: ``path``, ``a b``, ``ключ``."""
    morsel: Morsel[str] = Morsel()
    morsel.__setstate__({"key": name, "value": value, "coded_value": text})  # type: ignore[attr-defined]  # unknown to typeshed
    return morsel


def _decoded(text: str) -> str:
    """Return the decoded form of a quoted value, for callers to read; it is never sent.

    This does not use ``http.cookies``: there, the time grows with the square of the length in
    some versions (CVE-2024-7592).
    """
    if len(text) < 2 or not text[0] == text[-1] == '"':
        return text
    value = _ESCAPE.sub(lambda found: found[2] or chr(int(found[1], 8)), text[1:-1])
    return text if CONTROL.search(value) else value


def _read(header: str) -> Morsel[str] | None:
    """Parse one ``Set-Cookie`` value; None if it has to be ignored.

    In addition to §5.6, two kinds of cookies are ignored.  One is a cookie without a name, as in
    RFC 6265: servers do not agree on its meaning, and a mapping has no place for it.  The other
    is a cookie with a tab inside name or value: newer versions of Python refuse to store it.
    """
    if CONTROL_BUT_TAB.search(header):
        return None
    pair, _, rest = header.partition(";")
    name, equals, text = pair.partition("=")
    name = name.strip(BLANK)
    text = text.strip(BLANK)
    size = octets(name + text)
    if not equals or not name or size is None or size > MAX_PAIR_OCTETS:
        return None
    if "\t" in name or "\t" in text:
        return None
    try:
        morsel = make_morsel(name, _decoded(text), text)
    except CookieError:  # pragma: no cover  # a version of Python that is stricter still
        return None
    if rest:
        _read_attributes(morsel, rest)
    return morsel


def _read_attributes(morsel: Morsel[str], text: str) -> None:
    """Set the attributes of *morsel* (§5.6.1 to §5.6.7): the last valid one of each counts."""
    for name, value in _attributes(text):
        if name in _FLAGS:
            morsel[name] = True
        # An invalid value must not replace an earlier valid one.  Without an earlier one it is
        # kept, so that callers can read it.
        elif not morsel[name] or _is_valid(name, value):
            morsel[name] = value


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    """Iterate over the attributes in *text* that are known and not too long."""
    pieces = (piece.partition("=") for piece in text.split(";"))
    pairs = ((name.strip(BLANK).lower(), value.strip(BLANK)) for name, _, value in pieces)
    for name, value in islice(
        ((name, value) for name, value in pairs if name or value), MAX_ATTRIBUTES
    ):
        size = octets(value)
        if name not in ATTRIBUTES or "\t" in value:
            continue
        if size is not None and size <= MAX_ATTRIBUTE_OCTETS:
            yield name, value


def _is_valid(name: str, value: str) -> bool:
    """Whether the attribute called *name* can have this *value*.

    An empty ``Domain`` is undefined in :rfc:`6265#section-5.2.3`, which advises to ignore it.  An
    empty ``Path`` is the default path.
    """
    match name:
        case "domain":
            return bool(value)
        case "expires":
            return parse_date(value) is not None
        case "max-age":
            return MAX_AGE.fullmatch(value) is not None
    return True


def read_all(headers: Iterable[str]) -> tuple[list[Morsel[str]], int]:
    """Parse the ``Set-Cookie`` values of one response; also return how many were ignored."""
    good: list[Morsel[str]] = []
    bad = 0
    for header in headers:
        morsel = _read(header) if len(good) < MAX_COOKIES_PER_RESPONSE else None
        if morsel is None:
            bad += 1
        else:
            good.append(morsel)
    return good, bad


def response_cookies(headers: Iterable[str]) -> SimpleCookie:
    """Return the cookies that the ``Set-Cookie`` values *headers* of one response set.

    Of several with the same name, the last one counts.  A malformed one is left out and does not
    affect the others.
    """
    cookies = SimpleCookie()
    for morsel in read_all(headers)[0]:
        # Call dict's method: BaseCookie's own refuses some names that servers use.
        dict.__setitem__(cookies, morsel.key, morsel)
    return cookies


_DATE_TOKEN: Final = re.compile(r"[^\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)", re.ASCII)
_DAY: Final = re.compile(r"(\d{1,2})(?!\d)", re.ASCII)
_YEAR: Final = re.compile(r"(\d{2,4})(?!\d)", re.ASCII)
_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)


class _Date(NamedTuple):
    """The parts of a date, as written in a cookie."""

    hour: int
    minute: int
    second: int
    day: int
    month: int
    year: int


def parse_date(text: str) -> float | None:
    """Return the POSIX time of a cookie date; None if it is no valid date (§5.1.1)."""
    date = _date_parts(text)
    if date is None:
        return None
    year = date.year
    if year < 100:
        year += 1900 if year >= 70 else 2000
    if year < 1601:
        return None
    try:
        moment = datetime(
            year, date.month, date.day, date.hour, date.minute, date.second, tzinfo=UTC
        )
    except ValueError:  # there is no such day or time
        return None
    return moment.timestamp()


def _date_parts(text: str) -> _Date | None:
    """Find day, month, year and time in any order and spelling; of each, the first one counts."""
    clock: tuple[int, int, int] | None = None
    day = month = year = None
    for token in _DATE_TOKEN.findall(text):
        if clock is None and (found := _TIME.match(token)):
            clock = int(found[1]), int(found[2]), int(found[3])
        elif day is None and (found := _DAY.match(token)):
            day = int(found[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (found := _YEAR.match(token)):
            year = int(found[1])
    if clock is None or day is None or month is None or year is None:
        return None
    return _Date(*clock, day, month, year)
