import json

import httpx
import pytest
import respx
from catalogue_httpx import API, Catalogue


@pytest.fixture
async def client():
    async with httpx.AsyncClient() as client:
        yield client


@respx.mock
async def test_a_book(client):
    route = respx.get(f"{API}/books/42").respond(json={"title": "Emma"})
    assert await Catalogue(client).book("42") == {"title": "Emma"}
    assert route.called


@respx.mock
async def test_no_book(client):
    respx.get(url__regex=rf"{API}/books/(?P<isbn>\d+)$").respond(404)
    assert await Catalogue(client).book("43") is None


@respx.mock
async def test_a_server_that_fails(client):
    respx.get(f"{API}/books/42") % 500
    with pytest.raises(httpx.HTTPStatusError):
        await Catalogue(client).book("42")


@respx.mock
async def test_a_connection_that_is_refused_once(client):
    respx.get(f"{API}/search", params={"q": "emma"}).mock(
        side_effect=[httpx.ConnectError("refused"), httpx.Response(200, json=[{"title": "Emma"}])]
    )
    assert await Catalogue(client).search("emma") == ["Emma"]


@respx.mock
async def test_no_response_in_time(client):
    respx.get(f"{API}/books/42").mock(side_effect=httpx.ReadTimeout)
    with pytest.raises(httpx.ReadTimeout):
        await Catalogue(client).book("42")


@respx.mock
async def test_a_loan(client):
    def lend(request):
        isbn = json.loads(request.content)["isbn"]
        return httpx.Response(201, json={"until": "May", "isbn": isbn})

    route = respx.post(f"{API}/loans", headers={"Authorization": "Bearer secret"})
    route.mock(side_effect=lend)
    assert await Catalogue(client, "secret").lend("42", "ada") == "May"
    assert json.loads(route.calls.last.request.content) == {"isbn": "42", "reader": "ada"}
