"""Putting a mutant into the running process, in the place of the function that was imported."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import FunctionType, ModuleType

from tests.mutation.mutants import Mutant


class NotPossible(Exception):
    """A mutant cannot take the place of its function."""


def module_of(file: str) -> ModuleType:
    """Import the module of a file of the package."""
    return importlib.import_module("anyhttp." + file.removesuffix(".py").replace("/", "."))


def put_in_place(mutant: Mutant) -> None:
    """Change the code of the function that *mutant* is of.

    Functions are known by the lines in which they begin, as several may have one name: the
    getter and the setter of a property.

    :raises NotPossible: the function is not found, or refers to other variables around it
    """
    module = module_of(mutant.file)
    changed = ModuleType(module.__name__)
    changed.__dict__.update(
        {name: vars(module)[name] for name in ("__package__", "__spec__", "__file__")}
    )
    exec(compile(mutant.source, str(module.__file__), "exec", dont_inherit=True), vars(changed))
    try:
        old = functions_of(module)[mutant.line]
        new = functions_of(changed)[mutant.line]
        old.__code__ = new.__code__
    except (KeyError, ValueError) as error:
        raise NotPossible(f"{mutant.function}: {error!r}") from error
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__


def functions_of(module: ModuleType) -> dict[int, FunctionType]:
    """Return the functions and methods of *module* by their first lines."""
    return {function.__code__.co_firstlineno: function for function in _functions(module, module)}


def _functions(module: ModuleType, owner: ModuleType | type) -> Iterator[FunctionType]:
    for value in vars(owner).values():
        if isinstance(value, type):
            if value.__module__ == module.__name__ and value is not owner:
                yield from _functions(module, value)
        else:
            yield from (it for it in _within(value) if it.__code__.co_filename == module.__file__)


def _within(value: object) -> Iterator[FunctionType]:
    """Return what is in *value*: a function, or a descriptor made of some."""
    if isinstance(value, FunctionType):
        yield value
        yield from _within(getattr(value, "__wrapped__", None))
    elif isinstance(value, (staticmethod, classmethod)):
        yield from _within(value.__func__)
    elif isinstance(value, property):
        for function in (value.fget, value.fset, value.fdel):
            yield from _within(function)
    elif type(value).__module__.startswith(("anyhttp.", "functools")):
        names = (*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ()))
        for each in (getattr(value, name, None) for name in names):
            if isinstance(each, FunctionType):
                yield each
