import re

import pytest
from catalogue import API, Catalogue

from anyhttp import ClientConnectionError, ClientResponseError, ClientSession
from anyhttp.testing import Answer


@pytest.fixture
def mocked(anyhttp_mock):
    return anyhttp_mock


async def test_a_book(mocked):
    mocked.get(f"{API}/books/42", json={"title": "Emma"})
    async with ClientSession() as session:
        assert await Catalogue(session).book("42") == {"title": "Emma"}


async def test_no_book(mocked):
    mocked.get(re.compile(rf"{API}/books/\d+$"), status=404)
    async with ClientSession() as session:
        assert await Catalogue(session).book("43") is None


async def test_a_server_that_fails(mocked):
    mocked.get(f"{API}/books/42", status=500)
    async with ClientSession() as session:
        with pytest.raises(ClientResponseError):
            await Catalogue(session).book("42")


async def test_a_busy_server(mocked):
    search = mocked.get(f"{API}/search?q=emma&page=1", answers=[503, [{"title": "Emma"}]])
    async with ClientSession() as session:
        assert await Catalogue(session).search("emma") == ["Emma"]
    assert search.call_count == 2


async def test_no_connection(mocked):
    mocked.get(f"{API}/books/42", exception=ConnectionRefusedError())
    async with ClientSession() as session:
        with pytest.raises(ClientConnectionError):
            await Catalogue(session).book("42")


async def test_no_response_in_time(mocked):
    mocked.get(f"{API}/books/42", exception=TimeoutError())
    async with ClientSession() as session:
        with pytest.raises(TimeoutError):
            await Catalogue(session).book("42")


async def test_a_loan(mocked):
    def lend(request):
        return Answer(201, json={"until": "May", "isbn": request.json()["isbn"]})

    mocked.post(f"{API}/loans", answer=lend)
    async with ClientSession() as session:
        assert await Catalogue(session, "secret").lend("42", "ada") == "May"
    mocked.assert_called_once_with(
        "POST",
        f"{API}/loans",
        json={"isbn": "42", "reader": "ada"},
        headers={"Authorization": "Bearer secret"},
    )
