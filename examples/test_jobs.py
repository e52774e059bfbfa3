"""Tests of the examples for everyday jobs; ``test_without_network.py`` is a shorter one to copy.

No socket is opened, and each test runs on asyncio and on trio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from anyhttp import ClientResponseError, ClientSession, OAuth2Error, WSServerHandshakeError
from anyhttp.testing import Answer, ASGIConnector, MockConnector, WebSocketPeer, mock_requests
from examples import (
    fastapi_lifespan,
    json_with_errors,
    oauth2,
    ported_from_aiohttp,
    ported_from_httpx,
    reconnecting_chat,
)
from examples.library import User, Users
from examples.test_examples import JUMPING_CLOCKS

pytestmark = pytest.mark.anyio

API = "https://api.test/"
BROKEN = Answer(body=b"{", headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"name": "Ada"}, "Ada"),
        (Answer(404, json={"error": "gone"}), """404 Not Found: b'{"error": "gone"}'"""),
        (BROKEN, "broken JSON: Expecting"),
        (Answer(body=b"{}", exception=ConnectionResetError), "ClientPayloadError: "),
        (ConnectionRefusedError(), "ClientConnectorError: Cannot connect to host api.test"),
        (TimeoutError(), "TimeoutError: "),
    ],
)
async def test_json_with_errors(answer: Answer | Exception, said: str) -> None:
    """Whatever happens is told in a sentence."""
    mock = MockConnector()
    mock.get("/users/1", answer=answer)
    async with ClientSession(API, connector=mock) as session:
        assert (await json_with_errors.name_of(session, 1)).startswith(said)


async def test_oauth2(capsys: pytest.CaptureFixture[str]) -> None:
    """A token that is refused is renewed by the refresh token that came with it."""
    with mock_requests() as mock:
        granted = {"token_type": "Bearer", "expires_in": 300}
        first = granted | {"access_token": "a1", "refresh_token": "r1"}
        second = granted | {"access_token": "a2"}
        tokens = mock.post(oauth2.TOKENS, answers=[first, second])
        mock.get(f"{API}me", match_headers={"Authorization": "Bearer a1"}, status=401)
        mock.get(f"{API}me", match_headers={"Authorization": "Bearer a2"}, json={"name": "Ada"})
        await oauth2.main(API, "r0")
        grants = [call.form["refresh_token"] for call in tokens.calls]
    assert grants == ["r0", "r1"]
    assert capsys.readouterr().out == "{'name': 'Ada'}\n"


async def test_oauth2_that_is_refused() -> None:
    """What the token endpoint says is what the program gets; the API is not asked."""
    with mock_requests() as mock:
        mock.post(oauth2.TOKENS, status=400, json={"error": "invalid_grant"})
        with pytest.raises(OAuth2Error, match="invalid_grant"):
            await oauth2.main(API, "r0")


async def test_library_with_a_session_of_its_own() -> None:
    """It is closed with the library's object."""
    with mock_requests() as mock:
        mock.get(f"{API}users/1", json={"id": 1, "name": "Ada", "since": 2026})
        async with Users(API) as users:
            assert await users.get(1) == User(1, "Ada")


async def test_library_with_the_session_of_the_program() -> None:
    """It sends what the session sends, and leaves it open."""
    mock = MockConnector()
    mock.get(f"{API}users/1", match_headers={"X-Program": "shop"}, status=503)
    async with ClientSession(connector=mock, headers={"X-Program": "shop"}) as session:
        async with Users(API, session) as users:
            with pytest.raises(ClientResponseError, match="503"):
                await users.get(1)
        assert not session.closed


@pytest.fixture
async def service() -> AsyncIterator[ClientSession]:
    """Return a session for requests to the service, which is running."""
    connector = ASGIConnector(fastapi_lifespan.app)
    async with ClientSession("https://service.test/", connector=connector) as session:
        yield session


async def test_fastapi_lifespan(service: ClientSession) -> None:
    """The service answers by what another one says."""
    with mock_requests() as mock:
        rates = mock.get("https://rates.test/latest?to=USD", answers=[{"USD": 1.25}, 500, BROKEN])
        async with service.get("rate/USD") as response:
            assert await response.json() == {"USD": 1.25}
        for _ in range(2):
            async with service.get("rate/USD") as response:
                assert response.status == 502
        assert rates.call_count == 3


async def test_the_session_is_closed_with_the_service() -> None:
    """Each run of the service has one session."""
    app: FastAPI = fastapi_lifespan.app
    async with fastapi_lifespan.lifespan(app) as state:
        session = state["session"]
        assert not session.closed
    assert session.closed


@pytest.mark.parametrize("anyio_backend", JUMPING_CLOCKS)
async def test_reconnecting_chat(capsys: pytest.CaptureFixture[str]) -> None:
    """What breaks is tried again, from where it broke; the server ends it."""

    async def break_off(peer: WebSocketPeer) -> None:
        await peer.send_json({"number": 7, "text": "hello"})
        await peer.abort()

    async def end(peer: WebSocketPeer) -> None:
        await peer.send_json({"number": 8, "text": "bye"})

    with mock_requests() as mock:
        mock.ws("wss://api.test/chat?after=0", break_off)
        mock.ws("wss://api.test/chat?after=7", answers=[ConnectionRefusedError(), 503, end])
        await reconnecting_chat.main(API)
    assert capsys.readouterr().out == "hello\nbye\n"


async def test_reconnecting_chat_that_is_refused() -> None:
    """A wrong password stays wrong."""
    with mock_requests() as mock:
        mock.ws("wss://api.test/chat?after=0", answers=[403])
        with pytest.raises(WSServerHandshakeError, match="403"):
            await reconnecting_chat.main(API)


async def test_ported_from_aiohttp(capsys: pytest.CaptureFixture[str]) -> None:
    """The pages are in order; a failure is told."""
    with mock_requests() as mock:
        mock.get(f"{API}echo", match_query={}, answer=lambda request: request.query["number"])
        await ported_from_aiohttp.main(API)
    with mock_requests() as mock:
        mock.get(f"{API}echo", match_query={}, status=404)
        await ported_from_aiohttp.main(API)
    pages, failure = capsys.readouterr().out.splitlines()
    assert pages == "['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']"
    assert failure.startswith("failed: 404, message='Not Found'")


async def test_ported_from_httpx(capsys: pytest.CaptureFixture[str]) -> None:
    """It sends the same requests."""
    with mock_requests() as mock:
        items = mock.post(f"{API}items", status=201, json={"id": 7})
        mock.get(f"{API}report?year=2026", answers=[Answer(text="one\ntwo\n"), 500])
        for _ in range(2):
            await ported_from_httpx.main(API)
        items.assert_called_with(headers={"Authorization": "Basic YWRhOnNlY3JldA=="})
    with mock_requests() as mock:
        mock.post(f"{API}items", exception=TimeoutError)
        await ported_from_httpx.main(API)
    assert capsys.readouterr().out == (
        "201 {'id': 7}\none\ntwo\n201 {'id': 7}\nrefused: 500 b''\n"
        "no answer: Timeout on reading data from socket\n"
    )
