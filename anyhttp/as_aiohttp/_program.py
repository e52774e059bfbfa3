"""Runs a program as ``python PROGRAM`` does, with this client in place of aiohttp."""

from __future__ import annotations

import builtins
import os
import runpy
import sys
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from pkgutil import get_importer
from types import CodeType, ModuleType
from typing import Final, NoReturn

from . import install_as_aiohttp

USAGE: Final = """\
usage: python -m anyhttp.as_aiohttp (PROGRAM | -m MODULE | -c CODE | -) [ARGUMENT ...]

Run a Python program that gets this client wherever it imports aiohttp. What to run is given as to
python itself; options of the interpreter stand before -m anyhttp.as_aiohttp.
"""


def main() -> None:
    """Run what the arguments of this process name; its end is the end of this process."""
    what = sys.argv[1:2]
    if what == ["-h"] or what == ["--help"]:
        sys.stdout.write(USAGE)
        return
    if not what or (what[0] in {"-m", "-c"} and len(sys.argv) < 3):
        refuse(USAGE)
    if what[0].startswith("-") and what[0] not in {"-m", "-c", "-"}:
        refuse(f"unknown option {what[0]}\n{USAGE}")
    del sys.argv[0]
    install_as_aiohttp()
    # A module of its own, that also stays: atexit and threads pickle by the name "__main__", too.
    program = sys.modules["__main__"] = ModuleType("__main__")
    if what == ["-m"]:
        del sys.argv[0]
        run_module(sys.argv[0])
    elif what == ["-c"]:
        run_text(program, sys.argv.pop(1), "<string>")
    elif what == ["-"]:
        run_text(program, sys.stdin.buffer.read(), "<stdin>")
    else:
        run_path(program, sys.argv[0])


def refuse(message: str) -> NoReturn:
    """End with the status that python has for wrong arguments."""
    sys.stderr.write(message)
    sys.exit(2)


def replace_folder(folder: str, *, always: bool = False) -> None:
    """Let *folder* come first where modules are looked for, in place of the working directory.

    :param always: also where python was told to look in neither (``-P``)
    """
    if not sys.flags.safe_path:
        sys.path[0] = folder
    elif always:
        sys.path.insert(0, folder)


def run_module(name: str, *, alter_argv: bool = True) -> None:
    """Run the module *name* as the main one.

    ``runpy.run_module()`` would take the module away when it returns, and so too early for what
    runs at exit; this is the function by which python itself does ``-m``.
    """
    runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]


def run_path(program: ModuleType, path: str) -> None:
    """Run a script, or the ``__main__`` in a directory or a zip file."""
    path = os.path.join(os.getcwd(), path)  # as python does it: nothing is made simpler
    if get_importer(path) is not None:
        replace_folder(path, always=True)
        run_module("__main__", alter_argv=False)
        return
    loader: SourceFileLoader | SourcelessFileLoader
    try:
        if path.endswith(".pyc"):
            loader = SourcelessFileLoader("__main__", path)
            code = loader.get_code("__main__")
        else:
            loader = SourceFileLoader("__main__", path)
            code = loader.source_to_code(loader.get_data(path), path)
    except OSError as exc:
        refuse(f"{sys.executable}: can't open file {path!r}: [Errno {exc.errno}] {exc.strerror}\n")
    replace_folder(os.path.dirname(os.path.realpath(path)))
    program.__loader__ = loader
    program.__file__ = path
    run_code(program, code)


def run_text(program: ModuleType, text: str | bytes, name: str) -> None:
    """Run the source *text* as the main module; *name* is what tracebacks show for its file."""
    replace_folder("")
    run_code(program, compile(text, name, "exec", dont_inherit=True))


def run_code(program: ModuleType, code: CodeType | None) -> None:
    """Run *code* as the main module."""
    assert code is not None
    program.__dict__["__builtins__"] = builtins
    exec(code, program.__dict__)
