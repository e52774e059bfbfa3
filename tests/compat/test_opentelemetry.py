"""OpenTelemetry's instrumentation of aiohttp, whose TraceConfig a session here is given."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from yarl import URL

from anyhttp import ClientConnectorError, ClientSession
from tests.support.client import get
from tests.support.server import Server

REASON = "OpenTelemetry's instrumentation of aiohttp's client is not installed"

instrumentation: ModuleType = pytest.importorskip(
    "opentelemetry.instrumentation.aiohttp_client", reason=REASON
)
sdk: ModuleType = pytest.importorskip("opentelemetry.sdk.trace", reason=REASON)
exporting: ModuleType = pytest.importorskip("opentelemetry.sdk.trace.export", reason=REASON)
in_memory: ModuleType = pytest.importorskip(
    "opentelemetry.sdk.trace.export.in_memory_span_exporter", reason=REASON
)


async def test_spans(server: Server, free_tcp_port: int) -> None:
    """Each request is a span of its own, below that of the program; servers are told which."""
    exporter = in_memory.InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(exporting.SimpleSpanProcessor(exporter))
    config = instrumentation.create_trace_config(tracer_provider=provider)
    missing, dead = server.url / "status" / "404", URL(f"http://127.0.0.1:{free_tcp_port}/")
    async with ClientSession(trace_configs=[config]) as session:
        with provider.get_tracer("program").start_as_current_span("parent") as parent:
            sent = await get(session, server.url / "echo")
            await get(session, missing)
            with pytest.raises(ClientConnectorError):
                await get(session, dead)
    spans: list[Any] = [span for span in exporter.get_finished_spans() if span.name != "parent"]
    assert [span.attributes["http.url"] for span in spans] == [
        str(server.url / "echo"),
        str(missing),
        str(dead),
    ]
    assert [span.attributes.get("http.status_code") for span in spans] == [200, 404, None]
    assert [span.status.status_code.name for span in spans] == ["UNSET", "ERROR", "ERROR"]
    assert {span.parent.span_id for span in spans} == {parent.get_span_context().span_id}
    assert f"{spans[0].context.trace_id:032x}-{spans[0].context.span_id:016x}" in sent.decode()
    (event,) = spans[2].events
    assert event.attributes["exception.type"].endswith(".ClientConnectorError")
