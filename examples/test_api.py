"""Tests of ``api.py`` in memory: ``python -m pytest examples/test_api.py``.

The application is called by ``ASGIConnector``, and what it asks of another service is answered by
``mock_requests()``.  No socket is opened.  Each test runs on asyncio and on trio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from anyhttp import ClientSession
from anyhttp.testing import Answer, ASGIConnector, mock_requests
from examples.api import app

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api() -> AsyncIterator[ClientSession]:
    """Return a session for requests to the application, which runs as long as the test."""
    async with ClientSession("https://api.test/", connector=ASGIConnector(app)) as session:
        yield session


async def test_a_price(api: ClientSession) -> None:
    """The other service is asked for the currency."""
    with mock_requests() as mock:
        mock.get("https://rates.test/latest?to=USD", json={"rate": 1.25})
        async with api.get("/price?euro=2&currency=USD") as response:
            assert await response.json() == {"USD": 2.5}


async def test_a_second_attempt(api: ClientSession) -> None:
    """One failure is nothing that a client should see."""
    with mock_requests() as mock:
        mock.get(
            "https://rates.test/latest?to=USD",
            answers=[Answer(status=500), Answer(json={"rate": 1.25})],
        )
        async with api.get("/price?euro=2&currency=USD") as response:
            assert await response.json() == {"USD": 2.5}


@pytest.mark.parametrize("failure", [ConnectionRefusedError(), TimeoutError()])
async def test_the_other_service_is_down(api: ClientSession, failure: Exception) -> None:
    """The client gets an error that says so."""
    with mock_requests() as mock:
        mock.get("https://rates.test/latest?to=USD", exception=failure)
        async with api.get("/price?euro=2&currency=USD") as response:
            assert response.status == 503
            assert await response.json() == {"detail": "there are no rates at the moment"}


async def test_a_bad_request(api: ClientSession) -> None:
    """The other service is not asked."""
    with mock_requests():
        async with api.get("/price?euro=two&currency=USD") as response:
            assert response.status == 422


async def test_an_order(api: ClientSession) -> None:
    """Background tasks have run when the response is there."""
    with mock_requests() as mock:
        mock.post("https://rates.test/orders", status=201)
        async with api.post("/orders?item=pencil") as response:
            assert response.status == 202
        mock.assert_called_once_with("POST", "https://rates.test/orders", json={"item": "pencil"})


async def test_prices_by_websocket(api: ClientSession) -> None:
    """Messages are answered in their order."""
    with mock_requests() as mock:
        mock.get("https://rates.test/latest", match_query={}, json={"rate": 2.0})
        async with api.ws_connect("/prices") as ws:
            for euro in (1, 3):
                await ws.send_str(f"{euro} USD")
                assert await ws.receive_json() == {"USD": 2.0 * euro}
