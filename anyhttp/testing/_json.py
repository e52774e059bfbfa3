"""Bodies that are JSON: their values, and where two of these differ."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .._headers import json_encoding

__all__ = ("ABSENT", "Difference", "ItemCount", "json_differences", "json_value")

#: Stands for the value of a name that an object does not have.
ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class ItemCount:
    """Stands for an array, where two have different numbers of items."""

    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two values differ."""

    #: such as ``$.users[0]['first name']``
    place: str
    expected: object
    got: object


def json_value(body: bytes) -> Any:
    """Return the value of a body, whatever its type is said to be.

    :raises ValueError: it is not JSON
    """
    try:
        return json.loads(body.decode(json_encoding(body) or "utf-8"))
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def json_differences(expected: object, got: object, place: str = "$") -> Iterator[Difference]:
    """Return where *got* differs from *expected*."""
    if expected == got:
        return
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for name in [*expected, *(name for name in got if name not in expected)]:
            where = f"{place}.{name}" if re.fullmatch(r"\w+", str(name)) else f"{place}[{name!r}]"
            before, now = expected.get(name, ABSENT), got.get(name, ABSENT)
            if before is ABSENT or now is ABSENT:
                yield Difference(where, before, now)
            else:
                yield from json_differences(before, now, where)
    elif isinstance(expected, list) and isinstance(got, list):
        for index, (before, now) in enumerate(zip(expected, got, strict=False)):
            yield from json_differences(before, now, f"{place}[{index}]")
        if len(expected) != len(got):
            yield Difference(place, ItemCount(len(expected)), ItemCount(len(got)))
    else:
        yield Difference(place, expected, got)
