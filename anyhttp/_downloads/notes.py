"""What is remembered of an interrupted download, in a small file beside its part."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final, Self

from yarl import URL

from .validator import is_validator

__all__ = ("LONGEST", "Notes", "digest_of_url")

#: A file with more bytes than this holds no notes.
LONGEST: Final = 4096

_FORMAT: Final = "anyhttp download, version 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What is known of the file of which a part is there.

    :param url: the SHA-256 of its URL, which may hold a secret that is not for the disk
    :param validator: for ``If-Range``; ``None`` if nothing can be added to the part later
    :param total: the size of the whole file in bytes, if it is known
    """

    url: str
    validator: str | None
    total: int | None

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self | None:
        """Return what the file says; ``None`` if it is another file, or damaged."""
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):  # also for bytes that are no text
            return None
        if not isinstance(found, dict) or found.pop("format", None) != _FORMAT:
            return None
        url, validator, total = (found.get(name) for name in ("url", "validator", "total"))
        if not (validator is None or (isinstance(validator, str) and is_validator(validator))):
            return None
        if not (total is None or (isinstance(total, int) and total >= 0)):
            return None
        return cls(url=str(url), validator=validator, total=total)


def digest_of_url(url: URL) -> str:
    """Return what :attr:`Notes.url` is for *url*; user info and fragment make no difference."""
    plain = url.with_user(None).with_fragment(None)
    return hashlib.sha256(str(plain).encode("utf-8", "surrogatepass")).hexdigest()
