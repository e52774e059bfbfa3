"""The page of security rules: each test on it exists, and names the advisories of its rule."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.support.fresh_python import ROOT

PAGE: Final = ROOT / "docs" / "explanation" / "security-rules.md"
ADVISORY: Final = re.compile(r"\bCVE-\d{4}-\d{4,}\b")
A_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")

#: The rules of the page: what is said of each, and its tests as file and name.
RULES: Final = [
    (said, A_TEST.findall(listed))
    for said, listed in re.findall(
        r"^([^\s#-][^\n]*(?:\n[^\s#-][^\n]*)*)\n\n((?:- `tests/[^\n]+\n)+)",
        PAGE.read_text("utf-8"),
        re.MULTILINE,
    )
]


@cache
def docstrings(path: str) -> dict[str, str]:
    """Return for each test of a module what it, its class and its comments say."""
    source = (ROOT / path).read_text("utf-8")
    found: dict[str, str] = {}

    def look(node: ast.Module | ast.ClassDef, names: tuple[str, ...], said: str) -> None:
        for child in node.body:
            if isinstance(child, ast.ClassDef):
                look(child, (*names, child.name), ast.get_docstring(child) or "")
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = "::".join((*names, child.name))
                found[name] = f"{said} {ast.get_docstring(child)}"

    look(ast.parse(source), (), "")
    return found


@pytest.mark.parametrize(("said", "tests"), RULES, ids=lambda value: "")
def test_each_test_of_a_rule_exists(said: str, tests: list[tuple[str, str]]) -> None:
    """And can be started by the name on the page."""
    assert tests
    for path, name in tests:
        assert Path(ROOT / path).is_file(), path
        assert name in docstrings(path), f"{path}::{name}"


@pytest.mark.parametrize(("said", "tests"), RULES, ids=lambda value: "")
def test_each_advisory_of_a_rule_is_named_by_a_test(
    said: str, tests: list[tuple[str, str]]
) -> None:
    """In the docstring of the test, or of its class."""
    told = " ".join(docstrings(path)[name] for path, name in tests)
    missing = set(ADVISORY.findall(said)) - set(ADVISORY.findall(told))
    assert not missing


def test_each_advisory_of_the_tests_is_on_the_page() -> None:
    """Whoever adds a test for an advisory adds it to its rule."""
    named: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        named.update(ADVISORY.findall(path.read_text("utf-8")))
    assert named == set(ADVISORY.findall(PAGE.read_text("utf-8")))


def test_the_page_is_read_whole() -> None:
    """No line with a test is outside the rules that are checked."""
    listed = [test for _, tests in RULES for test in tests]
    assert listed == A_TEST.findall(PAGE.read_text("utf-8"))
    assert len(RULES) > 40
