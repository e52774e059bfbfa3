"""The ``total`` time ends whatever a middleware waits for."""

from __future__ import annotations

from typing import Any, Literal

import anyio
import pytest
from trio.testing import MockClock

from anyhttp import (
    BearerAuthMiddleware,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    RateLimitMiddleware,
    RetryAttempt,
    RetryMiddleware,
)
from anyhttp.testing import AutojumpEventLoop, MockConnector

API = "https://api.test/"

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize(
        "anyio_backend",
        [
            pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
            pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
        ],
    ),
]


async def wait_for_ever() -> Any:
    """Be a source of tokens, or a predicate, that never answers."""
    await anyio.sleep_forever()


class Slow(RetryMiddleware):
    """Waits by itself before it does what its base does."""

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await anyio.sleep(100)
        return await super().__call__(request, handler)


async def pass_on(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Be a middleware that does nothing."""
    return await handler(request)


async def error_of(
    middlewares: list[ClientMiddlewareType], *, entered: bool, requests: Literal[1, 2] = 1
) -> str:
    """Return the text of the error of the last of *requests*, which has 50 seconds."""
    mock = MockConnector()
    mock.fallback(body=bytes(1_000_000))  # so much is not received before it is read
    session = ClientSession(
        connector=mock, middlewares=middlewares, timeout=ClientTimeout(total=50)
    )
    held: list[ClientResponse] = []
    if entered:
        await session.__aenter__()
    try:
        if requests == 2:
            held.append(await session.get(API, timeout=ClientTimeout()))
        began = anyio.current_time()
        with pytest.raises(TimeoutError) as caught:
            await session.get(API)
        assert round(anyio.current_time() - began) == 50
    finally:
        for response in held:
            response.close()
        await session.close()
    return str(caught.value)


@pytest.mark.parametrize("entered", [True, False])
@pytest.mark.parametrize("others", [[], [pass_on]], ids=["alone", "behind another"])
class TestTotalTime:
    async def test_of_a_source_of_tokens(self, others: list[Any], entered: bool) -> None:
        middleware = BearerAuthMiddleware(wait_for_ever, origins=API)
        error = await error_of([*others, middleware], entered=entered)
        assert "ran out while waiting for a token (GET" in error

    async def test_of_a_turn(self, others: list[Any], entered: bool) -> None:
        middlewares = [*others, RateLimitMiddleware(1, per=1000)]
        error = await error_of(middlewares, entered=entered, requests=2)
        assert "ran out while waiting for its turn under the rate limit (GET" in error

    async def test_of_a_place(self, others: list[Any], entered: bool) -> None:
        middlewares = [*others, RateLimitMiddleware(1000, concurrency=1)]
        error = await error_of(middlewares, entered=entered, requests=2)
        assert "ran out while waiting for its turn under the rate limit (GET" in error

    async def test_of_a_predicate(self, others: list[Any], entered: bool) -> None:
        def ask(attempt: RetryAttempt) -> Any:
            return wait_for_ever()

        error = await error_of([*others, RetryMiddleware(retry_if=ask)], entered=entered)
        assert "ran out while running the retry_if callback (GET" in error

    async def test_of_a_derived_class(self, others: list[Any], entered: bool) -> None:
        error = await error_of([*others, Slow()], entered=entered)
        assert "ran out while a middleware was at work (GET" in error


async def test_of_a_session_that_has_been_closed() -> None:
    """Whoever closes the session does not wait for middlewares; the time goes on for them."""

    async def work(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await anyio.sleep_forever()
        raise AssertionError

    async def ask() -> None:
        began = anyio.current_time()
        with pytest.raises(TimeoutError, match="while a middleware was at work"):
            await session.get(API)
        assert round(anyio.current_time() - began) == 50

    session = ClientSession(
        connector=MockConnector(), middlewares=[work], timeout=ClientTimeout(total=50)
    )
    async with anyio.create_task_group() as group, session:
        group.start_soon(ask)
        await anyio.sleep(10)
