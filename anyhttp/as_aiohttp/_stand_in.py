"""The modules that programs get as ``aiohttp`` and ``aiohttp.client``."""

from __future__ import annotations

import importlib
from types import ModuleType

from ._installed import INSTALLED_AIOHTTP
from ._names import CLIENT, MORE, SERVER_NAMES, VERSION

PACKAGE = __name__.partition(".")[0]


class StandIn(ModuleType):
    """A module of aiohttp, with the names of the room that it stands for.

    It is an object of its own, and not the room's module under a second name: that would carry
    the wrong name and import specification, which ``importlib.reload()`` and ``find_spec()`` go
    by; and only a class of its own can say what is missing, and pass on what a program sets.

    :param name: its name below ``aiohttp``, empty for aiohttp itself
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"aiohttp.{name}" if name else "aiohttp")
        # Not the room's file: inspect finds the module of a frame by the file that it has.
        self.__dict__["__file__"] = __file__

    def fill(self, name: str) -> None:
        """Take over the names of the room that this module stands for."""
        room = importlib.import_module(f"{PACKAGE}.{CLIENT[name]}".rstrip("."))
        self.__dict__.update(
            (key, value)
            for key, value in vars(room).items()
            if not key.startswith("__") and not isinstance(value, ModuleType)
        )
        if name in MORE:
            more = importlib.import_module(f"{PACKAGE}.{MORE[name]}")
            self.__dict__.update((key, getattr(more, key)) for key in more.__all__)
        self.__dict__["__doc__"] = room.__doc__
        if hasattr(room, "__all__"):
            self.__dict__["__all__"] = room.__all__
        if not name:
            self.__dict__["__version__"] = VERSION

    def __getattr__(self, name: str) -> object:
        """Find what the room has not: a public name from another one, or one for servers."""
        own = self.__name__.partition(".")[2]
        top = importlib.import_module(PACKAGE)
        if name in top.__all__:
            return getattr(top, name)
        if name in SERVER_NAMES.get(own, ()):
            return getattr(INSTALLED_AIOHTTP.module(self.__name__), name)
        self.__dict__["__missing__"] = name  # see Refusal
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}: {PACKAGE} in place of aiohttp>"
