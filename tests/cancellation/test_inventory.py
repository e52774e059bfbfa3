"""No public coroutine function is left out of the operations."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest

import anyhttp

from .catalog import OPERATIONS
from .stage import Stage, checked

#: What no operation calls, and why.
EXCEPTIONS = {
    "AbstractResolver.close": "abstract",
    "AbstractResolver.resolve": "abstract",
    "Payload.write": "abstract",
    "BodySource.pull": "a protocol",
    "Writer.write": "a protocol",
    "AutojumpEventLoop.shutdown_default_executor": "called by asyncio when the event loop ends",
    "NoNetwork.stream_for": "it raises an error, and waits for nothing",
}

#: A class with one of these is waited for, entered or iterated over.
_ASYNCHRONOUS = ("__await__", "__aenter__", "__anext__")
_ABSTRACT = {"Awaitable", "Coroutine", "AsyncIterator", "AsyncGenerator", "AsyncIterable"}


def public_modules() -> Iterator[ModuleType]:
    """Import each module that programs import; those whose extra is not installed are left out."""
    yield anyhttp
    for found in pkgutil.walk_packages(anyhttp.__path__, "anyhttp."):
        if any(part.startswith("_") for part in found.name.split(".")):
            continue
        try:
            yield importlib.import_module(found.name)
        except ImportError:
            continue


def is_waited_for(function: Callable[..., Any]) -> bool:
    """Whether a program has to wait for what *function* does or returns."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return True
    returned = str(function.__annotations__.get("return", ""))
    names = [] if returned.startswith("Callable") else re.findall(r"\w+", returned)
    types = [function.__globals__.get(name, getattr(anyhttp, name, None)) for name in names]
    return bool(_ABSTRACT & set(names)) or any(
        isinstance(each, type) and any(hasattr(each, name) for name in _ASYNCHRONOUS)
        for each in types
    )


def public_functions() -> dict[str, Callable[..., Any]]:
    """Return the functions that are waited for, by their qualified names."""
    found: dict[str, Callable[..., Any]] = {}
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name, None)
            if inspect.isclass(value):
                members = [inspect.getattr_static(value, each) for each in dir(value)]
                candidates = [
                    getattr(member, "__func__", member)
                    for member in members
                    if inspect.isfunction(getattr(member, "__func__", member))
                ]
            else:
                candidates = [value] if inspect.isfunction(value) else []
            for each in map(inspect.unwrap, candidates):
                is_own = (each.__module__ or "").startswith("anyhttp")
                name = each.__name__
                is_public = not name.startswith("_") or name in {
                    "__aenter__", "__aexit__", "__anext__", "__await__", "__call__",
                }  # fmt: skip
                if is_own and is_public and is_waited_for(each):
                    found[each.__qualname__] = each
    return found


@contextmanager
def calls_noted(found: set[CodeType]) -> Iterator[None]:
    """Note the functions that are called in this thread."""

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            found.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


@pytest.mark.once
async def test_every_public_coroutine_function_is_called_by_an_operation(stage: Stage) -> None:
    """So is what returns something to wait for; a new one fails here until it is."""
    public = public_functions()
    missing = {function.__code__: name for name, function in public.items()}
    expected = {name for name in public if _is_excepted(name)}
    called: set[CodeType] = set()
    deeds: set[object] = set()
    for operation in OPERATIONS.values():
        whole: Any = operation.deed
        deed = (whole.func, repr(whole.args)) if isinstance(whole, partial) else whole
        if deed in deeds or (operation.needs and find_spec(operation.needs) is None):
            continue
        deeds.add(deed)
        async with checked(operation, stage, entered=True) as (run, _):
            with calls_noted(called):
                await run()
    left = {name for code, name in missing.items() if code not in called}
    assert left == expected, "called by no operation, or called in spite of its exception"


def _is_excepted(name: str) -> bool:
    return name in EXCEPTIONS or name.partition(".")[0] in EXCEPTIONS


def test_the_inventory_finds_what_it_is_for() -> None:
    """Verbs return something to wait for; coroutine methods of each kind are there."""
    public = public_functions()
    for name in (
        "ClientSession.get",
        "ClientSession.ws_connect",
        "ClientSession.__aexit__",
        "request",
        "download",
        "RetryMiddleware.__call__",
        "StreamReader.iter_chunked",
        "MockConnector.close",
    ):
        assert name in public
    assert set(EXCEPTIONS) <= {part for name in public for part in (name, name.partition(".")[0])}
