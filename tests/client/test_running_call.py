"""What middlewares of the package can ask of the call that runs them, and tell it."""

from __future__ import annotations

import math
from typing import Any

import anyio
import pytest
from yarl import URL

from anyhttp import (
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    TraceConfig,
    TraceRequestRetryParams,
)
from anyhttp.client_middlewares import phase, tell_of_retry, time_left, times_sent
from tests.support.api import Api
from tests.support.client import get

pytestmark = pytest.mark.uvloop


def before(work: Any) -> ClientMiddlewareType:
    """Return a middleware that awaits *work* with the request first."""

    async def middleware(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        await work(request)
        return await handler(request)

    return middleware


class TestPhase:
    @pytest.mark.parametrize("entered", [False, True])
    async def test_a_timeout_names_it(self, api: Api, entered: bool) -> None:
        """The message says what the middleware waited for."""

        async def wait(request: ClientRequest) -> None:
            with phase(request, "waiting for a token"), phase(request, "waiting for its turn"):
                await anyio.sleep_forever()

        session = ClientSession(
            api.url, middlewares=[before(wait)], timeout=ClientTimeout(total=0.02)
        )
        if entered:
            await session.__aenter__()
        with pytest.raises(TimeoutError, match="ran out while waiting for its turn"):
            await session.get("json")
        await session.close()

    @pytest.mark.parametrize("fails", [False, True])
    async def test_it_ends_with_the_block(self, api: Api, fails: bool) -> None:
        """Also if the block fails; the middleware may catch that."""

        async def wait(request: ClientRequest) -> None:
            try:
                with phase(request, "waiting for a token"):
                    if fails:
                        raise LookupError
            except LookupError:
                pass
            await anyio.sleep_forever()

        async with ClientSession(
            api.url, middlewares=[before(wait)], timeout=ClientTimeout(total=0.02)
        ) as session:
            with pytest.raises(TimeoutError, match="ran out while a middleware was at work"):
                await session.get("json")

    async def test_a_request_that_no_session_has_made(self, api: Api) -> None:
        """It has no call, so there is nothing to say, and no limit."""
        request = ClientRequest("GET", api.url)
        with phase(request, "waiting"):
            await tell_of_retry(request, attempt=2, delay=0.0)
        assert time_left(request) == math.inf


class TestTimeLeft:
    async def test_it_counts_down(self, api: Api) -> None:
        """Every hop has what the hops before have left."""
        left: list[float] = []

        async def look(request: ClientRequest) -> None:
            await anyio.sleep(0.001)
            left.append(time_left(request))

        async with ClientSession(
            api.url, middlewares=[before(look)], timeout=ClientTimeout(total=50)
        ) as session:
            await get(session, "redirect/1")
        assert 50 > left[0] > left[1] > 0

    async def test_no_limit(self, api: Api) -> None:
        """Then it is infinite; and so it is when the middlewares have answered."""
        requests: list[ClientRequest] = []

        async def look(request: ClientRequest) -> None:
            requests.append(request)
            assert (time_left(request) == math.inf) is (len(requests) == 1)

        async with ClientSession(api.url, middlewares=[before(look)]) as session:
            await get(session, "json", timeout=ClientTimeout(total=None))
            await get(session, "json")
        assert [time_left(request) for request in requests] == [math.inf] * 2

    async def test_a_time_that_is_over(self, api: Api) -> None:
        """It is 0, not less."""
        left: list[float] = []

        async def look(request: ClientRequest) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                left.append(time_left(request))

        async with ClientSession(
            api.url, middlewares=[before(look)], timeout=ClientTimeout(total=0.01)
        ) as session:
            with pytest.raises(TimeoutError):
                await session.get("json")
        assert left == [0.0]


class TestTellOfRetry:
    async def test_trace_handlers_are_told(self, api: Api) -> None:
        """They can change the headers that are sent next."""
        told: list[TraceRequestRetryParams] = []
        config = TraceConfig()

        @config.on_request_retry
        async def note(session: object, context: object, params: TraceRequestRetryParams) -> None:
            told.append(params)
            params.headers["X-Attempt"] = str(params.attempt)

        async def again(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            response = await handler(request)
            await tell_of_retry(request, attempt=2, delay=0.5, response=response)
            return await handler(request)

        async with ClientSession(api.url, middlewares=[again], trace_configs=[config]) as session:
            async with session.get("anything") as response:
                assert (await response.json())["headers"]["X-Attempt"] == "2"
        [params] = told
        assert (params.method, params.url, params.attempt) == ("GET", api.url / "anything", 2)
        assert (params.delay, params.exception) == (0.5, None)
        assert params.response is not None

    async def test_nobody_is_told(self, api: Api) -> None:
        """Without handlers it does nothing."""

        async def tell(request: ClientRequest) -> None:
            await tell_of_retry(request, attempt=2, delay=0.5, exception=LookupError())

        for config in [], [TraceConfig()]:
            async with ClientSession(
                api.url, middlewares=[before(tell)], trace_configs=config
            ) as session:
                await get(session, "json")

    async def test_what_a_handler_raises(self, api: Api) -> None:
        """It is passed on."""
        config = TraceConfig()

        @config.on_request_retry
        async def fail(session: object, context: object, params: object) -> None:
            raise LookupError("mine")

        async def tell(request: ClientRequest) -> None:
            await tell_of_retry(request, attempt=2, delay=0.5, exception=LookupError())

        async with ClientSession(
            api.url, middlewares=[before(tell)], trace_configs=[config]
        ) as session:
            with pytest.raises(LookupError, match="mine"):
                await session.get("json")


class TestTimesSent:
    async def test_each_request_counts(self, api: Api) -> None:
        """Those before a redirect, and those that a middleware has sent again."""
        counts: list[int] = []

        async def count(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            counts.append(times_sent(request))
            return await handler(request)

        async def twice(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            return await handler(request)

        async with ClientSession(api.url, middlewares=[twice, count]) as session:
            await get(session, "redirect/1")
            await get(session, "json")
        assert counts == [0, 1, 2, 3, 0, 1]

    def test_a_request_without_a_call(self) -> None:
        """None has been sent for it."""
        assert times_sent(ClientRequest("GET", URL("http://a.test/"))) == 0
