"""Fixtures of the tests of network streams."""

from __future__ import annotations

import pytest

from anyhttp._network import tls_sessions


@pytest.fixture
def resumption(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resume TLS sessions, also where Python leaks each one that is looked at."""
    monkeypatch.setattr(tls_sessions, "LEAKS_SESSIONS", False)
