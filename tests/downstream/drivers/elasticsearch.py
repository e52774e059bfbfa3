"""Elasticsearch's client, asynchronous."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer


def answer(value: object, status: int = 200) -> Answer:
    """Answer with *value* as the product does; the client asks for its name."""
    return json_answer(value, status, X_Elastic_Product="Elasticsearch")


async def drive(stub: Stub) -> None:
    """Index, search, ask whether something exists, send in bulk, and be refused."""
    from elasticsearch import AsyncElasticsearch, NotFoundError
    from elasticsearch.helpers import async_bulk

    found = {"took": 1, "timed_out": False, "hits": {"hits": [{"_source": {"title": "x"}}]}}
    stub.on("GET /", answer({"version": {"number": "9.5.1"}}))
    stub.on("PUT /books/_doc/1", answer({"_id": "1", "result": "created"}, 201))
    stub.on("POST /books/_search", answer(found))
    stub.on("HEAD /books", Answer(headers={"X-Elastic-Product": "Elasticsearch"}))
    stub.on("PUT /_bulk", _bulk)
    stub.on("GET /books/_doc/2", answer({"found": False}, 404))
    async with AsyncElasticsearch(stub.url, basic_auth=("user", "secret")) as client:
        assert (await client.info())["version"]["number"] == "9.5.1"
        made = await client.index(index="books", id="1", document={"title": "x"})
        assert made["result"] == "created"
        searched = await client.search(index="books", query={"match": {"title": "x"}})
        assert searched["hits"]["hits"][0]["_source"] == {"title": "x"}
        assert await client.indices.exists(index="books")
        done, failed = await async_bulk(client, [{"_index": "books", "title": "y"}])
        assert (done, failed) == (1, [])
        with raises(NotFoundError) as caught:
            await client.get(index="books", id="2")
        assert caught.error.status_code == 404
    assert stub.requests[0].headers["Authorization"].startswith("Basic ")


def _bulk(request: Request) -> Answer:
    assert request.body.count(b"\n") == 2, request.body
    return answer({"errors": False, "items": [{"index": {"status": 201}}]})


PACKAGES = (
    Package(
        name="elasticsearch",
        version="9.5.1",
        extras="async",
        drive=drive,
        driven="indexing, search, bulk, an error",
        asyncio_only="asks for asyncio's running loop",
    ),
)
