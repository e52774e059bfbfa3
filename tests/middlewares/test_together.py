"""The middlewares of the package, all at once, in the order of ``docs/howto/middlewares.md``."""

from __future__ import annotations

import anyio
import pytest

from anyhttp import (
    BearerAuthMiddleware,
    BearerToken,
    ClientError,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    DigestAuthMiddleware,
    RateLimitMiddleware,
    RetryMiddleware,
    TraceConfig,
    TraceRequestRetryParams,
)
from anyhttp.testing import Answer, MockConnector, ReceivedRequest, stall
from tests.support.census import assert_no_tokens

API = "https://api.test/"


async def elsewhere(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """A middleware that sends requests to another URL, which it names by a text."""
    request.url = f"{API}other"  # type: ignore[assignment]  # is accepted
    return await handler(request)


#: Fields of a 401 that digest authentication answers, and of one that it cannot answer.
DIGEST = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
UNKNOWN = {"WWW-Authenticate": 'Digest realm="r", nonce="n", algorithm="X"'}


@pytest.mark.parametrize("middleware", ["retry", "bearer", "digest"])
async def test_a_response_from_elsewhere_is_released(middleware: str) -> None:
    """Also if what comes before the next attempt is cancelled: no call of its session ends it."""
    origin = MockConnector()
    status = 503 if middleware == "retry" else 401
    origin.get("/", answer=stall(b"half", status=status, headers=DIGEST))
    responses: list[ClientResponse] = []

    async def instead(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        responses.append(await other.get(API, headers=request.headers))
        scope.cancel()
        return responses[0]

    async def fetch_token() -> str:
        return "t"

    chosen: ClientMiddlewareType = RetryMiddleware(attempts=2, backoff=0)
    if middleware == "bearer":
        chosen = BearerAuthMiddleware(fetch_token)
    elif middleware == "digest":
        chosen = DigestAuthMiddleware("login", "password")
    async with (
        ClientSession(connector=origin) as other,
        ClientSession(API, connector=MockConnector(), middlewares=[chosen, instead]) as session,
    ):
        with anyio.CancelScope() as scope:
            await session.get("")
        assert scope.cancelled_caught
        assert len(responses) == 1
        assert_no_tokens(origin, idle=0)


@pytest.mark.parametrize("headers", [DIGEST, UNKNOWN], ids=["answered", "refused"])
async def test_a_challenge_from_elsewhere_is_released(headers: dict[str, str]) -> None:
    """Whether digest authentication can answer it or not."""
    origin = MockConnector()
    origin.get("/", answer=stall(b"half", status=401, headers=headers))
    api = MockConnector()
    api.get("/", answer=Answer(text="ok"))
    responses: list[ClientResponse] = []

    async def instead(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if responses:
            return await handler(request)
        responses.append(await other.get(API))
        return responses[0]

    digest = DigestAuthMiddleware("login", "password")
    async with (
        ClientSession(connector=origin) as other,
        ClientSession(API, connector=api, middlewares=[digest, instead]) as session,
    ):
        if headers is DIGEST:
            async with session.get("") as response:
                assert await response.text() == "ok"
        else:
            with pytest.raises(ClientError, match="unknown algorithm"):
                await session.get("")
        assert len(responses) == 1
        assert_no_tokens(origin, idle=0)


@pytest.mark.parametrize("concurrency", [None, 1])
async def test_all_in_their_order(concurrency: int | None) -> None:
    """A token that is refused and a busy server are met together, and each costs what it must."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from anyhttp.opentelemetry import OpenTelemetryMiddleware

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))

    def me(request: ReceivedRequest) -> Answer:
        if request.headers["Authorization"] != "Bearer token2":
            return Answer(401)
        return Answer(503) if private.call_count % 2 else Answer(text="Ada")

    mock = MockConnector()
    private = mock.get("/me", answer=me)
    token = mock.post("/token", answers=[{"access_token": f"token{number}"} for number in (1, 2)])

    async def fetch_token() -> BearerToken:
        async with session.post("token") as response:
            return BearerToken.from_oauth2(await response.json())

    said: list[str] = []

    async def ask() -> None:
        async with session.get("me", raise_for_status=True) as response:
            said.append(await response.text())

    middlewares: list[ClientMiddlewareType] = [
        RetryMiddleware(attempts=20, backoff=0),
        BearerAuthMiddleware(fetch_token),
        RateLimitMiddleware(1e6, burst=100, concurrency=concurrency),
        OpenTelemetryMiddleware(tracer_provider=provider),
    ]
    async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(ask)
    assert said == ["Ada"] * 5
    assert token.call_count == 2
    assert len(spans.get_finished_spans()) == len(mock.calls)


async def test_a_text_as_the_url() -> None:
    """A middleware may set one; those behind it see it before it has been made a URL."""
    pytest.importorskip("opentelemetry.trace")
    from anyhttp.opentelemetry import OpenTelemetryMiddleware

    async def fetch_token() -> str:
        return "t"

    async def busy(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        return ClientResponse.for_request(request, status=503, headers={"Retry-After": "9"})

    async def idle(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        return ClientResponse.for_request(request, status=503)

    mock = MockConnector()
    route = mock.get(f"{API}other", answer=Answer(text="x"))
    told: list[str] = []
    trace = TraceConfig()

    @trace.on_request_retry
    async def retried(session: object, context: object, params: TraceRequestRetryParams) -> None:
        told.append(params.url.path)

    behind: list[ClientMiddlewareType] = [
        RetryMiddleware(attempts=2, backoff=0, max_retry_after=0),
        RateLimitMiddleware(1e6, burst=100),
        BearerAuthMiddleware(fetch_token),
        OpenTelemetryMiddleware(),
    ]
    async with ClientSession(API, connector=mock, trace_configs=[trace]) as session:
        async with session.get("", middlewares=[elsewhere, *behind]) as response:
            assert response.status == 200
        [call] = route.calls
        assert call.headers["Authorization"] == "Bearer t"
        async with session.get("", middlewares=[elsewhere, *behind, busy]) as response:
            assert response.status == 503
        retrying = RetryMiddleware(attempts=2, backoff=0)
        async with session.get("", middlewares=[elsewhere, retrying, idle]) as response:
            assert response.status == 503
    assert told == ["/other"]
