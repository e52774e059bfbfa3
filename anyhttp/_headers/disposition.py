"""Builds and parses header values with parameters, as parts of multiparts have them.

Anybody may send a ``Content-Disposition`` (:rfc:`6266`, :rfc:`7578#section-4.2`), so parsing
takes time linear in its length and never raises: malformed text is left out, with a warning.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

from .content_type import codec_name
from .grammar import CONTROL, QUOTED_STRING, TOKEN, is_token, quoted_string, unescaped

__all__ = (
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "content_disposition",
    "content_disposition_filename",
    "parse_content_disposition",
)

_TYPE: Final = re.compile(rf"[ \t]*({TOKEN})[ \t]*+(?=;|\Z)", re.DOTALL)
_PARAMETER: Final = re.compile(
    rf";[ \t]*+({TOKEN}(?:[ \t]*+\*)?)[ \t]*+=[ \t]*+(?:{QUOTED_STRING}|([^;]*+))[ \t]*+(?=;|\Z)",
    re.DOTALL,
)
# Empty parameters, up to the semicolon before the next one that is not.
_EMPTY: Final = re.compile(r";++\Z|;+(?=;)")
_CONTINUED: Final = re.compile(r"\*[0-9]+\*?\Z")
# charset "'" [language] "'" value, where the value consists of plain characters and %XX
_EXTENDED: Final = re.compile(r"([^']*)'[^']*'([!#$%&+\-.^_`|~0-9A-Za-z]*)")


class BadContentDispositionHeader(RuntimeWarning):
    """A ``Content-Disposition`` header is malformed."""


class BadContentDispositionParam(RuntimeWarning):
    """A parameter of a ``Content-Disposition`` header is malformed and was left out."""


# -- building --------------------------------------------------------------------------


def content_disposition(disptype: str, params: Mapping[str, str], *, quote_fields: bool) -> str:
    """Return the value of a ``Content-Disposition`` header.

    :param disptype: such as ``"form-data"`` or ``"attachment"``
    :param quote_fields: write a file name percent-encoded, and other text that is not ASCII as
        ``name*=utf-8''...`` (:rfc:`8187`), which a form does not allow (:rfc:`7578#section-5.1`);
        otherwise both go out as they are, in UTF-8
    :raises ValueError: the type or the name of a parameter is not a token, or a value holds
        a control character, which could end the header (CVE-2026-34514)
    """
    if not is_token(disptype):
        raise ValueError(f"bad content disposition type {disptype!r}")
    parts = [disptype]
    for name, value in params.items():
        if not is_token(name):
            raise ValueError(f"bad name of a content disposition parameter: {name!r}")
        if not value.isprintable() and CONTROL.search(value):
            raise ValueError(f"content disposition: the {name} holds a control character")
        if quote_fields and name == "filename":
            parts.append(f'{name}="{quote(value, safe="")}"')
        elif quote_fields and not value.isascii() and disptype.lower() != "form-data":
            parts.append(f"{name}*=utf-8''{quote(value, safe='')}")
        else:
            parts.append(f"{name}={quoted_string(value)}")
    return "; ".join(parts)


# -- parsing ---------------------------------------------------------------------------


def parse_content_disposition(header: str | None) -> tuple[str | None, dict[str, str]]:
    """Return the disposition type in lower case, and the parameters.

    Extended values (:rfc:`8187`) are decoded and keep the ``*`` in their name; the pieces of a
    continued value (:rfc:`2231`) are returned as they are.  :func:`content_disposition_filename`
    picks the best one.  The result is ``(None, {})`` without a header, and for a malformed one,
    which also causes the warning :exc:`BadContentDispositionHeader`.  A malformed extended or
    continued value is left out with the warning :exc:`BadContentDispositionParam`.
    """
    if not header:
        return None, {}
    start = _TYPE.match(header)
    if start is None:
        return _malformed()
    params: dict[str, str] = {}
    position = start.end()
    while position < len(header):
        match = _PARAMETER.match(header, position)
        if match is None:
            empty = _EMPTY.match(header, position)
            if empty is None:
                return _malformed()
            _malformed()  # warn once of any number of empty parameters, and go on
            position = empty.end()
            continue
        position = match.end()
        name, quoted, plain = match.groups()
        key = "".join(name.lower().split())
        if key in params:
            return _malformed()
        if "*" in key:
            # With a space before the asterisk, this is not the name of an extended parameter.
            value = None if name[:-1].endswith((" ", "\t")) else _extended(key, quoted, plain)
            if value is None:
                warnings.warn(
                    "a parameter of a Content-Disposition is malformed and was left out",
                    BadContentDispositionParam,
                    stacklevel=2,
                )
                continue
        elif quoted is not None:
            value = unescaped(quoted)
            if key == "filename":
                value = value.lstrip("/\\")  # never an absolute path (RFC 6266 §4.3)
        elif is_token(plain):
            value = plain
        else:
            return _malformed()
        params[key] = value
    return start[1].lower(), params


def _malformed() -> tuple[None, dict[str, str]]:
    # Python stores each warning text that was issued, so the text must not contain the peer's.
    warnings.warn("a Content-Disposition is malformed", BadContentDispositionHeader, stacklevel=3)
    return None, {}


def _extended(key: str, quoted: str | None, plain: str | None) -> str | None:
    """Return the value of a parameter with an asterisk in its name; ``None`` if malformed."""
    if _CONTINUED.search(key):
        if quoted is not None:
            return unescaped(quoted)
        return plain if plain and is_token(plain) else None
    if plain is None or not key.endswith("*"):
        return None
    return _decoded(plain)


def _decoded(extended: str) -> str | None:
    match = _EXTENDED.fullmatch(extended)
    return None if match is None else _unquoted(match[2], match[1])


def _unquoted(text: str, charset: str) -> str | None:
    """Return percent-encoded *text* decoded; ``None`` if it is not valid in *charset*."""
    encoding = codec_name(charset or "utf-8")
    if encoding is None:
        return None
    try:
        return unquote(text, encoding, "strict")
    except UnicodeError:
        return None


def content_disposition_filename(params: Mapping[str, str], name: str = "filename") -> str | None:
    """Return the best value for *name* that the parsed parameters hold.

    An extended value is preferred to a plain one, and a plain one to a continued one
    (:rfc:`6266#section-4.3`, :rfc:`2231#section-3`).  The sender chose the value: if it is to
    name a file, use only its last component.
    """
    for key in (f"{name}*", name):
        if key in params:
            return params[key]
    pieces: list[str] = []
    extended = False
    # Pieces are numbered without gaps and without leading zeros; the first gap ends the value.
    while True:
        key = f"{name}*{len(pieces)}"
        if f"{key}*" in params:
            extended = extended or not pieces
            pieces.append(params[f"{key}*"])
        elif key in params:
            # Percent signs have no special meaning in this piece, so protect them from decoding.
            pieces.append(params[key].replace("%", "%25") if extended else params[key])
        else:
            break
    if not pieces:
        return None
    value = "".join(pieces)
    if not extended:
        return value
    charset, _, rest = value.partition("'")
    _, _, text = rest.partition("'")
    return _unquoted(text, charset)
