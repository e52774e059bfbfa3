"""Sessions for tests of what is sent and received."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any
from weakref import WeakSet

from yarl import URL

from anyhttp import BaseConnector, ClientSession, TCPConnector

from .census import assert_no_tokens
from .waiting import until

_http2_connectors: WeakSet[BaseConnector] = WeakSet()


def client(http1: str, *, force_close: bool = False, **options: Any) -> ClientSession:
    """Return a session whose connections use the engine called *http1*, or speak HTTP/2.

    :param options: options of :class:`ClientSession`
    """
    if http1 == "http2":
        connector = TCPConnector(http2="prior-knowledge", force_close=force_close)
        _http2_connectors.add(connector)
    else:
        connector = TCPConnector(http1=http1, force_close=force_close)
    return ClientSession(connector=connector, **options)


def named(name: str, http1: str) -> str:
    """Return the name of a field as a peer sends it: in lower case over HTTP/2."""
    return name.lower() if http1 == "http2" else name


async def get(session: ClientSession, url: str | URL = "/json", **options: Any) -> bytes:
    """Send a GET request and return the whole body of the response."""
    async with session.get(url, **options) as response:
        return await response.read()


def assert_free(session: ClientSession, *, idle: int | None = None) -> None:
    """Assert that no request of *session* holds a connection or waits for one.

    :param idle: expected number of idle connections, if that matters; not looked at where the
        session of :func:`client` speaks HTTP/2, whose connections outlast what ends a stream
    """
    assert session.connector is not None
    is_shared = session.connector in _http2_connectors
    assert_no_tokens(session.connector, idle=None if is_shared else idle)


@asynccontextmanager
async def opened(
    session: ClientSession, *, entered: bool, until_free: bool = False
) -> AsyncIterator[ClientSession]:
    """Yield *session*, and assert at the end that it has released all connections.

    :param entered: use the session in ``async with``, instead of only closing it
    :param until_free: first wait for uploads that last longer than their responses
    """
    try:
        async with session if entered else nullcontext():
            yield session
            if until_free:
                await wait_free(session)
            assert_free(session)
    finally:
        await session.close()


async def wait_free(session: ClientSession) -> None:
    """Wait until uploads have ended and their connections are released."""
    connector = session.connector
    assert connector is not None
    await until(lambda: not connector.statistics().in_use, "the connections to be free")
