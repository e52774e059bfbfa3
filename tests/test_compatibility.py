"""docs/compatibility.md: the table of everything that aiohttp documents is ticked by tests."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parent
PAGE: Final = TESTS.parent / "docs" / "compatibility.md"
TABLE: Final = PAGE.read_text("utf-8").partition("(item-by-item)=")[2]
# Of each row, what stands between its bars.
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.splitlines()
    if line.startswith("| ") and not line.startswith("| item |")
]
NAMES_TABLE: Final = (
    PAGE.read_text("utf-8").partition("(names-of-packages)=")[2].partition("\n(")[0]
)
NAMES: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in NAMES_TABLE.splitlines()
    if line.startswith("| ") and not line.startswith("| name |")
]
# Those with two colons: a module alone says where tests of another kind are.
REFERENCES: Final = sorted(set(re.findall(r"`([\w/]+\.py::[^`]+)`", PAGE.read_text("utf-8"))))
# Forms of the language are explained, and no test could show that they are gone.
EXPLAINED: Final = {"`yield from` and generator coroutines"}


@cache
def names(path: Path) -> set[str]:
    """Names of the tests in a module: ``test_this``, or ``TestThat::test_this``."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = (ast.FunctionDef, ast.AsyncFunctionDef)
            found |= {
                f"{node.name}::{each.name}" for each in node.body if isinstance(each, methods)
            }
    return found


@pytest.mark.parametrize("reference", REFERENCES)
def test_each_test_that_is_named_exists(reference: str) -> None:
    """A test that is renamed or removed takes its name along."""
    module, _, name = reference.partition("::")
    assert name in names(TESTS / module)
    assert name.rpartition("::")[2].startswith("test_")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_each_row_names_a_treatment_and_a_test(row: list[str]) -> None:
    """An item is kept, or another name, or deprecated, or different, and a test shows it."""
    item, treatment, tests = row
    assert re.match(r"(kept|alias|deprecated|different)\b", treatment)
    assert tests or item in EXPLAINED


def test_the_table_is_there() -> None:
    """Nothing that was documented is left out silently."""
    assert len(ROWS) > 100


@pytest.mark.parametrize("row", NAMES, ids=lambda row: row[0][:40])
def test_each_name_for_a_package_says_which_and_names_a_test(row: list[str]) -> None:
    """What exists for others alone has its reason beside it, and can go when that is gone."""
    name, here, package, tests = row
    assert name.startswith("`")
    assert here
    assert package
    assert ".py::test_" in tests


def test_the_table_of_names_is_there() -> None:
    """The names of whole modules, of sessions, requests, responses, and others."""
    assert len(NAMES) > 10
