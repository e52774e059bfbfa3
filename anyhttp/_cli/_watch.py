"""A session whose requests the user can watch: see :func:`~._options.watch_options`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from rich.console import Console

from anyhttp import ClientMiddlewareType, ClientSession, ClientTimeout, TraceConfig

from ._bars import draw_phases
from ._options import Route, Sender, Watch
from ._phases import Timeline
from ._session import opened_session
from ._verbose import Narrator


@asynccontextmanager
async def watched_session(
    watch: Watch,
    sender: Sender,
    route: Route,
    *,
    timeout: ClientTimeout,
    middlewares: Sequence[ClientMiddlewareType] = (),
    traces: Sequence[TraceConfig] = (),
    console: Console | None = None,
) -> AsyncIterator[ClientSession]:
    """Open a session as :func:`opened_session` does, and show on stderr what *watch* asks for.

    What has been measured is shown at the end, also after a failure.

    :param console: that of the bars which the command shows meanwhile: lines go above these
    """
    if not (watch.verbose or watch.trace):
        async with opened_session(
            sender, route, timeout=timeout, middlewares=middlewares, traces=traces
        ) as session:
            yield session
        return
    console = console or Console(stderr=True, highlight=False)
    timeline, narrator = Timeline(), Narrator(console)
    traces = [*traces, timeline.config(), *([narrator.config()] if watch.verbose else [])]
    try:
        async with opened_session(
            sender, route, timeout=timeout, middlewares=middlewares, traces=traces
        ) as session:
            if watch.verbose and session.connector is not None:
                narrator.watch(session.connector)
            yield session
    finally:
        if watch.trace:
            draw_phases(console, timeline.hops)
        else:
            for hop in timeline.hops:
                narrator.show_times(hop)
