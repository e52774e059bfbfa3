"""Tokens, quoted strings and control characters, as in :rfc:`9110#section-5.6`.

The expressions take what they can and never give any of it back (``++``, ``*+``), so no text
makes them slow.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = (
    "CONTROL",
    "CONTROL_BUT_TAB",
    "CONTROL_RANGE",
    "QUOTED_STRING",
    "TOKEN",
    "is_token",
    "quoted_string",
    "unescaped",
)

#: Expression for a name: of a method, a field, a parameter (:rfc:`9110#section-5.6.2`).
TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"

#: Expression for text in quotes (:rfc:`9110#section-5.6.4`).  Its group is what stands between
#: them, for :func:`unescaped`.
QUOTED_STRING: Final = r'"((?:[^"\\]++|\\(?s:.))*+)"'

#: Control characters, for use within the brackets of an expression.
CONTROL_RANGE: Final = r"\x00-\x1f\x7f"

#: Finds a control character: a line break would end a header and begin another one.
CONTROL: Final = re.compile(rf"[{CONTROL_RANGE}]")

#: The same, but for the tab, which may stand in field values (:rfc:`9110#section-5.5`).  It is
#: spelled out, as leaving the tab out by a look-ahead takes four times as long.
CONTROL_BUT_TAB: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

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
    """Return what the content of a quoted string stands for."""
    return _QUOTED_PAIR.sub(r"\1", quoted)
