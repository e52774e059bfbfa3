"""Lets attrs take a dataclass for one of its own classes, without being imported for that."""

from __future__ import annotations

import dataclasses
import sys
from types import ModuleType
from typing import Any, Final
from weakref import WeakKeyDictionary

__all__ = ("AttrsFields",)

_made: Final[WeakKeyDictionary[type, Any]] = WeakKeyDictionary()


class AttrsFields:
    """The attribute ``__attrs_attrs__`` of a dataclass, in which attrs looks for the fields.

    Some values of aiohttp are classes of attrs, so libraries call ``attrs.evolve(timeout, ...)``
    and the like.  Whoever asks for the attribute has imported attrs; for all others, it does not
    exist.
    """

    __slots__ = ()

    def __get__(self, instance: object, owner: type) -> Any:
        fields = _made.get(owner)
        if fields is None:
            attr = sys.modules.get("attr")
            if attr is None:
                raise AttributeError("__attrs_attrs__: attrs has not been imported")
            if not dataclasses.is_dataclass(owner):  # its decorator asks before it is one
                raise AttributeError("__attrs_attrs__: the class is still being made")
            fields = _made[owner] = _fields_of(owner, attr)
        return fields


def _fields_of(owner: Any, attr: ModuleType) -> Any:
    """Return the fields of the dataclass *owner*, as the module *attr* describes them."""
    described = {
        field.name: attr.ib(
            default=attr.NOTHING if field.default is dataclasses.MISSING else field.default,
            repr=field.repr,
            type=field.type,
        )
        for field in dataclasses.fields(owner)
    }
    return attr.make_class(owner.__name__, described).__attrs_attrs__
