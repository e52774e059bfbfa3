"""The file that a jar is saved in: JSON for its owner alone."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from http.cookies import CookieError
from typing import Any, Final

from .._common import replace_file
from .._headers import ATTRIBUTES, make_morsel, octets
from ..typedefs import PathLikeStr
from ._given import morsels_of
from ._matching import Cookie, Place, scoped

__all__ = ("read_cookies", "write_cookies")

# The errors of reading a JSON file that save() has not written.
_MALFORMED: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    CookieError,
    RecursionError,
)


def write_cookies(file_path: PathLikeStr, cookies: Iterable[Cookie]) -> None:
    """Write *cookies* to a file, which is replaced as a whole or left as it was.

    :raises OSError: the file could not be written
    """
    data: dict[str, dict[str, dict[str, object]]] = {}
    for cookie in cookies:
        data.setdefault(f"{cookie.domain}|{cookie.path}", {})[cookie.name] = _record(cookie)
    replace_file(os.fsdecode(file_path), json.dumps(data, indent=2).encode(), mode=0o600)


def _record(cookie: Cookie) -> dict[str, object]:
    record: dict[str, object] = {
        "key": cookie.name,
        "value": cookie.morsel.value,
        "coded_value": cookie.text,
    }
    record |= {
        # Applications may set "version" to a number, and any attribute to an object.
        name: value if isinstance(value, (str, int)) else str(value)
        for name, value in cookie.morsel.items()
        if value and name not in ("expires", "max-age")
    }
    if cookie.host_only:
        record["host_only"] = True
    if cookie.expires is not None:
        record["expires_timestamp"] = cookie.expires
    return record


def read_cookies(file_path: PathLikeStr, now: float) -> Iterator[Cookie]:
    """Yield the cookies in a file of :func:`write_cookies`, but those that nobody could set.

    :raises OSError: the file could not be read
    :raises ValueError: this is no such file
    """
    path = os.fsdecode(file_path)
    with open(path, "rb") as file:
        content = file.read()
    if content.startswith(b"\x80"):  # the first byte of a pickle of protocol 2 or later
        raise ValueError(
            f"{path!r} is a pickle, and loading one could run code; save() writes JSON now"
        )
    try:
        for place, records in json.loads(content.decode("utf-8")).items():
            domain, bar, _ = place.partition("|")
            if not bar:
                raise ValueError("a key without path")
            for record in records.values():
                if cookie := _restored(domain, record, now):
                    yield cookie
    except _MALFORMED as exc:
        raise ValueError(f"{path!r} is no file of cookies: {exc}") from exc


def _restored(domain: str, record: dict[str, Any], now: float) -> Cookie | None:
    """Make a cookie from its record; None if its host could not set it."""
    for part in ("key", "value", "coded_value"):
        if not isinstance(record[part], str):
            raise TypeError(f"{part} is no text")
    given = make_morsel(record["key"], record["value"], record["coded_value"])
    for name, value in record.items():
        if name in ATTRIBUTES:
            if not isinstance(value, (str, int)):
                raise TypeError(f"{name} is neither text nor a flag nor a number")
            given[name] = value
    if record.get("host_only"):
        given["domain"] = ""
    (morsel,) = morsels_of({given.key: given}, quote=True)
    expires = record.get("expires_timestamp")
    if expires is not None and not (isinstance(expires, (int, float)) and math.isfinite(expires)):
        raise ValueError("an expiry that is no time")
    if octets(f"{domain}{given['domain']}{given['path']}") is None:
        raise ValueError("a domain or a path that cannot be encoded as UTF-8")
    # The cookie was accepted when it was set, so accept it as if its host sets it over TLS.
    cookie = scoped(morsel, Place(domain.lower() or None, "/", secure=True), now)
    if cookie and expires is not None:
        cookie.expires = float(expires)
    return cookie
