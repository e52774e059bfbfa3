"""The error for programs that import aiohttp before this client can take its place."""

from __future__ import annotations

import sys
from types import ModuleType

from ._installed import is_aiohttps


def refuse_if_imported() -> None:
    """Raise unless aiohttp has yet to be imported.

    :raises ImportError: it is there, or a part of it; the message names who imports it
    """
    modules = {name: module for name, module in sys.modules.items() if is_aiohttps(name)}
    if not modules:
        return
    users = sorted(name for name in list(sys.modules) if uses_aiohttp(name, modules))
    by = f"; these modules use it: {', '.join(users[:5])}" if users else ""
    raise ImportError(
        f"aiohttp has been imported before anyhttp can take its place{by}. Call"
        " install_as_aiohttp() before the first import of aiohttp, and of what imports it, or run"
        " the whole program with: python -m anyhttp.as_aiohttp PROGRAM",
        name="aiohttp",
    )


def uses_aiohttp(name: str, modules: dict[str, ModuleType]) -> bool:
    """Return whether the module *name* holds something of aiohttp."""
    if name in modules:
        return False
    try:
        # Modules that are loaded when they are used are not asked: they would import something.
        attributes = object.__getattribute__(sys.modules[name], "__dict__")
    except AttributeError:  # not everything in there is a module
        return False
    for value in list(attributes.values()):
        if isinstance(value, ModuleType):
            if value in modules.values():
                return True
        elif isinstance(value, type) and value.__module__ in modules:
            return True
    return False
