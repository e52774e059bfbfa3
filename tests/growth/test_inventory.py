"""Nothing can grow that the inventory does not know."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.growth.inventory import BOUNDED_BY, NEEDS_NO_TEST, found

ROOT = Path(__file__).parents[2]
EXEMPT = [name for names in NEEDS_NO_TEST.values() for name in names]


def test_all_that_can_grow_is_listed() -> None:
    """Who adds a limit, a cache or a container says which test is about it, or why none is."""
    known = Counter([*BOUNDED_BY, *EXEMPT])
    assert not [name for name, times in known.items() if times > 1]
    assert set(found()) == set(known)


@pytest.mark.parametrize("path", sorted({test.partition("::")[0] for test in BOUNDED_BY.values()}))
def test_the_tests_exist(path: str) -> None:
    """They are found by their names, also when they are moved."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    there = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    named = {
        test.rpartition("::")[2] for test in BOUNDED_BY.values() if test.startswith(f"{path}::")
    }
    assert named <= there
