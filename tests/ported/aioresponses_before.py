import re

import pytest
from aiohttp import ClientConnectionError, ClientResponseError, ClientSession
from aioresponses import CallbackResult, aioresponses
from catalogue import API, Catalogue
from yarl import URL


@pytest.fixture
def mocked():
    with aioresponses() as m:
        yield m


async def test_a_book(mocked):
    mocked.get(f"{API}/books/42", payload={"title": "Emma"})
    async with ClientSession() as session:
        assert await Catalogue(session).book("42") == {"title": "Emma"}


async def test_no_book(mocked):
    mocked.get(re.compile(rf"^{API}/books/\d+$"), status=404)
    async with ClientSession() as session:
        assert await Catalogue(session).book("43") is None


async def test_a_server_that_fails(mocked):
    mocked.get(f"{API}/books/42", status=500)
    async with ClientSession() as session:
        with pytest.raises(ClientResponseError):
            await Catalogue(session).book("42")


async def test_a_busy_server(mocked):
    mocked.get(f"{API}/search?q=emma&page=1", status=503)
    mocked.get(f"{API}/search?q=emma&page=1", payload=[{"title": "Emma"}])
    async with ClientSession() as session:
        assert await Catalogue(session).search("emma") == ["Emma"]
    assert len(mocked.requests[("GET", URL(f"{API}/search?page=1&q=emma"))]) == 2


async def test_no_connection(mocked):
    mocked.get(f"{API}/books/42", exception=ClientConnectionError("refused"))
    async with ClientSession() as session:
        with pytest.raises(ClientConnectionError):
            await Catalogue(session).book("42")


async def test_no_response_in_time(mocked):
    mocked.get(f"{API}/books/42", timeout=True)
    async with ClientSession() as session:
        with pytest.raises(TimeoutError):
            await Catalogue(session).book("42")


async def test_a_loan(mocked):
    def lend(url, **kwargs):
        return CallbackResult(status=201, payload={"until": "May", "isbn": kwargs["json"]["isbn"]})

    mocked.post(f"{API}/loans", callback=lend)
    async with ClientSession() as session:
        assert await Catalogue(session, "secret").lend("42", "ada") == "May"
    mocked.assert_called_once_with(
        f"{API}/loans",
        method="POST",
        json={"isbn": "42", "reader": "ada"},
        headers={"Authorization": "Bearer secret"},
    )
