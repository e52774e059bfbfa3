"""A bearer token (:rfc:`6750`), and how it is read from what a token endpoint answers."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from .._common import check_str, is_number, printable, shown_class
from ..client_exceptions import OAuth2Error

__all__ = ("BearerToken",)

#: The characters of a token: b64token (RFC 6750 §2.1).
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")

#: Latest expiry, in seconds since the epoch or from now: what is later, as servers may send it, is
#: as good as never.
LATEST: Final = 1e11

#: How much of a text that a token endpoint has sent is shown, in characters.
MAX_SHOWN: Final = 300


@dataclass(frozen=True, slots=True, init=False)
class BearerToken:
    """A token and the time when it expires.

    :param value: the token, without the word ``Bearer``
    :param expires_in: when the token expires, in seconds from now; ``None``, the default, if that
        is not known
    :param expires_at: the same as a point in time: seconds since the epoch, as :func:`time.time`
        returns them, or an aware ``datetime``
    :raises ValueError: *value* holds a character that a token cannot hold
        (:rfc:`6750#section-2.1`), the expiry is not a time, or it is given twice
    :raises TypeError: an argument has the wrong type

    Neither ``str()`` nor ``repr()`` shows the value.
    """

    #: the token
    value: str
    #: seconds since the epoch; ``None`` if it is not known when the token expires
    expires_at: float | None

    def __init__(
        self,
        value: str,
        *,
        expires_in: float | None = None,
        expires_at: float | datetime | None = None,
    ) -> None:
        _check_value(value)
        if expires_in is not None:
            if expires_at is not None:
                raise ValueError("expires_in and expires_at cannot both be given")
            expires_at = time.time() + _seconds("expires_in", expires_in)
        elif isinstance(expires_at, datetime):
            if expires_at.utcoffset() is None:
                raise ValueError("expires_at must be a datetime with a time zone")
            expires_at = expires_at.timestamp()
        elif expires_at is not None:
            expires_at = _seconds("expires_at", expires_at)
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "expires_at", expires_at)

    def __repr__(self) -> str:
        return f"{type(self).__name__}('***', expires_at={self.expires_at!r})"

    @classmethod
    def from_oauth2(cls, answer: Mapping[str, Any]) -> Self:
        """Return the token in *answer*, the JSON object that a token endpoint has sent.

        A ``token_type`` that is missing counts as ``Bearer``.

        :raises OAuth2Error: *answer* is an error (:rfc:`6749#section-5.2`), or it has no token
            that can be used; the error does not show the token
        :raises TypeError: *answer* is no mapping
        """
        if not isinstance(answer, Mapping):
            raise TypeError(f"answer must be a mapping, not {shown_class(type(answer))}")
        if answer.get("error") is not None:
            raise OAuth2Error(
                _shown(answer["error"]) or "an error without a code",
                _shown(answer.get("error_description")),
                _shown(answer.get("error_uri")),
            )
        value, kind = answer.get("access_token"), answer.get("token_type")
        if value is None:
            raise OAuth2Error(None, "its answer has no access_token")
        if kind is not None and not (isinstance(kind, str) and kind.lower() == "bearer"):
            shown = _shown(kind) or type(kind).__name__
            raise OAuth2Error(None, f"its token_type is {shown!r}, not 'Bearer'")
        try:
            return cls(value, expires_in=_lifetime(answer.get("expires_in")))
        except (TypeError, ValueError) as exc:
            raise OAuth2Error(None, str(exc)) from None


def _check_value(value: object) -> None:
    """Refuse what is no token; the message does not show it.

    :raises TypeError: it is not a ``str``
    :raises ValueError: it has other characters than a token
    """
    check_str("a token", value)
    assert isinstance(value, str)
    if not value:
        raise ValueError("a token must not be empty")
    if value[:7].lower() == "bearer ":
        raise ValueError("a token must be given without the word Bearer")
    found = _TOKEN.match(value)
    end = 0 if found is None else found.end()
    if end < len(value):
        raise ValueError(
            f"a token must hold letters, digits and -._~+/ only, and = at its end "
            f"(RFC 6750 section 2.1); character {end + 1} of {len(value)} is not one of these"
        )


def _seconds(name: str, value: object) -> float:
    """Return *value* if it is a time.

    :raises TypeError: it is not a number
    :raises ValueError: it is negative, infinite or NaN
    """
    if not is_number(value):
        raise TypeError(f"{name} must be a number of seconds, not {shown_class(type(value))}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must not be negative, infinite or NaN")
    return float(min(value, LATEST))


def _lifetime(value: Any) -> Any:
    """Return ``expires_in`` of an answer, which some servers send as text, for the constructor."""
    is_text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20
    return int(value) if is_text else value


def _shown(value: object) -> str | None:
    """Return a text that a server has sent, cut and printable; ``None`` if it is none."""
    return printable(value[:MAX_SHOWN]) if isinstance(value, str) and value else None
