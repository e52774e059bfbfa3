"""What an error tells a program that made one of the usual mistakes."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from anyhttp import (
    ClientConnectionError,
    ClientSession,
    InvalidUrlClientError,
    NonHttpUrlClientError,
)
from tests.support.api import Api
from tests.support.client import client


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8801/json",
        "localhost:8801",
        "a.test:80?q",
        "h:1#f",
        "a-b.test:80/x",
        "127.0.0.1:80/",
    ],
)
@pytest.mark.parametrize("base", [None, "http://base/"])
async def test_a_url_without_its_scheme(url: str, base: str | None) -> None:
    """A host with a port looks like a scheme with a path."""
    async with ClientSession(base) as session:
        with pytest.raises(NonHttpUrlClientError, match="the scheme is missing") as caught:
            await session.get(url)
    assert caught.value.args[0] == URL(url)
    assert str(caught.value).startswith(url)


@pytest.mark.parametrize("url", ["mailto:me@host", "ftp://host:80/", "data:,x", "tel:+1"])
async def test_a_url_of_another_scheme(url: str) -> None:
    """Nothing is missing there."""
    async with client("auto") as session:
        with pytest.raises(NonHttpUrlClientError) as caught:
            await session.get(url)
    assert "missing" not in str(caught.value)


@pytest.mark.parametrize("url", ["example.test/path", "/path", "//host/path"])
async def test_a_relative_url(url: str) -> None:
    """It says what would make it absolute."""
    async with client("auto") as session:
        with pytest.raises(InvalidUrlClientError, match="no scheme, and the session has no base"):
            await session.get(url)


@pytest.mark.parametrize("size", [2, 300_000], ids=["short", "long"])
@pytest.mark.parametrize("how", ["read", "text", "json", "stream"])
async def test_a_body_that_is_read_too_late(size: int, how: str, http1: str, api: Api) -> None:
    """After the block of its response."""
    async with client(http1) as session:
        async with session.get(api.url / "bytes" / str(size)) as response:
            pass
        read: dict[str, Callable[[], Any]] = {
            "read": response.read,
            "text": response.text,
            "json": lambda: response.json(content_type=None),
            "stream": lambda: response.content.read(),
        }
        with pytest.raises(ClientConnectionError, match="inside the block of 'async with'"):
            await read[how]()


@pytest.mark.parametrize("name", ["status", "text", "headers", "json", "send_str"])
async def test_a_request_that_nobody_awaited(name: str) -> None:
    """What the response has is not there yet, and hasattr() does not raise."""
    async with client("auto") as session:
        for made in (session.get("http://host/"), session.ws_connect("ws://host/")):
            with pytest.raises(AttributeError, match=f"no '{name}': await it, or use") as caught:
                getattr(made, name)
            assert caught.value.name == name
            assert not hasattr(made, name)
            assert inspect.isawaitable(made)
            assert not asyncio.isfuture(made)
            made.close()


async def test_a_session_that_is_closed_says_so_first(entered: bool) -> None:
    """Whatever else is wrong with the request."""
    session = client("auto")
    if entered:
        async with session:
            pass
    await session.close()
    options: Any = {"timeout": "5"}
    for attempt in (
        lambda: session.get("no url at all"),
        lambda: session.get("/relative"),
        lambda: session.get("http://host/", **options),
        lambda: session._request("GET", "/relative"),
        lambda: session.ws_connect("/relative"),
    ):
        with pytest.raises(RuntimeError, match="Session is closed") as caught:
            await attempt()
        assert caught.value.__context__ is None or caught.value.__suppress_context__


async def body() -> AsyncIterator[bytes]:
    """Nobody sends it: the function is given in place of what it returns."""
    yield b""


class Peers:
    """Of another library than this one."""


#: What is no body, and what the error says to write.
NO_BODIES: dict[str, tuple[object, str]] = {
    "path": (Path("a"), "open the file, and give that"),
    "number": (5, "give its str()"),
    "function": (body, "call it, and give what it returns"),
    "method": (Path("a").open, "call it, and give what it returns"),
    "set": ({"a"}, "give each of its values a (name, value) pair"),
    "mapping in a list": ([{"a": 1}], "json.dumps()"),
    "text in a list": (["a"], "give a pair of a name and a value"),
    "bytes in a list": ([b"a"], "give a pair of a name and a value"),
    "three of a pair": ([("a", "b", "c")], "give a pair of a name and a value"),
    "object": (Peers(), "not of tests.Peers: give a str"),
}


@pytest.mark.parametrize("kind", NO_BODIES)
async def test_what_is_no_body(kind: str) -> None:
    """It says what to write, and which library an object is of."""
    data, advice = NO_BODIES[kind]
    async with client("auto") as session:
        with pytest.raises(TypeError, match=f"^data: .*{re.escape(advice)}"):
            await session.post("http://host/", data=data)
