"""``anyhttp URL``: its options and their help."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from anyhttp._common import __version__

from ._arguments import Command, with_scheme
from ._body import Body, body_options
from ._fetch import Options, fetch
from ._options import (
    CONTEXT,
    Route,
    Sender,
    Watch,
    backend_option,
    route_options,
    sender_options,
    watch_options,
)
from ._run import Leave, run as run_on


@click.command("anyhttp", cls=Command, context_settings=CONTEXT)
@click.argument("url", callback=with_scheme)
@click.option("-X", "--request", "method", help="Method; GET, or POST if there is a body.")
@click.option("-I", "--head", is_flag=True, help="Ask for the head alone (HEAD), and show it.")
@sender_options
@body_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the body in FILE, which stays as it was unless all of it arrives.",
)
@click.option("-i", "--include", is_flag=True, help="Show status line and header fields, too.")
@click.option("-f", "--fail", is_flag=True, help="Exit with 1 if the status is 400 or more.")
@click.option(
    "--compressed/--no-compressed",
    default=True,
    help="Let servers compress the body, which is decompressed here: the default.",
)
@watch_options
@route_options
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help="Give up unless everything arrives in that time.",
)
@click.option(
    "--max-redirects",
    metavar="N",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Follow at most N redirects; 0 shows the redirect itself.",
)
@click.option(
    "--retry",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Send the request up to N times more, after growing pauses, if the connection fails or "
    "the status is 429, 502, 503 or 504; a POST or PATCH only if nothing of it was sent.",
)
@backend_option
@click.version_option(__version__, prog_name="anyhttp", message="%(prog)s %(version)s")
@click.pass_obj
def fetch_command(
    leave: Leave | None,
    url: str,
    method: str | None,
    head: bool,
    sender: Sender,
    route: Route,
    body: Body,
    watch: Watch,
    output: Path | None,
    include: bool,
    fail: bool,
    compressed: bool,
    timeout: float | None,
    max_redirects: int,
    retry: int,
    backend: str,
) -> int:
    """Fetch URL and print the body.

    On a terminal JSON is indented and coloured; a pipe or FILE gets the bytes as they are.

    Arguments can be seen by other users of the machine.  So anything secret can be read from a
    FILE, from standard input (@-) or from a variable of the environment (@env:NAME).

    "anyhttp ws URL" talks to a WebSocket, "anyhttp demo" shows what the client can do.
    """
    if head and (method or output or body.content is not None):
        raise click.UsageError("--head excludes --request, --output and a body")
    for field, value in body.headers:
        sender.headers.setdefault(field, value)
    if not compressed:
        sender.headers.setdefault("Accept-Encoding", "identity")
    default = "HEAD" if head else "GET" if body.content is None else "POST"
    options = Options(
        url=url,
        method=method or default,
        sender=sender,
        route=route,
        watch=watch,
        body=body,
        output=None if str(output) == "-" else output,
        include=include or head,
        fail=fail,
        retry=retry,
        timeout=timeout,
        max_redirects=max_redirects,
    )
    return run_on(partial(fetch, options), backend, leave)
