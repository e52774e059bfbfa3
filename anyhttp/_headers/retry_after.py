"""``Retry-After``: how long a server asks its clients to wait (:rfc:`9110#section-10.2.3`)."""

from __future__ import annotations

import re
from typing import Final

from multidict import MultiMapping

from .. import hdrs
from .set_cookie import parse_date

__all__ = ("parse_retry_after",)

# The grammar has whole seconds.  A fraction, which some servers send, can only mean one thing.
_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")

# No date needs so many characters.
_LONGEST_DATE: Final = 64


def parse_retry_after(headers: MultiMapping[str], now: float) -> float | None:
    """Return how many seconds the ``Retry-After`` field of a response asks to wait.

    A date counts from the ``Date`` of the same response, so that it does not matter whether the
    clocks of server and client agree.

    :param headers: those of the response
    :param now: POSIX time, for a response that has no valid ``Date``
    :returns: at least 0, and ``math.inf`` for a number that does not fit into a float; ``None``
        if the field is absent or invalid
    """
    text = headers.get(hdrs.RETRY_AFTER, "").strip(" \t")
    if _SECONDS.fullmatch(text):
        return float(text)
    at = _date(text)
    if at is None:
        return None
    sent = _date(headers.get(hdrs.DATE, ""))
    return max(0.0, at - (now if sent is None else sent))


def _date(text: str) -> float | None:
    return parse_date(text) if 0 < len(text) <= _LONGEST_DATE else None
