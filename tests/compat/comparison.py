"""One body of code, run against aiohttp and against this package.

A section is a coroutine function that takes one of the two packages and the URL of the test
server, uses the package as its users are taught to, and returns what it saw as plain data.
:func:`compared` makes a test of it, which runs it on aiohttp with asyncio and then here, with
asyncio or trio, and asserts that both saw the same.
"""

from __future__ import annotations

import base64
import inspect
import json
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from types import ModuleType
from typing import Any

import anyio
import pytest

import anyhttp
from tests.support.census import Census, open_sockets
from tests.support.server import Server
from tests.support.waiting import comes_true

aiohttp: ModuleType = pytest.importorskip(
    "aiohttp", minversion="3.14", reason="aiohttp 3.14, to compare with, is not installed"
)

Section = Callable[..., Awaitable[object]]
Test = Callable[..., None]

# aiohttp closes sockets after close() has returned: at once in the next rounds of the loop, or
# when the peer has answered to the end of TLS.
SETTLING = 2.0  # seconds

# These name the client, and the codecs that it found.
OWN_HEADERS = frozenset({"user-agent", "accept-encoding"})


def compared(section: Section) -> Test:
    """Make a test of *section*: on each backend it sees here what it sees on aiohttp."""

    def test(*, server: Server, backend: str, **fixtures: Any) -> None:
        there = _run(section, aiohttp, "asyncio", server, fixtures)
        here = _run(section, anyhttp, backend, server, fixtures)
        assert here == there

    return _as_test(section, test)


def different(*, there: object, here: object) -> Callable[[Section], Test]:
    """Make a test of a section that shows a difference which is documented.

    :param there: what it sees on aiohttp
    :param here: what it sees here, on each backend
    """

    def decorate(section: Section) -> Test:
        def test(*, server: Server, backend: str, **fixtures: Any) -> None:
            assert _run(section, aiohttp, "asyncio", server, fixtures) == there
            assert _run(section, anyhttp, backend, server, fixtures) == here

        return _as_test(section, test)

    return decorate


def _as_test(section: Section, test: Test) -> Test:
    """Give *test* the name of *section*, and the fixtures that it names after its first two."""
    fixtures = list(inspect.signature(section).parameters)[2:]
    test.__module__, test.__doc__ = section.__module__, section.__doc__
    test.__name__ = getattr(section, "__name__", "")
    names = dict.fromkeys(["server", "backend", *fixtures])
    test.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # read by pytest
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    )
    return pytest.mark.parametrize("backend", ["asyncio", "trio"])(test)


def _run(
    section: Section, client: ModuleType, backend: str, server: Server, fixtures: dict[str, Any]
) -> object:
    """Run *section* in an event loop of its own, and the census in there with it."""
    if "server" in inspect.signature(section).parameters:
        fixtures = {**fixtures, "server": server}

    async def main() -> object:
        before = Census()
        sockets = set(open_sockets())
        result = await section(client, server.url, **fixtures)
        if client is aiohttp:
            await comes_true(lambda: sockets.issuperset(open_sockets()), seconds=SETTLING)
        else:
            await before.settle_and_check()
        return result

    server.reset()
    with warnings.catch_warnings():
        if client is aiohttp:  # it deprecates much that stays here, such as BasicAuth
            warnings.simplefilter("ignore", DeprecationWarning)
        return anyio.run(main, backend=backend)


# -- what sections return ---------------------------------------------------------------


def headers_of(echo: Any) -> list[list[str]]:
    """Return the headers of a request that ``/echo`` saw, ordered by name, and cookies too.

    The order of different names means nothing (RFC 9110 §5.3, RFC 6265 §4.2.2); equal names
    keep theirs.
    """
    pairs = []
    for name, value in echo["headers"]:
        if name.lower() == "cookie":
            pairs.append([name, "; ".join(sorted(value.split("; ")))])
        elif name.lower() not in OWN_HEADERS:
            pairs.append([name, value])
    return sorted(pairs, key=lambda pair: str(pair[0]).lower())


def request_seen(echo: Any) -> dict[str, object]:
    """Return the request that ``/echo`` saw, with a name in the place of a random boundary."""
    body = base64.b64decode(echo["body"]).decode("latin-1")
    headers = json.dumps(headers_of(echo))
    _, found, boundary = headers.partition("boundary=")
    if found:
        boundary = boundary.partition('"')[0]
        headers, body = (text.replace(boundary, "BOUNDARY") for text in (headers, body))
    return {
        "line": (echo["method"], echo["target"], echo["version"]),
        "headers": json.loads(headers),
        "body": body,
    }


async def seen(request: Any) -> dict[str, object]:
    """Make *request*, one to ``/echo``, and return what arrived there."""
    async with request as response:
        return request_seen(await response.json())


async def headers_seen(request: Any) -> list[list[str]]:
    """Make *request*, one to ``/echo``, and return the headers that arrived there."""
    async with request as response:
        return headers_of(await response.json())


async def read(request: Any) -> tuple[int, bytes]:
    """Make *request* and return the status and the body of its response."""
    async with request as response:
        return response.status, await response.read()


async def failure(action: Awaitable[object] | Callable[[], object]) -> list[str]:
    """Return the class, and the classes it inherits from, of what *action* raises.

    :param action: something to await, or a function to call, which may return such a thing
    """
    try:
        result: Any = action() if callable(action) else action
        if inspect.isawaitable(result):
            result = await result
        if hasattr(result, "release"):
            result.release()
    except Exception as exc:  # noqa: BLE001  (which one it is is the question)
        return class_names(exc)
    return ["nothing raised"]


def class_names(error: BaseException) -> list[str]:
    """Return the names of the class of *error* and of those that it inherits from.

    Here the classes of aiohttp are among them, too, behind the namesakes.
    """
    names = [base.__name__ for base in type(error).__mro__]
    return list(dict.fromkeys(name for name in names if name[0] != "_"))


async def failures(
    function: Callable[..., object], *options: dict[str, Any]
) -> list[tuple[str, list[str]]]:
    """Call *function* with each of *options*; return what it was called with and raised."""
    return [(repr(list(each)), await failure(partial(function, **each))) for each in options]
