"""Progress bars on stderr, if that is a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from anyhttp import (
    ClientSession,
    TraceConfig,
    TraceRequestChunkSentParams,
    TraceRequestHeadersSentParams,
)


def bars(console: Console, *, transient: bool = False) -> Progress:
    """Return the display of bars for bytes; a context manager shows it.

    :param transient: let nothing of it stay
    """
    # The environment can override rich's is_terminal, and a log must not be full of bars.
    is_shown = console.file.isatty() and console.is_interactive
    return Progress(
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
