"""A test with the fixtures of the installed plugin; run by pytest beside the wheel alone.

Not a test module: the tests have the plugin from the sources, and further plugins beside it.
"""

from __future__ import annotations

import pytest

from anyhttp import ClientSession
from anyhttp.testing import NoNetwork, RequestMock


@pytest.mark.anyio
async def test_fixtures(anyhttp_no_network: NoNetwork, anyhttp_mock: RequestMock) -> None:
    """Found by the entry point of the distribution."""
    anyhttp_mock.get("https://api.test/users", json=["Ann"])
    async with ClientSession() as session, session.get("https://api.test/users") as response:
        assert await response.json() == ["Ann"]
    assert anyhttp_no_network.refused == []
