"""The command line: the options, their help, and the checks of their values."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from anyhttp import BasicAuth
from anyhttp._common import __version__

from ._arguments import (
    Command,
    as_body,
    as_headers,
    as_json,
    as_login,
    as_proxy,
    as_tls,
    as_token,
    one_authorization,
    with_scheme,
    with_ws_scheme,
)
from ._demo import Board, demonstrate, reason
from ._fetch import Options, fetch
from ._run import BACKENDS, INTERRUPTED, Leave, run as run_on
from ._ws import Options as WSOptions, talk

CONTEXT: Final = {"help_option_names": ["-h", "--help"]}
FORM: Final = "application/x-www-form-urlencoded"


insecure_option = click.option("-k", "--insecure", is_flag=True, help="Do not verify certificates.")
ca_file_option = click.option(
    "--cacert",
    "ca_file",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Trust the certificates in FILE (PEM) and no others.",
)
header_option = click.option(
    "-H",
    "--header",
    "headers",
    metavar="'NAME: VALUE'|NAME:@FILE|@FILE",
    multiple=True,
    callback=as_headers,
    help="Send this header field, or those in FILE, one a line; may be repeated.",
)
login_option = click.option(
    "-u",
    "--user",
    "login",
    metavar="USER[:PASSWORD]|@FILE",
    callback=as_login,
    help="Log in (Basic); without a password you are asked for it.",
)
token_option = click.option(
    "--bearer",
    "token",
    metavar="TOKEN|@FILE",
    callback=as_token,
    help="Send this token as Authorization: Bearer.",
)
backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="asyncio",
    show_default=True,
    help="Event loop to run on.",
)


@click.command("anyhttp", cls=Command, context_settings=CONTEXT)
@click.argument("url", callback=with_scheme)
@click.option("-X", "--request", "method", help="Method; GET, or POST if there is a body.")
@header_option
@login_option
@token_option
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
@click.option(
    "-x",
    "--proxy",
    metavar="URL|@FILE",
    callback=as_proxy,
    help="Go through this proxy (http, https, socks4, socks4a, socks5 or socks5h), "
    "not the environment's.",
)
@click.option("--http2", is_flag=True, help="Speak HTTP/2 with servers that choose it, over TLS.")
@click.option(
    "--http2-prior-knowledge",
    is_flag=True,
    help="Speak HTTP/2 without TLS, too: the server is known to speak it.",
)
@insecure_option
@ca_file_option
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
    headers: list[tuple[str, str]],
    login: BasicAuth | None,
    token: tuple[str, str] | None,
    data: bytes | Path | None,
    json_body: bytes | None,
    output: Path | None,
    include: bool,
    fail: bool,
    proxy: str | None,
    http2: bool,
    http2_prior_knowledge: bool,
    insecure: bool,
    ca_file: Path | None,
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
    headers = one_authorization(headers, login, token)
    given = {name.lower() for name, _ in headers}
    body = data if json_body is None else json_body
    options = Options(
        url=url,
        method=method or ("GET" if body is None else "POST"),
        headers=[*headers, *(field for field in automatic if field[0].lower() not in given)],
        login=login,
        body=body,
        output=None if str(output) == "-" else output,
        include=include,
        fail=fail,
        proxy=proxy,
        http2="prior-knowledge" if http2_prior_knowledge else http2,
        tls=as_tls(insecure, ca_file),
        timeout=timeout,
        max_redirects=max_redirects,
    )
    return run_on(partial(fetch, options), backend, leave)


@click.command("demo", cls=Command, context_settings=CONTEXT)
@click.option("--backend", type=click.Choice(BACKENDS), help="Only this one.  [default: both]")
@click.pass_obj
def demo_command(leave: Leave | None, backend: str | None) -> int:
    """Show what the client can do, on asyncio and on trio.

    Server and client both run in this process, over loopback.  Exits with 1 if anything fails.
    """
    from ._certificate import throw_away_contexts  # slow to import, and only this command needs it

    console = Console()
    board = Board(console)
    start = time.perf_counter()
    console.print(
        f"[bold]anyhttp {__version__}[/]  client and server in this process, over loopback",
        highlight=False,
    )
    for name in (backend,) if backend else BACKENDS:
        try:
            server_tls, client_tls = throw_away_contexts()
            work = partial(demonstrate, board, name, server_tls, client_tls)
            status = run_on(work, name, leave)
        # A failure outside of the steps, such as no free port.
        except (OSError, ExceptionGroup) as exc:
            raise click.ClickException(reason(exc)) from exc
        if status:
            return status
    return board.summarize(time.perf_counter() - start)


@click.command("ws", cls=Command, stdin="the messages", context_settings=CONTEXT)
@click.argument("url", callback=with_ws_scheme)
@header_option
@login_option
@token_option
@click.option(
    "-p", "--protocol", "protocols", metavar="NAME", multiple=True, help="Offer this subprotocol."
)
@click.option("-z", "--compress", is_flag=True, help="Offer compression.")
@insecure_option
@ca_file_option
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
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
@click.option("-v", "--verbose", is_flag=True, help="Show opening, pings and closing on stderr.")
@backend_option
@click.pass_obj
def ws_command(
    leave: Leave | None,
    url: str,
    headers: list[tuple[str, str]],
    login: BasicAuth | None,
    token: tuple[str, str] | None,
    protocols: tuple[str, ...],
    compress: bool,
    insecure: bool,
    ca_file: Path | None,
    verbose: bool,
    wait: float,
    max_size: int,
    backend: str,
) -> int:
    """Talk to the WebSocket at URL: send each line of standard input, print each message.

    The end of the input (Ctrl-D) closes it.
    """
    options = WSOptions(
        url=url,
        headers=one_authorization(headers, login, token),
        login=login,
        protocols=protocols,
        compress=compress,
        tls=as_tls(insecure, ca_file),
        verbose=verbose,
        wait=wait,
        max_size=max_size,
    )
    return run_on(partial(talk, options), backend, leave)


def run(args: Sequence[str], leave: Leave | None = None) -> int:
    """Run the command line *args* and return the exit status.

    ``demo`` and ``ws`` are the only subcommands; anything else is a URL with its options.
    """
    if args and args[0] == "demo":
        command, name, rest = demo_command, "anyhttp demo", args[1:]
    elif args and args[0] == "ws":
        command, name, rest = ws_command, "anyhttp ws", args[1:]
    else:
        command, name, rest = fetch_command, "anyhttp", args
    try:
        status = command.main(list(rest), prog_name=name, standalone_mode=False, obj=leave)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except click.Abort:  # Ctrl-C while standard input is read
        return INTERRUPTED
    except SystemExit:  # rich and click raise it when nobody reads stdout any more
        return 1
    return int(status)
