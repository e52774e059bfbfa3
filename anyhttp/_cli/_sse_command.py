"""``anyhttp sse URL``: its options and their help."""

from __future__ import annotations

from functools import partial

import click

from anyhttp._common import has_surrogate
from anyhttp.client import LONGEST_ID

from ._arguments import Command, check_field
from ._body import Body, body_options
from ._checks import method_option
from ._contradictions import check_request
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
from ._urls import as_url


def as_event_id(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return the ID of an event.

    :raises click.BadParameter: it cannot be sent
    """
    check_field(ctx, param, "Last-Event-ID", value)
    if has_surrogate(value) or len(value.encode()) > LONGEST_ID or value != value.strip(" \t"):
        raise click.BadParameter("this cannot be the ID of an event", ctx, param)
    return value


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
@click.argument("url", callback=as_url)
@method_option
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
    "--last-event-id",
    metavar="ID",
    default="",
    callback=as_event_id,
    help="Ask for the events after the one with ID.",
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
    # The field Accept of --json asks for JSON.
    sender.imply((name, value) for name, value in body.headers if name != "Accept")
    method = method or body.method
    check_request(method, url, sender, body)
    options = Options(
        url=url,
        method=method,
        sender=sender,
        body=body,
        route=route,
        watch=watch,
        as_json=as_json,
        reconnect=reconnect,
        last_event_id=last_event_id,
    )
    return run_on(partial(listen, options), backend, leave)
