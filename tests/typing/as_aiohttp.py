"""What type checkers know of the names that are imported late; read by them, and never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

import anyhttp
from anyhttp import as_aiohttp, install_as_aiohttp, uninstall_as_aiohttp


def standing_in() -> None:
    """The package has them, as the module that defines them does."""
    assert_type(install_as_aiohttp, Callable[[], None])
    assert_type(uninstall_as_aiohttp, Callable[[], None])
    assert_type(anyhttp.install_as_aiohttp(), None)
    assert_type(as_aiohttp.uninstall_as_aiohttp(), None)
    anyhttp.install_as_aiohttp(1)  # type: ignore[call-arg]
    anyhttp.nothing()  # type: ignore[attr-defined]
