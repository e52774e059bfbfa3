"""Arguments of a wrong kind, refused by their names before anything is done with them."""

from __future__ import annotations

import codecs
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

__all__ = (
    "check_callable",
    "check_charset",
    "check_class",
    "check_count",
    "check_instance",
    "check_local_addr",
    "check_seconds",
    "check_str",
    "checked_path",
    "checked_size",
    "is_number",
    "pairs_of",
)


def check_callable(name: str, value: object) -> None:
    """Refuse what cannot be called.

    :raises TypeError: *value* is no callable
    """
    if not callable(value):
        raise TypeError(f"{name} must be a callable, not {type(value).__name__}")


def check_charset(name: str, value: str) -> None:
    """Refuse what names no charset that Python knows.

    :raises TypeError: *value* is not a ``str``
    :raises ValueError: there is no such charset
    """
    check_str(name, value)
    try:
        codecs.lookup(value)
    except LookupError:
        # Not shown: it may be a password that was given in a wrong place.
        raise ValueError(f"{name} must be a charset that Python knows") from None


def check_class(name: str, value: object, base: type) -> None:
    """Refuse what is not *base* or a class derived from it.

    :raises TypeError: it is not
    """
    if not (isinstance(value, type) and issubclass(value, base)):
        raise TypeError(f"{name} must be {base.__name__} or a class derived from it, not {value!r}")


def check_count(name: str, value: object, *, least: int = 0, optional: bool = False) -> None:
    """Refuse what is not a whole number from *least* on.

    :param optional: take ``None`` too
    :raises TypeError: *value* is not an ``int``
    :raises ValueError: it is less than *least*
    """
    if optional and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        expected = "an int or None" if optional else "an int"
        raise TypeError(f"{name} must be {expected}, not {type(value).__name__}")
    if value < least:
        expected = f"be at least {least}" if least else "not be negative"
        raise ValueError(f"{name} must {expected}, got {value}")


def check_instance(name: str, value: object, kind: type) -> None:
    """Refuse what is neither ``None`` nor an object of *kind*.

    :raises TypeError: it is something else
    """
    if not (value is None or isinstance(value, kind)):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"{name} must be {article} {kind.__name__}, not {type(value).__name__}")


def check_local_addr(local_addr: object) -> None:
    """Refuse what is neither ``None`` nor a pair of a host and a port.

    :raises TypeError: it is something else
    """
    match local_addr:
        case None | (str(), int()):
            return
    raise TypeError(f"local_addr must be a pair of a host and a port, not {local_addr!r}")


def check_seconds(name: str, value: object, *, finite: bool = False) -> None:
    """Refuse what is neither ``None`` nor a number of seconds.

    :param finite: refuse infinity too
    :raises TypeError: *value* is not a number
    :raises ValueError: it is negative or NaN, or infinite where that is refused
    """
    if value is None:
        return
    if not is_number(value):
        raise TypeError(f"{name} must be a number of seconds or None, not {value!r}")
    if math.isnan(value) or value < 0:
        raise ValueError(f"{name} must not be negative or NaN, got {value!r}")
    if finite and math.isinf(value):
        raise ValueError(f"{name} must be finite, got {value!r}")


def checked_size(name: str, value: int) -> int:
    """Return *value* if it is a number of bytes or lines, at least 1.

    :raises TypeError: it is not an ``int``
    :raises ValueError: it is less than 1
    """
    check_count(name, value, least=1)
    return value


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether *value* is a number; ``True`` and ``False``, which Python counts in, are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_str(name: str, value: object) -> None:
    """Refuse what is not text.

    :raises TypeError: *value* is not a ``str``
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")


def checked_path(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """Return the path of a Unix socket as text.

    :raises TypeError: it is no path
    :raises ValueError: no socket can be there
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"path must be a str, bytes or a path, not {type(path).__name__}")
    text = os.fsdecode(path)
    # At the beginning it marks a name that is in no directory (unix(7)).
    if not text or "\0" in text[1:]:
        raise ValueError(f"path must be that of a Unix socket, got {path!r}")
    return text


def pairs_of(name: str, value: object) -> Iterable[tuple[Any, Any]]:
    """Return the items of a mapping, or the pairs that *value* is made of.

    :raises TypeError: it is neither a mapping nor made of pairs
    """
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        pairs = list(value)
        # Text of two characters would pass for a pair.
        if all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
            return pairs
    raise TypeError(
        f"{name} must be a mapping or made of (name, value) pairs, not {type(value).__name__}"
    )
