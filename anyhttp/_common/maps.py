"""A mapping made of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn, TypeVar, final

__all__ = ("ChainMapProxy",)

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)


@final
class ChainMapProxy(Mapping[K, V_co]):
    """A read-only view of several mappings as one.

    :param maps: the mappings; if several have a key, the first of them counts
    """

    __slots__ = ("_maps",)

    def __init__(self, maps: Iterable[Mapping[K, V_co]]) -> None:
        self._maps = tuple(maps)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError(f"ChainMapProxy cannot be subclassed, as by {cls.__name__}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._maps))})"

    def __getitem__(self, key: K) -> V_co:
        for mapping in self._maps:
            try:
                return mapping[key]
            except KeyError:
                continue
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return any(key in mapping for mapping in self._maps)

    def __iter__(self) -> Iterator[K]:
        return iter(dict.fromkeys(key for mapping in reversed(self._maps) for key in mapping))

    def __len__(self) -> int:
        return len(set().union(*self._maps))

    def __bool__(self) -> bool:
        return any(self._maps)
