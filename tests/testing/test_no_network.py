"""What forbids real connections, without pytest's fixture around it."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from anyhttp import ClientSession
from anyhttp.testing import ForbiddenConnection, NoNetwork, no_network
from tests.support.client import get
from tests.support.server import Server


async def test_it_holds_until_the_end_of_the_block(server: Server) -> None:
    """Sessions that were there before are used again after it."""
    async with ClientSession(server.url) as session:
        await get(session)
        with no_network("a test") as guard:
            with pytest.raises(ForbiddenConnection, match=r"^a test may not connect to 127\.0"):
                await get(session)
            assert len(guard.refused) == 1
            guard.refused.clear()
        await get(session)


async def test_the_error_is_raised_again_at_the_end() -> None:
    """Others that were caught are told with it."""
    refused: list[ForbiddenConnection] = []

    async def ask() -> None:
        with no_network("a test") as guard:
            async with ClientSession() as session:
                for name in "ab":
                    with pytest.raises(ForbiddenConnection):
                        await get(session, f"http://{name}.test/")
            refused.extend(guard.refused)

    with pytest.raises(ForbiddenConnection, match=r"to a\.test:80") as caught:
        await ask()
    first, second = refused
    assert caught.value is first
    again, besides = first.__notes__
    assert "raised again" in again
    assert besides == f"\nBesides, the program has caught this:\n{second}"


@pytest.mark.parametrize("kind", ["raised", "in a group", "the cause", "raised while handling it"])
async def test_an_error_that_comes_of_it_has_no_note(kind: str) -> None:
    """The message would be there twice."""

    async def ask() -> None:
        async with ClientSession() as session:
            try:
                await get(session, "http://a.test/")
            except ForbiddenConnection as exc:
                if kind == "in a group":
                    group = ExceptionGroup("all", [exc])
                    raise group from group
                if kind == "the cause":
                    raise LookupError from exc
                if kind == "raised while handling it":
                    raise LookupError  # noqa: B904 (on purpose)
                raise

    with pytest.raises((ForbiddenConnection, LookupError, ExceptionGroup)) as caught:
        with no_network("a test"):
            await ask()
    assert not hasattr(caught.value, "__notes__")


async def test_an_error_of_the_block_has_a_note() -> None:
    """It may be what the error comes of, without saying so."""

    async def ask() -> None:
        with no_network("a test"):
            async with ClientSession() as session:
                with pytest.raises(ForbiddenConnection):
                    await get(session, "http://a.test/")
            raise LookupError

    with pytest.raises(LookupError) as caught:
        await ask()
    assert "may not connect to a.test:80" in caught.value.__notes__[0]


async def test_everything_allowed(server: Server) -> None:
    """As when a recorder is told to record."""
    with no_network("a test") as guard:
        guard.allow_all()
        async with ClientSession(server.url) as session:
            await get(session)


@pytest.mark.parametrize(
    ("host", "error"),
    [("", ValueError), ("http://a.test", ValueError), (URL("/path"), TypeError), (1, TypeError)],
)
def test_a_host_that_is_none(host: Any, error: type[Exception]) -> None:
    """The message says so."""
    with pytest.raises(error, match="a host must be"):
        NoNetwork("a test").allow("localhost", host)
