"""aresponses, which starts a server and leads the requests of a program to it."""

from __future__ import annotations

from tests.downstream.package import Package
from tests.downstream.stub import Stub


async def drive(stub: Stub) -> None:
    """Have requests to some hosts answered, with TLS and without, and see what was asked."""
    import asyncio

    import aiohttp
    from aresponses import ResponsesMockServer

    async with ResponsesMockServer(loop=asyncio.get_running_loop()) as mocked:
        mocked.add("one.test", "/path", "GET", {"a": 1})
        mocked.add("two.test", "/", "POST", mocked.Response(status=503, text="busy"))
        async with aiohttp.ClientSession() as session:
            async with session.get("http://one.test/path") as response:
                assert await response.json() == {"a": 1}
            async with session.post("https://two.test/", data=b"body") as response:
                assert (response.status, await response.text()) == (503, "busy")
        mocked.assert_plan_strictly_followed()
        asked = [each.request for each in mocked.history]
        assert [each.headers["AResponsesIsSSL"] for each in asked] == ["", "1"]
        assert await asked[1].read() == b"body"


PACKAGES = (
    Package(
        name="aresponses",
        version="3.0.0",
        beside=("pytest-asyncio==1.5.0",),
        drive=drive,
        driven="answers of a server for several hosts, with TLS and without",
        asyncio_only="starts a server of aiohttp",
    ),
)
