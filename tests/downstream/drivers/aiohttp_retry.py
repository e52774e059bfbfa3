"""aiohttp-retry: a session that asks again."""

from __future__ import annotations

from tests.downstream.expect import raises
from tests.downstream.package import Package
from tests.downstream.stub import Answer, Request, Stub, json_answer


async def drive(stub: Stub) -> None:
    """Ask again after errors of the server, until it answers, and give up in the end."""
    import aiohttp
    from aiohttp_retry import ExponentialRetry, RetryClient

    asked: list[Request] = []

    def third_time(request: Request) -> Answer:
        asked.append(request)
        return json_answer({"tries": len(asked)}, 200 if len(asked) == 3 else 503)

    stub.on("GET /later", third_time)
    stub.on("GET /never", json_answer({}, 500))
    options = ExponentialRetry(attempts=4, start_timeout=0.01)
    async with RetryClient(raise_for_status=True, retry_options=options) as client:
        async with client.get(f"{stub.url}/later") as response:
            assert await response.json() == {"tries": 3}
        with raises(aiohttp.ClientResponseError) as caught:
            async with client.get(f"{stub.url}/never"):
                pass
        assert caught.error.status == 500
    assert len(stub.seen("GET /never")) == 4


PACKAGES = (
    Package(
        name="aiohttp-retry",
        version="2.9.1",
        drive=drive,
        driven="asking again after errors, giving up",
        asyncio_only="calls asyncio.sleep() between attempts",
    ),
)
