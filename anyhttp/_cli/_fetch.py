"""``anyhttp URL``: sends one request, and writes the response to stdout or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from anyio import to_thread
from rich.console import Console

from anyhttp import ClientResponse, ClientTimeout

from ._failures import FAILURES, describe, print_error
from ._options import Route, Sender
from ._save import save
from ._session import CONNECT_TIMEOUT, opened_session
from ._terminal import BinaryBodyError, show_body, show_head, version_name

PIECE: Final = 64 * 1024  # bytes, the capacity of a Linux pipe


class HttpFailure(Exception):
    """The status is an error, and ``--fail`` is given."""


class OutputClosedError(Exception):
    """The program that read our stdout has closed it, as ``head`` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line."""

    url: str
    method: str
    sender: Sender
    route: Route
    body: bytes | Path | None
    output: Path | None
    include: bool
    fail: bool
    timeout: float | None
    max_redirects: int


async def fetch(options: Options) -> int:
    """Send the request and return the exit status; print a failure as one line on stderr."""
    try:
        await _fetch(options)
    except OutputClosedError:
        return 1
    except (*FAILURES, HttpFailure, BinaryBodyError) as exc:
        print_error(describe(exc, options.timeout))
        return 1
    return 0


async def _fetch(options: Options) -> None:
    timeout = ClientTimeout(total=options.timeout, sock_connect=CONNECT_TIMEOUT)
    sender, route = options.sender, options.route
    with opened(options.body) as data:
        async with opened_session(sender, route, timeout=timeout) as session:
            async with session.request(
                options.method,
                options.url,
                params=sender.query,
                headers=sender.headers,
                auth=sender.login,
                data=data,
                proxy=route.proxy,
                ssl=route.tls,
                allow_redirects=options.max_redirects > 0,
                # The limit counts the refused redirect too.
                max_redirects=options.max_redirects + 1,
            ) as response:
                await _deliver(response, options)


@contextmanager
def opened(body: bytes | Path | None) -> Iterator[bytes | BinaryIO | None]:
    """Open the body if it is a file, and close it afterwards."""
    if isinstance(body, Path):
        with body.open("rb") as file:
            yield file
    else:
        yield body


async def _deliver(response: ClientResponse, options: Options) -> None:
    failed = options.fail and not response.ok
    if options.output is None:
        await _print(response, include=options.include)
    elif not failed:  # the file is not for error pages
        # Content-Length counts the encoded bytes, not those that are written.
        total = None if "Content-Encoding" in response.headers else response.content_length
        pieces = response.content.iter_chunked(PIECE)
        await save(options.output, pieces, total=total, console=Console(stderr=True))
    if failed:
        raise HttpFailure(f"{response.status} {response.reason}")


async def _print(response: ClientResponse, *, include: bool) -> None:
    pieces = response.content.iter_chunked(PIECE)
    # The environment can override rich's is_terminal, and a pipe must get every byte unchanged.
    if sys.stdout.isatty():
        console = Console()
        if include:
            show_head(console, response)
        await show_body(console, response, pieces)
    else:
        if include:
            await write(raw_head(response))
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
        await to_thread.run_sync(write_all, abandon_on_cancel=True)
    except BrokenPipeError:
        raise OutputClosedError from None
    except OSError as exc:
        raise OSError(exc.errno, exc.strerror, "standard output") from exc
