"""``import aiohttp`` gives this client, and gives aiohttp again when it is undone."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

import anyhttp


def modules_of_aiohttp() -> dict[str, ModuleType]:
    """Return what is loaded of aiohttp."""
    return {name: module for name, module in sys.modules.items() if name.startswith("aiohttp")}


@pytest.fixture
def installed() -> Iterator[None]:
    """Put this client in the place of aiohttp, which another test may have imported."""
    before = modules_of_aiohttp()
    for name in before:
        del sys.modules[name]
    anyhttp.install_as_aiohttp()
    try:
        yield
    finally:
        anyhttp.uninstall_as_aiohttp()
        assert not modules_of_aiohttp()
        sys.modules.update(before)


def test_an_import_of_aiohttp_gives_this_client(installed: None) -> None:
    """The names are the very same objects, in each of its modules."""
    aiohttp = importlib.import_module("aiohttp")
    assert aiohttp.ClientSession is anyhttp.ClientSession
    assert importlib.import_module("aiohttp.client").ClientSession is anyhttp.ClientSession
    assert aiohttp.client_exceptions.ClientError is anyhttp.ClientError
