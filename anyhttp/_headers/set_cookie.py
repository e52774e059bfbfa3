"""Parses ``Set-Cookie`` by RFC 6265bis, section 5.6; "§" below means that document.

A value goes back to its server octet for octet.  So ``http.cookies`` only provides the container
that callers know; it does not parse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Final, Literal, NamedTuple

from .grammar import CONTROL, CONTROL_BUT_TAB

__all__ = (
    "ATTRIBUTES",
    "BLANK",
    "MAX_AGE",
    "decoded_value",
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
NO_ATTRIBUTES: Final[Mapping[str, object]] = dict[str, object](Morsel())
# From Python 3.14 on, "partitioned" is one of them.
ATTRIBUTES: Final = frozenset(NO_ATTRIBUTES)


def octets(text: str) -> int | None:
    """Return the number of octets of *text* when sent; None if it cannot be encoded."""
    if text.isascii():
        return len(text)
    try:
        # Octets that were not UTF-8 when received are lone surrogates in the text.
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return None


def make_morsel(
    name: str, value: str, text: str, attributes: Mapping[str, object] = NO_ATTRIBUTES
) -> Morsel[str]:
    """Make a morsel with a name that ``Morsel.set`` would refuse: ``path``, ``a b``, ``ключ``.

    It is made as ``pickle`` makes one.  The constructor sets each attribute by itself, which
    takes three times as long.
    """
    morsel: Morsel[str] = Morsel.__new__(Morsel)
    dict.update(morsel, attributes)
    morsel.__setstate__({"key": name, "value": value, "coded_value": text})  # type: ignore[attr-defined]  # unknown to typeshed
    return morsel


def decoded_value(text: str) -> str:
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
        return make_morsel(name, decoded_value(text), text, _read_attributes(rest))
    except CookieError:  # pragma: no cover  # a version of Python that is stricter still
        return None


def _read_attributes(text: str) -> Mapping[str, object]:
    """Return the attributes (§5.6.1 to §5.6.7): the last valid one of each counts."""
    if not text:
        return NO_ATTRIBUTES
    attributes = dict(NO_ATTRIBUTES)
    seen = 0
    for piece in text.split(";"):
        # Long ones are not cached, so that a peer cannot fill the memory.
        attribute = (_attribute if len(piece) <= 64 else _attribute.__wrapped__)(piece)
        if attribute is None:
            continue
        seen += 1
        if seen > MAX_ATTRIBUTES:
            break
        name, value = attribute
        # An invalid value must not replace an earlier valid one.  Without an earlier one it is
        # kept, so that callers can read it.
        if name and (not attributes[name] or value is True or _is_valid(name, value)):
            attributes[name] = value
    return attributes


# Cookies have few different attributes.
@lru_cache(maxsize=256)
def _attribute(piece: str) -> tuple[str, str | Literal[True]] | None:
    """Return name and value of an attribute; the name is empty if it is unknown or too long.

    :return: ``None`` if there is nothing in *piece*
    """
    name, _, value = piece.partition("=")
    name, value = name.strip(BLANK).lower(), value.strip(BLANK)
    if not name and not value:
        return None
    size = octets(value)
    if name not in ATTRIBUTES or "\t" in value or size is None or size > MAX_ATTRIBUTE_OCTETS:
        return "", value
    return name, (True if name in _FLAGS else value)


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
# As servers write it: RFC 9110 §5.6.7, or with hyphens; here only with an hour that exists.
_USUAL_DATE: Final = re.compile(
    rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d)[ -]({'|'.join(_MONTHS).title()})[ -]"
    r"((?:19|[2-9]\d)\d\d) ((?:[01]\d|2[0-3]):\d\d:\d\d) GMT",
    re.ASCII,
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
    try:
        usual = _USUAL_DATE.fullmatch(text)
        if usual is not None:  # a fifth of the work, with the same result
            day, month, year, clock = usual.groups()
            number = _MONTHS.index(month.lower()) + 1
            return datetime.fromisoformat(f"{year}-{number:02}-{day}T{clock}Z").timestamp()
        date = _date_parts(text)
        if date is None:
            return None
        year = date.year
        if year < 100:
            year += 1900 if year >= 70 else 2000
        if year < 1601:
            return None
        return datetime(
            year, date.month, date.day, date.hour, date.minute, date.second, tzinfo=UTC
        ).timestamp()
    except ValueError:  # there is no such day or time
        return None


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
