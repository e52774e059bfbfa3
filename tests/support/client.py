"""A session for tests of the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from yarl import URL

from anyhttp import ClientSession, TCPConnector

from .census import assert_no_tokens
from .waiting import until


def client(http1: str, *, force_close: bool = False, **options: Any) -> ClientSession:
    """Return a session whose connections are spoken by the engine called *http1*.

    :param options: those of :class:`ClientSession`
    """
    connector = TCPConnector(http1=http1, force_close=force_close)
    return ClientSession(connector=connector, **options)


async def get(session: ClientSession, url: str | URL = "/json", **options: Any) -> bytes:
    """Make a request, and return its whole body."""
    async with session.get(url, **options) as response:
        return await response.read()


def assert_free(session: ClientSession, *, idle: int | None = None) -> None:
    """Assert that no request of *session* holds a connection or waits for one.

    :param idle: how many connections must be kept alive for later, if that matters
    """
    assert session.connector is not None
    assert_no_tokens(session.connector, idle=idle)


@asynccontextmanager
async def opened(
    session: ClientSession, *, entered: bool, until_free: bool = False
) -> AsyncIterator[ClientSession]:
    """Give *session*, and check that none of its slots is taken in the end.

    :param entered: use it with ``async with``, and not only close it
    :param until_free: before, wait for the end of uploads that outlast their responses
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
    """Wait until a body that has been sent is known to have been, and its connection is free."""
    connector = session.connector
    assert connector is not None
    await until(lambda: not connector.statistics().in_use, "the connections to be free")
