"""The middlewares of the package, all at once, in the order of ``docs/howto/middlewares.md``."""

from __future__ import annotations

import anyio
import pytest

from anyhttp import (
    BearerAuthMiddleware,
    BearerToken,
    ClientMiddlewareType,
    ClientSession,
    RateLimitMiddleware,
    RetryMiddleware,
)
from anyhttp.testing import Answer, MockConnector, ReceivedRequest

API = "https://api.test/"


@pytest.mark.parametrize("concurrency", [None, 1])
async def test_all_in_their_order(concurrency: int | None) -> None:
    """A token that is refused and a busy server are met together, and each costs what it must."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from anyhttp.opentelemetry import OpenTelemetryMiddleware

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))

    def me(request: ReceivedRequest) -> Answer:
        if request.headers["Authorization"] != "Bearer token2":
            return Answer(401)
        return Answer(503) if private.call_count % 2 else Answer(text="Ada")

    mock = MockConnector()
    private = mock.get("/me", answer=me)
    token = mock.post("/token", answers=[{"access_token": f"token{number}"} for number in (1, 2)])

    async def fetch_token() -> BearerToken:
        async with session.post("token") as response:
            return BearerToken.from_oauth2(await response.json())

    said: list[str] = []

    async def ask() -> None:
        async with session.get("me", raise_for_status=True) as response:
            said.append(await response.text())

    middlewares: list[ClientMiddlewareType] = [
        RetryMiddleware(attempts=20, backoff=0),
        BearerAuthMiddleware(fetch_token),
        RateLimitMiddleware(1e6, burst=100, concurrency=concurrency),
        OpenTelemetryMiddleware(tracer_provider=provider),
    ]
    async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(ask)
    assert said == ["Ada"] * 5
    assert token.call_count == 2
    assert len(spans.get_finished_spans()) == len(mock.calls)
