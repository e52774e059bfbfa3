"""The grammar of ``Link`` (:rfc:`8288#section-3`)."""

from __future__ import annotations

import re
from typing import Final

from .grammar import QUOTED_STRING, TOKEN

__all__ = (
    "LINK",
    "LINK_PARAMETER",
)

# A parameter of a link.  Single quotes have no meaning in HTTP, but some servers write them.
# The expression never backtracks ("*+"), so the time is linear in the length of the header.
_PARAMETER: Final = (
    rf"\s*+;\s*+({TOKEN})\s*+"
    rf"""(?:=\s*+(?:{QUOTED_STRING}|'([^']*+)'(?=\s*+(?:[;,]|$))|([^\s;,"]*+)))?+"""
)


LINK_PARAMETER: Final = re.compile(_PARAMETER)


LINK: Final = re.compile(
    rf"<(?P<url>[^<>]*+)>(?P<parameters>(?:{re.sub(r'[(](?![?])', '(?:', _PARAMETER)})*+)"
)
