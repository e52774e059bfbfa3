"""Checks of arguments: an error names the argument, before anything is done with it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeGuard

__all__ = (
    "check_callable",
    "check_charset",
    "check_class",
    "check_count",
    "check_flag",
    "check_instance",
    "check_local_addr",
    "check_seconds",
    "check_str",
    "checked_path",
    "checked_size",
    "class_has",
    "is_number",
    "pairs_of",
    "shown_class",
)


def shown_class(kind: type) -> str:
    """Return the name of *kind* for messages, behind that of its package.

    Several packages have a ``ClientTimeout``, so the name alone would not say what is wrong.
    """
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"


def check_callable(name: str, value: object) -> None:
    """Refuse a value that cannot be called.

    :raises TypeError: *value* is no callable
    """
    if not callable(value):
        raise TypeError(f"{name} must be a callable, not {shown_class(type(value))}")


def check_charset(name: str, value: str) -> None:
    """Refuse a name that is no charset known to Python.

    :raises TypeError: *value* is not a ``str``
    :raises ValueError: there is no such charset, or only a codec that encodes no text
    """
    check_str(name, value)
    try:
        "".encode(value)
    except (LookupError, ValueError):  # the latter for one that no name of a charset can hold
        # The value is not shown: it may be a password passed by mistake.
        raise ValueError(f"{name} must be a charset that Python knows") from None


def check_class(name: str, value: object, base: type) -> None:
    """Refuse a value that is neither *base* nor a class derived from it.

    :raises TypeError: *value* is something else
    """
    if not (isinstance(value, type) and issubclass(value, base)):
        raise TypeError(
            f"{name} must be {shown_class(base)} or a class derived from it, not {value!r}"
        )


def check_count(name: str, value: object, *, least: int = 0, optional: bool = False) -> None:
    """Refuse a value that is not an integer of at least *least*.

    :param optional: accept ``None`` too
    :raises TypeError: *value* is not an ``int``
    :raises ValueError: it is less than *least*
    """
    if (type(value) is int and value >= least) or (optional and value is None):
        return  # nearly all; what follows is for the others
    if not isinstance(value, int) or isinstance(value, bool):
        expected = "an int or None" if optional else "an int"
        raise TypeError(f"{name} must be {expected}, not {type(value).__name__}")
    if value < least:
        expected = f"be at least {least}" if least else "not be negative"
        raise ValueError(f"{name} must {expected}, got {value}")


def check_flag(name: str, value: object, *, optional: bool = False) -> None:
    """Refuse a value that is neither ``True`` nor ``False``: ``"no"`` would count as true.

    :param optional: accept ``None`` too
    :raises TypeError: *value* is something else
    """
    if value is True or value is False or (optional and value is None):
        return
    expected = "a bool or None" if optional else "a bool"
    raise TypeError(f"{name} must be {expected}, not {shown_class(type(value))}")


def check_instance(name: str, value: object, kind: type, *, example: str = "") -> None:
    """Refuse a value that is neither ``None`` nor an object of *kind*.

    :param example: what to write instead, if *kind* does not say it
    :raises TypeError: *value* is something else
    """
    if not (value is None or isinstance(value, kind)):
        expected = f"{shown_class(kind)}, such as {example}" if example else shown_class(kind)
        raise TypeError(f"{name} must be an {expected}, not {shown_class(type(value))}")


def check_local_addr(local_addr: object) -> None:
    """Refuse a value that is neither ``None`` nor a pair of host and port.

    :raises TypeError: *local_addr* is something else
    """
    match local_addr:
        case None | (str(), int()):
            return
    raise TypeError(f"local_addr must be a pair of a host and a port, not {local_addr!r}")


def check_seconds(name: str, value: object, *, optional: bool = True, finite: bool = False) -> None:
    """Refuse a value that is no number of seconds.

    :param optional: accept ``None`` too
    :param finite: refuse infinity too
    :raises TypeError: *value* is not a number
    :raises ValueError: it is negative or NaN, infinite where that is refused, or an ``int`` that
        no ``float`` can hold
    """
    if (type(value) is float and 0 <= value < math.inf) or (optional and value is None):
        return  # nearly all; what follows is for the others
    if not is_number(value):
        expected = "a number of seconds or None" if optional else "a number of seconds"
        raise TypeError(f"{name} must be {expected}, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{name} must not be negative or NaN, got {value!r}")
    if value > sys.float_info.max and (finite or value != math.inf):
        raise ValueError(f"{name} must be finite, got {value!r}")


def checked_size(name: str, value: int) -> int:
    """Return *value* if it is a number of bytes or lines, at least 1.

    :raises TypeError: it is not an ``int``
    :raises ValueError: it is less than 1
    """
    check_count(name, value, least=1)
    return value


def class_has(value: object, *names: str) -> bool:
    """Whether the class of *value* has all the attributes *names*.

    Programs may give objects of aiohttp's classes, such as its ``ClientTimeout``, which this
    package does not import.  Each is known by the attributes of its class; those of the object
    itself are not asked for, because a mock object has any.
    """
    kind = type(value)
    return all(hasattr(kind, name) for name in names)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether *value* is a number; ``True`` and ``False`` are not, though Python says so."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_str(name: str, value: object) -> None:
    """Refuse a value that is not text.

    :raises TypeError: *value* is not a ``str``
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")


def checked_path(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """Return the path of a Unix socket as text.

    :raises TypeError: it is no path
    :raises ValueError: a socket cannot have this path
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"path must be a str, bytes or a path, not {type(path).__name__}")
    text = os.fsdecode(path)
    # A NUL at the beginning marks an abstract socket, which has no file (unix(7)).
    if text and "\0" not in text[1:]:
        with suppress(UnicodeEncodeError):
            os.fsencode(text)
            return text
    raise ValueError(f"path must be that of a Unix socket, got {path!r}")


def pairs_of(name: str, value: object) -> Iterable[tuple[Any, Any]]:
    """Return the items of a mapping, or the pairs that *value* is made of.

    :raises TypeError: it is neither a mapping nor made of pairs
    """
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        pairs = list(value)
        # Without this check, a string of two characters would count as a pair.
        if all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
            return pairs
    raise TypeError(
        f"{name} must be a mapping or made of (name, value) pairs, not {type(value).__name__}"
    )
