"""What answers in the process that is measured, as it does in tests: its cost counts as well."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeAlias

from . import answers


@dataclass(frozen=True, slots=True)
class InProcess:
    """What answers.

    :ivar url: what is asked for
    :ivar options: of the session
    """

    url: str
    options: dict[str, Any] = field(default_factory=dict)


Answering: TypeAlias = Callable[[], AbstractAsyncContextManager[InProcess]]

HEADERS = {"Content-Type": "application/json"}


@asynccontextmanager
async def mocked() -> AsyncIterator[InProcess]:
    """Answer in memory."""
    mock = import_module("anyhttp.testing").MockConnector()
    url = "http://api.test/json"
    mock.get(url, body=answers.SMALL, headers=HEADERS)
    yield InProcess(url, {"connector": mock})


@asynccontextmanager
async def mocked_by_function() -> AsyncIterator[InProcess]:
    """Answer in memory, by a function that is called for each request."""
    testing = import_module("anyhttp.testing")
    mock = testing.MockConnector()
    url = "http://api.test/json"
    mock.get(url, answer=lambda request: testing.Answer(body=answers.SMALL, headers=HEADERS))
    yield InProcess(url, {"connector": mock})


@asynccontextmanager
async def served() -> AsyncIterator[InProcess]:
    """Answer on loopback, in the same event loop."""
    async with import_module("anyhttp.testing").serve() as server:
        server.get("/json", body=answers.SMALL, headers=HEADERS)
        yield InProcess(str(server.url / "json"))
