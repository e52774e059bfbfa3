"""The modules that programs get as ``aiohttp``, ``aiohttp.client`` and so on."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Final

from ._installed import INSTALLED_AIOHTTP
from ._names import (
    CLIENT,
    INSTALLED,
    INSTALLED_NAMES,
    MORE,
    NOT_TO_BE_SET,
    TESTING,
    VERSION,
)

PACKAGE: Final = __name__.partition(".")[0]

MISSING: Final = (
    "module {module!r} has no {name!r}: this is anyhttp in place of aiohttp, and it lacks the name."
    " If a program needs it, please report it; 'pip show --verbose anyhttp-client' says where"
)


class StandIn(ModuleType):
    """A module of aiohttp's client: the names are those of the room that it stands for.

    It is an object of its own, and not the room's module under a second name.  That one would
    carry another name and specification than programs look for, which ``importlib.reload()`` and
    ``find_spec()`` go by; it could not say of a missing name whose it is; and nothing would be
    left of it to take away in the end.

    A name that is set here is set in the files of the room, too, where it stands for the same
    object.  A room may have many files where aiohttp has one, and so it reaches the code that
    uses it, as in aiohttp: ``mock.patch("aiohttp.client.TCPConnector")`` changes what sessions
    make.

    :param name: its name below ``aiohttp``, empty for aiohttp itself
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"aiohttp.{name}" if name else "aiohttp")
        # Not the room's file: by its file inspect finds the module that a frame belongs to.
        vars(self)["__file__"] = __file__
        vars(self)["__room__"] = f"{PACKAGE}.{CLIENT[name]}" if CLIENT[name] else PACKAGE

    def fill(self) -> None:
        """Take the names of the room, and those of the package, which aiohttp's modules share."""
        name = self.__name__.partition(".")[2]
        room = importlib.import_module(vars(self)["__room__"])
        own = vars(self)
        if name not in {"hdrs", "log"}:  # which programs look through
            own.update(public_names())
        own.update(
            (key, value)
            for key, value in vars(room).items()
            if not is_special(key) and not isinstance(value, ModuleType)
        )
        if name in MORE:
            more = importlib.import_module(f"{PACKAGE}.{MORE[name]}")
            own.update((key, getattr(more, key)) for key in more.__all__)
        own["__doc__"] = f"{PACKAGE} in place of aiohttp.\n\n{room.__doc__}"
        own["__all__"] = tuple(key for key in getattr(room, "__all__", ()) if key not in NOT_THERE)
        if not name:
            own["__version__"] = VERSION

    def __getattr__(self, name: str) -> object:
        """Find another module, as these see each other, or a name of the installed aiohttp."""
        if name in CLIENT:
            return importlib.import_module(f"aiohttp.{name}")
        missing = MISSING
        if name in INSTALLED_NAMES.get(self.__name__.partition(".")[2], ()):
            try:
                return getattr(INSTALLED_AIOHTTP.module(self.__name__), name)
            except ModuleNotFoundError as exc:
                missing = f"module {{module!r}} has no {{name!r}}: {exc}"
        elif name in INSTALLED or name in TESTING:
            missing = "{module}.{name} has to be imported first: import {module}.{name}"
        message = missing.format(module=self.__name__, name=name)
        if not is_special(name) and sys._getframe(1).f_code.co_name == "_handle_fromlist":
            # Python asks so for "from aiohttp import name", and then the finder for a module.
            vars(self)["__missing__"] = (name, message)
        raise AttributeError(message, name=name, obj=self)

    def __setattr__(self, name: str, value: object) -> None:
        instead = NOT_TO_BE_SET.get(f"{self.__name__}.{name}")
        if instead is not None:
            raise AttributeError(
                f"setting {self.__name__}.{name} would change nothing: this is anyhttp in place of"
                f" aiohttp. Write {instead}",
                name=name,
                obj=self,
            )
        if not is_special(name) and not isinstance(value, ModuleType) and name in vars(self):
            for file in files_of(vars(self)["__room__"]):
                if vars(file).get(name) is vars(self)[name]:
                    setattr(file, name, value)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}: {PACKAGE} in place of aiohttp>"


#: Public names of this package that are none of aiohttp's business.
NOT_THERE: Final = frozenset({"install_as_aiohttp", "uninstall_as_aiohttp"})


def public_names() -> dict[str, object]:
    """Return the public names of the package, without its modules."""
    top = importlib.import_module(PACKAGE)
    names = {key: getattr(top, key) for key in top.__all__ if key not in NOT_THERE}
    return {
        key: value
        for key, value in names.items()
        if not is_special(key) and not isinstance(value, ModuleType)
    }


def is_special(name: str) -> bool:
    """Return whether *name* belongs to Python and not to a program."""
    return name.startswith("__") and name.endswith("__")


def files_of(room: str) -> Iterator[ModuleType]:
    """Yield the modules of a room.

    For the package itself there are none: no code in it looks a name up there, and other programs
    that do so import this package, and not aiohttp.
    """
    for name, module in list(sys.modules.items()):
        if room != PACKAGE and (name == room or name.startswith(f"{room}.")):
            yield module
