"""Handlers that are told what happens to requests: which connection, and how long it took."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import anyio

from anyhttp import (
    ClientSession,
    TraceConfig,
    TraceConnectionCreateEndParams,
    TraceConnectionReuseconnParams,
    TraceRequestEndParams,
    TraceRequestStartParams,
)

trace = TraceConfig()


@trace.on_request_start
async def started(
    session: ClientSession, context: SimpleNamespace, params: TraceRequestStartParams
) -> None:
    """Start the clock, and tell the server which request this is."""
    context.started = anyio.current_time()
    params.headers["X-Request-ID"] = context.trace_request_ctx


@trace.on_connection_create_end
async def connected(
    session: ClientSession, context: SimpleNamespace, params: TraceConnectionCreateEndParams
) -> None:
    """Remember that the request made a connection."""
    context.connection = "a new connection"


@trace.on_connection_reuseconn
async def reused(
    session: ClientSession, context: SimpleNamespace, params: TraceConnectionReuseconnParams
) -> None:
    """Remember that it did not."""
    context.connection = "a connection used before"


@trace.on_request_end
async def ended(
    session: ClientSession, context: SimpleNamespace, params: TraceRequestEndParams
) -> None:
    """Say how it went."""
    seconds = anyio.current_time() - context.started
    print(
        f"{context.trace_request_ctx}: {params.method} {params.url.path} {params.response.status}",
        f"on {context.connection}",
        "in less than a minute" if seconds < 60 else "slowly",
    )


async def main(base_url: str) -> None:
    """Make two requests, and give each a name."""
    async with ClientSession(base_url, trace_configs=[trace]) as session:
        for name in ("first", "second"):
            async with session.get("", trace_request_ctx=name) as response:
                await response.read()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
