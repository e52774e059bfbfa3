"""``anyhttp sse URL``: its options and their help."""

from __future__ import annotations

from functools import partial

import click

from ._arguments import Command, with_scheme
from ._body import Body, body_options
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
from ._sse import Options, listen


@click.command(
    "sse",
    cls=Command,
    context_settings=CONTEXT,
    examples=(
        ("anyhttp sse localhost:8000/events", "Print the events as they arrive."),
        ("anyhttp sse localhost:8000/events --json-lines | jq .data", "Pass them to a program."),
    ),
    success="The server ended the events (status 204), or --no-reconnect is given and they ended.",
    failure="The server sends no events, or ten connections in a row have failed; a line on "
    "standard error says why.",
)
@click.argument("url", callback=with_scheme)
@click.option("-X", "--request", "method", help="Method; GET, or POST if there is a body.")
@sender_options
@body_options
@click.option(
    "--json-lines", "as_json", is_flag=True, help="Print each event as a JSON object on one line."
)
@click.option(
    "--no-reconnect",
    "reconnect",
    flag_value=False,
    default=True,
    help="Stop at the end of the first connection.",
)
@click.option(
    "--last-event-id", metavar="ID", default="", help="Ask for the events after the one with ID."
)
@watch_options
@route_options
@backend_option
@click.pass_obj
def sse_command(
    leave: Leave | None,
    url: str,
    method: str | None,
    sender: Sender,
    body: Body,
    route: Route,
    watch: Watch,
    as_json: bool,
    reconnect: bool,
    last_event_id: str,
    backend: str,
) -> int:
    """Print the server-sent events of URL as they arrive.

    When the connection is lost or ends, another one goes on after the last event.
    """
    if reconnect and body.has_files:
        raise click.UsageError(
            "each connection sends the body again, so files need --no-reconnect; "
            "--json @FILE and --data @- do not"
        )
    for field, value in body.headers:
        if field != "Accept":  # that of --json asks for JSON
            sender.headers.setdefault(field, value)
    options = Options(
        url=url,
        method=method or ("GET" if body.content is None else "POST"),
        sender=sender,
        body=body,
        route=route,
        watch=watch,
        as_json=as_json,
        reconnect=reconnect,
        last_event_id=last_event_id,
    )
    return run_on(partial(listen, options), backend, leave)
