"""Clients of databases: ArangoDB, SurrealDB, ClickHouse."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer


async def drive_arango(stub: Stub) -> None:
    """Log in, insert, query by a cursor, and be refused."""
    from arangoasync import ArangoClient
    from arangoasync.auth import Auth
    from arangoasync.exceptions import DocumentInsertError

    stub.on("GET /_db/shop/_api/collection", {"result": []})
    stub.on("GET /_db/shop/_api/database/current", {"result": {"name": "shop"}})
    stub.on("GET /_db/shop/_api/version", {"server": "arango", "version": "3.12.0"})
    stub.on("POST /_db/shop/_api/document/books", _insert)
    whole = {"result": [{"title": "x"}], "hasMore": False, "code": 201, "error": False}
    stub.on("POST /_db/shop/_api/cursor", json_answer(whole, 201))
    async with ArangoClient(hosts=stub.url) as client:
        database = await client.db("shop", auth=Auth(username="root", password="secret"))
        books = database.collection("books")
        assert (await books.insert({"title": "x"}))["_key"] == "1"
        async with await database.aql.execute("FOR book IN books RETURN book") as cursor:
            assert [one["title"] async for one in cursor] == ["x"]
        with raises(DocumentInsertError):
            await books.insert({"title": "twice"})
    assert stub.requests[0].headers["Authorization"].startswith("Basic ")


def _insert(request: Request) -> Answer:
    if request.json["title"] == "twice":
        return json_answer({"error": True, "errorNum": 1210, "errorMessage": "no"}, 409)
    return json_answer({"_id": "books/1", "_key": "1", "_rev": "r"}, 201)


async def drive_surreal(stub: Stub) -> None:
    """Sign in, create, query, and be refused."""
    from surrealdb import AsyncSurreal
    from surrealdb.data.cbor import decode, encode
    from surrealdb.errors import SurrealError

    def rpc(request: Request) -> Answer:
        asked = decode(request.body)
        results: dict[str, object] = {
            "signin": "token",
            "query": [{"status": "OK", "result": [{"title": "x"}], "time": "1ms"}],
        }
        answer: dict[str, object] = {"id": asked["id"], "result": results.get(asked["method"])}
        if asked["method"] == "version":
            answer = {"id": asked["id"], "error": {"code": -32000, "message": "no"}}
        return Answer(encode(answer), headers={"Content-Type": "application/cbor"})

    stub.on("POST /rpc", rpc)
    async with AsyncSurreal(stub.url) as database:
        await database.signin({"username": "root", "password": "secret"})
        await database.use("space", "base")
        assert await database.query("SELECT * FROM book") == [{"title": "x"}]
        with raises(SurrealError):
            await database.version()
    assert stub.requests[-1].headers["Authorization"] == "Bearer token"
    assert stub.requests[-1].headers["Surreal-NS"] == "space"


async def drive_clickhouse(stub: Stub) -> None:
    """Query, insert, and be refused."""
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import DatabaseError

    def answer(request: Request) -> Answer:
        asked = request.query.get("query", "") + request.body[:200].decode("latin-1")
        if "wrong" in asked:
            refused = {"X-ClickHouse-Exception-Code": "47"}
            return Answer(b"Code: 47. DB::Exception: no such column", 404, refused)
        if "system.settings" in asked:
            return Answer(b"\x00\x00")
        return Answer(b"26.1.1.1\tUTC\n")

    stub.on("GET /", answer)
    stub.on("POST /", answer)
    client = await clickhouse_connect.get_async_client(
        host=stub.host, port=stub.port, username="user", password="secret"
    )
    assert await client.command("SELECT version(), timezone()") == ["26.1.1.1", "UTC"]
    assert await client.raw_query("SELECT 1 FORMAT TSV") == b"26.1.1.1\tUTC\n"
    with raises(DatabaseError):
        await client.command("SELECT wrong")
    await client.close()
    assert stub.requests[0].headers["Authorization"].startswith("Basic ")


PACKAGES = (
    Package(
        name="python-arango-async",
        version="1.2.7",
        drive=drive_arango,
        driven="inserting, a query by a cursor, an error",
        asyncio_only="calls asyncio.gather() when it is closed",
    ),
    Package(
        name="surrealdb",
        version="2.0.0",
        beside=("aiohttp==3.14.*",),
        drive=drive_surreal,
        driven="signing in, a query, an error",
    ),
    Package(
        name="clickhouse-connect",
        version="1.12.0",
        extras="async",
        drive=drive_clickhouse,
        driven="commands, a query, an error",
        asyncio_only="calls asyncio's locks, tasks and events",
    ),
)
