"""The aiohttp that is installed: its server is used beside the client of this package.

Its modules are loaded under their own names, as its extension modules import each other by them,
while the modules that stand in for aiohttp are out of ``sys.modules``.  Then they change places.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

from ._bodies import accept_payloads
from ._names import CLIENT, SHARED

NOT_INSTALLED = (
    "{wanted} is a part of aiohttp that this client does not replace, and takes it from the"
    " installed aiohttp, but none is installed; try: pip install aiohttp"
)

#: Seconds to wait for another thread that loads modules.  It takes less than one.  But that thread
#: may itself wait for a module that this one has begun to import: then one of them has to give up.
WAIT_SECONDS = 10.0

BUSY = (
    "{wanted} cannot be imported, as another thread is importing a part of the installed aiohttp:"
    " import both in one thread, before others are started"
)


class InstalledAiohttp:
    """Loads modules of the installed aiohttp, and keeps them out of ``sys.modules``."""

    def __init__(self) -> None:
        #: Whether imports of aiohttp mean the installed one just now.
        self.loading: bool = False
        #: What has been loaded, by full name.  It is kept when the stand-in ends, as extension
        #: modules cannot be loaded twice.
        self.modules: dict[str, ModuleType] = {}
        self._lock: threading.RLock = threading.RLock()

    def module(self, name: str) -> ModuleType:
        """Return the module *name*, such as ``aiohttp.web``.

        :raises ModuleNotFoundError: aiohttp is not installed, or has no such module
        """
        if name in self.modules:
            return self.modules[name]
        with self._in_place(name):
            return importlib.import_module(name)

    def spec(self, name: str) -> ModuleSpec | None:
        """Return the specification by which the module *name* can be loaded, if there is one.

        :raises ModuleNotFoundError: aiohttp is not installed
        """
        with self._in_place(name):
            return importlib.util.find_spec(name)

    @contextmanager
    def _in_place(self, wanted: str) -> Iterator[None]:
        """Let imports of aiohttp mean the installed one until the block ends.

        :raises ImportError: another thread does the same, and does not end
        """
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise ImportError(BUSY.format(wanted=wanted), name=wanted)
        try:
            if self.loading:  # an import hook of another package has come back here
                yield
                return
            others = take_modules()
            sys.modules.update(self.modules)
            self.loading = True
            try:
                if importlib.util.find_spec("aiohttp") is None:
                    raise ModuleNotFoundError(NOT_INSTALLED.format(wanted=wanted), name="aiohttp")
                yield
            finally:
                self.loading = False
                self.modules = take_modules()
                sys.modules.update(others)
        finally:
            self._lock.release()


class SharingLoader(Loader):
    """Loads a module of the installed aiohttp, and gives it objects of this package.

    :param loader: loads the module
    :param name: its name below ``aiohttp``
    """

    def __init__(self, loader: Loader, name: str) -> None:
        self._loader: Loader = loader
        self._name: str = name

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        room = importlib.import_module(f"{__name__.partition('.')[0]}.{CLIENT[self._name]}")
        for key in SHARED[self._name]:
            if hasattr(module, key):
                setattr(module, key, getattr(room, key))
        if self._name == "payload":
            accept_payloads(module)


def is_aiohttps(name: object) -> bool:
    """Return whether *name* is aiohttp's, or that of a module in it."""
    return isinstance(name, str) and (name == "aiohttp" or name.startswith("aiohttp."))


def take_modules() -> dict[str, ModuleType]:
    """Remove aiohttp and its modules from ``sys.modules``, and return them by name."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if is_aiohttps(name)}


INSTALLED_AIOHTTP = InstalledAiohttp()
