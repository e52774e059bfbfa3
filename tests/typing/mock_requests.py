"""Types of ``mock_requests()`` and of the fixtures for pytest; read by type checkers, never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

from anyhttp import ClientSession
from anyhttp.testing import (
    LoopbackServer,
    NoNetwork,
    RequestMock,
    Route,
    UnansweredRequest,
    mock_requests,
)


async def blocks() -> None:
    """Both kinds give the mock."""
    with mock_requests() as mock:
        assert_type(mock, RequestMock)
        assert_type(mock.get("https://api.test/users", json=["Ann"]), Route)
        assert_type(mock.unanswered, list[UnansweredRequest])
    async with mock_requests(assert_all_called=False, whole_process=True) as mock:
        assert_type(mock, RequestMock)
    mock_requests(assert_all_called="no")  # type: ignore[arg-type]
    mock_requests(True)  # type: ignore[call-arg]


@mock_requests()
async def decorated(name: str, mock: RequestMock) -> int:
    """The result keeps its type; no type can say that one argument fewer is given."""
    return len(name) + len(mock.calls)


@mock_requests(assert_all_called=False)
def plain(mock: RequestMock) -> str:
    """The same for a function that is not asynchronous."""
    return str(mock.calls)


async def calls() -> None:
    """What calls return."""
    assert_type(await decorated("Ann"), int)
    assert_type(plain(), str)


async def fixtures(
    anyhttp_no_network: NoNetwork,
    anyhttp_serve: Callable[..., LoopbackServer],
    anyhttp_asgi: Callable[..., ClientSession],
) -> None:
    """What they can be annotated with."""
    anyhttp_no_network.allow("localhost", "127.0.0.1:8080")
    anyhttp_no_network.allow(8080)  # type: ignore[arg-type]
    server = anyhttp_serve("hello")
    async with anyhttp_asgi(object()) as session:
        await session.get(server.url)
