"""Tokens, quoted strings and control characters, as in :rfc:`9110#section-5.6`.

The expressions are possessive (``++``, ``*+``) or atomic (``(?>...)``): they never backtrack, so no
text makes them slow.  Groups are repeated in atomic ones: Python before 3.11.5 misreads possessive
repetitions of a group (gh-106052).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = (
    "CONTROL",
    "CONTROL_BUT_TAB",
    "CONTROL_RANGE",
    "QUOTED_STRING",
    "SURROGATE",
    "TOKEN",
    "is_token",
    "quoted_string",
    "unescaped",
)

#: Expression for a name: of a method, a field, a parameter (:rfc:`9110#section-5.6.2`).
TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"

#: Expression for text in quotes (:rfc:`9110#section-5.6.4`).  Its group is the text between the
#: quotes, for :func:`unescaped`.
QUOTED_STRING: Final = r'"((?>(?:[^"\\]++|\\(?s:.))*))"'

#: Control characters, for use inside the brackets of an expression.
CONTROL_RANGE: Final = r"\x00-\x1f\x7f"

#: Finds a control character: a line break would end the header and start another one.
CONTROL: Final = re.compile(rf"[{CONTROL_RANGE}]")

#: The same without the tab, which field values may contain (:rfc:`9110#section-5.5`).  The ranges
#: are written out, because excluding the tab by a look-ahead takes four times as long.
CONTROL_BUT_TAB: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

#: Finds a lone surrogate that cannot be encoded.  Others stand for bytes that are not UTF-8, as
#: ``os.fsdecode()`` and the readers of this package decode them, and are sent as these bytes.
SURROGATE: Final = re.compile(r"[\ud800-\udc7f\udd00-\udfff]")

_TOKEN_ALONE: Final = re.compile(TOKEN)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)


def is_token(text: str) -> bool:
    """Whether *text* is a token."""
    return _TOKEN_ALONE.fullmatch(text) is not None


def quoted_string(text: str) -> str:
    """Return *text* in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unescaped(quoted: str) -> str:
    """Return the content of a quoted string with its backslashes resolved."""
    return _QUOTED_PAIR.sub(r"\1", quoted)
