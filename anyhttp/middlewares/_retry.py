"""``RetryMiddleware``: sends a request again that has failed in a way that may pass."""

from __future__ import annotations

import inspect
import logging
import math
import random as random_numbers
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import anyio
from yarl import URL

from .._common import (
    Backoff,
    check_callable,
    check_count,
    check_seconds,
    without_user_info,
)
from .._headers import IDEMPOTENT_METHODS, checked_method, parse_retry_after
from .._tasks import clock
from ..client_exceptions import (
    CONNECTION_FAILURES,
    LASTING_FAILURES,
    ClientConnectorError,
    ClientHttpProxyError,
    ClientResponseError,
    ConnectionTimeoutError,
)
from ..client_middlewares import (
    ClientHandlerType,
    give_back,
    is_session_closed,
    phase,
    take_stale,
    tell_of_retry,
    time_left,
    waiting_phase,
    watches_time,
)
from ..client_reqrep import ClientRequest, ClientResponse

__all__ = ("RetryAttempt", "RetryMiddleware", "RetryPredicate")

logger: Final = logging.getLogger("anyhttp.client")

# 500 is not among them: most servers send it for a fault that the same request meets again.
STATUSES: Final = frozenset({429, 502, 503, 504})

#: Failures before anything of a request is sent.
_NOT_SENT: Final = (ClientConnectorError, ConnectionTimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAttempt:
    """One attempt to send a request, and its result: a response or an exception.

    :param request: the request as the middleware has sent it
    :param number: number of the attempt, from 1
    :param response: the response; its body has not been read, and *retry_if* may read it
    :param exception: the exception that was raised instead of a response
    """

    request: ClientRequest
    number: int
    response: ClientResponse | None = None
    exception: Exception | None = None


#: Says of an attempt whether another should follow; ``None`` leaves that to the other options.
RetryPredicate = Callable[[RetryAttempt], bool | Awaitable[bool | None] | None]


class RetryMiddleware:
    """Sends a request again after a pause when the connection failed or the server is busy.

    Pass it as one of the ``middlewares`` of a session or a request, usually as the first, so that
    the others see each attempt.  Like all middlewares, it runs once for each redirect, and counts
    anew each time.  It keeps nothing between requests, so many sessions can share one object.

    The pause is a random part of a bound that doubles from attempt to attempt (exponential backoff
    with full jitter).  The ``Retry-After`` of a response is added to it.  During the pause the
    request holds no connection.

    After the last attempt, its response is returned, or its exception is raised with a note that
    says why no other attempt follows.  No attempt follows either if the time left is shorter than
    the pause: of the ``total`` of the request's timeout, or of *total*.

    :param attempts: how often a request is sent at most, the first time included: 4 by default
    :param total: no attempt begins later than so many seconds after the first one began; no limit
        by default.  An attempt that has begun is not ended
    :param backoff: upper bound of the first pause, in seconds: half a second by default
    :param max_backoff: the bound does not grow beyond this, in seconds: 30 by default
    :param max_retry_after: the request is not sent again if a response asks for a longer pause,
        in seconds: 60 by default
    :param statuses: statuses after which the request is sent again, also those with which a proxy
        refuses a tunnel: 429, 502, 503 and 504 by default
    :param methods: methods of the requests that may be sent twice; ``None`` for all.  By default,
        the idempotent ones.  If no connection could be made, a request is sent again whatever its
        method
    :param exceptions: classes of exceptions after which the request is sent again.  Errors of TLS
        and fingerprints are raised at once, even if they are derived from one of these
    :param retry_if: is called first, with a :class:`RetryAttempt`, and returns whether another
        attempt should follow; ``None`` leaves that to *statuses*, *methods* and *exceptions*.  It
        may be async
    :param random: returns a number from 0 up to 1, for the jitter
    :raises TypeError: an argument has the wrong type
    :raises ValueError: an argument has a value that is not allowed
    """

    def __init__(
        self,
        *,
        attempts: int = 4,
        total: float | None = None,
        backoff: float = 0.5,
        max_backoff: float = 30.0,
        max_retry_after: float = 60.0,
        statuses: Collection[int] = STATUSES,
        methods: Collection[str] | None = IDEMPOTENT_METHODS,
        exceptions: Collection[type[Exception]] = CONNECTION_FAILURES,
        retry_if: RetryPredicate | None = None,
        random: Callable[[], float] = random_numbers.random,
    ) -> None:
        check_count("attempts", attempts, least=1)
        check_seconds("total", total)
        for name, value in (
            ("backoff", backoff),
            ("max_backoff", max_backoff),
            ("max_retry_after", max_retry_after),
        ):
            check_seconds(name, value, optional=False, finite=True)
        if retry_if is not None:
            check_callable("retry_if", retry_if)
        check_callable("random", random)
        self._attempts: int = attempts
        self._total: float = math.inf if total is None else total
        self._backoff: Backoff = Backoff(first=backoff, longest=max_backoff, random=random)
        self._max_retry_after: float = max_retry_after
        self._statuses: frozenset[int] = _checked_statuses(statuses)
        self._methods: frozenset[str] | None = _checked_methods(methods)
        self._exceptions: tuple[type[Exception], ...] = _checked_exceptions(exceptions)
        self._retry_if: RetryPredicate | None = retry_if

    @watches_time
    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send *request* by *handler*, and again as the options say.

        :raises Exception: what the last attempt has raised

        After cancellation, nothing is held and nobody waits.
        """
        began = clock()()
        number, may_be_stale = 1, True
        while True:
            try:
                response = await handler(request)
            except Exception as exc:  # noqa: BLE001  (it is raised again, unless another follows)
                attempt = RetryAttempt(request=request, number=number, exception=exc)
            else:
                if self._retry_if is None and response.status not in self._statuses:
                    return response
                attempt = RetryAttempt(request=request, number=number, response=response)
            try:
                if take_stale(request, attempt.exception) and may_be_stale:
                    # The server had closed a connection that was kept, and has refused nothing.
                    may_be_stale = False
                    continue
                wait = await self._wait_after(attempt, began)
                if wait is None:
                    if attempt.exception is not None:
                        raise attempt.exception
                    assert attempt.response is not None
                    return attempt.response
                await _pause(attempt, wait)
            finally:
                # The traceback of its exception refers to this call.
                del attempt
            number += 1

    async def _wait_after(self, attempt: RetryAttempt, began: float) -> float | None:
        """Return how long to wait after *attempt*; ``None`` if no other follows.

        :param began: when the first attempt did
        """
        number, error = attempt.number, attempt.exception
        if number == self._attempts:
            if error is not None and number > 1:
                elapsed = clock()() - began
                error.add_note(f"this was attempt {number} of {number}, after {elapsed:.1f} s")
            return None
        if error is not None and is_session_closed(attempt.request):
            return None  # no wait would be one, and no attempt would succeed
        if not await self._wants_another(attempt):
            return None
        wait = self._backoff.delay(number)
        asked = _wish_of_server(attempt)
        wait += asked
        reason = self._objection(attempt.request, wait, asked, clock()() - began)
        if reason is None:
            return wait
        _tell_why_not(attempt, reason)
        return None

    async def _wants_another(self, attempt: RetryAttempt) -> bool:
        if self._retry_if is not None:
            answer = self._retry_if(attempt)
            if inspect.isawaitable(answer):
                with phase(attempt.request, "running the retry_if callback"):
                    answer = await answer
            if answer is not None:
                return bool(answer)
        may_repeat = self._methods is None or attempt.request.method in self._methods
        if attempt.response is not None:
            return may_repeat and attempt.response.status in self._statuses
        error = attempt.exception
        if isinstance(error, ClientHttpProxyError):  # it has sent nothing to the origin
            return error.status in self._statuses
        if not isinstance(error, self._exceptions) or isinstance(error, LASTING_FAILURES):
            return False
        return may_repeat or isinstance(error, _NOT_SENT)

    def _objection(
        self, request: ClientRequest, wait: float, asked: float, elapsed: float
    ) -> str | None:
        """Return why *request* cannot be sent again after *wait* seconds."""
        payload = request.payload
        if payload is not None and payload.consumed:
            return (
                "its body could be read only once; give bytes, or a file that can be rewound, to "
                "have it sent again"
            )
        if asked > self._max_retry_after:
            return (
                f"the server asks to wait for {asked:.0f} s (Retry-After), and max_retry_after "
                f"is {self._max_retry_after:g} s"
            )
        left = time_left(request)
        if wait >= left:
            return (
                f"the next attempt would begin in {wait:.1f} s, and {left:.1f} s are left of the "
                "total timeout of the request"
            )
        if elapsed + wait > self._total:
            return (
                f"the next attempt would begin {elapsed + wait:.1f} s after the first one, and "
                f"the total of RetryMiddleware is {self._total:g} s"
            )
        return None


def _wish_of_server(attempt: RetryAttempt) -> float:
    """Return the seconds that the server wants to be left alone; 0 if it does not say."""
    response, error = attempt.response, attempt.exception
    if response is not None:
        return parse_retry_after(response.headers, time.time()) or 0.0
    if isinstance(error, ClientResponseError) and error.headers is not None:
        return parse_retry_after(error.headers, time.time()) or 0.0
    return 0.0


async def _pause(attempt: RetryAttempt, wait: float) -> None:
    """Tell that another attempt follows, let go of what *attempt* holds, and wait."""
    request, response = attempt.request, attempt.response
    try:
        await tell_of_retry(
            request,
            attempt=attempt.number + 1,
            delay=wait,
            response=response,
            exception=attempt.exception,
        )
        with waiting_phase(request, "waiting before another attempt"):
            await give_back(request)
    finally:
        if response is not None:
            response.release()  # one that another middleware has from elsewhere
    with waiting_phase(request, "waiting before another attempt"):
        await anyio.sleep(wait)


def _tell_why_not(attempt: RetryAttempt, reason: str) -> None:
    """Say why no other attempt follows: in a note to the exception, or else in the log."""
    request, response = attempt.request, attempt.response
    if attempt.exception is not None:
        attempt.exception.add_note(f"the request is not sent again: {reason}")
        return
    assert response is not None
    logger.debug(
        "%s %s is not sent again after status %d: %s",
        request.method,
        without_user_info(URL(request.url).with_query(None).with_fragment(None)),
        response.status,
        reason,
    )


# -- checks of arguments


def _checked_collection(name: str, value: Any, of: str) -> Collection[Any]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        raise TypeError(f"{name} must be a collection of {of}, not {value!r}")
    return value


def _checked_statuses(value: Collection[int]) -> frozenset[int]:
    for status in _checked_collection("statuses", value, "status codes"):
        if not isinstance(status, int) or isinstance(status, bool):
            raise TypeError(f"statuses must be a collection of status codes, but has {status!r}")
        if not 100 <= status <= 999:
            raise ValueError(f"statuses must be a collection of status codes, but has {status}")
    return frozenset(value)


def _checked_methods(value: Collection[str] | None) -> frozenset[str] | None:
    if value is None:
        return None
    for method in _checked_collection("methods", value, "methods"):
        if not isinstance(method, str):
            raise TypeError(f"methods must be a collection of methods, but has {method!r}")
    return frozenset(map(checked_method, value))


def _checked_exceptions(value: Collection[type[Exception]]) -> tuple[type[Exception], ...]:
    for kind in _checked_collection("exceptions", value, "classes of exceptions"):
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"exceptions must be a collection of their classes, but has {kind!r}")
    return tuple(value)
