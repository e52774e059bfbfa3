"""``anyhttp demo``: its options and their help."""

from __future__ import annotations

import time
from functools import partial

import click

from anyhttp._common import __version__

from ._arguments import Command
from ._consoles import output_console
from ._demo import Board, demonstrate
from ._options import CONTEXT
from ._run import BACKENDS, Leave, run as run_on


@click.command(
    "demo",
    cls=Command,
    context_settings=CONTEXT,
    success="Every check passed.",
    failure="A check failed, or the demonstration could not start.",
)
@click.option("--backend", type=click.Choice(BACKENDS), help="Only this one.  [default: both]")
@click.pass_obj
def demo_command(leave: Leave | None, backend: str | None) -> int:
    """Show what the client can do, on asyncio and on trio.

    Server and client both run in this process, over loopback.
    """
    from ._certificate import throw_away_contexts  # slow to import, and only this command needs it

    console = output_console()
    board = Board(console)
    start = time.perf_counter()
    console.print(
        f"[bold]anyhttp {__version__}[/]  client and server in this process, over loopback"
    )
    for name in (backend,) if backend else BACKENDS:
        server_tls, client_tls = throw_away_contexts()
        status = run_on(partial(demonstrate, board, name, server_tls, client_tls), name, leave)
        if status:
            return status
    return board.summarize(time.perf_counter() - start)
