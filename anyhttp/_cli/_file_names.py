"""Names for files that are downloaded: never those of anything outside of the directory."""

from __future__ import annotations

import re
import warnings
from pathlib import PurePath
from typing import Final

from yarl import URL

from anyhttp import ClientResponse

from ._terminal import CONTROLS, DIRECTIONS

#: For a URL that ends in a slash, as the page that a server gives for it is often called.
NO_NAME: Final = "index.html"
# What Windows does not allow in a name, and what would change how a terminal shows it.
_REPLACED: Final = {
    **dict.fromkeys((*CONTROLS, *DIRECTIONS, *b'\t\n<>:"|?*'), "_"),
    **dict.fromkeys(range(0xD800, 0xE000), "_"),
}
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\Z)", re.IGNORECASE)
# Bytes.  File systems have room for 255, and ".part.json" is added during the download.
_LONGEST: Final = 240
_LONGEST_SUFFIX: Final = 20
# Of the names that a download uses.
_ENDS: Final = ("", ".part", ".part.json")


def safe_name(text: str) -> str:
    """Return the last component of *text* as a name that every system allows, or ``""``."""
    name = re.split(r"[/\\]", text)[-1].translate(_REPLACED).strip().rstrip(". ")
    if _DEVICE.match(name):
        name = f"_{name}"
    return _shortened(name)


def _shortened(name: str) -> str:
    path = PurePath(name)
    suffix = path.suffix if len(path.suffix.encode()) <= _LONGEST_SUFFIX else ""
    stem = name.removesuffix(suffix).encode()[: _LONGEST - len(suffix.encode())]
    return stem.decode(errors="ignore") + suffix


def name_of_response(response: ClientResponse) -> str | None:
    """Return the name that the server gives the file, if it does (:rfc:`6266#section-4.3`).

    It is not that of a hidden file: many of these are settings of programs.
    """
    with warnings.catch_warnings(action="ignore"):  # that the field is malformed
        disposition = response.content_disposition
    if disposition is None or disposition.filename is None:
        return None
    return safe_name(disposition.filename).lstrip(".") or None


def name_of_url(url: URL) -> str:
    """Return the name that *url* has for its file."""
    return safe_name(url.name) or NO_NAME


def reserved(name: str, taken: set[str]) -> str:
    """Return *name*, with a number if it is taken, and add to *taken* what its download uses."""
    path = PurePath(name)
    number, unique = 0, name
    # As file systems compare them; many of them disregard the case.
    while not taken.isdisjoint(used := {f"{unique}{end}".casefold() for end in _ENDS}):
        number += 1
        unique = f"{path.stem}-{number}{path.suffix}"
    taken |= used
    return unique
