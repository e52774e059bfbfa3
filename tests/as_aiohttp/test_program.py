"""``python -m anyhttp.as_aiohttp PROGRAM`` runs a program as ``python PROGRAM`` does."""

from __future__ import annotations

import importlib
import os
import py_compile
import subprocess
import sys
import zipapp
from pathlib import Path
from textwrap import dedent

import pytest

import anyhttp
from tests.support.server import Server

SHOWS = """
import __main__, os, sys
print(sys.argv, __name__, __file__, __main__.__dict__ is globals())
print(sys.path[0], __spec__ and __spec__.name, __package__)
print([name for name in globals() if name[0] != "_"])
"""


def python(
    *arguments: str, cwd: Path, stdin: str = "", options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run python with arguments that begin with a program."""
    # so that the package is found where "python -m" finds it, besides the working directory
    path = os.pathsep.join([str(Path(anyhttp.__file__).parents[1]), *sys.path[1:]])
    return subprocess.run(
        [sys.executable, *options, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        input=stdin,
        env={**os.environ, "PYTHONPATH": path},
    )


def in_place(
    *arguments: str, cwd: Path, stdin: str = "", options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run it with this client in place of aiohttp."""
    module = ("-m", "anyhttp.as_aiohttp")
    return python(*module, *arguments, cwd=cwd, stdin=stdin, options=options)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a directory with one program in each form that python runs."""
    (tmp_path / "script.py").write_text(SHOWS)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "__main__.py").write_text(SHOWS)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "__main__.py").write_text(SHOWS)
    py_compile.compile(str(tmp_path / "script.py"), cfile=str(tmp_path / "script.pyc"))
    zipapp.create_archive(tmp_path / "folder", tmp_path / "archive.pyz")
    return tmp_path


@pytest.mark.parametrize(
    "program",
    [
        ("script.py",),
        ("./folder/../script.py",),
        ("script.pyc",),
        ("folder",),
        ("archive.pyz",),
        ("-m", "script"),
        ("-m", "package"),
        ("-m", "package.__main__"),
    ],
    ids=lambda program: " ".join(program),
)
def test_a_program_finds_what_it_finds_under_python(
    programs: Path, program: tuple[str, ...]
) -> None:
    """Its arguments, its name and file, where its imports begin, and nothing of ours."""
    arguments = (*program, "-x", "--help", "a b")
    expected = python(*arguments, cwd=programs)
    assert expected.returncode == 0, expected.stderr
    run = in_place(*arguments, cwd=programs)
    assert (run.stdout, run.stderr) == (expected.stdout, expected.stderr)


@pytest.mark.parametrize("options", [(), ("-P",)], ids=["", "-P"])
@pytest.mark.parametrize("program", ["-c", "-"])
def test_code_is_run_from_the_command_line_and_from_the_input(
    tmp_path: Path, program: str, options: tuple[str, ...]
) -> None:
    """As by python, also where it is told not to look in the working directory."""
    code = dedent("""
        import sys
        def function(argument: int): ...
        print(sys.argv, sys.path[0], [name for name in globals() if name[0] != '_'])
        print(function.__annotations__)
    """)
    arguments = ("-c", code, "a") if program == "-c" else ("-", "a")
    expected = python(*arguments, cwd=tmp_path, stdin=code, options=options)
    assert expected.returncode == 0, expected.stderr
    run = in_place(*arguments, cwd=tmp_path, stdin=code, options=options)
    assert (run.stdout, run.stderr) == (expected.stdout, expected.stderr)


@pytest.mark.parametrize("program", ["script.py", "folder"])
def test_with_safe_path_the_folder_of_a_script_is_not_searched(
    programs: Path, program: str
) -> None:
    """That is what the option asks for; a folder that is the program itself is searched."""
    expected = python(program, cwd=programs, options=("-P",))
    assert in_place(program, cwd=programs, options=("-P",)).stdout == expected.stdout


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("sys.exit(3)", 3),
        ("sys.exit()", 0),
        ("sys.exit('sorry')", 1),
        ("raise KeyError('k')", 1),
    ],
)
def test_the_status_is_that_of_the_program(tmp_path: Path, code: str, status: int) -> None:
    """Also when an exception ends it, which is shown."""
    (tmp_path / "ends.py").write_text(f"import sys\n{code}\n")
    run = in_place("ends.py", cwd=tmp_path)
    assert run.returncode == status
    expected = python("ends.py", cwd=tmp_path)
    assert run.returncode == expected.returncode
    assert run.stderr.splitlines()[-2:] == expected.stderr.splitlines()[-2:]


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the status and the words of python."""
    expected = python("nothing.py", cwd=tmp_path)
    run = in_place("nothing.py", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (expected.returncode, expected.stderr)
    expected = python("-m", "nothing", cwd=tmp_path)
    run = in_place("-m", "nothing", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (expected.returncode, expected.stderr)


@pytest.mark.parametrize("arguments", [(), ("-m",), ("-c",), ("--backend", "trio")])
def test_wrong_arguments_are_answered_with_how_to_use_it(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """And with the status that python has for them."""
    run = in_place(*arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert "usage: python -m anyhttp.as_aiohttp" in run.stderr


def test_an_import_of_the_command_runs_nothing() -> None:
    """As tools do that look through all modules of a package."""
    importlib.import_module("anyhttp.as_aiohttp.__main__")


def test_help_is_shown(tmp_path: Path) -> None:
    """Without running anything."""
    run = in_place("--help", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: python -m anyhttp.as_aiohttp (PROGRAM | -m MODULE")


@pytest.mark.parametrize("program", [("exits.py",), ("-m", "exits")])
def test_the_main_module_is_there_at_exit(tmp_path: Path, program: tuple[str, ...]) -> None:
    """What is pickled then is found by the name ``__main__``."""
    (tmp_path / "exits.py").write_text(
        dedent("""
            import atexit, pickle, sys

            class Thing:
                pass

            atexit.register(lambda: print(type(pickle.loads(pickle.dumps(Thing()))) is Thing))
            sys.exit()
        """)
    )
    run = in_place(*program, cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "True\n", "")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_program_for_aiohttp_runs_on_this_client(
    tmp_path: Path, server: Server, backend: str
) -> None:
    """On either backend: which one it is, is the program's affair."""
    (tmp_path / "program.py").write_text(
        dedent("""
            import sys, aiohttp, library

            async def main():
                async with aiohttp.ClientSession() as session:
                    print(await library.title(session, sys.argv[1]))

            if sys.argv[2] == "trio":
                import trio
                trio.run(main)
            else:
                import asyncio
                asyncio.run(main())
        """)
    )
    (tmp_path / "library.py").write_text(
        dedent("""
            from aiohttp import ClientTimeout
            from aiohttp.client_exceptions import ClientError

            async def title(session, url):
                try:
                    await session.get("http://127.0.0.1:1", timeout=ClientTimeout(total=5))
                except ClientError:
                    pass
                async with session.get(url) as response:
                    return (await response.json())["title"]
        """)
    )
    run = in_place("program.py", str(server.url / "json"), backend, cwd=tmp_path)
    assert (run.stdout, run.stderr) == ("anyhttp\n", "")
