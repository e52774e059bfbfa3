"""Whether the rest of a file would belong to its beginning (:rfc:`9110#section-8.8`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .. import hdrs
from .._headers import parse_date

__all__ = ("is_still_valid", "is_validator", "validator_of")

# A strong entity tag.  The bytes of a file may differ although a weak one, W/"...", is the same.
_STRONG_TAG: Final = re.compile(r'"[\x21\x23-\x7e]{0,1000}"')

# No date needs so many characters.
_DATE: Final = re.compile(r"[A-Za-z0-9,:\- ]{1,64}")


def validator_of(headers: Mapping[str, str]) -> str | None:
    """Return what ``If-Range`` can name, for the response with *headers*; ``None`` if nothing.

    That is a strong entity tag.  If there is no tag at all, it is the date of the last change,
    unless the file might have been changed again within the same second
    (:rfc:`9110#section-13.1.5`, :rfc:`9110#section-8.8.2.2`).
    """
    if headers.get(hdrs.ACCEPT_RANGES, "").strip().lower() == "none":
        return None
    tag = headers.get(hdrs.ETAG)
    if tag is not None:
        return tag if _STRONG_TAG.fullmatch(tag) else None
    changed = headers.get(hdrs.LAST_MODIFIED, "")
    changed_at, sent_at = _time(changed), _time(headers.get(hdrs.DATE, ""))
    if changed_at is None or sent_at is None or changed_at >= sent_at:
        return None
    return changed


def is_validator(text: str) -> bool:
    """Whether *text* may have been returned by :func:`validator_of`."""
    return _STRONG_TAG.fullmatch(text) is not None or _time(text) is not None


def is_still_valid(validator: str, headers: Mapping[str, str]) -> bool:
    """Whether a response with status 206 and *headers* has a part of the same file.

    Some servers disregard ``If-Range``.  The entity tag has to be in each response; the date of
    the last change need not be repeated (:rfc:`9110#section-15.3.7`).
    """
    tag = headers.get(hdrs.ETAG)
    if validator.startswith('"'):
        return tag == validator
    return tag is None and headers.get(hdrs.LAST_MODIFIED, validator) == validator


def _time(text: str) -> float | None:
    return parse_date(text) if _DATE.fullmatch(text) else None
