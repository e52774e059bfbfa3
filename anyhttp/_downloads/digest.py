"""The digest that a file has to have."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Protocol

from .._common import check_str

__all__ = ("Digest", "Hash", "checked_digest")

_HEX: Final = re.compile(r"[0-9a-fA-F]*")
_EXAMPLE: Final = '"sha256:" and 64 hexadecimal digits'


class Hash(Protocol):
    """An object of ``hashlib``."""

    @property
    def digest_size(self) -> int: ...
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Digest:
    """An algorithm of ``hashlib``, and the digest that it has to give, in lower case."""

    algorithm: str
    expected: str

    def start(self) -> Hash:
        """Return an object that is to be fed with the file."""
        # It is to find damage; who wants security chooses the algorithm accordingly.
        return hashlib.new(self.algorithm, usedforsecurity=False)


def checked_digest(text: str) -> Digest:
    """Return what the option *digest* asks for.

    :raises TypeError: *text* is not a ``str``
    :raises ValueError: it names no algorithm that is known, or is no digest of that algorithm
    """
    check_str("digest", text)
    algorithm, _, expected = text.partition(":")
    digest = Digest(algorithm.lower(), expected.lower())
    try:
        digits = digest.start().digest_size * 2
    except (TypeError, ValueError):  # the former for a name with a lone surrogate
        digits = 0
    if not digits:  # those of any length, such as "shake_128", have no size either
        raise ValueError(
            f"digest must begin with the name of an algorithm, such as {_EXAMPLE}, "
            f"not with {algorithm!r}"
        )
    if len(expected) != digits or not _HEX.fullmatch(expected):
        raise ValueError(f'digest must have {digits} hexadecimal digits after "{algorithm}:"')
    return digest
