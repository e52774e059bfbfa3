"""Progress bars on stderr, if that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from anyhttp import (
    ClientSession,
    TraceConfig,
    TraceRequestChunkSentParams,
    TraceRequestHeadersSentParams,
)

#: Columns that stay free beside the bars: the terminal shows Ctrl-C there as "^C".  In a line that
#: is full it would go to the next one, and the lines above would not be drawn over any more.
FREE: Final = 2


class Bars(Progress):
    """Shows bars, as many as the terminal has lines for, and at the end all that are left."""

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield what is drawn: a table of bars, and how many more there are."""
        tasks = self.tasks
        if not tasks:
            return  # as in the constructor, when there is no console yet
        shown = len(tasks)
        if shown > self.console.height and self.live.is_started:
            shown = max(self.console.height - 1, 1)
        width = max(self.console.width - FREE, 1)
        yield Constrain(self.make_tasks_table(tasks[:shown]), width)
        if shown < len(tasks):
            yield Text(f"and {len(tasks) - shown} more", no_wrap=True)


def bars(console: Console, *, transient: bool = False) -> Progress:
    """Return the display of bars for bytes; a context manager shows it.

    :param transient: let nothing of it stay
    """
    # The environment can override rich's is_terminal, and a log must not be full of bars.
    is_shown = console.file.isatty() and console.is_interactive
    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True, table_column=Column(no_wrap=True)),
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(elapsed_when_finished=True, table_column=Column(no_wrap=True)),
        console=console,
        transient=transient,
        disable=not is_shown,
    )


class UploadBar:
    """Shows how much of a request's body has been sent, until the response begins."""

    def __init__(self, console: Console) -> None:
        self._bars = bars(console, transient=True)
        self._bar = self._bars.add_task("upload")

    def trace(self) -> TraceConfig:
        """Return what moves the bar."""
        trace = TraceConfig()
        trace.on_request_headers_sent.append(self._begin)
        trace.on_request_chunk_sent.append(self._move)
        return trace

    def close(self) -> None:
        """Take the bar away."""
        self._bars.stop()

    async def _begin(
        self, session: ClientSession, context: object, params: TraceRequestHeadersSentParams
    ) -> None:
        """Show the bar from its beginning: a redirect or another attempt sends the body again."""
        self.close()
        length = params.headers.get("Content-Length", "")
        if length or "Transfer-Encoding" in params.headers:
            self._bars.reset(self._bar, total=int(length) if length.isdecimal() else None)
            self._bars.start()

    async def _move(
        self, session: ClientSession, context: object, params: TraceRequestChunkSentParams
    ) -> None:
        self._bars.advance(self._bar, len(params.chunk))
