"""``anyhttp URL``: its options and their help."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import click

from anyhttp._common import __version__

from ._arguments import Command, as_body, as_json, with_scheme
from ._fetch import Options, fetch
from ._options import CONTEXT, Route, Sender, backend_option, route_options, sender_options
from ._run import Leave, run as run_on

FORM: Final = "application/x-www-form-urlencoded"


@click.command("anyhttp", cls=Command, context_settings=CONTEXT)
@click.argument("url", callback=with_scheme)
@click.option("-X", "--request", "method", help="Method; GET, or POST if there is a body.")
@sender_options
@click.option(
    "-d",
    "--data",
    metavar="TEXT|@FILE",
    callback=as_body,
    help="Send a form, or FILE with the type of its name; @- is standard input.",
)
@click.option(
    "--json", "json_body", metavar="TEXT|@FILE", callback=as_json, help="Send and ask for JSON."
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the body in FILE, which stays as it was unless all of it arrives.",
)
@click.option("-i", "--include", is_flag=True, help="Show status line and header fields, too.")
@click.option("-f", "--fail", is_flag=True, help="Exit with 1 if the status is 400 or more.")
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
@backend_option
@click.version_option(__version__, prog_name="anyhttp", message="%(prog)s %(version)s")
@click.pass_obj
def fetch_command(
    leave: Leave | None,
    url: str,
    method: str | None,
    sender: Sender,
    route: Route,
    data: bytes | Path | None,
    json_body: bytes | None,
    output: Path | None,
    include: bool,
    fail: bool,
    timeout: float | None,
    max_redirects: int,
    backend: str,
) -> int:
    """Fetch URL and print the body.

    On a terminal JSON is indented and coloured; a pipe or FILE gets the bytes as they are.

    Arguments can be seen by other users of the machine.  So anything secret can be read from a
    FILE, from standard input (@-) or from a variable of the environment (@env:NAME).

    "anyhttp ws URL" talks to a WebSocket, "anyhttp demo" shows what the client can do.
    """
    if data is not None and json_body is not None:
        raise click.UsageError("--data and --json exclude each other")
    automatic = []
    if json_body is not None:
        automatic = [("Content-Type", "application/json"), ("Accept", "application/json")]
    elif isinstance(data, bytes):
        automatic = [("Content-Type", FORM)]
    for field, value in automatic:
        sender.headers.setdefault(field, value)
    body = data if json_body is None else json_body
    options = Options(
        url=url,
        method=method or ("GET" if body is None else "POST"),
        sender=sender,
        route=route,
        body=body,
        output=None if str(output) == "-" else output,
        include=include,
        fail=fail,
        timeout=timeout,
        max_redirects=max_redirects,
    )
    return run_on(partial(fetch, options), backend, leave)
