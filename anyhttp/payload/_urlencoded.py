"""The values of a form as ``application/x-www-form-urlencoded``, and what to write for others."""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any, Final
from urllib.parse import urlencode

from ._files import Readable

__all__ = ("advice", "urlencoded")

#: Their ``str()`` is what a server expects, although they do not define ``__str__()``.
_PLAIN: Final = (str, bytes, int, float)

#: The ``str()`` of a value is its ``repr()`` where the type has one of these methods.
_REPRS: Final = (object.__str__, bytearray.__str__)

#: These can be iterated too, but they are one value.
_ONE_VALUE: Final = (str, bytes, bytearray, memoryview, Mapping, type)


def urlencoded(pairs: Iterable[tuple[Any, object]], charset: str = "utf-8") -> bytes:
    """Return *pairs* of names and values urlencoded; a collection gives a name several values.

    :raises TypeError: a value is not text, and has no text form of its own but its ``repr()``
    """
    plain = [(name, value) for name, given in pairs for value in _values(name, given)]
    return urlencode(plain, encoding=charset).encode()


def _values(name: object, given: object) -> Collection[object]:
    values: Collection[object] = (given,)
    if isinstance(given, Collection) and not isinstance(given, _ONE_VALUE):
        values = given
    in_tuple = isinstance(given, tuple)
    for value in values:
        # As for the library requests, a tuple may hold the name and the content of a file.
        if not _has_text(value) or (in_tuple and isinstance(value, bytes)):
            raise TypeError(
                f"field {name!r}: a value of type {type(value).__name__} cannot be sent as text: "
                + advice(given if in_tuple else value)
            )
    return values


def _has_text(value: object) -> bool:
    """Whether the ``str()`` of *value* is more than its ``repr()``."""
    return isinstance(value, _PLAIN) or type(value).__str__ not in _REPRS


def advice(value: object) -> str:
    """Return what to write in place of *value*, which cannot be a field of a form."""
    for kinds, text in _ADVICE:
        if isinstance(value, kinds):
            return text
    if inspect.iscoroutinefunction(getattr(value, "read", None)):
        return "its read() is asynchronous: give an asynchronous generator of what it returns"
    if inspect.isawaitable(value):
        return "await it first"
    return "give its str()" if _has_text(value) else "give a str, bytes with a file name, or a file"


_ADVICE: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (type(None), "leave the field out, or give an empty str"),
    (tuple, "for a file with its name and type, use FormData.add_field(name, file, filename=...)"),
    (Readable, "give each file a (name, file) pair of its own"),
    (Mapping, "encode it, as with json.dumps()"),
    (Iterator, "give a list of values, or an asynchronous generator of the bytes of a part"),
    (os.PathLike, "open the file, and give that"),
    ((bytearray, memoryview), "give bytes"),
    ((FunctionType, MethodType), "call it, and give what it returns"),
    (Collection, "give each of its values a (name, value) pair of its own"),
)
