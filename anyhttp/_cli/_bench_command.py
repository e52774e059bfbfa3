"""``anyhttp bench URL``: its options and their help."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Final

import click

from ._arguments import Command
from ._bench import Bench, Options, title
from ._body import Body, body_options
from ._checks import Seconds, method_option
from ._consoles import output_console
from ._contradictions import check_request
from ._options import CONTEXT, Route, Sender, route_options, sender_options
from ._run import BACKENDS, Leave, run as run_on
from ._urls import as_url

#: More connections than a process can usually have open.
MOST_AT_A_TIME: Final = 10_000


@click.command(
    "bench",
    cls=Command,
    context_settings=CONTEXT,
    examples=(
        ("anyhttp bench localhost:8000/items", "Send 1000 requests, 10 at a time."),
        ("anyhttp bench localhost:8000/items -c 100 --duration 10", "100 at a time, for 10 s."),
    ),
    success="Each request had a response, whatever its status.",
    failure="Requests have failed; they are counted by kind.",
)
@click.argument("url", callback=as_url)
@click.option(
    "-n",
    "--requests",
    metavar="N",
    type=click.IntRange(min=1),
    help="Send so many requests; 1000 unless there is a --duration.",
)
@click.option(
    "-c",
    "--concurrency",
    metavar="N",
    type=click.IntRange(min=1, max=MOST_AT_A_TIME),
    default=10,
    show_default=True,
    help="Send so many requests at a time.",
)
@click.option(
    "--duration",
    metavar="SECONDS",
    type=Seconds(min=0, min_open=True),
    help="Send requests for so long.",
)
@method_option
@sender_options
@body_options
@route_options
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Seconds(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Give up a request that takes longer.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="Only this one.  [default: those that are installed]",
)
@click.pass_obj
def bench_command(
    leave: Leave | None,
    url: str,
    requests: int | None,
    concurrency: int,
    duration: float | None,
    method: str | None,
    sender: Sender,
    body: Body,
    route: Route,
    timeout: float,
    backend: str | None,
) -> int:
    """Send a request to URL many times, and measure how long that takes.

    One session sends all of them on each backend, so connections are used again; redirects are
    not followed.  Ctrl-C prints what has been measured so far.
    """
    sender.imply(body.headers)
    method = method or body.method
    check_request(method, url, sender, body)
    options = Options(
        url=url,
        method=method,
        sender=sender,
        route=route,
        body=body,
        requests=1000 if requests is None and duration is None else requests,
        concurrency=concurrency,
        duration=duration,
        timeout=timeout,
    )
    console = output_console()
    console.print(title(options), markup=False, soft_wrap=True)
    bench = Bench(options, console)
    chosen = [backend] if backend else [name for name in BACKENDS if find_spec(name)]
    for name in chosen:
        status = run_on(partial(bench.run, name), name, leave)
        if status:
            return status
    return int(bench.has_errors)
