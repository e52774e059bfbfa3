"""Tests of the example with retries.  The waits take no time."""

from __future__ import annotations

import anyio
import pytest

from anyhttp.testing import Answer, mock_requests
from examples import retries
from examples.test_examples import JUMPING_CLOCKS

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", JUMPING_CLOCKS)]

API = "https://api.test/"


def busy(seconds: int) -> Answer:
    """Return the answer of a server that asks to come back later."""
    return Answer(503, headers={"Retry-After": str(seconds)})


async def test_retries(capsys: pytest.CaptureFixture[str]) -> None:
    """It waits as long as the server says; an order has the same key each time."""
    began = anyio.current_time()
    with mock_requests() as mock:
        mock.get(f"{API}report", answers=[ConnectionRefusedError, busy(100), "all is well"])
        orders = mock.post(f"{API}orders", answers=[busy(20), "ordered"])
        await retries.main(API)
    assert capsys.readouterr().out == "all is well\nordered\n"
    assert 120 <= anyio.current_time() - began < 125
    assert len({call.headers["Idempotency-Key"] for call in orders.calls}) == 1


async def test_a_server_that_asks_for_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    """The program can say when to come back."""
    with mock_requests() as mock:
        mock.get(f"{API}report", answer=busy(3600))
        await retries.main(API)
    assert capsys.readouterr().out == "503 Retry-After: 3600\n"
