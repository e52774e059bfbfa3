"""``anyhttp bench URL``: sends a request many times, and measures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import anyio
from rich.console import Console
from rich.text import Text

from anyhttp import ClientSession, ClientTimeout, TraceConfig
from anyhttp._common import without_user_info

from ._bars import block, milliseconds
from ._body import Body, opened
from ._failures import FAILURES, describe, print_error
from ._figures import Figures
from ._options import Route, Sender, sent_options
from ._session import opened_session
from ._terminal import printable_line

#: How long a request of the warm-up waits, in seconds, until the others have a connection, too: one
#: that is answered at once would give its own to the next.  It waits in vain if many share one, as
#: with HTTP/2, and the server allows only a few at a time.
LONGEST_WAIT: Final = 1.0

PERCENTILES: Final = (50, 90, 99)

#: Rows of the histogram, and columns of its longest bar.
ROWS: Final = 12
LONGEST_BAR: Final = 40
#: Columns of the bounds before it.
BOUNDS_WIDTH: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line."""

    url: str
    method: str
    sender: Sender
    route: Route
    body: Body
    requests: int | None
    concurrency: int
    duration: float | None
    timeout: float


class Bench:
    """Measures on one backend after the other, and prints the figures of each."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console
        #: whether requests have failed
        self.has_errors: bool = False

    async def run(self, backend: str) -> int:
        """Measure on this backend, and return the exit status if it cannot go on.

        When this is cancelled, what has been measured so far is printed.
        """
        options = self._options
        run = _Run(options)
        try:
            async with opened_session(
                options.sender,
                options.route,
                timeout=ClientTimeout(total=options.timeout),
                connections=options.concurrency,
            ) as session:
                await run.warm_up(session)
                try:
                    await run.measure(session)
                finally:
                    self._console.print(Text(backend, "bold"))
                    show(self._console, run.figures)
                    self.has_errors = self.has_errors or bool(run.figures.errors)
        except FAILURES as exc:
            print_error(describe(exc, options.timeout))
            return 1
        return 0


class _Run:
    """One measurement."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._left = math.inf if options.requests is None else options.requests
        self.figures: Figures = Figures()

    async def warm_up(self, session: ClientSession) -> None:
        """Open the connections, by one request on each.

        :raises ClientError: a request fails
        """
        failures: list[Exception] = []
        missing = self._options.concurrency
        are_open = anyio.Event()

        async def wait_for_others(*_: object) -> None:
            nonlocal missing
            missing -= 1
            if missing <= 0:
                are_open.set()
            with anyio.move_on_after(LONGEST_WAIT):
                await are_open.wait()

        async def send() -> None:
            try:
                await self._send(session)
            except FAILURES as exc:
                failures.append(exc)
                are_open.set()

        watching = TraceConfig()
        watching.on_request_headers_sent.append(wait_for_others)
        session.trace_configs.append(watching)
        async with anyio.create_task_group() as tasks:
            for _ in range(self._options.concurrency):
                tasks.start_soon(send)
        session.trace_configs.remove(watching)
        if failures:
            raise failures[0]

    async def measure(self, session: ClientSession) -> None:
        """Send requests until there have been enough, or the time is over."""
        duration = self._options.duration
        begin = perf_counter()
        try:
            # Those that are on their way when the time is over are not counted.
            with anyio.move_on_after(duration):
                async with anyio.create_task_group() as tasks:
                    for _ in range(self._options.concurrency):
                        tasks.start_soon(self._send_many, session)
        finally:
            self.figures.seconds = perf_counter() - begin

    async def _send_many(self, session: ClientSession) -> None:
        figures = self.figures
        while self._left > 0:
            self._left -= 1
            begin = perf_counter()
            try:
                status, size = await self._send(session)
            except FAILURES as exc:
                figures.add_error(type(exc).__name__, describe(exc, self._options.timeout))
            else:
                figures.add_response(status, size, perf_counter() - begin)

    async def _send(self, session: ClientSession) -> tuple[int, int]:
        """Send the request, and return the status and the size of the response's body."""
        options = self._options
        size = 0
        with opened(options.body) as data:
            async with session.request(
                options.method,
                options.url,
                data=data,
                allow_redirects=False,
                **sent_options(options.sender, options.route),
            ) as response:
                async for piece in response.content.iter_any():
                    size += len(piece)
        return response.status, size


def title(options: Options) -> str:
    """Return what is going to be measured."""
    much = [] if options.requests is None else [f"{options.requests} requests"]
    much += [] if options.duration is None else [f"at most {options.duration:g} s"]
    return (
        f"{options.method} {without_user_info(options.url)}: {', '.join(much)}, "
        f"{options.concurrency} at a time\n"
        f"warm-up: {options.concurrency} requests, which are not counted"
    )


def show(console: Console, figures: Figures) -> None:
    """Print the figures and a histogram."""
    latencies, seconds = figures.latencies, figures.seconds

    def row(name: str, text: str, style: str = "") -> None:
        shown = printable_line(text, console.encoding)
        console.print(Text.assemble(f"  {name:<10}", (shown, style)), soft_wrap=True)

    row(
        "requests",
        f"{latencies.total} in {seconds:.2f} s, {latencies.total / seconds:.1f} per second",
    )
    row("bodies", f"{figures.size} bytes, {_size(figures.size / seconds)} per second")
    if latencies.total:
        shares = [f"{each} % {milliseconds(latencies.percentile(each))}" for each in PERCENTILES]
        row("latency", ", ".join([*shares, f"max {milliseconds(latencies.longest)}"]))
    for status, count in sorted(figures.statuses.items()):
        row("status", f"{status}: {count}", "" if status < 400 else "yellow")
    for kind, count in figures.errors.most_common():
        row("error", f"{kind}: {count} ({figures.examples[kind]})", "red")
    rows = list(latencies.histogram(ROWS))
    most = max((count for *_, count in rows), default=0)
    # What follows the bar is no longer than the largest count.
    room = console.width - BOUNDS_WIDTH - len(f" {most}")
    longest = min(max(room, 0), LONGEST_BAR) if console.is_terminal else LONGEST_BAR
    for lower, upper, count in rows:
        bounds = f"{lower * 1000:>9.2f} - {upper * 1000:>8.2f} ms"
        bar = block(console) * math.ceil(count / most * longest)
        console.print(Text.assemble(f"{bounds}  ", (bar, "cyan"), f" {count}"), soft_wrap=True)


def _size(size: float) -> str:
    """Return a number of bytes for people to read."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
