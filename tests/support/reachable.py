"""What an object keeps alive."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import FrameType, FunctionType, ModuleType


def reachable(start: object) -> Iterator[object]:
    """Yield all that *start* keeps alive, except by way of modules, functions and classes."""
    found, waiting = {id(start)}, [start]
    while waiting:
        thing = waiting.pop()
        yield thing
        for below in gc.get_referents(thing):
            left_out = isinstance(below, (ModuleType, FrameType, FunctionType, type))
            if id(below) not in found and not left_out:
                found.add(id(below))
                waiting.append(below)
