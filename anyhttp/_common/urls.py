"""URLs that others wrote: how they are parsed, and how they are shown."""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

__all__ = (
    "UnparsedURL",
    "authority_end",
    "has_surrogate",
    "parsed_url",
    "printable",
    "shortened",
    "without_user_info",
)

#: Longest host, in characters, that IDNA is asked to encode (CVE-2026-45409).  DNS allows 253; a
#: host in another alphabet may be written with some characters more.
MAX_HOST: Final = 512

#: Longest text of an invalid URL, in characters, that an error shows as a whole.
MAX_SHOWN: Final = 1024

# The URL parser drops control characters and spaces before a URL, and tabs and line breaks
# anywhere in it.  So this expression allows them around the two slashes as well.
_AUTHORITY: Final = re.compile(r"[\x00-\x20]*+(?:[^:/?#]*+:)?[\t\r\n]*+/[\t\r\n]*+/([^/?#]*+)")


def authority_end(text: str) -> int:
    """Return the end of scheme and authority in *text*, an unparsed URL; 0 without an authority."""
    authority = _AUTHORITY.match(text)
    return 0 if authority is None else authority.end()


class UnparsedURL(ValueError):
    """The text is not given to the URL parser; the message says why and shows no part of it."""


def parsed_url(text: str, *, encoded: bool = False) -> URL:
    """Return *text*, which may come from anybody, as a URL.

    :param encoded: leave its percent-encoding as it is; otherwise it is normalised
    :raises UnparsedURL: its host is so long that IDNA would take too much time, it holds a lone
        surrogate, or brackets stand where its host is missing
    :raises ValueError: it is no URL; the message may show any part of it
    """
    authority = _AUTHORITY.match(text)
    if authority is not None and len(authority[1].rpartition("@")[2]) > MAX_HOST:
        raise UnparsedURL("the host is too long")
    if not (encoded or text.isascii()):
        text = _without_surrogates(text, 0 if authority is None else authority.end())
    try:
        return URL(text, encoded=encoded)
    except IndexError:  # from yarl, for brackets in the user info and no host behind it
        raise UnparsedURL("the URL has no host") from None


# Bytes that are not UTF-8, as "surrogateescape" decodes them, and lone surrogates of any kind.
_BYTE: Final = re.compile("[\udc80-\udcff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _without_surrogates(text: str, path: int) -> str:
    """Return *text* with bytes that are not UTF-8 percent-encoded.

    yarl drops lone surrogates, or raises an error that shows the whole text.

    :param path: where the authority has ended: a host cannot be percent-encoded
    :raises UnparsedURL: there is another lone surrogate, or one in the authority
    """
    rest = _BYTE.sub(lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", text[path:])
    text = text[:path] + rest
    if has_surrogate(text):
        raise UnparsedURL("the URL holds a lone surrogate")
    return text


def has_surrogate(text: str) -> bool:
    """Whether a lone surrogate is in *text*, which UTF-8 cannot encode then."""
    return not text.isascii() and _SURROGATE.search(text) is not None


# -- for messages, logs and repr() --------------------------------------------------------


# For text that yarl cannot parse.  A password in it may hold any character, so everything from
# the start of the authority to the last "@" is removed.
_UNPARSED_USER_INFO: Final = re.compile(r"\A([^/@]*//)?.*@", re.DOTALL)


def without_user_info(url: str | URL) -> str:
    """Return *url* as printable text, without user name and password.

    :param url: may be text that is no valid URL; then rather too much is removed than too little
    """
    return printable(_without_user_info(url))


def _without_user_info(url: str | URL) -> str:
    if isinstance(url, str):
        if "@" not in url:
            return url
        try:
            parsed = parsed_url(url)
        except ValueError:
            parsed = None
        if parsed is None or parsed.raw_host is None:
            return _without_any_user_info(url)
        if parsed.raw_user is None and parsed.raw_password is None:
            return url
        url = parsed
    if url.raw_user is None and url.raw_password is None:
        # Without a host, as in "user:password@host", the credentials may be in any part.
        return str(url) if url.raw_host is not None else _without_any_user_info(str(url))
    return str(url.with_user(None))


def _without_any_user_info(text: str) -> str:
    return _UNPARSED_USER_INFO.sub(r"\1", text)


def shortened(text: str) -> str:
    """Return *text*, an invalid URL, for an error; without user info if it has to be cut."""
    return text if len(text) <= MAX_SHOWN else f"{without_user_info(text)[:100]}..."


def printable(text: str) -> str:
    """Return *text* with each character escaped that terminals obey or cannot show.

    Those are control characters, such as the ones that colour what follows; characters that
    change the direction of writing, and so the order of what is read; and lone surrogates.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
