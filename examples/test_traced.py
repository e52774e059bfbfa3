"""The test of the example for OpenTelemetry, on asyncio and on trio."""

from __future__ import annotations

import pytest

from anyhttp.testing import mock_requests
from examples import traced
from examples.test_examples import JUMPING_CLOCKS

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", JUMPING_CLOCKS)]


async def test_traced(capsys: pytest.CaptureFixture[str]) -> None:
    """Each request is a span of one trace; what gives access is not shown."""
    with mock_requests() as mock:
        mock.get("https://api.test/basket", answers=[503, []])
        mock.get("https://api.test/prices?token=secret", status=404)
        await traced.main("https://api.test/")
        traces = {call.headers["traceparent"].split("-")[1] for call in mock.calls}
    assert len(traces) == 1
    assert capsys.readouterr().out == (
        "GET https://api.test/basket 503\n"
        "GET https://api.test/basket 200\n"
        "GET https://api.test/prices?token=REDACTED 404\n"
        "checkout  \n"
    )
