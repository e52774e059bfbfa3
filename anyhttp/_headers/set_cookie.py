"""Reading ``Set-Cookie``: the rules of RFC 6265bis, section 5.6; "§" below means that document.

A value goes back to its server octet for octet, so ``http.cookies`` serves as the container that
callers know, never as parser.
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

# Of one response; browsers have no such limit, but they do not have 50 cookies of one either.
MAX_COOKIES_PER_RESPONSE: Final = 50
# §5.6: what browsers agreed on.
MAX_PAIR_OCTETS: Final = 4096
MAX_ATTRIBUTE_OCTETS: Final = 1024
# Chromium allows 16; there are servers that repeat attributes.
MAX_ATTRIBUTES: Final = 32

BLANK: Final = " \t"
MAX_AGE: Final = re.compile(r"-?[0-9]{1,1024}", re.ASCII)
_ESCAPE: Final = re.compile(r"\\(?:([0-3][0-7]{2})|(.))")
_FLAGS: Final = frozenset({"secure", "httponly", "partitioned"})
# "partitioned" is among them from Python 3.14 on.
ATTRIBUTES: Final = frozenset(Morsel[str]())


def octets(text: str) -> int | None:
    """Count what *text* takes on the wire; None if it cannot be written."""
    if text.isascii():
        return len(text)
    try:
        # Octets that were no UTF-8 when they came in are lone surrogates.
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return None


def make_morsel(name: str, value: str, text: str) -> Morsel[str]:
    """Make a morsel whose name ``Morsel.set`` would refuse: ``path``, ``a b``, ``ключ``."""
    morsel: Morsel[str] = Morsel()
    morsel.__setstate__({"key": name, "value": value, "coded_value": text})  # type: ignore[attr-defined]  # unknown to typeshed
    return morsel


def _decoded(text: str) -> str:
    """Return what a quoted value stands for; nothing that is sent depends on it.

    Not by ``http.cookies``, whose time grows with the square in some versions (CVE-2024-7592).
    """
    if len(text) < 2 or not text[0] == text[-1] == '"':
        return text
    value = _ESCAPE.sub(lambda found: found[2] or chr(int(found[1], 8)), text[1:-1])
    return text if CONTROL.search(value) else value


def _read(header: str) -> Morsel[str] | None:
    """Parse one ``Set-Cookie`` value; None if it has to be ignored.

    Beyond §5.6, cookies without a name are ignored (as by RFC 6265: servers do not agree on
    what they mean, and a mapping has no place for them), and those with a tab amidst name or
    value (newer versions of Python refuse to hold them).
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
    """Set the attributes of *morsel* as §5.6.1 to §5.6.7 say: the last valid one counts."""
    for name, value in _attributes(text):
        if name in _FLAGS:
            morsel[name] = True
        # An invalid one must not undo a valid one before it; alone it is kept for reading.
        elif not morsel[name] or _is_valid(name, value):
            morsel[name] = value


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    """Iterate over those of the attributes in *text* that are known and not too long."""
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
    """Parse the ``Set-Cookie`` values of one response; also count those that were ignored."""
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
    """Return what the ``Set-Cookie`` values *headers* of one response ask to store.

    The last of a name wins.  A malformed one is left out and never costs the others.
    """
    cookies = SimpleCookie()
    for morsel in read_all(headers)[0]:
        # As a method of dict: that of BaseCookie would refuse some names that servers use.
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
    """The parts of a date, as a cookie gives them."""

    hour: int
    minute: int
    second: int
    day: int
    month: int
    year: int


def parse_date(text: str) -> float | None:
    """Return the POSIX time that a cookie date means, None if it means none (§5.1.1)."""
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
    """Find day, month, year and time in any order and spelling; the first of each counts."""
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
