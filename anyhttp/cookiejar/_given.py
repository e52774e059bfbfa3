"""The cookies that an application gives: checked, and as morsels."""

from __future__ import annotations

import re
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import Final

from .._common import check_str, pairs_of
from .._headers import BLANK, CONTROL, CONTROL_RANGE, make_morsel, octets
from ..typedefs import LooseCookies

__all__ = ("checked_morsel", "morsels_of")

_BAD_IN_NAME: Final = re.compile(rf"[{CONTROL_RANGE};=]")
_BAD_IN_VALUE: Final = re.compile(rf"[{CONTROL_RANGE};]")
_QUOTING: Final = SimpleCookie()


def morsels_of(cookies: LooseCookies, quote: bool) -> list[Morsel[str]]:
    """Return the caller's cookies, each as a new morsel with the text to send.

    A morsel among them has a name of its own, which is the one that counts; one that was never
    set has none, and is left out.  A cookie object stands for the cookies in it.

    :raises ValueError: a cookie would alter the rest of the ``Cookie`` header
    :raises TypeError: *cookies* are no cookies
    """
    made: list[Morsel[str]] = []
    for name, given in pairs_of("cookies", cookies):
        check_str("cookies: a name", name)
        if isinstance(given, BaseCookie):
            made += morsels_of(given, quote)
        elif not isinstance(given, Morsel):
            made.append(_from_text(name, given, quote))
        elif given.key is not None:
            made.append(_from_morsel(given, quote))
    return made


def _from_text(name: str, given: object, quote: bool) -> Morsel[str]:
    if given is None or isinstance(given, (bytes, bytearray)):
        raise TypeError(f"cookies: {name} must be a str, not {type(given).__name__}")
    value = str(given)
    return checked_morsel(name, value, _QUOTING.value_encode(value)[1] if quote else value)


def _from_morsel(given: Morsel[str], quote: bool) -> Morsel[str]:
    value = str(given.value)
    morsel = checked_morsel(given.key, value, str(given.coded_value) if quote else value)
    dict.update(morsel, given)
    for attribute in ("domain", "path"):
        scope = given[attribute] or ""
        check_str(f"cookies: {attribute} of {given.key}", scope)
        morsel[attribute] = scope
    return morsel


def checked_morsel(name: str, value: str, text: str) -> Morsel[str]:
    """Make a morsel.

    A control character is looked for in the unquoted *value* too: quoting hides it in *text*,
    but not from servers.

    :raises ValueError: the cookie would alter the rest of the ``Cookie`` header
    """
    if not name or name != name.strip(BLANK) or _BAD_IN_NAME.search(name):
        raise ValueError(f"a cookie cannot be named {name!r}")
    if CONTROL.search(value) or _BAD_IN_VALUE.search(text):
        # The value is not shown: it may be a secret.
        raise ValueError(f"cookie {name!r} holds a control character or a semicolon")
    if octets(name + text) is None:
        raise ValueError(f"cookie {name!r} cannot be encoded as UTF-8")
    return make_morsel(name, value, text)
