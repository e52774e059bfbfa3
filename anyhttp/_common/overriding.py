"""Telling the package's own methods from those that a program puts in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ("is_own_method",)


def is_own_method(owner: object, name: str, function: Callable[..., Any]) -> bool:
    """Whether the method *name* of *owner* is *function*, and nothing in its place.

    It is not if a subclass overrides it, or if something was assigned to the object or to a class.
    It is not either if *owner* or the method is a proxy, as monitoring tools make them: a proxy
    shows the attributes of what it wraps, ``__func__`` and ``__class__`` too.  So neither the bound
    method nor ``__class__`` is asked, but the type and the object's own dictionary.
    """
    return getattr(type(owner), name, None) is function and name not in owner.__dict__
