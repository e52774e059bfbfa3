"""Finds the modules that stand in for aiohttp's, in front of the path that the others are on."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, ModuleType

from ._installed import INSTALLED_AIOHTTP, SharingLoader, is_aiohttps, take_modules
from ._names import CLIENT, INSTALLED, SHARED, TESTING
from ._stand_in import StandIn


class ClientLoader(Loader):
    """Makes a module of the client."""

    def create_module(self, spec: ModuleSpec) -> StandIn:
        return StandIn(below_aiohttp(spec.name))

    def exec_module(self, module: ModuleType) -> None:
        assert isinstance(module, StandIn)
        module.fill()
        if module.__name__ == "aiohttp":  # which itself imports its modules, too
            for name in CLIENT:
                importlib.import_module(f"aiohttp.{name}".rstrip("."))


class InstalledLoader(Loader):
    """Gives a module of the installed aiohttp.

    :param all_of_them: whether every other one that has been loaded goes into ``sys.modules``
        with it, and not only those for servers
    """

    def __init__(self, *, all_of_them: bool) -> None:
        self._all_of_them: bool = all_of_them

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = INSTALLED_AIOHTTP.module(spec.name)
        spec.loader_state = module.__spec__  # which the import replaces by *spec*
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state
        for name, other in list(INSTALLED_AIOHTTP.modules.items()):
            if self._all_of_them or below_aiohttp(name) in INSTALLED:
                sys.modules[name] = other
                parent, _, last = name.rpartition(".")
                if parent:
                    setattr(sys.modules[parent], last, other)

    def get_code(self, name: str) -> CodeType | None:
        """Return the code of the module, for ``python -m aiohttp.web``."""
        spec = INSTALLED_AIOHTTP.module(name).__spec__
        assert spec is not None
        assert isinstance(spec.loader, InspectLoader)
        return spec.loader.get_code(name)


class Refusal(Loader):
    """Says what ``from aiohttp import name`` would hide.

    :param missing: what the module has said of the name
    """

    def __init__(self, missing: str) -> None:
        self._missing: str = missing

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        parent, _, name = spec.name.rpartition(".")
        raise ImportError(f"cannot import name {name!r}: {self._missing}", name=parent)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: no module is made."""


class Finder(MetaPathFinder):
    """Finds aiohttp and its modules while this client stands in for it."""

    def __init__(self) -> None:
        #: Whether ``import aiohttp`` gives this client.
        self.standing_in: bool = False

    def stand_in(self) -> None:
        """Begin to find modules.

        The place is in front of what finds files, and behind the hooks that other packages have
        put before it: tools that watch for an import of aiohttp see one.  Only where one of those
        before it finds an aiohttp of its own, as in programs that are packed into one file, it is
        in front of all.
        """
        self.standing_in = True
        if self in sys.meta_path:
            return
        places = [number for number, finder in enumerate(sys.meta_path) if finder is PathFinder]
        sys.meta_path.insert(places[0] if places else len(sys.meta_path), self)
        found = importlib.util.find_spec("aiohttp")
        if found is None or found.origin != __package__:
            sys.meta_path.remove(self)
            sys.meta_path.insert(0, self)

    def step_aside(self) -> None:
        """Take all modules of aiohttp out of ``sys.modules``, and find no more of them.

        Modules of the installed aiohttp that have been loaded are still found here, as Python
        cannot load its extension modules a second time.
        """
        self.standing_in = False
        take_modules()
        if not INSTALLED_AIOHTTP.modules:
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if not is_aiohttps(fullname):
            return None
        name = below_aiohttp(fullname)
        if INSTALLED_AIOHTTP.loading:
            return shared_spec(fullname, path) if name in SHARED else None
        if not self.standing_in:
            if fullname in INSTALLED_AIOHTTP.modules:
                return ModuleSpec(fullname, InstalledLoader(all_of_them=True))
            return None
        if name in CLIENT:
            # Each is a package, so that "from" asks here for a name that it does not find.
            return ModuleSpec(fullname, ClientLoader(), origin=__package__, is_package=True)
        if name in INSTALLED:
            return ModuleSpec(fullname, InstalledLoader(all_of_them=False))
        if name in TESTING:
            return INSTALLED_AIOHTTP.spec(fullname)
        parent, _, last = fullname.rpartition(".")
        # "from" asks the module for the name first, and then looks here for a module of that name.
        asked, missing = getattr(sys.modules.get(parent), "__missing__", ("", ""))
        if asked != last:
            return None
        sys.modules[parent].__dict__.pop("__missing__")
        return ModuleSpec(fullname, Refusal(missing))


def shared_spec(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """Return the specification of a module of the installed aiohttp that takes names from here."""
    spec = PathFinder.find_spec(name, path)
    if spec is not None and spec.loader is not None:
        spec.loader = SharingLoader(spec.loader, below_aiohttp(name))
    return spec


def below_aiohttp(name: str) -> str:
    """Return the name of a module of aiohttp as the tables have it."""
    return name.partition(".")[2]


FINDER = Finder()
