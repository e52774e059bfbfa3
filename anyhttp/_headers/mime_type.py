"""Media types in their parts, and a base for objects with headers: aiohttp's ``helpers``.

Nothing in the package uses these names.  Libraries import them from ``anyhttp.helpers``.
"""

from __future__ import annotations

from dataclasses import dataclass

from multidict import MultiDict, MultiDictProxy, MultiMapping

from .. import hdrs
from .content_type import parse_content_type

__all__ = ("HeadersMixin", "MimeType", "parse_mimetype")


@dataclass(frozen=True, slots=True)
class MimeType:
    """A media type (:rfc:`6838`), in lower case.

    :param type: what stands before the slash
    :param subtype: what stands behind it
    :param suffix: what stands behind a plus sign in the subtype, such as ``json``
    :param parameters: by name in lower case
    """

    type: str
    subtype: str
    suffix: str
    parameters: MultiDictProxy[str]


def parse_mimetype(mimetype: str) -> MimeType:
    """Return the parts of *mimetype*; those that it lacks are empty."""
    name = mimetype.partition(";")[0].strip().lower()
    kind, _, rest = ("*/*" if name == "*" else name).partition("/")
    subtype, _, suffix = rest.partition("+")
    parameters = parse_content_type(mimetype).parameters
    return MimeType(kind, subtype, suffix, MultiDictProxy(MultiDict(parameters)))


class HeadersMixin:
    """Attributes that describe a body, for a class with an attribute ``_headers``."""

    _headers: MultiMapping[str]

    @property
    def content_type(self) -> str:
        """Media type of the body; ``application/octet-stream`` if it is absent or invalid."""
        parsed = parse_content_type(self._headers.get(hdrs.CONTENT_TYPE))
        return parsed.media_type or "application/octet-stream"

    @property
    def charset(self) -> str | None:
        """The ``charset`` parameter of the media type."""
        return parse_content_type(self._headers.get(hdrs.CONTENT_TYPE)).charset

    @property
    def content_length(self) -> int | None:
        """The announced length of the body, in bytes."""
        length = self._headers.get(hdrs.CONTENT_LENGTH)
        return int(length) if length and length.isascii() and length.isdigit() else None
