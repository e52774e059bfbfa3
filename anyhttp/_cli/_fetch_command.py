"""``anyhttp URL``: its options and their help."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import click

from anyhttp._common import __version__

from ._arguments import Command, unexpected
from ._body import Body, body_options
from ._checks import method_option
from ._contradictions import check_downloads, check_request
from ._download import Options as Downloads, save_files
from ._fetch import Options, fetch
from ._limits import Limits, limit_options
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
from ._saving import Saving, saving_options
from ._urls import as_urls


@click.command(
    "anyhttp",
    cls=Command,
    context_settings=CONTEXT,
    examples=(
        ("anyhttp localhost:8000/items", "Print the body."),
        (
            "anyhttp localhost:8000/items -q page=2 -i",
            "Add a query, show status and header fields.",
        ),
        ('anyhttp localhost:8000/items --json \'{"name": "pencil"}\'', "Send JSON by POST."),
        ("anyhttp localhost:8000/photos -F title=Me -F photo=@me.jpg", "Send a form with a file."),
        ("anyhttp https://example.org/ --bearer @env:API_TOKEN", "Log in with a token."),
        ("anyhttp https://example.org/file.zip -o file.zip --fail", "Save a file."),
        ("anyhttp -O https://example.org/a.zip https://example.org/b.zip", "Save two files."),
        ("anyhttp https://localhost:8443/ --cacert ca.pem -v", "Trust a CA, show what happens."),
    ),
    success="A complete response came, whatever its status; with --download, each file is there.",
    failure="It did not come, or --fail or --fail-with-body is given and the status is 400 or "
    "more; a line on standard error says why.",
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True, callback=as_urls)
@method_option
@click.option("-I", "--head", is_flag=True, help="Ask for the head alone (HEAD), and show it.")
@sender_options
@body_options
@saving_options
@click.option("-i", "--include", is_flag=True, help="Show status line and header fields, too.")
@click.option(
    "-f",
    "--fail",
    "fail",
    flag_value="without-body",
    help="If the status is 400 or more, exit with 1, without printing or saving the body.",
)
@click.option(
    "--fail-with-body",
    "fail",
    flag_value="with-body",
    help="Exit with 1 then, too, but print or save the body.",
)
@click.option(
    "--compressed/--no-compressed",
    default=True,
    help="Let servers compress the body, which is decompressed here: the default.",
)
@watch_options
@route_options
@limit_options
@backend_option
@click.version_option(__version__, prog_name="anyhttp", message="%(prog)s %(version)s")
@click.pass_obj
def fetch_command(
    leave: Leave | None,
    urls: Sequence[str],
    method: str | None,
    head: bool,
    sender: Sender,
    route: Route,
    body: Body,
    watch: Watch,
    saving: Saving,
    include: bool,
    fail: Literal["without-body", "with-body"] | None,
    compressed: bool,
    limits: Limits,
    backend: str,
) -> int:
    """Fetch URL and print the body; with --download, save each URL in a file.

    On a terminal JSON is indented and coloured; a pipe or FILE gets the bytes as they are.

    Arguments can be seen by other users of the machine.  So anything secret can be read from a
    FILE, from standard input (@-) or from a variable of the environment (@env:NAME).

    "anyhttp help COMMAND" describes one of the other commands.
    """
    _check_use(urls, method, saving, body, head=head, include=include)
    if saving.resumes:
        downloads = Downloads(
            urls=urls,
            path=None if saving.many else saving.output,
            directory=saving.output or Path(),
            jobs=saving.jobs,
            sender=sender,
            route=route,
            watch=watch,
            limits=limits,
        )
        check_downloads(urls, sender)
        return run_on(partial(save_files, downloads), backend, leave)
    sender.imply(body.headers)
    if not compressed:
        sender.imply([("Accept-Encoding", "identity")])
    options = Options(
        url=urls[0],
        method="HEAD" if head else method or body.method,
        sender=sender,
        route=route,
        watch=watch,
        body=body,
        output=None if str(saving.output) == "-" else saving.output,
        include=include or head,
        fail=fail,
        limits=limits,
    )
    check_request(options.method, options.url, sender, body)
    return run_on(partial(fetch, options), backend, leave)


def _check_use(
    urls: Sequence[str],
    method: str | None,
    saving: Saving,
    body: Body,
    *,
    head: bool,
    include: bool,
) -> None:
    """Check that the options make sense together.

    :raises click.UsageError: they do not
    """
    if head and (method or saving.output or body.content is not None):
        raise click.UsageError("--head cannot be used with --request, --output or a body")
    if len(urls) > 1 and not saving.many:
        raise click.UsageError(f"{unexpected(len(urls) - 1)}; for several URLs, add --download")
    if saving.resumes and (method or head or include or body.content is not None):
        raise click.UsageError(
            "--continue and --download cannot be used with --request, --head, --include or a body"
        )
