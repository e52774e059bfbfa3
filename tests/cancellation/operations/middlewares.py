"""Middlewares: those of the package, and what others may do with requests and responses."""

from __future__ import annotations

import itertools
from functools import partial

import anyio
import anyio.lowlevel

import anyhttp
from anyhttp import (
    BearerAuthMiddleware,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    DigestAuthMiddleware,
    RateLimitMiddleware,
    RetryMiddleware,
)
from tests.cancellation.stage import Stage, add, new_session, pieces
from tests.support.client import get


async def send_twice(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Drop the first response unread."""
    await handler(request)
    return await handler(request)


async def bring_streams(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send two streams, and read half of the answer to the first."""
    await request.update_body(pieces())
    response = await handler(request)
    await response.content.readany()
    await request.update_body(pieces())
    return await handler(request)


async def ask_elsewhere(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Use the session for something else, then answer with something else again."""
    async with request.session.get("/json", middlewares=()) as response:
        await response.read()
    await handler(request)
    answer: ClientResponse = await request.session.get("/bytes/400000", middlewares=())
    return answer


async def race(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send it two times at once."""
    responses = []

    async def ask() -> None:
        responses.append(await handler(request))
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        group.start_soon(ask)
    return responses[0]


async def ask_then_race(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send it two times at once while the rest of an earlier response is still coming."""
    await handler(request)
    return await race(request, handler)


async def _put(
    middleware: anyhttp.ClientMiddlewareType,
    path: str,
    bare: bool,
    stage: Stage,
    session: ClientSession,
) -> None:
    """Each response that they get is given back, whoever is cancelled when."""
    if bare:
        response = await session.put(path, middlewares=[middleware])
        try:
            await response.read()
        finally:
            response.close()
    else:
        async with session.put(path, middlewares=[middleware]) as response:
            await response.read()


for _middleware, _path in (
    (send_twice, "/bytes/400000"),
    (send_twice, "/redirect/1"),
    (bring_streams, "/echo-body"),
    (ask_elsewhere, "/bytes/400000"),
    (race, "/json"),
    (ask_then_race, "/bytes/400000"),
):
    for _bare in (False, True):
        _name = f"{_middleware.__name__}-{_path.strip('/')}-{'await' if _bare else 'block'}"
        add(_name, partial(_put, _middleware, _path, _bare), unentered=True)


async def _get(path: str, stage: Stage, session: ClientSession) -> None:
    async with session.get(path) as response:
        assert response.status == 200
        await response.read()


async def _get_two(path: str, stage: Stage, session: ClientSession) -> None:
    """Two requests at once."""
    async with anyio.create_task_group() as group:
        group.start_soon(_get, path, stage, session)
        await _get(path, stage, session)


async def _retry(stage: Stage, session: ClientSession) -> None:
    """Send it again after a 503."""
    middlewares = [RetryMiddleware(attempts=6, backoff=0)]
    async with session.get("/busy", middlewares=middlewares) as response:
        assert response.status == 200
        await response.read()


add("retry", _retry, unentered=True)

_tokens = itertools.count()


async def _token() -> str:
    await anyio.lowlevel.checkpoint()
    return f"token{next(_tokens)}"


def _bearing(stage: Stage) -> ClientSession:
    return new_session(stage, middlewares=[BearerAuthMiddleware(_token)])


# The token is asked for once by both, refused, and asked for again.
add("bearer", partial(_get_two, "/token"), _bearing, unentered=True)


def _limited(stage: Stage) -> ClientSession:
    limit = RateLimitMiddleware(1000, burst=1, concurrency=1)
    return new_session(stage, middlewares=[limit])


add("rate-limit", partial(_get_two, "/json"), _limited, unentered=True)


async def _get_signed(stage: Stage, session: ClientSession) -> None:
    """A new middleware has to be asked first."""
    digest = DigestAuthMiddleware("user", "secret")
    for _ in range(2):
        async with session.get("/digest", middlewares=[digest]) as response:
            assert await response.read() == b"signed"


add("digest", _get_signed, unentered=True)


async def _traced(stage: Stage, session: ClientSession) -> None:
    from anyhttp.opentelemetry import OpenTelemetryMiddleware

    middleware = OpenTelemetryMiddleware()
    async with session.get("/redirect/1", middlewares=[middleware]) as response:
        await response.read()
    async with session.post("/upload", data=pieces(), middlewares=[middleware]) as response:
        await response.read()


add("opentelemetry", _traced, unentered=True, needs="opentelemetry")


def _all(stage: Stage) -> ClientSession:
    return new_session(
        stage,
        middlewares=[
            RateLimitMiddleware(10_000, burst=10),
            RetryMiddleware(attempts=6, backoff=0),
            BearerAuthMiddleware(_even_token),
        ],
    )


async def _even_token() -> str:
    await anyio.lowlevel.checkpoint()
    return "0"


async def _get_all(stage: Stage, session: ClientSession) -> None:
    await _get("/token", stage, session)
    await _get("/busy", stage, session)
    await get(session, "/redirect/1")


add("several-middlewares", _get_all, _all)
