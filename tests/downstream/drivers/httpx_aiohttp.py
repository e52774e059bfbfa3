"""httpx with the transport that sends by aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer


async def drive(stub: Stub) -> None:
    """Send forms and streams, read a stream, keep cookies, follow a redirect, run out of time."""
    import httpx
    import httpx_aiohttp

    stub.on("POST /echo", lambda request: Answer(request.body))
    stub.on("GET /pieces", Answer(iter([b"one ", b"two"])))
    stub.on("GET /set", json_answer({}, Set_Cookie="a=b; Path=/"))
    stub.on("GET /here", json_answer({}, 302, Location="/there"))
    stub.on("GET /there", lambda request: json_answer(request.headers["Cookie"]))

    async def pieces() -> AsyncIterator[bytes]:
        yield b"up "
        yield b"load"

    async with httpx_aiohttp.HttpxAiohttpClient(base_url=stub.url) as client:
        assert (await client.post("/echo", data={"a": "b"})).text == "a=b"
        assert (await client.post("/echo", content=pieces())).content == b"up load"
        async with client.stream("GET", "/pieces") as response:
            assert "".join([piece async for piece in response.aiter_text()]) == "one two"
        await client.get("/set")
        response = await client.get("/here", follow_redirects=True)
        assert response.json() == "a=b"
        assert [one.status_code for one in response.history] == [302]
        with raises(httpx.UnsupportedProtocol):
            await client.get("foo://example/")
    async with httpx_aiohttp.HttpxAiohttpClient(timeout=0.2) as client:
        stub.on("GET /slow", _slow)
        with raises(httpx.ReadTimeout):
            await client.get(f"{stub.url}/slow")


def _slow(_: Request) -> Answer:
    import time

    time.sleep(1)
    return Answer(b"late")


PACKAGES = (
    Package(
        name="httpx-aiohttp",
        version="0.2.0",
        drive=drive,
        driven="forms, streams both ways, cookies, a redirect, a time limit",
    ),
)
