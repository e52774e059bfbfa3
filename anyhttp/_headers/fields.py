"""Checks methods, names and values of header fields before sending (:rfc:`9110#section-5`)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from multidict import MultiMapping

from .._common import Fields, check_str, pairs_of
from ..typedefs import LooseHeaders
from .grammar import CONTROL_BUT_TAB, SURROGATE, is_token

__all__ = (
    "IDEMPOTENT_METHODS",
    "check_fields",
    "checked_method",
    "fields_for_origin",
    "header_pairs",
    "part_headers",
)

#: Methods of requests that may be sent twice (:rfc:`9110#section-9.2.2`).
IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


def header_pairs(name: str, headers: LooseHeaders | None) -> list[tuple[str, str]]:
    """Return *headers*, the value of the argument called *name*, as checked pairs.

    :raises TypeError: *headers* are no pairs, or a name or value is not a ``str``
    :raises ValueError: a name is not a token, or a value holds a control character or a lone
        surrogate
    """
    if headers is None:
        return []
    pairs: list[tuple[str, str]] = []
    for field, value in pairs_of(name, headers):
        if not isinstance(field, str):
            raise TypeError(f"{name}: a name must be a str, not {type(field).__name__}")
        if not isinstance(value, str):
            raise TypeError(f"{name}: {field} must be a str, not {type(value).__name__}")
        check_header(name, field, value)
        pairs.append((field, value))
    return pairs


def check_header(argument: str, field: str, value: str) -> None:
    """Refuse a header that could split a request in two (CVE-2023-49081), or cannot be encoded.

    :raises ValueError: the name is not a token, or the value holds a control character or a lone
        surrogate
    """
    if not is_token(field):
        raise ValueError(f"{argument}: {field!r} is not a valid header name")
    if CONTROL_BUT_TAB.search(value):
        raise ValueError(f"{argument}: the value of {field} holds a control character")
    if SURROGATE.search(value):
        # Python's own error would show the whole head of the request, with its credentials.
        raise ValueError(f"{argument}: the value of {field} holds a lone surrogate")


def part_headers(headers: MultiMapping[str] | MultiMapping[str | int]) -> bytes:
    """Return the head of a part of a multipart: *headers* and an empty line.

    A value may be an ``int``, such as a length.

    :raises TypeError: a value is neither a ``str`` nor an ``int``
    :raises ValueError: a name is not a token, or a value holds a control character, which could
        end the header (CVE-2026-84379)
    """
    lines = []
    for name, value in headers.items():
        if isinstance(value, int):
            value = str(value)
        if not isinstance(value, str):
            check_str(f"headers of a part: {name}", value)
        if not (value.isascii() and value.isprintable() and _is_field_name(name)):
            check_header("headers of a part", name, value)
        lines.append(f"{name}: {value}\r\n")
    return "".join((*lines, "\r\n")).encode()


@lru_cache(maxsize=64)
def checked_method(method: str) -> str:
    """Return *method* in upper case.

    :raises TypeError: it is not a ``str``
    :raises ValueError: it holds a character that no method may have (:rfc:`9110#section-9.1`)
    """
    check_str("method", method)
    if not is_token(method):
        raise ValueError(f"method {method!r} holds characters that no HTTP method has")
    return method.upper()


# Only names in requests are cached, so no peer chooses what is stored.
_is_field_name = lru_cache(maxsize=256)(is_token)


def check_fields(fields: Fields) -> Fields:
    """Return *fields* if they can be sent.

    :raises ValueError: a name is not a token, or a value holds a control character or a lone
        surrogate
    """
    for name, value in fields:
        # Nearly all values fit the first two; they are faster than what finds out about the others.
        if not (value.isascii() and value.isprintable() and _is_field_name(name)):
            check_header("headers", name, value)
    return fields


def fields_for_origin(fields: Fields) -> Fields:
    """Return *fields* if they can be sent, without credentials for a proxy.

    :raises ValueError: as :func:`check_fields`
    """
    checked = check_fields(fields)
    if _speak_to_proxy(tuple([name for name, _ in checked])):
        checked = tuple(field for field in checked if field[0].lower() != _TO_PROXY)
    return checked


_TO_PROXY: Final = "proxy-authorization"


@lru_cache(maxsize=256)
def _speak_to_proxy(names: tuple[str, ...]) -> bool:
    return any(name.lower() == _TO_PROXY for name in names)
