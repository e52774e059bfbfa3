"""``anyhttp ws URL``: its options and their help."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from anyhttp._headers import is_token

from ._arguments import Command
from ._checks import Seconds
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
from ._urls import as_ws_url
from ._ws import Options, talk


def as_protocols(
    ctx: click.Context, param: click.Parameter, values: Sequence[str]
) -> Sequence[str]:
    """Return the names of subprotocols.

    :raises click.BadParameter: one of them is no name (:rfc:`6455#section-4.1`), or comes twice
    """
    for value in values:
        if not is_token(value):
            raise click.BadParameter(f"{value!r} is not the name of a subprotocol", ctx, param)
        if values.count(value) > 1:
            raise click.BadParameter(f"{value!r} is offered twice", ctx, param)
    return values


@click.command(
    "ws",
    cls=Command,
    stdin="the messages",
    context_settings=CONTEXT,
    examples=(
        ("anyhttp ws localhost:8000/chat", "Type messages, see the answers; Ctrl-D closes."),
        ("anyhttp ws wss://localhost:8443/chat --cacert ca.pem -v", "Show what happens, too."),
        ("anyhttp ws localhost:8000/echo < questions > answers", "Send the lines of a file."),
    ),
    success="The WebSocket was opened, and closed in an orderly way.",
    failure="It could not be opened, the connection was lost, or the server closed it with a "
    "code other than 1000 and 1001; a line on standard error says which.",
)
@click.argument("url", callback=as_ws_url)
@sender_options
@route_options
@click.option(
    "-p",
    "--protocol",
    "protocols",
    metavar="NAME",
    multiple=True,
    callback=as_protocols,
    help="Offer this subprotocol.",
)
@click.option("-z", "--compress", is_flag=True, help="Offer compression.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=Seconds(min=0),
    default=1.0,
    show_default=True,
    help="Close after a file or pipe has ended and nothing more came for so long.",
)
@click.option(
    "--max-size",
    metavar="BYTES",
    type=click.IntRange(min=1),
    default=16 * 1024 * 1024,
    show_default=True,
    help="Close if a message is larger.",
)
@click.option(
    "--reconnect",
    is_flag=True,
    help="Connect again, after a pause, if the connection is lost or cannot be made.",
)
@watch_options
@backend_option
@click.pass_obj
def ws_command(
    leave: Leave | None,
    url: str,
    sender: Sender,
    route: Route,
    protocols: tuple[str, ...],
    compress: bool,
    watch: Watch,
    wait: float,
    max_size: int,
    reconnect: bool,
    backend: str,
) -> int:
    """Talk to the WebSocket at URL: send each line of standard input, print each message.

    The end of the input (Ctrl-D) closes it.
    """
    check_request("GET", url, sender)
    options = Options(
        url=url,
        sender=sender,
        route=route,
        protocols=protocols,
        compress=compress,
        watch=watch,
        wait=wait,
        max_size=max_size,
        reconnect=reconnect,
    )
    return run_on(partial(talk, options), backend, leave)
