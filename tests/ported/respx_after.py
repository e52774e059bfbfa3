import httpx
import pytest
from catalogue_httpx import API, Catalogue

from anyhttp.httpx import AnyhttpTransport
from anyhttp.testing import Answer, mock_requests


@pytest.fixture
async def client():
    async with httpx.AsyncClient(transport=AnyhttpTransport()) as client:
        yield client


@mock_requests()
async def test_a_book(client, mock):
    route = mock.get(f"{API}/books/42", json={"title": "Emma"})
    assert await Catalogue(client).book("42") == {"title": "Emma"}
    assert route.called


@mock_requests()
async def test_no_book(client, mock):
    mock.get(f"{API}/books/{{isbn}}", status=404)
    assert await Catalogue(client).book("43") is None


@mock_requests()
async def test_a_server_that_fails(client, mock):
    mock.get(f"{API}/books/42", status=500)
    with pytest.raises(httpx.HTTPStatusError):
        await Catalogue(client).book("42")


@mock_requests()
async def test_a_connection_that_is_refused_once(client, mock):
    mock.get(
        f"{API}/search",
        match_query={"q": "emma"},
        answers=[ConnectionRefusedError(), [{"title": "Emma"}]],
    )
    assert await Catalogue(client).search("emma") == ["Emma"]


@mock_requests()
async def test_no_response_in_time(client, mock):
    mock.get(f"{API}/books/42", exception=TimeoutError())
    with pytest.raises(httpx.ReadTimeout):
        await Catalogue(client).book("42")


@mock_requests()
async def test_a_loan(client, mock):
    def lend(request):
        return Answer(201, json={"until": "May", "isbn": request.json()["isbn"]})

    route = mock.post(f"{API}/loans", match_headers={"Authorization": "Bearer secret"}, answer=lend)
    assert await Catalogue(client, "secret").lend("42", "ada") == "May"
    assert route.calls[-1].json() == {"isbn": "42", "reader": "ada"}
