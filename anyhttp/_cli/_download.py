"""``anyhttp --download URL…`` and ``-C``: files, by the library's ``download()``."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from anyio import to_thread
from rich.progress import Progress
from yarl import URL

from anyhttp import (
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    download,
)

from ._consoles import error_console
from ._failures import FAILURES, describe, named, print_error
from ._fetch import OutputClosedError, write
from ._file_names import name_of_response, name_of_url, reserved
from ._limits import Limits
from ._options import Route, Sender, Watch, sent_options
from ._progress import bars
from ._retries import retries
from ._session import CONNECT_TIMEOUT, leaving_out
from ._terminal import printable_line
from ._watch import watched_session

# Seconds.  A server that sends nothing for so long is gone.
SILENCE: Final = 60.0
CHOSEN: Final = "it is there already, and the server chose this name; use --continue --output FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command line.

    :param path: the file, for a single URL; otherwise they have names of their own
    :param directory: where those are
    """

    urls: Sequence[str]
    path: Path | None
    directory: Path
    jobs: int
    sender: Sender
    route: Route
    watch: Watch
    limits: Limits


async def save_files(options: Options) -> int:
    """Download every URL and return the exit status; print a failure as one line on stderr."""
    middlewares, traces = retries(options.limits.retry)
    timeout = ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
    console = error_console()
    try:
        async with watched_session(
            options.watch,
            options.sender,
            options.route,
            timeout=timeout,
            middlewares=middlewares,
            traces=traces,
            console=console,
        ) as session:
            with bars(console) as display:
                return await _Downloads(options, session, display).run()
    except FAILURES as exc:  # the file of cookies
        print_error(describe(exc))
        return 1


class _Downloads:
    """What the downloads of one command share."""

    def __init__(self, options: Options, session: ClientSession, display: Progress) -> None:
        self._options = options
        self._session = session
        self._display = display
        self._waiting = iter(options.urls)
        self._names: set[str] = set()  # see reserved()
        self._status = 0
        sender, route, limits = options.sender, options.route, options.limits
        self._request: dict[str, Any] = {
            # Broken connections are a matter of download(), which asks only for what is missing.
            "middlewares": [
                *retries(limits.retry, exceptions=())[0],
                *([leaving_out(sender.left_out)] if sender.left_out else []),
            ],
            "timeout": ClientTimeout(
                total=limits.timeout, sock_connect=CONNECT_TIMEOUT, sock_read=SILENCE
            ),
            **sent_options(sender, route),
            **limits.redirect_options(),
        }

    async def run(self) -> int:
        """Download every URL, some at a time, and return the exit status."""
        async with anyio.create_task_group() as tasks:
            for _ in range(min(self._options.jobs, len(self._options.urls))):
                tasks.start_soon(self._work, tasks.cancel_scope)
        return self._status

    async def _work(self, scope: anyio.CancelScope) -> None:
        """Download what nobody downloads yet, until nothing is left."""
        for url in self._waiting:
            try:
                await self._save(url)
            except OutputClosedError:
                self._status = 1
                scope.cancel()
            except FAILURES as exc:
                self._status = 1
                about = f"{_shown(url)}: " if len(self._options.urls) > 1 else ""
                print_error(f"{about}{self._describe(exc)}")

    def _describe(self, failure: Exception) -> str:
        # The client raises it for what is no HTTP, too, and then there are no header fields.
        if type(failure) is ClientResponseError and failure.headers is not None:
            return f"{failure.status} {failure.message}"
        return describe(failure, self._options.limits.timeout)

    async def _save(self, url: str) -> None:
        options = self._options
        path, is_servers = options.path, False
        if path is None:
            name, is_servers = await self._name(url)
            path = options.directory / name
            if is_servers and await to_thread.run_sync(os.path.lexists, path):
                raise FileExistsError(errno.EEXIST, CHOSEN, str(path))
        bar = self._display.add_task(printable_line(path.name), total=None)

        def show(received: int, total: int | None) -> None:
            self._display.update(bar, completed=received, total=total)

        try:
            with named(str(path)):
                await download(
                    self._session,
                    url,
                    path,
                    overwrite=not is_servers,
                    attempts=options.limits.retry + 1,
                    progress=show,
                    **self._request,
                )
        except Exception:  # Ctrl-C leaves the bar: it shows how much there is
            self._display.remove_task(bar)
            raise
        if options.path is None:
            self._display.remove_task(bar)
            await self._tell(path)

    async def _name(self, url: str) -> tuple[str, bool]:
        """Return a name for the file at *url*, and whether the server has chosen it.

        That takes a request of its own: only with the name is it known which bytes are there from
        an interrupted download, and so, which of them to ask for.  This one asks for one byte, as a
        server need not answer HEAD.
        """
        headers = [("Accept-Encoding", "identity"), ("Range", "bytes=0-0")]
        request = self._request.copy()
        del request["middlewares"]
        request["headers"] = [*self._options.sender.headers.items(), *headers]
        async with self._session.get(url, **request) as response:
            if response.status != 416:  # an empty file has no first byte
                response.raise_for_status()
            chosen = name_of_response(response)
        name = reserved(chosen or name_of_url(URL(url)), self._names)
        return name, chosen is not None

    async def _tell(self, path: Path) -> None:
        """Say that *path* is complete: a server may have chosen its name."""
        if sys.stdout.isatty():
            self._display.console.print(printable_line(str(path)), markup=False, highlight=False)
        else:
            await write(os.fsencode(path) + b"\n")


def _shown(url: str) -> str:
    """Return *url* without what may be a secret."""
    return str(URL(url).with_user(None).with_query(None).with_fragment(None))
