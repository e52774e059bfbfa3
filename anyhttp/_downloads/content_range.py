"""``Content-Range``: which bytes of a file a partial response holds (:rfc:`9110#section-14.4`)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ("ContentRange", "parse_content_range")

# No file has a size of 20 digits, and Python refuses to read numbers of some thousands.
_CONTENT_RANGE: Final = re.compile(
    r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.ASCII | re.IGNORECASE
)


class ContentRange(NamedTuple):
    """The bytes from *first* to *last*, both included, of *total*; ``None`` if that is not told."""

    first: int
    last: int
    total: int | None


def parse_content_range(text: str) -> ContentRange | None:
    """Return what the field says; ``None`` if it is invalid, or holds no bytes as that of a 416."""
    found = _CONTENT_RANGE.fullmatch(text.strip(" \t"))
    if found is None:
        return None
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if first > last or (total is not None and last >= total):
        return None
    return ContentRange(first, last, total)
