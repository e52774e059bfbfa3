"""Packages that observe each request of a program: spans, and headers that go with them."""

from __future__ import annotations

from tests.downstream.package import Package
from tests.downstream.stub import Stub


async def ask(stub: Stub) -> None:
    """Make one request that succeeds and one that does not."""
    import aiohttp

    stub.on("GET /one", {"a": 1})
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{stub.url}/one") as response:
            assert await response.json() == {"a": 1}
        try:
            await session.get("http://127.0.0.1:9/")
        except aiohttp.ClientConnectorError:
            pass
        else:
            raise AssertionError("nothing listens there")


async def drive_opentelemetry(stub: Stub) -> None:
    """Two spans with their outcome, and the header that names the first."""
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.propagate import set_global_textmap
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_global_textmap(TraceContextTextMapPropagator())
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    await ask(stub)
    instrumentor.uninstrument()
    good, bad = exporter.get_finished_spans()
    assert good.attributes["http.status_code"] == 200, good.attributes
    assert not bad.status.is_ok
    assert f"{good.context.trace_id:032x}" in stub.requests[0].headers["Traceparent"]


async def drive_sentry(stub: Stub) -> None:
    """A span with its outcome, and the header that names it."""
    import sentry_sdk
    from sentry_sdk.integrations.aiohttp import AioHttpIntegration

    events: list[dict[str, object]] = []

    def keep(event: dict[str, object], _: object) -> None:
        events.append(event)

    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        traces_sample_rate=1.0,
        integrations=[AioHttpIntegration()],
        default_integrations=False,
        before_send_transaction=keep,
    )
    with sentry_sdk.start_transaction(name="one"):
        await ask(stub)
    spans = events[0]["spans"]
    assert isinstance(spans, list)
    (span,) = [one for one in spans if one["data"].get("http.response.status_code") == 200]
    assert span["op"] == "http.client"
    assert str(span["trace_id"]) in stub.requests[0].headers["Sentry-Trace"]


PACKAGES = (
    Package(
        name="opentelemetry-instrumentation-aiohttp-client",
        version="0.66b1",
        beside=("opentelemetry-sdk==1.45.1", "aiohttp==3.14.*"),
        environment="observers",
        drive=drive_opentelemetry,
        driven="spans of a success and a failure, the header",
    ),
    Package(
        name="sentry-sdk",
        version="2.75.0",
        beside=("aiohttp==3.14.*",),
        environment="observers",
        drive=drive_sentry,
        driven="spans of a success and a failure, the header",
    ),
)
