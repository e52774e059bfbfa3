"""The same over HTTP/2: exchanges that share a connection."""

from __future__ import annotations

from functools import partial

import anyio

from anyhttp import ClientSession, TCPConnector
from tests.cancellation.stage import OPERATIONS, Stage, add, operation, pieces
from tests.support.client import get

from . import bodies, middlewares, requests, uploads, websockets  # noqa: F401  (used by name)

LARGE = bytes(range(256)) * 1200  # more than the window that the server gives


def shared(stage: Stage) -> ClientSession:
    """Return a session that speaks HTTP/2 over TLS."""
    connector = TCPConnector(ssl=stage.ca.client, http2=True)
    return ClientSession(stage.http2.https_url, connector=connector)


def _reconnecting(stage: Stage) -> ClientSession:
    connector = TCPConnector(http2="prior-knowledge", keepalive_timeout=0)
    return ClientSession(stage.http2.url, connector=connector)


# What is done over HTTP/1.1 is done here, too.
for _name in (
    "get-bytes/400000-reused",
    "get-redirect/2-reused",
    "upload-plain-block",
    "upload-expect100-block",
    "upload-compress-await",
    "informed_and_trailed",
    "left_unread",
    "ending_by_time_limit",
    "answered_meanwhile",
    "send-file",
    "redirected",
    "retry",
    "content_by_iteration",
    "server_sent_events",
    "downloaded",
    "websocket-messages",
    "websocket_both_ways",
    "websocket_refused",
):
    add(f"http2-{_name}", OPERATIONS[_name].deed, shared, unentered=True, needs="h2")


async def _get(path: str, stage: Stage, session: ClientSession) -> None:
    await get(session, path)


add("http2-get-new", partial(_get, "/json"), _reconnecting, needs="h2")


@operation(shared, unentered=True, needs="h2")
async def http2_upload_beyond_the_windows(stage: Stage, session: ClientSession) -> None:
    """The window of the stream and that of the connection are waited for."""
    async with session.post("/echo-body", data=LARGE) as response:
        assert await response.read() == LARGE


@operation(_reconnecting, needs="h2")
async def http2_several_at_once(stage: Stage, session: ClientSession) -> None:
    """One opens the connection, the others wait for it; one reads for all."""
    async with anyio.create_task_group() as group:
        group.start_soon(get, session)
        group.start_soon(get, session, "/bytes/70000")
        async with session.post("/upload", data=pieces()) as response:
            await response.read()


def _one_at_a_time(stage: Stage) -> ClientSession:
    connector = TCPConnector(http2="prior-knowledge", limit_per_host=1)
    return ClientSession(stage.http2.url, connector=connector)


@operation(_one_at_a_time, needs="h2")
async def http2_with_one_connection(stage: Stage, session: ClientSession) -> None:
    """Requests wait for the only connection to be made."""
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(get, session)


async def _through(scheme: str, stage: Stage, _: ClientSession) -> None:
    proxy = stage.proxy(scheme).login_url
    connector = TCPConnector(ssl=stage.ca.client, http2=True)
    async with ClientSession(stage.http2.https_url, connector=connector, proxy=proxy) as session:
        await get(session)


add("http2-tunnel", partial(_through, "http"), needs="h2")
