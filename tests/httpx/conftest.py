"""The two libraries, for each test of this directory."""

from __future__ import annotations

import pytest

from tests.support.httpx_libraries import Library, library as imported


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Library:
    """The library of the client."""
    return imported(request.param)
