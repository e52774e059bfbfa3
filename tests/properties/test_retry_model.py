"""``RetryMiddleware`` beside a model: how often a request is sent, when, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate

import anyio
import pytest
from hypothesis import given, strategies as st
from trio.testing import MockClock

from anyhttp import (
    ClientConnectorError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    RetryMiddleware,
    ServerDisconnectedError,
)
from anyhttp.testing import Answer, AutojumpEventLoop, MockConnector
from tests.support.examples import examples

API = "https://api.test/"
WHEN = 1_700_000_000

pytestmark = pytest.mark.parametrize(
    "anyio_backend",
    [
        pytest.param(("asyncio", {"loop_factory": AutojumpEventLoop}), id="asyncio"),
        pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
    ],
)


@dataclass(frozen=True)
class Outcome:
    """What becomes of one attempt: a status, perhaps with ``Retry-After``, or an exception."""

    status: int = 200
    after: str = ""
    asked: int = 0
    """What *after* means, in seconds."""
    error: type[Exception] | None = None

    @property
    def answer(self) -> Answer | type[Exception]:
        """What the mock answers."""
        if self.error is not None:
            return self.error
        headers = {"Date": formatdate(WHEN, usegmt=True)}
        if self.after:
            headers["Retry-After"] = self.after
        return Answer(self.status, headers=headers, text="body")

    @property
    def result(self) -> int | type[Exception]:
        """What the caller gets if no other attempt follows."""
        return self.status if self.error is None else ERRORS[self.error]


#: what the mock is told, and what the request raises
ERRORS: dict[type[Exception], type[Exception]] = {
    ConnectionRefusedError: ClientConnectorError,
    ConnectionResetError: ClientOSError,
    ServerDisconnectedError: ServerDisconnectedError,
}
AFTER = {"0": 0, "100": 100, "200": 200, " 400 ": 400, "soon": 0, "-1": 0, "": 0}
DATE = formatdate(WHEN + 100, usegmt=True)
AFTER |= {DATE: 100, formatdate(WHEN - 100, usegmt=True): 0}

outcomes = st.one_of(
    st.builds(
        lambda status, after: Outcome(status, after, AFTER[after]),
        st.sampled_from([503, 503, 503, 429, 502, 504, 500, 200]),
        st.one_of(st.sampled_from(["100", DATE]), st.sampled_from(list(AFTER))),
    ),
    st.sampled_from(list(ERRORS)).map(lambda error: Outcome(error=error)),
)


@dataclass(frozen=True)
class Options:
    """Options of the middleware, of the request, and the random number."""

    attempts: int
    backoff: float
    max_backoff: float
    max_retry_after: float
    total: float | None
    timeout: float | None
    method: str
    random: float


# Waits are multiples of 50 seconds, and limits are between them: real time decides nothing.
options = st.builds(
    Options,
    attempts=st.sampled_from([1, 2, 4, 6]),
    backoff=st.sampled_from([0, 100, 100, 200]),
    max_backoff=st.sampled_from([0, 200, 10_000, 10_000]),
    max_retry_after=st.sampled_from([0, 120, 10_000, 10_000]),
    total=st.sampled_from([None, None, 125, 725]),
    timeout=st.sampled_from([None, None, 325, 925]),
    method=st.sampled_from(["GET", "GET", "PUT", "POST"]),
    random=st.sampled_from([0.0, 0.5, 1.0, 1.0]),
)


def expected(script: list[Outcome], given: Options) -> tuple[int | type[Exception], list[float]]:
    """Return the result, and the times of the attempts."""
    now, times = 0.0, []
    for number in range(1, given.attempts + 1):
        times.append(now)
        outcome = script[number - 1] if number <= len(script) else Outcome()
        never_sent = outcome.error is ConnectionRefusedError
        may_pass = outcome.error is not None or outcome.status in {429, 502, 503, 504}
        if not may_pass or (given.method == "POST" and not never_sent) or number == given.attempts:
            return outcome.result, times
        bound = min(given.backoff * 2 ** (number - 1), given.max_backoff)
        begins = now + given.random * bound + outcome.asked
        if outcome.asked > given.max_retry_after:
            return outcome.result, times
        if (given.total is not None and begins > given.total) or (
            given.timeout is not None and begins >= given.timeout
        ):
            return outcome.result, times
        now = begins
    raise AssertionError("the last attempt has a result")


@examples(60)
@given(script=st.lists(outcomes, min_size=1, max_size=6), given_options=options)
async def test_attempts_are_those_of_the_model(
    script: list[Outcome], given_options: Options
) -> None:
    """Each failure that may pass is followed by a wait and another attempt, within all limits."""
    given = given_options
    times: list[float] = []
    began = anyio.current_time()

    async def note(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        times.append(anyio.current_time() - began)
        return await handler(request)

    mock = MockConnector()
    mock.fallback(answers=[outcome.answer for outcome in (*script, Outcome())])
    retry = RetryMiddleware(
        attempts=given.attempts,
        backoff=given.backoff,
        max_backoff=given.max_backoff,
        max_retry_after=given.max_retry_after,
        total=given.total,
        random=lambda: given.random,
    )
    result: int | type[Exception]
    async with ClientSession(API, connector=mock, middlewares=[retry, note]) as session:
        try:
            async with session.request(
                given.method, "/", timeout=ClientTimeout(total=given.timeout)
            ) as response:
                result = response.status
        except tuple(ERRORS.values()) as exc:
            result = type(exc)
    wanted, at = expected(script, given)
    assert result == wanted
    assert times == pytest.approx(at, abs=20)
