"""aiochclient, a client for ClickHouse."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub


async def drive(stub: Stub) -> None:
    """Insert, select whole and row by row, and be refused."""
    import aiohttp
    from aiochclient import ChClient, ChClientError

    def answer(request: Request) -> Answer:
        asked = request.body.decode() + request.query.get("query", "")
        if "wrong" in asked:
            return Answer(b"Code: 47. no such column", 404)
        if asked.startswith("SELECT"):
            return Answer(iter([b"a\tb\nUInt8\tString\n1\tx\n", b"2\ty\n"]))
        return Answer()

    stub.on("POST /", answer)
    async with aiohttp.ClientSession() as session:
        client = ChClient(session, url=f"{stub.url}/", user="user", password="secret")
        await client.execute("INSERT INTO t VALUES", (1, "x"), (2, "y"))
        rows = await client.fetch("SELECT a, b FROM t")
        assert [tuple(row.values()) for row in rows] == [(1, "x"), (2, "y")]
        assert [row["b"] async for row in client.iterate("SELECT a, b FROM t")] == ["x", "y"]
        with raises(ChClientError):
            await client.fetch("SELECT wrong FROM t")
    assert stub.requests[0].body == b"(1,'x'),(2,'y')", stub.requests[0].body


PACKAGES = (
    Package(
        name="aiochclient",
        version="2.7.0",
        extras="aiohttp",
        drive=drive,
        driven="inserting, selecting whole and row by row, an error",
    ),
)
