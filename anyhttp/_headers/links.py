"""Reads ``Link`` (:rfc:`8288#section-3`)."""

from __future__ import annotations

import re
from typing import Final

from multidict import MultiDict, MultiDictProxy
from yarl import URL

from .._common import parsed_url
from .grammar import QUOTED_STRING, TOKEN, unescaped

__all__ = ("parse_links",)

#: How much text is read, in characters: international hosts take time.
_MAX_TEXT: Final = 32 * 1024

# A parameter of a link.  Single quotes have no meaning in HTTP, but some servers write them.
# The expression never backtracks ("*+", "(?>"), so the time is linear in the length of the header.
_PARAMETER: Final = (
    rf"\s*+;\s*+({TOKEN})\s*+"
    rf"""(?>(?:=\s*+(?:{QUOTED_STRING}|'([^']*+)'(?=\s*+(?:[;,]|$))|([^\s;,"]*+)))?)"""
)
_LINK_PARAMETER: Final = re.compile(_PARAMETER)
_LINK: Final = re.compile(
    rf"<(?P<url>[^<>]*+)>(?P<parameters>(?>(?:{re.sub(r'[(](?![?])', '(?:', _PARAMETER)})*))"
)


def parse_links(text: str, base: URL) -> MultiDictProxy[MultiDictProxy[str | URL]]:
    """Return the links in *text* by relation, with the parameters of each.

    :param base: what their URLs are relative to

    A link that is no URL is left out, and so is what follows the first 32 KiB of *text*.
    """
    links: MultiDict[MultiDictProxy[str | URL]] = MultiDict()
    for part in _LINK.finditer(text):
        if part.end() > _MAX_TEXT:
            break
        parameters: MultiDict[str | URL] = MultiDict()
        for name, quoted, single, bare in _LINK_PARAMETER.findall(part["parameters"]):
            value = unescaped(quoted) if quoted else single or bare
            if name.lower() != "rel" or "rel" not in parameters:  # RFC 8288 section 3.3
                parameters.add(name.lower(), value)
        key = str(parameters.get("rel", part["url"]))
        try:
            url = base.join(parsed_url(part["url"].strip()))
            str(url)  # yarl parses the authority of a joined URL only now
        except ValueError:
            continue
        parameters["url"] = url
        links.add(key, MultiDictProxy(parameters))
    return MultiDictProxy(links)
