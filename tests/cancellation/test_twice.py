"""What asyncio may do to a task that is being cancelled already: cancel it again."""

from __future__ import annotations

import pytest

from .catalog import OPERATIONS
from .stage import Stage, checked
from .ways import TWICE, Selection, explore_twice


@pytest.mark.once
@pytest.mark.parametrize("name", ["send-text-file", "replaced"])
async def test_the_file_of_a_request_is_closed_then(stage: Stage, name: str) -> None:
    """Whatever is interrupted while the call ends, its file is closed all the same."""
    everything = Selection(None)
    async with checked(OPERATIONS[name], stage, entered=True) as (run, after):
        way = next(way for way in TWICE if way.name == "native-native")
        assert await explore_twice(way, run, after, everything, everything) > 20
