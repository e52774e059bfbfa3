"""A session whose requests the user can watch: see :func:`~._options.watch_options`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from rich.console import Console

from anyhttp import ClientMiddlewareType, ClientSession, ClientTimeout, TraceConfig

from ._bars import draw_phases
from ._consoles import error_console
from ._options import Route, Sender, Watch
from ._phases import Hop, Timeline
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

    The phases are drawn at the end, also after a failure.

    :param console: that of the bars which the command shows meanwhile: lines go above these
    """
    if not (watch.verbose or watch.trace):
        async with opened_session(
            sender, route, timeout=timeout, middlewares=middlewares, traces=traces
        ) as session:
            yield session
        return
    console = console or error_console()
    hops: list[Hop] = []
    narrator = Narrator(console)
    # Of a stream of events there may be any number: they are kept only if they are drawn.
    timeline = Timeline(begins=hops.append) if watch.trace else Timeline(ends=narrator.show_times)
    traces = [*([narrator.config()] if watch.verbose else []), *traces, timeline.config()]
    try:
        async with opened_session(
            sender, route, timeout=timeout, middlewares=middlewares, traces=traces
        ) as session:
            if watch.verbose and session.connector is not None:
                narrator.watch(session.connector)
            yield session
    finally:
        draw_phases(console, hops)
