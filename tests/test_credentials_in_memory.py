"""No credential stays in memory on account of something that this library keeps."""

from __future__ import annotations

import gc
from functools import _lru_cache_wrapper

import pytest

from anyhttp import BasicAuth
from anyhttp._common.values import Fields, FieldsMemo
from tests.support.client import client
from tests.support.reachable import reachable
from tests.support.server import Server

pytestmark = pytest.mark.once

SECRET = "hunter2-and-more"


def memories() -> list[object]:
    """Return all that this package keeps what it has made in."""
    gc.unfreeze()  # the census hides from the collector what was there before the first test
    found: list[object] = [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, FieldsMemo)
        or (
            isinstance(thing, _lru_cache_wrapper)
            and thing.__wrapped__.__module__.startswith("anyhttp")
        )
    ]
    gc.freeze()
    return found


def secrets_kept() -> list[object]:
    """Return what is kept of the secret."""
    kept: list[object] = []
    for memory in memories():
        for thing in reachable(memory):
            text = thing if isinstance(thing, (str, bytes)) else b""
            if SECRET in (text if isinstance(text, str) else text.decode("latin-1")):
                kept.append(thing)
    return kept


async def test_nothing_of_credentials_is_kept(http1: str, server: Server) -> None:
    """Headers are rendered once and kept, but not those with credentials or cookies; URLs are
    parsed once and kept, but not those with a password.
    """
    url = server.url / "echo"
    async with client(http1) as session:
        for headers in (
            {"Authorization": SECRET},
            {"authorization": SECRET},
            {"Proxy-Authorization": SECRET},
            {"Cookie": f"a={SECRET}"},
        ):
            async with session.get(url, headers=headers) as response:
                for_proxy = "Proxy-Authorization" in headers  # which no origin sees
                assert (SECRET in await response.text()) is not for_proxy
        async with session.get(url, cookies={"a": SECRET}) as response:
            assert SECRET in await response.text()
        login = BasicAuth("me", "x")
        async with session.get(url, auth=login) as response:
            assert login.encode() in await response.text()
        async with session.get(f"http://me:{SECRET}@{url.authority}/echo") as response:
            await response.read()
        async with session.get(str(url), headers={"X-Note": "to be kept"}) as response:
            await response.read()
    del response
    assert not secrets_kept()


async def test_the_search_finds_what_is_kept(http1: str, server: Server) -> None:
    """Else the test above would say nothing."""
    async with client(http1) as session:
        # A field that is rendered together with all others, and not beside the session's.
        headers = {"Content-Type": f"text/{SECRET}"}
        async with session.get(server.url, headers=headers) as response:
            await response.read()
    del response
    assert secrets_kept()
    for memory in memories():
        if isinstance(memory, FieldsMemo):
            memory.clear()
    assert not secrets_kept()


def test_a_memory_is_bounded() -> None:
    """It begins anew when it is full; what it gives is the same."""
    made: list[Fields] = []

    def make(fields: Fields) -> int:
        made.append(fields)
        return len(fields)

    memory = FieldsMemo(make)
    for number in range(1000):
        assert memory[("X", str(number)),] == 1
        assert memory[("X", str(number)),] == 1
        assert len(memory) <= 256
    assert len(made) == 1000


def test_the_key_of_a_websocket_is_not_kept() -> None:
    """No other request has it, so it would only take the room of those that come again."""
    memory = FieldsMemo(len)
    for number in range(300):
        assert memory[("A", "b"), ("Sec-WebSocket-Key", str(number))] == 2
    assert not memory
