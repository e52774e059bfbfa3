"""OpenSearch's client, asynchronous."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Stub, json_answer


async def drive(stub: Stub) -> None:
    """Create an index, index, search, ask whether something exists, and be refused."""
    from opensearchpy import AsyncOpenSearch, NotFoundError

    found = {"hits": {"hits": [{"_source": {"title": "x"}}]}}
    stub.on("GET /", {"version": {"number": "3.0.0", "distribution": "opensearch"}})
    stub.on("PUT /books", {"acknowledged": True})
    stub.on("PUT /books/_doc/1", json_answer({"_id": "1", "result": "created"}, 201))
    stub.on("POST /books/_search", found)
    stub.on("HEAD /books", Answer())
    stub.on("GET /books/_doc/2", json_answer({"found": False}, 404))
    async with AsyncOpenSearch(
        hosts=[{"host": stub.host, "port": stub.port}], http_auth=("user", "secret")
    ) as client:
        assert (await client.info())["version"]["number"] == "3.0.0"
        assert (await client.indices.create(index="books"))["acknowledged"]
        made = await client.index(index="books", id="1", body={"title": "x"})
        assert made["result"] == "created"
        answer = await client.search(index="books", body={"query": {"match_all": {}}})
        assert answer["hits"]["hits"][0]["_source"] == {"title": "x"}
        assert await client.indices.exists(index="books")
        with raises(NotFoundError) as caught:
            await client.get(index="books", id="2")
        assert caught.error.status_code == 404
    assert stub.requests[0].headers["Authorization"].startswith("Basic ")


PACKAGES = (
    Package(
        name="opensearch-py",
        version="3.2.0",
        extras="async",
        drive=drive,
        driven="an index, indexing, search, an error",
        asyncio_only="asks for asyncio's running loop",
    ),
)
