"""The log of requests: one line for each at INFO, and what happens to it at DEBUG.

It is written by trace handlers, so a request that is not logged does nothing for it.  Lines hold
neither header fields nor bodies, and nothing in them can end a line.
"""

from __future__ import annotations

import logging
import traceback
from time import perf_counter
from typing import Any, Final
from weakref import ref

from yarl import URL

from .._common import printable, without_user_info
from ..client_exceptions import ClientResponseError
from ..tracing import (
    TraceConfig,
    TraceConnectionTlsStartParams,
    TraceDnsCacheHitParams,
    TraceDnsResolveHostStartParams,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestRedirectParams,
    TraceRequestRetryParams,
    TraceResponseEndParams,
)
from ._call_scope import CallScope

__all__ = ("config_of_log", "is_logged")

logger: Final = logging.getLogger("anyhttp.client")

#: Takes a level; asked once for each request.
is_logged: Final = logger.isEnabledFor


class CallLog:
    """Writes the lines of one call; the context of the handlers below.

    It must keep nothing of the call alive, as it lives as long as the response: see
    :func:`~anyhttp.client_reqrep.when_over`.

    :param trace_request_ctx: the scope of the call
    """

    __slots__ = ("_begun", "_scope", "_shows_query")

    def __init__(self, *, trace_request_ctx: CallScope) -> None:
        self._begun = perf_counter()
        self._scope = ref(trace_request_ctx)
        self._shows_query = trace_request_ctx.session.defaults.log_query

    @property
    def seconds(self) -> float:
        """How long ago the call began."""
        return perf_counter() - self._begun

    @property
    def phase(self) -> str:
        """What the call is doing."""
        scope = self._scope()
        return "" if scope is None else scope.phase

    def write(self, level: int, method: str, url: URL, text: str, *args: object) -> None:
        """Write one line, which begins with *method* and *url*.

        An error of the program's log handlers is shown as :mod:`logging` shows its own, and goes
        no further: no request fails because it is logged.
        """
        if not self._shows_query:
            url = url.with_query(None)
        shown = printable(without_user_info(url.with_fragment(None)))
        line = f"%s %s {text}"
        try:
            logger.log(level, line, method, shown, *args)
        except Exception:  # noqa: BLE001
            if logging.raiseExceptions:
                traceback.print_exc()

    def tell(self, text: str, *args: object) -> None:
        """Write what happens to the call."""
        scope = self._scope()
        if scope is not None:
            self.write(logging.DEBUG, scope.hop.method, scope.hop.url, text, *args)


def _reason(error: BaseException) -> str:
    """Return why a request failed, without the message, which may show a query."""
    name = type(error).__name__
    if isinstance(error, ClientResponseError) and error.status:
        return f"{name}, status {error.status}"
    return name


# -- at INFO ---------------------------------------------------------------------------


async def _over(_: Any, log: CallLog, params: TraceResponseEndParams) -> None:
    text, args = "%d, %d bytes in %.3f s", (params.status, params.size, log.seconds)
    if params.error is None:
        log.write(logging.INFO, params.method, params.url, text, *args)
    else:
        name = type(params.error).__name__
        log.write(logging.INFO, params.method, params.url, f"{text}: %s", *args, name)


async def _failed(_: Any, log: CallLog, params: TraceRequestExceptionParams) -> None:
    if isinstance(params.exception, Exception):
        text, reason = "failed after %.3f s: %s", _reason(params.exception)
        if isinstance(params.exception, TimeoutError):
            reason = f"{reason} while {log.phase}"
    else:
        text, reason = "cancelled after %.3f s while %s", log.phase
    log.write(logging.INFO, params.method, params.url, text, log.seconds, reason)


# -- at DEBUG --------------------------------------------------------------------------


async def _waits(_: Any, log: CallLog, params: object) -> None:
    log.tell("waits for a free connection")


async def _connects(_: Any, log: CallLog, params: object) -> None:
    log.tell("opens a connection")


async def _knows(_: Any, log: CallLog, params: TraceDnsCacheHitParams) -> None:
    log.tell("knows the addresses of %s", printable(params.host))


async def _looks_up(_: Any, log: CallLog, params: TraceDnsResolveHostStartParams) -> None:
    log.tell("looks up %s", printable(params.host))


async def _found(_: Any, log: CallLog, params: object) -> None:
    log.tell("has found the addresses")


async def _encrypts(_: Any, log: CallLog, params: TraceConnectionTlsStartParams) -> None:
    log.tell("starts TLS with %s", printable(params.host))


async def _encrypted(_: Any, log: CallLog, params: object) -> None:
    log.tell("has TLS")


async def _connected(_: Any, log: CallLog, params: object) -> None:
    log.tell("has a new connection")


async def _reuses(_: Any, log: CallLog, params: object) -> None:
    log.tell("uses a kept connection")


async def _sends(_: Any, log: CallLog, params: object) -> None:
    log.tell("is sent")


async def _redirected(_: Any, log: CallLog, params: TraceRequestRedirectParams) -> None:
    log.tell("is redirected, status %d", params.response.status)


async def _retries(_: Any, log: CallLog, params: TraceRequestRetryParams) -> None:
    reason = ""
    if params.exception is not None:
        reason = f": {_reason(params.exception)}"
    elif params.response is not None:
        reason = f": status {params.response.status}"
    log.tell("is sent again in %.3f s, attempt %d%s", params.delay, params.attempt, reason)


async def _answered(_: Any, log: CallLog, params: TraceRequestEndParams) -> None:
    log.tell("is answered after %.3f s, status %d", log.seconds, params.response.status)


# Made once: a session may log some requests and others not, as the level of a logger may change.


def _lines() -> TraceConfig:
    config = TraceConfig(CallLog)
    config.on_response_end(_over)
    config.on_request_exception(_failed)
    return config


def _lines_and_phases() -> TraceConfig:
    config = _lines()
    config.on_connection_queued_start(_waits)
    config.on_connection_create_start(_connects)
    config.on_dns_cache_hit(_knows)
    config.on_dns_resolvehost_start(_looks_up)
    config.on_dns_resolvehost_end(_found)
    config.on_connection_tls_start(_encrypts)
    config.on_connection_tls_end(_encrypted)
    config.on_connection_create_end(_connected)
    config.on_connection_reuseconn(_reuses)
    config.on_request_headers_sent(_sends)
    config.on_request_redirect(_redirected)
    config.on_request_retry(_retries)
    config.on_request_end(_answered)
    return config


_LINES: Final = _lines()
_LINES_AND_PHASES: Final = _lines_and_phases()


def config_of_log() -> TraceConfig:
    """Return the handlers that write the log, for the level that it has now."""
    return _LINES_AND_PHASES if is_logged(logging.DEBUG) else _LINES
