"""Which payload sends which type of value."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from itertools import chain
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Final

from ._base import Payload

__all__ = ("Order", "PayloadRegistry")


class Order(enum.Enum):
    """When a registered type is tried, compared to the others."""

    normal = "normal"
    try_first = "try_first"
    try_last = "try_last"


PayloadFactory = Callable[..., Payload]

#: Python's own types of bodies.  All objects of one of them get the same payload, so the search is
#: done once: it takes 30 000 instructions for an asynchronous generator.
_REMEMBERED: Final = frozenset({bytes, str, bytearray, AsyncGeneratorType, GeneratorType})


class PayloadRegistry:
    """Knows which payload class sends which type of value."""

    def __init__(self) -> None:
        self._first: list[tuple[PayloadFactory, type | tuple[type, ...]]] = []
        self._normal: list[tuple[PayloadFactory, type | tuple[type, ...]]] = []
        self._last: list[tuple[PayloadFactory, type | tuple[type, ...]]] = []
        self._found: dict[type, PayloadFactory] = {}

    def _entries(self) -> Iterator[tuple[PayloadFactory, type | tuple[type, ...]]]:
        return chain(self._first, self._normal, self._last)

    def get(self, data: object, *args: Any, **kwargs: Any) -> Payload:
        """Return the payload that sends *data*.

        :raises LookupError: no registered type fits
        """
        kind = type(data)
        known = self._found
        if (found := known.get(kind)) is not None:
            return found(data, *args, **kwargs)
        if isinstance(data, Payload):
            return data
        for factory, types in self._entries():
            if isinstance(data, types):
                if kind in _REMEMBERED:
                    known[kind] = factory
                return factory(data, *args, **kwargs)
        raise LookupError(f"no payload is registered for {type(data).__name__}")

    def register(
        self,
        factory: PayloadFactory,
        type: type | tuple[type, ...],  # noqa: A002  (aiohttp's name)
        *,
        order: Order = Order.normal,
    ) -> None:
        """Send values of *type* as the payloads that *factory* makes of them."""
        lists = {
            Order.try_first: self._first,
            Order.normal: self._normal,
            Order.try_last: self._last,
        }
        if order not in lists:
            raise ValueError(f"order must be a member of Order, not {order!r}")
        lists[order].append((factory, type))
        # A new object, as another thread may be about to store what it found before.
        self._found = {}
