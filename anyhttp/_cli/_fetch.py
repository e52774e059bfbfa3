"""``anyhttp URL``: sends one request, and writes the response to stdout or a file."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from anyio import to_thread
from rich.console import Console

from anyhttp import ClientResponse, ClientTimeout

from ._body import Body, opened
from ._consoles import error_console, output_console
from ._failures import FAILURES, STDOUT, describe, named, print_error
from ._limits import Limits
from ._options import Route, Sender, Watch, sent_options
from ._progress import UploadBar
from ._retries import retries
from ._save import save
from ._session import CONNECT_TIMEOUT
from ._terminal import BinaryBodyError, show_body, show_head, version_name
from ._watch import watched_session

PIECE: Final = 64 * 1024  # bytes, the capacity of a Linux pipe


class HttpFailure(Exception):
    """The status is an error, and the command is to fail then."""


class OutputClosedError(Exception):
    """The program that read our stdout has closed it, as ``head`` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line.

    :param fail: whether an error status is a failure, and whether its body is shown then
    """

    url: str
    method: str
    sender: Sender
    route: Route
    watch: Watch
    body: Body
    output: Path | None
    include: bool
    fail: Literal["without-body", "with-body"] | None
    limits: Limits


async def fetch(options: Options) -> int:
    """Send the request and return the exit status; print a failure as one line on stderr."""
    try:
        await _fetch(options)
    except OutputClosedError:
        return 1
    except (*FAILURES, HttpFailure, BinaryBodyError) as exc:
        print_error(describe(exc, options.limits.timeout))
        return 1
    return 0


async def _fetch(options: Options) -> None:
    sender, route, limits = options.sender, options.route, options.limits
    timeout = ClientTimeout(total=limits.timeout, sock_connect=CONNECT_TIMEOUT)
    middlewares, traces = retries(limits.retry)
    stderr = error_console()
    bar = UploadBar(stderr)
    if options.body.has_files:
        traces = [*traces, bar.trace()]
    with opened(options.body) as data, closing(bar):
        async with watched_session(
            options.watch,
            sender,
            route,
            timeout=timeout,
            middlewares=middlewares,
            traces=traces,
            console=stderr,
        ) as session:
            async with session.request(
                options.method,
                options.url,
                data=data,
                **sent_options(sender, route),
                **limits.redirect_options(),
            ) as response:
                bar.close()
                await _deliver(response, options, stderr)


async def _deliver(response: ClientResponse, options: Options, stderr: Console) -> None:
    failed = options.fail is not None and not response.ok
    console = output_console() if sys.stdout.isatty() else None
    if options.include:
        await _print_head(console, response)
    if failed and options.fail == "without-body":
        pass  # no program is to take an error page for what it has asked for
    elif options.output is None:
        await _print_body(console, response)
    else:
        # Content-Length counts the encoded bytes, not those that are written.
        total = None if "Content-Encoding" in response.headers else response.content_length
        pieces = response.content.iter_chunked(PIECE)
        await save(options.output, pieces, total=total, console=stderr)
    if failed:
        raise HttpFailure(f"{response.status} {response.reason}")


async def _print_head(console: Console | None, response: ClientResponse) -> None:
    """Print the head.

    :param console: what stdout is, if that is a terminal: the environment can override rich's
        is_terminal, and a pipe must get every byte unchanged
    """
    if console is None:
        await write(raw_head(response))
    else:
        show_head(console, response)


async def _print_body(console: Console | None, response: ClientResponse) -> None:
    pieces = response.content.iter_chunked(PIECE)
    if console is not None:
        await show_body(console, response, pieces)
        return
    async for piece in pieces:
        await write(piece)


def raw_head(response: ClientResponse) -> bytes:
    """Return the head of the response as it was received; HTTP/2 has no reason, so it is ours."""
    status = f"{version_name(response)} {response.status} {response.reason}"
    lines = [status.encode("utf-8", "surrogateescape")]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def write(data: bytes) -> None:
    """Write *data* to stdout; a slow reader must not keep Ctrl-C from working.

    :raises OutputClosedError: nobody reads stdout any more
    :raises OSError: it cannot be written, as its disk is full
    """
    descriptor = sys.stdout.fileno()

    def write_all() -> None:
        # Not sys.stdout: a thread that is left behind would keep it locked.
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    try:
        with named(STDOUT):
            await to_thread.run_sync(write_all, abandon_on_cancel=True)
    except BrokenPipeError:
        raise OutputClosedError from None
