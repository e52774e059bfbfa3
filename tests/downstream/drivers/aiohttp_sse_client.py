"""aiohttp-sse-client and its successor: server-sent events."""

from __future__ import annotations

from tests.downstream.package import Package
from tests.downstream.stub import Stub, event_stream


async def drive(stub: Stub) -> None:
    """Take events with and without a name."""
    from aiohttp_sse_client.client import EventSource

    stub.on("GET /events", event_stream(["one", ("named", "two")]))
    async with EventSource(f"{stub.url}/events", max_connect_retry=0) as source:
        taken = []
        async for event in source:
            taken.append((event.type, event.data))
            if len(taken) == 2:
                break
    assert taken == [(None, "one"), ("named", "two")], taken


async def drive_successor(stub: Stub) -> None:
    """Take events with and without a name."""
    from aiohttp_sse_client2.client import EventSource

    stub.on("GET /events", event_stream(["one", ("named", "two")]))
    async with EventSource(f"{stub.url}/events", max_connect_retry=0) as source:
        taken = []
        async for event in source:
            taken.append((event.type, event.data))
            if len(taken) == 2:
                break
    assert taken == [(None, "one"), ("named", "two")], taken


PACKAGES = (
    Package(
        name="aiohttp-sse-client",
        version="0.2.1",
        drive=drive,
        driven="events with and without a name",
    ),
    Package(
        name="aiohttp-sse-client2",
        version="0.3.0",
        drive=drive_successor,
        driven="events with and without a name",
    ),
)
