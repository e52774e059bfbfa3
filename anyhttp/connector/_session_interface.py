"""What a session does with its connector besides borrowing, and programs do not."""

from __future__ import annotations

from .._targets import ProxyOptions
from .._tasks import TaskOwner
from ._base import BaseConnector

__all__ = (
    "default_proxy",
    "finish_closing",
    "forget_warning",
    "sweep_in",
    "sweep_no_more_in",
    "uses_proxies",
)


def default_proxy(connector: BaseConnector) -> ProxyOptions | None:
    """Return the proxy of requests that name none."""
    return connector._proxy_options


def uses_proxies(connector: BaseConnector) -> bool:
    """Whether *connector* takes requests to a proxy."""
    return connector._uses_proxies


async def finish_closing(connector: BaseConnector) -> None:
    """Await the end of sockets that were closed by plain calls."""
    await connector._pool.finish_closing()


def forget_warning(connector: BaseConnector) -> None:
    """Let *connector* be dropped without a warning: its owner has given one already."""
    connector._pool.closed = True  # nobody has it any more who could use or close it


def sweep_in(connector: BaseConnector, owner: TaskOwner) -> None:
    """Close idle connections as they expire, in a task that *owner* starts when it is needed."""
    connector._sweeper.sweep_in(owner)


def sweep_no_more_in(connector: BaseConnector, owner: TaskOwner) -> None:
    """Have *owner*, which is about to end its tasks, start none for :func:`sweep_in`."""
    connector._sweeper.sweep_no_more_in(owner)
