"""InfluxDB's client, asynchronous."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer, text_answer

CSV = (
    "#datatype,string,long,dateTime:RFC3339,double,string\r\n"
    "#group,false,false,false,false,true\r\n"
    "#default,_result,,,,\r\n"
    ",result,table,_time,_value,_field\r\n"
    ",,0,2026-01-01T00:00:00Z,25.5,temperature\r\n"
    ",,0,2026-01-01T00:01:00Z,26.5,temperature\r\n\r\n"
)


async def drive(stub: Stub) -> None:
    """Write a point, query whole and as a stream, ping, and be refused."""
    from influxdb_client import Point
    from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
    from influxdb_client.rest import ApiException

    stub.on("GET /ping", Answer(status=204, headers={"X-Influxdb-Version": "2.7"}))
    stub.on("POST /api/v2/write", _written)
    stub.on("POST /api/v2/query", text_answer(CSV, "text/csv"))
    stub.on("POST /api/v2/delete", json_answer({"code": "invalid", "message": "no"}, 400))
    async with InfluxDBClientAsync(url=stub.url, token="token", org="org") as client:
        assert await client.ping()
        point = Point("weather").tag("place", "here").field("temperature", 25.5)
        assert await client.write_api().write(bucket="one", record=point)
        tables = await client.query_api().query('from(bucket:"one")')
        assert [record.get_value() for record in tables[0].records] == [25.5, 26.5]
        stream = await client.query_api().query_stream('from(bucket:"one")')
        assert [record.get_value() async for record in stream] == [25.5, 26.5]
        with raises(ApiException) as caught:
            await client.delete_api().delete(
                "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "", "one"
            )
        assert caught.error.status == 400


def _written(request: Request) -> Answer:
    assert request.body == b"weather,place=here temperature=25.5", request.body
    assert request.query == {"bucket": "one", "org": "org", "precision": "ns"}
    return Answer(status=204)


PACKAGES = (
    Package(
        name="influxdb-client",
        version="1.50.0",
        extras="async",
        drive=drive,
        driven="writing, a query whole and as a stream, ping, an error",
        asyncio_only="asks for asyncio's running loop when it is made",
    ),
)
