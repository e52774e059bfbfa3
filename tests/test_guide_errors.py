"""docs/howto/errors.md: which exceptions are no ``ClientError``."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest

from anyhttp import ClientConnectionError, ClientError, ClientOSError, ClientResponse, ClientSession
from tests.support.fresh_python import ROOT
from tests.support.server import Server

PAGE: Final = (ROOT / "docs" / "howto" / "errors.md").read_text("utf-8")
OTHERS: Final = [*re.findall(r"^\| `([\w.]+)`(?:, `(\w+)`)?", PAGE, re.MULTILINE)]


def case(
    error: type[Exception],
    path: str = "bytes/200",
    use: Callable[[ClientResponse], Awaitable[object]] = ClientResponse.read,
    **options: Any,
) -> Any:
    """Make an example of an exception: a request, and what is done with its response."""
    return pytest.param(error, path, use, options, id=error.__name__)


CASES: Final = [
    case(TimeoutError, "hang", timeout=0.01),
    case(TypeError, allow_redirects="no"),
    case(ValueError, timeout=-1),
    case(json.JSONDecodeError, use=lambda response: response.json(content_type=None)),
    case(UnicodeDecodeError, use=lambda response: response.text("utf-8")),
    case(LookupError, use=lambda response: response.text("none-such")),
    case(asyncio.IncompleteReadError, use=lambda response: response.content.readexactly(201)),
]


@pytest.mark.parametrize(("error", "path", "use", "options"), CASES)
async def test_exceptions_that_are_no_client_errors(
    server: Server,
    error: type[Exception],
    path: str,
    use: Callable[[ClientResponse], Awaitable[object]],
    options: dict[str, Any],
) -> None:
    """Each has a row of its own on the page."""
    async with ClientSession(server.url) as session:
        with pytest.raises(error) as caught:
            async with session.get(path, **options) as response:
                await use(response)
    assert type(caught.value) is error
    assert not isinstance(caught.value, ClientError)


async def test_a_session_that_is_closed(server: Server) -> None:
    """RuntimeError, as the program is wrong and not the network."""
    async with ClientSession(server.url) as session:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await session.get("json")


def test_the_page_names_them_all() -> None:
    """And no other."""
    named = {name.rpartition(".")[2] for pair in OTHERS for name in pair if name}
    tried = {example.values[0].__name__ for example in CASES}
    assert named == tried | {"RuntimeError"}


async def test_a_body_that_fails(server: Server) -> None:
    """An error of the program's body is the cause of a ``ClientError``."""

    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        raise KeyError("mine")

    class Broken:
        def read(self, size: int = -1) -> bytes:
            raise OSError("no disk")

    async with ClientSession(server.url) as session:
        with pytest.raises(ClientConnectionError) as caught:
            await session.post("upload", data=body())
        assert type(caught.value.__cause__) is KeyError
        with pytest.raises(ClientOSError) as caught:
            await session.post("upload", data=Broken())
        assert type(caught.value.__cause__) is OSError
