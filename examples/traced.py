"""Requests as spans of OpenTelemetry, which are shown when they end; the server is told of them."""

from __future__ import annotations

import sys

import anyio
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from anyhttp import ClientSession, RetryMiddleware
from anyhttp.opentelemetry import OpenTelemetryMiddleware


def line(span: ReadableSpan) -> str:
    """Return what is printed of *span*."""
    told = span.attributes or {}
    return f"{span.name} {told.get('url.full', '')} {told.get('http.response.status_code', '')}\n"


async def main(base_url: str) -> None:
    """Ask twice, as a part of one operation."""
    provider = TracerProvider()
    exporter = ConsoleSpanExporter(out=sys.stdout, formatter=line)  # or one that sends them
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans = OpenTelemetryMiddleware(tracer_provider=provider)
    async with ClientSession(base_url, middlewares=[RetryMiddleware(), spans]) as session:
        with provider.get_tracer("shop").start_as_current_span("checkout"):
            for path in ("/basket", "/prices?token=secret"):
                async with session.get(path) as response:
                    await response.read()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
