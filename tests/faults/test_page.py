"""The page of faults is what the table says."""

from __future__ import annotations

import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from .page import PAGE, rendered
from .table import TABLE


def test_the_page_is_up_to_date() -> None:
    """The documented promise is the tested one: ``python -m tests.faults`` writes the page."""
    assert PAGE.read_text("utf-8") == rendered(TABLE)
