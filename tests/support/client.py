"""A session for tests of the wire."""

from __future__ import annotations

from typing import Any

from anyhttp import ClientSession, TCPConnector

from .census import assert_no_tokens
from .waiting import until


def client(http1: str, *, force_close: bool = False, **options: Any) -> ClientSession:
    """Return a session whose connections are spoken by the engine called *http1*.

    :param options: those of :class:`ClientSession`
    """
    connector = TCPConnector(http1=http1, force_close=force_close)
    return ClientSession(connector=connector, **options)


def assert_free(session: ClientSession, *, idle: int | None = None) -> None:
    """Assert that no request of *session* holds a connection or waits for one.

    :param idle: how many connections must be kept alive for later, if that matters
    """
    assert session.connector is not None
    assert_no_tokens(session.connector, idle=idle)


async def wait_free(session: ClientSession) -> None:
    """Wait until a body that has been sent is known to have been, and its connection is free."""
    connector = session.connector
    assert connector is not None
    await until(lambda: not connector.statistics().in_use, "the connections to be free")
