"""The same program over HTTP/1.1 and HTTP/2: 1000 requests, of which a tenth is cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from anyhttp import ClientSession, TCPConnector
from tests.support.busy_program import BusyProgram
from tests.support.census import assert_no_tokens
from tests.support.tls import Authority

if TYPE_CHECKING:
    from tests.support.http2_server import Http2Server

CANCELLED = 100


@pytest.mark.uvloop
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
async def test_every_request_that_is_not_cancelled_succeeds(
    http2_server: Http2Server, tls_ca: Authority, http2: bool
) -> None:
    """The option is the only difference, and one TLS connection carries all of them.

    The server checks what it is sent; the census finds what would be left behind.
    """
    connector = TCPConnector(http2=http2, ssl=tls_ca.client)
    async with ClientSession(http2_server.https_url, connector=connector) as session:
        outcome = await BusyProgram(session).run()
        assert_no_tokens(connector)
    assert len(outcome.cancelled) == CANCELLED
    assert outcome.succeeded | outcome.cancelled == set(range(1000))
    assert outcome.versions == {(2, 0) if http2 else (1, 1)}
    if http2:
        assert http2_server.connections == http2_server.http2_connections == 1
