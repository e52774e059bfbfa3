"""Parses the challenges in ``WWW-Authenticate`` (:rfc:`9110#section-11.6.1`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from .grammar import QUOTED_STRING, TOKEN, unescaped

__all__ = ("Challenge", "parse_challenges", "parse_parameters")

# The expressions never backtrack, and each step of the parser starts where the one before
# ended, so the time is linear in the length of the header.
_SEPARATORS: Final = re.compile(r"[ \t,]*+")
_TOKEN: Final = re.compile(TOKEN)
_EQUALS: Final = re.compile(r"[ \t]*+=[ \t]*+")
# Some servers leave out the commas between parameters.
_VALUE: Final = re.compile(rf"""(?:{QUOTED_STRING}|([^\s,"]++))(?=[ \t,]|$)""")
_TOKEN68: Final = re.compile(r"[ \t]++([A-Za-z0-9\-._~+/]++=*+)[ \t]*+(?=,|$)")
_SCHEME_END: Final = re.compile(r"(?=[ \t,]|$)")
_REST: Final = re.compile(r"[^,]*+")


class Challenge(NamedTuple):
    """One way of authentication that a server offers."""

    scheme: str
    #: by name in lower case; of a repeated name, the first parameter counts
    parameters: dict[str, str]


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Return the challenges in *values*, the values of header lines, in their order.

    Malformed text is skipped up to the next comma; it does not affect other lines.
    """
    challenges: list[Challenge] = []
    for value in values:
        _add_challenges(value, challenges)
    return challenges


def _add_challenges(text: str, challenges: list[Challenge]) -> None:
    position = _end(_SEPARATORS, text, 0)
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is not None and _EQUALS.match(text, token.end()):
            parameters = challenges[-1].parameters if challenges else {}
            position = _take_parameter(text, token, parameters)
        elif token is not None and _SCHEME_END.match(text, token.end()):
            challenges.append(Challenge(token[0], {}))
            token68 = _TOKEN68.match(text, token.end())
            position = token.end() if token68 is None else token68.end()
        else:
            position = _end(_REST, text, position)
        position = _end(_SEPARATORS, text, position)


def parse_parameters(value: str) -> dict[str, str]:
    """Return the parameters of a header that consists of parameters: Authentication-Info."""
    parameters: dict[str, str] = {}
    position = _end(_SEPARATORS, value, 0)
    while position < len(value):
        token = _TOKEN.match(value, position)
        if token is not None and _EQUALS.match(value, token.end()):
            position = _take_parameter(value, token, parameters)
        else:
            position = _end(_REST, value, position)
        position = _end(_SEPARATORS, value, position)
    return parameters


def _take_parameter(text: str, name: re.Match[str], parameters: dict[str, str]) -> int:
    """Put the parameter called *name* into *parameters*; return where it ends."""
    start = _end(_EQUALS, text, name.end())
    value = _VALUE.match(text, start)
    if value is None:
        return _end(_REST, text, start)
    quoted, bare = value.groups()
    content = bare if quoted is None else unescaped(quoted)
    parameters.setdefault(name[0].lower(), content)
    return value.end()


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return position if match is None else match.end()
