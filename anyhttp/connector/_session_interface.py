"""Functions of a connector that other rooms call; they are not part of the public API."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from .._common import EventLoop, is_own_method
from .._network import NetworkStream
from .._targets import ProxyOptions
from .._tasks import CLEAN_UP_SECONDS, ClientTimeout, Expired, Watchdog
from ..tracing import Trace
from ._base import BaseConnector
from ._connectors import TCP_HOOKS
from ._dial import ConnectLimit
from ._foreign import timed_out

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = (
    "check_hooks",
    "check_uses_proxies",
    "close_owned",
    "default_proxy",
    "finish_closing",
    "forget_warning",
    "is_closing",
    "loop_of",
    "needs_start",
    "open_stream",
    "start",
    "sweep_by",
    "sweep_no_more_by",
    "uses_proxies",
)


def default_proxy(connector: BaseConnector) -> ProxyOptions | None:
    """Return the proxy of requests that name none."""
    return connector._proxy_options


def loop_of(connector: BaseConnector) -> EventLoop | None:
    """Return asyncio's event loop that its connections belong to, or the running one."""
    return connector._pool.loop


def uses_proxies(connector: BaseConnector) -> bool:
    """Whether *connector* can send requests through a proxy."""
    return connector._uses_proxies


async def open_stream(
    connector: BaseConnector,
    req: ClientRequest,
    traces: Sequence[Trace],
    timeout: ClientTimeout,
) -> NetworkStream:
    """Return a new stream for *req*, made as *connector* makes one; the caller has to close it.

    It is for connectors around other ones: the limits of *connector* do not apply, and it keeps
    nothing of the stream.  These read HTTP/1.1, so that is what the stream speaks.

    :raises ClientConnectionError: the connector is closed
    :raises ClientConnectorError: no connection could be made
    :raises ConnectionTimeoutError: ``sock_connect`` ran out

    After cancellation no socket is open.
    """
    connector._pool.check_open()
    req.needs_http1 = True
    limit = ConnectLimit(timeout.sock_connect)
    with suppress(Expired), limit.scope:
        await start(connector)
        return await connector._make_stream(req, traces, timeout, limit)
    raise timed_out(req)


def needs_start(connector: BaseConnector) -> bool:
    """Whether :func:`start` has something to do."""
    return connector._has_start_up


async def start(connector: BaseConnector) -> None:
    """Start what *connector* needs, unless it has been started.

    :raises ClientConnectionError: it is closed

    What starting it raises is raised here.  After that, and after cancellation, it is not started.
    """
    if connector._has_start_up:
        await connector._start_once()


def check_hooks(connector: BaseConnector) -> None:
    """Check that no step of aiohttp's was put onto the class of *connector* after it was made.

    :raises TypeError: one was, and it would be passed over
    """
    TCP_HOOKS.check_patches(connector.__class__)  # not type(connector), which may be a proxy


def check_uses_proxies(connector: BaseConnector) -> None:
    """Raise an error unless *connector* can send requests through a proxy.

    :raises ValueError: it cannot
    """
    if not uses_proxies(connector):
        raise ValueError(f"proxy: a {type(connector).__name__} cannot use one")


async def close_owned(connector: BaseConnector) -> None:
    """Close *connector*, in limited time if its class has a way of its own."""
    if connector._limits_closing or is_own_method(connector, "close", BaseConnector.close):
        await connector.close()
    else:
        with anyio.move_on_after(CLEAN_UP_SECONDS, shield=True):
            await connector.close()


def is_closing(connector: BaseConnector) -> bool:
    """Whether there is something for :func:`finish_closing` to wait for."""
    return connector._pool.is_closing


async def finish_closing(connector: BaseConnector) -> None:
    """Wait until the sockets of aborted connections are closed."""
    await connector._pool.finish_closing()


def forget_warning(connector: BaseConnector) -> None:
    """Suppress the warning of *connector* that it was not closed: the session closes or warns."""
    connector._pool.close_idle()  # the session that owns the connector no longer uses it


def sweep_by(connector: BaseConnector, watchdog: Watchdog) -> None:
    """Let *watchdog* close idle connections when they expire."""
    connector._sweeper.sweep_by(watchdog)


def sweep_no_more_by(connector: BaseConnector, watchdog: Watchdog) -> None:
    """Undo :func:`sweep_by`; *watchdog* may go on for other things."""
    connector._sweeper.sweep_no_more_by(watchdog)
