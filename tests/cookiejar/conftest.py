"""Fixtures of the tests of cookie jars."""

from __future__ import annotations

import time

import pytest

from tests.support.cookies import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time stands still unless the test moves it."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock
