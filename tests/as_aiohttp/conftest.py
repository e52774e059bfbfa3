"""This client in the place of aiohttp, for the time of a test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import anyhttp


@pytest.fixture
def without_aiohttp() -> Iterator[None]:
    """Forget that a test before may have imported aiohttp; it is back afterwards."""
    before = {name: sys.modules[name] for name in list(sys.modules) if of_aiohttp(name)}
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        anyhttp.uninstall_as_aiohttp()
        for name in filter(of_aiohttp, list(sys.modules)):
            del sys.modules[name]
        sys.modules.update(before)


@pytest.fixture
def stand_in(without_aiohttp: None) -> None:
    """Put this client in the place of aiohttp."""
    anyhttp.install_as_aiohttp()


def of_aiohttp(name: str) -> bool:
    """Return whether a module is aiohttp's."""
    return name == "aiohttp" or name.startswith("aiohttp.")
