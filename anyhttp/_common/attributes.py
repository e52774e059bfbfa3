"""An attribute that is computed each time, unless a program has set it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ("computed",)

T = TypeVar("T")


class computed(Generic[T]):  # noqa: N801  (a decorator, like property)
    """A property for a name of aiohttp that programs also set, in subclasses and in tests.

    What they set is stored in the object, as with any other attribute, and found there first.  A
    ``property`` would refuse it.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        return self if instance is None else self._compute(instance)
