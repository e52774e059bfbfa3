"""Finds the modules that stand in for aiohttp's, in front of the path that the others are on."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from ._installed import INSTALLED_AIOHTTP, is_aiohttps, take_modules
from ._names import CLIENT, INSTALLED, TESTING
from ._stand_in import StandIn


class ClientLoader(Loader):
    """Makes a module of the client."""

    def create_module(self, spec: ModuleSpec) -> StandIn:
        return StandIn(below_aiohttp(spec.name))

    def exec_module(self, module: ModuleType) -> None:
        assert isinstance(module, StandIn)
        name = below_aiohttp(module.__name__)
        module.fill(name)
        if not name:
            for other in filter(None, CLIENT):  # as aiohttp itself imports its modules
                importlib.import_module(f"aiohttp.{other}")


class InstalledLoader(Loader):
    """Gives a module of the installed aiohttp."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = INSTALLED_AIOHTTP.module(spec.name)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own specification back, as an import has replaced it."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


class Refusal(Loader):
    """Says which name is missing, where ``from aiohttp import`` would say less."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        parent, _, name = spec.name.rpartition(".")
        raise ImportError(f"cannot import name {name!r} from {sys.modules[parent]!r}", name=parent)

    def exec_module(self, module: ModuleType) -> None:
        """Never reached."""


class Finder(MetaPathFinder):
    """Finds aiohttp and its modules while this client stands in for it."""

    def __init__(self) -> None:
        #: Whether ``import aiohttp`` gives this client.
        self.standing_in: bool = False

    def stand_in(self) -> None:
        """Begin to find modules.

        The place is in front of what finds files, and behind the hooks that other packages have
        put before it: tools that watch for an import of aiohttp see one.
        """
        self.standing_in = True
        if self not in sys.meta_path:
            places = [number for number, finder in enumerate(sys.meta_path) if finder is PathFinder]
            sys.meta_path.insert(places[0] if places else len(sys.meta_path), self)

    def step_aside(self) -> None:
        """Take all modules of aiohttp out of ``sys.modules``, and find no more of them.

        What was loaded of the installed aiohttp has to be found by this finder in the future, too.
        """
        self.standing_in = False
        take_modules()
        if not INSTALLED_AIOHTTP.modules:
            sys.meta_path.remove(self)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if INSTALLED_AIOHTTP.loading or not is_aiohttps(fullname):
            return None
        if not self.standing_in:
            if fullname in INSTALLED_AIOHTTP.modules:
                return ModuleSpec(fullname, InstalledLoader())
            return None
        name = below_aiohttp(fullname)
        if name in CLIENT:
            return ModuleSpec(fullname, ClientLoader(), origin=__package__, is_package=True)
        if name in INSTALLED:
            return ModuleSpec(fullname, InstalledLoader())
        if name in TESTING:
            return INSTALLED_AIOHTTP.spec(fullname)
        parent, _, missing = fullname.rpartition(".")
        if getattr(sys.modules.get(parent), "__missing__", None) == missing:
            return ModuleSpec(fullname, Refusal())
        return None


def below_aiohttp(name: str) -> str:
    """Return the name of a module of aiohttp as the tables have it."""
    return name.partition(".")[2]


FINDER = Finder()
