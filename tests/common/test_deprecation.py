"""Warnings about what is old."""

from __future__ import annotations

import sys

import pytest

from anyhttp._common import running_loop


@pytest.mark.parametrize("imported", [True, False])
def test_no_loop_runs(monkeypatch: pytest.MonkeyPatch, imported: bool) -> None:
    """There is none to return, and asyncio is not imported for that."""
    if not imported:
        monkeypatch.delitem(sys.modules, "asyncio")
    with pytest.warns(DeprecationWarning, match="loop is deprecated"):
        assert running_loop() is None
    assert ("asyncio" in sys.modules) is imported
