"""Files of tests before and after they were ported to anyhttp.testing: all of them pass."""

from __future__ import annotations

import ast
import importlib.util
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.support.fresh_python import ROOT
from tests.support.user_tests import run_user_tests

PORTED: Final = ROOT / "tests" / "ported"


def names_in(name: str) -> set[str]:
    """Return the names of the tests in a file."""
    body = ast.parse((PORTED / name).read_text("utf-8")).body
    functions = [node.name for node in body if isinstance(node, ast.AsyncFunctionDef)]
    return {name for name in functions if name.startswith("test_")}


@pytest.mark.parametrize(
    ("name", "needs", "in_place_of_aiohttp"),
    [
        ("aioresponses_before.py", "aioresponses", True),
        ("aioresponses_after.py", "anyhttp", False),
        ("respx_before.py", "respx", False),
        ("respx_after.py", "httpx", False),
    ],
)
def test_all_tests_pass_on_both_backends(
    name: str, needs: str, in_place_of_aiohttp: bool, tmp_path: Path
) -> None:
    """Those for aiohttp do with this client in its place; aiohttp itself has no trio."""
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    folder = tmp_path / "ported"
    shutil.copytree(PORTED, folder)
    passed = run_user_tests(folder, name, in_place_of_aiohttp=in_place_of_aiohttp)
    assert passed.keys() == names_in(name)
    assert all(sorted(backends) == ["asyncio", "trio"] for backends in passed.values())


@pytest.mark.parametrize("library", ["aioresponses", "respx"])
def test_no_test_was_lost(library: str) -> None:
    """The names are the same."""
    assert names_in(f"{library}_before.py") == names_in(f"{library}_after.py")


def test_the_page_shows_every_file() -> None:
    """None is run for nothing."""
    page = (ROOT / "docs" / "howto" / "testing-ported.md").read_text("utf-8")
    for path in PORTED.glob("*.py"):
        assert f"../../tests/ported/{path.name}" in page
