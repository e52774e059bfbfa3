"""Sessions for tests of what is sent and received."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from yarl import URL

from anyhttp import ClientSession, TCPConnector

from .census import assert_no_tokens
from .waiting import until


def client(http1: str, *, force_close: bool = False, **options: Any) -> ClientSession:
    """Return a session whose connections use the engine called *http1*.

    :param options: options of :class:`ClientSession`
    """
    connector = TCPConnector(http1=http1, force_close=force_close)
    return ClientSession(connector=connector, **options)


async def get(session: ClientSession, url: str | URL = "/json", **options: Any) -> bytes:
    """Send a GET request and return the whole body of the response."""
    async with session.get(url, **options) as response:
        return await response.read()


def assert_free(session: ClientSession, *, idle: int | None = None) -> None:
    """Assert that no request of *session* holds a connection or waits for one.

    :param idle: expected number of idle connections, if that matters
    """
    assert session.connector is not None
    assert_no_tokens(session.connector, idle=idle)


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
