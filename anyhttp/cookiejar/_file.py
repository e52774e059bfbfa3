"""The file that a jar is saved in, for its owner alone: JSON, or ``cookies.txt``."""

from __future__ import annotations

import codecs
import json
import logging
import math
import os
from collections.abc import Iterable, Iterator
from http.cookies import CookieError
from operator import itemgetter
from typing import Any, Final

from .._common import replace_file
from .._headers import ATTRIBUTES, octets
from ..typedefs import PathLikeStr
from ._given import checked_morsel, morsels_of
from ._matching import Cookie, Place, scoped
from ._netscape import is_netscape, netscape_file, netscape_line, read_netscape

__all__ = ("read_cookies", "write_cookies")

logger: Final = logging.getLogger("anyhttp.client")

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


def write_cookies(file_path: PathLikeStr, cookies: Iterable[Cookie], file_format: str) -> None:
    """Write *cookies* to a file, which is replaced as a whole or left as it was.

    :raises OSError: the file could not be written
    :raises ValueError: there is no such format
    """
    if file_format == "json":
        content = _json(cookies)
    elif file_format == "netscape":
        content = _netscape(cookies)
    else:
        raise ValueError(f'format must be "json" or "netscape", not {file_format!r}')
    replace_file(os.fsdecode(file_path), content, mode=0o600)


def _in_order(cookies: Iterable[Cookie]) -> list[Cookie]:
    """Return *cookies* in the order in which they were set, as that is how they are sent."""
    return sorted(cookies, key=lambda cookie: cookie.created)


def _netscape(cookies: Iterable[Cookie]) -> bytes:
    lines = [netscape_line(cookie) for cookie in _in_order(cookies)]
    written = [line for line in lines if line is not None]
    if len(written) < len(lines):
        logger.warning(
            "left out %d cookies that cookies.txt has no place for", len(lines) - len(written)
        )
    return netscape_file(written)


def _json(cookies: Iterable[Cookie]) -> bytes:
    data: dict[str, dict[str, dict[str, object]]] = {}
    for number, cookie in enumerate(_in_order(cookies)):
        # Each place has its cookies together, so the order among all of them is written, too.
        record = {**_record(cookie), "order": number}
        data.setdefault(f"{cookie.domain}|{cookie.path}", {})[cookie.name] = record
    return json.dumps(data, indent=2).encode()


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
    """Yield the cookies in a file of either format, but those that nobody could set.

    :raises OSError: the file could not be read
    :raises ValueError: this is no such file
    """
    path = os.fsdecode(file_path)
    with open(path, "rb") as file:
        content = file.read().removeprefix(codecs.BOM_UTF8)
    if content.startswith(b"\x80"):  # the first byte of a pickle of protocol 2 or later
        raise ValueError(
            f"{path!r} is a pickle, and loading one could run code; save() writes JSON now"
        )
    try:
        if content.lstrip().startswith(b"{"):
            yield from _read_json(content, now)
        elif is_netscape(content):
            yield from read_netscape(content, now)
        else:
            raise ValueError("it is neither JSON that save() wrote nor a cookies.txt")
    except _MALFORMED as exc:
        raise ValueError(f"{path!r} is not a file of cookies: {exc}") from exc


def _read_json(content: bytes, now: float) -> list[Cookie]:
    found: list[tuple[int, Cookie]] = []
    for place, records in json.loads(content.decode("utf-8")).items():
        domain, bar, _ = place.partition("|")
        if not bar:
            raise ValueError("a key without path")
        for record in records.values():
            if cookie := _restored(domain, record, now):
                order = record.get("order", 0)  # older files have none
                if not isinstance(order, int):
                    raise TypeError("order is not a whole number")
                found.append((order, cookie))
    found.sort(key=itemgetter(0))
    return [cookie for _, cookie in found]


def _restored(domain: str, record: dict[str, Any], now: float) -> Cookie | None:
    """Make a cookie from its record; None if its host could not set it."""
    for part in ("key", "value", "coded_value"):
        if not isinstance(record[part], str):
            raise TypeError(f"{part} is not text")
    # Checked before a morsel is made: the error of newer Pythons shows the value.
    given = checked_morsel(record["key"], record["value"], record["coded_value"])
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
        raise ValueError("an expiry that is not a time")
    if octets(f"{domain}{given['domain']}{given['path']}") is None:
        raise ValueError("a domain or a path that cannot be encoded as UTF-8")
    # The cookie was accepted when it was set, so accept it as if its host sets it over TLS.
    cookie = scoped(morsel, Place(domain.lower() or None, "/", secure=True), now)
    if cookie and expires is not None:
        cookie.expires = float(expires)
    return cookie
