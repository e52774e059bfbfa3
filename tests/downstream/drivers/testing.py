"""Packages that answer a program's requests themselves: from a cache, a recording, or a test."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Request, Stub


async def drive_cache(stub: Stub) -> None:
    """Ask twice, and have the second answer out of the cache."""
    from aiohttp_client_cache import CacheBackend, CachedSession

    stub.on("GET /one", {"a": 1})
    async with CachedSession(cache=CacheBackend(expire_after=60)) as session:
        async with session.get(f"{stub.url}/one") as response:
            assert await response.json() == {"a": 1}
            assert not response.from_cache
        async with session.get(f"{stub.url}/one") as response:
            assert await response.json() == {"a": 1}
            assert response.from_cache
        async with session.get(f"{stub.url}/one", expire_after=0) as response:
            assert response.status == 200
    assert len(stub.requests) == 2


async def drive_aioresponses(stub: Stub) -> None:
    """Have a request answered by a test, another pass through, and a third fail."""
    import aiohttp
    from aioresponses import aioresponses

    stub.on("GET /one", {"a": 1})
    with aioresponses(passthrough=[stub.url]) as mocked:
        mocked.get("http://example.com/", payload={"b": 2}, headers={"X-Test": "yes"})
        mocked.post("http://example.com/", status=500)
        async with aiohttp.ClientSession() as session:
            async with session.get("http://example.com/") as response:
                assert await response.json() == {"b": 2}
                assert response.headers["X-Test"] == "yes"
            async with session.get(f"{stub.url}/one") as response:
                assert await response.json() == {"a": 1}
            async with session.post("http://example.com/", json={}) as response:
                with raises(aiohttp.ClientResponseError):
                    response.raise_for_status()
            with raises(aiohttp.ClientConnectionError):
                await session.get("http://example.com/none")
        mocked.assert_any_call("http://example.com/", method="GET")


async def drive_vcr(stub: Stub) -> None:
    """Record an exchange, and play it back."""
    import aiohttp
    import vcr

    def one(request: Request) -> object:
        return {"asked": request.json}

    stub.on("POST /one", one)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "one.yaml")
        for _ in range(2):
            with vcr.use_cassette(path) as cassette:
                async with aiohttp.ClientSession() as session:
                    async with session.post(f"{stub.url}/one", json={"a": 1}) as response:
                        assert await response.json() == {"asked": {"a": 1}}
        assert cassette.play_count == 1
    assert len(stub.requests) == 1


PACKAGES = (
    Package(
        name="aiohttp-client-cache",
        version="0.15.0",
        drive=drive_cache,
        driven="a cache in memory, its options per request",
    ),
    Package(
        name="aioresponses",
        version="0.7.9",
        drive=drive_aioresponses,
        driven="answers of a test, passing through, errors",
    ),
    Package(
        name="vcrpy",
        version="9.4.2",
        beside=("aiohttp==3.14.*",),
        drive=drive_vcr,
        driven="recording and playing back",
        asyncio_only="asks for asyncio's running loop",
    ),
)
