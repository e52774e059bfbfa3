"""Methods and attributes by which programs change what aiohttp does, and that have no effect here.

A program that overrides one would be passed over in silence.  If it is for security, such as one
that sends each request through a proxy, that would be a hole: so it is refused.  For the others
there is a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from itertools import takewhile
from types import FunctionType
from typing import Any, Final, NoReturn

from .deprecation import outside_caller

__all__ = ("Hooks",)

_MISSING: Final = object()


class Hooks:
    """Those of one class.

    :param root: the class, none of whose subclasses has been made yet
    :param refused: names with what to write instead; a subclass that has one is an error
    :param unused: names with what to write instead; for those there is a warning
    :param wrapped: those of the refused names that may be assigned to the root, since what is
        there is called; subclasses cannot have them
    """

    __slots__ = ("_advice", "_own", "_refused", "_root", "_wrapped")

    def __init__(
        self,
        root: type,
        refused: Mapping[str, str],
        unused: Mapping[str, str] | None = None,
        *,
        wrapped: frozenset[str] = frozenset(),
    ) -> None:
        self._root = root
        self._wrapped = wrapped
        self._refused = refused.keys()
        self._advice = {**refused, **(unused or {})}
        self._own: dict[str, object] = {}
        for name in self._advice:
            own = self._find(root, name)
            # Public names that are missing would be shown to whoever looks at the class.
            if name.startswith("_") and (own is _MISSING or isinstance(own, FunctionType)):
                setattr(root, name, _Hook(self, name, own))
            self._own[name] = self._find(root, name)

    def check_subclass(self, cls: type) -> None:
        """Check *cls*, which has just been made: its methods and those of other bases.

        :raises TypeError: one of them is refused
        """
        for name, own in self._own.items():
            found = self._find(cls, name)
            if found is not own and not self._is_known(cls, name, found):
                self.complain(cls, name)

    def _is_known(self, cls: type, name: str, found: object) -> bool:
        """Whether a base of *cls* has been checked with the same value, which gave a warning."""
        return any(
            issubclass(base, self._root) and self._find(base, name) is found
            for base in cls.__bases__
        )

    def _find(self, cls: type, name: str) -> object:
        """Return what *name* is in *cls*, whose bases behind the root do not count.

        In aiohttp the root has the name, and so comes before them.
        """
        for each in (*self._before_root(cls), *self._root.__mro__):
            if name in vars(each):
                return vars(each)[name]
        return _MISSING

    def _before_root(self, cls: type) -> Iterator[type]:
        return takewhile(lambda each: each is not self._root, cls.__mro__)

    def check_patches(self, kind: type) -> None:
        """Check that no refused name was assigned to *kind*, or to a base, after it was made.

        As in :meth:`check_subclass`, the bases behind the root do not count.

        :raises TypeError: one was
        """
        for cls in (*self._before_root(kind), self._root):
            attributes = vars(cls)
            if not attributes.keys().isdisjoint(self._refused):
                for name in self._refused:
                    own = self._own[name]
                    is_called = cls is self._root and name in self._wrapped
                    if attributes.get(name, own) is not own and not is_called:
                        self.complain(cls, name)

    def complain(self, cls: type, name: str) -> None:
        """Raise an error or issue a warning, as *name* of *cls* has been set.

        :raises TypeError: it is refused
        """
        text = f"{cls.__qualname__}.{name} would be passed over, as nothing here calls or reads it"
        message = f"{text}: {self._advice[name]}"
        if name in self._refused:
            raise TypeError(message)
        # Python shows a RuntimeWarning wherever it comes from; others it hides in libraries.
        warnings.warn(message, RuntimeWarning, stacklevel=outside_caller()[0])


class _Hook:
    """A hook in the root: it is known when a program sets it on an object.

    :param own: the root's method, which programs may call; without one the hook is missing until
        it is set
    """

    __slots__ = ("_hooks", "_name", "_own")

    def __init__(self, hooks: Hooks, name: str, own: Any) -> None:
        self._hooks = hooks
        self._name = name
        self._own = own

    def __get__(self, instance: object, owner: type) -> Any:
        value = _MISSING if instance is None else vars(instance).get(self._name, _MISSING)
        if value is not _MISSING:
            return value
        if self._own is _MISSING:
            self._miss(owner, instance)
        return self._own.__get__(instance, owner)

    def _miss(self, owner: type, instance: object) -> NoReturn:
        text = f"{owner.__name__!r} object has no attribute {self._name!r}"
        raise AttributeError(text, name=self._name, obj=owner if instance is None else instance)

    def __set__(self, instance: object, value: object) -> None:
        self._hooks.complain(type(instance), self._name)
        vars(instance)[self._name] = value

    def __delete__(self, instance: object) -> None:
        if vars(instance).pop(self._name, _MISSING) is _MISSING:
            self._miss(type(instance), instance)
