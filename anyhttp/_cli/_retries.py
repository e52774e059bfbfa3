"""``--retry``: sends a request again, and says so."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from anyhttp import (
    ClientMiddlewareType,
    ClientSession,
    RetryMiddleware,
    TraceConfig,
    TraceRequestRetryParams,
)
from anyhttp.client_exceptions import CONNECTION_FAILURES

from ._failures import describe, print_error


def retries(
    times: int, exceptions: Collection[type[Exception]] = CONNECTION_FAILURES
) -> tuple[Sequence[ClientMiddlewareType], Sequence[TraceConfig]]:
    """Return the middlewares and traces of a session that sends a request again.

    :param times: how often at most
    :param exceptions: after which, besides the statuses of servers that are busy
    """
    if not times:
        return (), ()
    trace = TraceConfig()
    trace.on_request_retry.append(_tell)
    return [RetryMiddleware(attempts=times + 1, exceptions=exceptions)], [trace]


async def _tell(session: ClientSession, context: object, params: TraceRequestRetryParams) -> None:
    if params.response is not None:
        reason = f"{params.response.status} {params.response.reason}"
    else:
        assert isinstance(params.exception, Exception)
        reason = describe(params.exception)
    print_error(f"{reason}; trying again in {params.delay:.1f} s")
