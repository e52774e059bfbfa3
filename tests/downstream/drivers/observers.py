"""Packages that observe each request of a program: spans, and headers that go with them."""

from __future__ import annotations

import os

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


async def drive_elastic(stub: Stub) -> None:
    """A span with its outcome, and the header that names it."""
    import elasticapm

    client = elasticapm.Client(
        service_name="one",
        server_url="http://127.0.0.1:9",
        disable_send=True,
        central_config=False,
        cloud_provider="none",
        breakdown_metrics=False,
        metrics_interval="0s",
    )
    elasticapm.instrument()
    transaction = client.begin_transaction("test")
    spans: list[object] = []
    client.tracer.queue_func = lambda kind, data, **_: spans.append((kind, data))
    await ask(stub)
    client.end_transaction("one", "ok")
    elasticapm.uninstrument()
    client.close()
    outcomes = [dict(data)["outcome"] for kind, data in spans if kind == "span"]
    assert outcomes == ["success", "failure"], outcomes
    assert transaction.trace_parent.trace_id in stub.requests[0].headers["Traceparent"]


async def drive_ddtrace(stub: Stub) -> None:
    """Spans with their outcome, and the headers that name them."""
    os.environ["DD_INSTRUMENTATION_TELEMETRY_ENABLED"] = "false"
    os.environ["DD_REMOTE_CONFIGURATION_ENABLED"] = "false"
    os.environ["DD_TRACE_AGENT_URL"] = "http://127.0.0.1:9"
    import ddtrace
    from ddtrace.trace import TraceFilter

    finished: list[object] = []

    class Keep(TraceFilter):
        def process_trace(self, trace: list[object]) -> None:
            finished.extend(trace)

    ddtrace.trace.tracer.configure(trace_processors=[Keep()])
    ddtrace.patch(aiohttp=True)
    await ask(stub)
    names = [one.name for one in finished]
    assert names.count("aiohttp.request") == 2, names
    assert "TCPConnector.connect" in names, names
    assert "x-datadog-trace-id" in stub.requests[0].headers


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
    Package(
        name="elastic-apm",
        version="6.26.2",
        beside=("aiohttp==3.14.*",),
        environment="observers",
        drive=drive_elastic,
        driven="spans of a success and a failure, the header",
        other_clients="the agent sends by urllib3 what it has seen",
    ),
    Package(
        name="ddtrace",
        version="4.16.0",
        beside=("aiohttp==3.14.*",),
        environment="observers",
        drive=drive_ddtrace,
        driven="spans of requests and of connecting, the header",
    ),
)
