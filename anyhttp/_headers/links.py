"""The grammar of ``Link`` (:rfc:`8288#section-3`)."""

from __future__ import annotations

import re
from typing import Final

__all__ = (
    "LINK",
    "LINK_PARAMETER",
)

# A parameter of a link; single quotes mean nothing in HTTP, but some servers write them.
# Nothing is tried twice ("*+"), so the time is linear in the bytes.
_PARAMETER: Final = (
    r"\s*+;\s*+([\w!#$&+\-.^`|~*]++)\s*+"
    r"""(?:=\s*+(?:"((?:[^"\\]|\\.)*+)"|'([^']*+)'(?=\s*+(?:[;,]|$))|([^\s;,"]*+)))?+"""
)


LINK_PARAMETER: Final = re.compile(_PARAMETER)


LINK: Final = re.compile(
    rf"<(?P<url>[^<>]*+)>(?P<parameters>(?:{re.sub(r'[(](?![?])', '(?:', _PARAMETER)})*+)"
)
