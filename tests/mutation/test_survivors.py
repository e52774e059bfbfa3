"""What is said of mutants fits the sources; trying them takes long, and is not done here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.survivors import FOLDER, read_survivors
from tests.mutation.targets import PACKAGE, ROOT, TARGETS, Target

each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


def names_in(file: Path) -> set[str]:
    """Return the functions of a module, and the methods with the names of their classes."""
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            methods = (it for it in node.body if isinstance(it, FUNCTIONS))
            found |= {f"{node.name}.{method.name}" for method in methods}
        elif isinstance(node, FUNCTIONS):
            found.add(node.name)
    return found


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@each_target
def test_targets_are_there(target: Target) -> None:
    """The files that are mutated, and the tests that are meant to notice."""
    for file in target.files:
        assert (PACKAGE / file).is_file(), file
    for test in target.tests:
        assert (ROOT / "tests" / test.partition("::")[0]).exists(), test


@each_target
def test_survivors_name_code_that_is_there(target: Target) -> None:
    """With a reason; what is named no more than once, and stands in its file still."""
    known = read_survivors(target.name)
    assert len({(one.file, one.function, one.was, one.now) for one in known}) == len(known)
    for one in known:
        assert one.file in target.files
        assert one.function in names_in(PACKAGE / one.file), one
        lines = (PACKAGE / one.file).read_text("utf-8").splitlines()
        assert one.was in " ".join(line.partition("  # ")[0].strip() for line in lines), one
        assert one.why, one


def test_each_file_of_survivors_is_of_a_target() -> None:
    """A target that is renamed takes its file with it."""
    assert {path.stem for path in FOLDER.iterdir()} <= {target.name for target in TARGETS}
