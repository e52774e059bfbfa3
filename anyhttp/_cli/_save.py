"""Saves a body in a file, which is replaced only when the body is complete."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from io import FileIO
from itertools import count
from pathlib import Path

from anyio import to_thread
from rich.console import Console

from ._failures import named
from ._progress import bars
from ._terminal import printable


class Target:
    """The file to write to: a new ``.part`` file beside the given one, until the body is complete.

    A path that exists and is not a regular file, such as ``/dev/null`` or a pipe, is written to
    directly, because replacing it would destroy it.
    """

    def __init__(self, path: Path) -> None:
        self._name = str(path)
        # A symbolic link is kept, and the file that it points to is replaced.
        self._path = Path(os.path.realpath(path))
        self._replaces = self._path.is_file() or not self._path.exists()
        self._part: Path | None = None
        self._file: FileIO | None = None  # until opened

    async def open(self) -> None:
        """Open the file.

        This thread creates a regular file: on asyncio, Ctrl-C ends the wait for another thread,
        and the file might then exist without being removed.  Opening a pipe blocks until it has a
        reader, so a worker thread does that.
        """
        if self._replaces:
            self._create_part()
        else:
            self._file = await to_thread.run_sync(FileIO, self._path, "w", abandon_on_cancel=True)

    def _create_part(self) -> None:
        """Create a file that nobody has yet, with the mode of the one that it is to replace.

        Something else may have its name: the part of another download, or of one that was killed,
        or a file of the user's own.  Then another name is taken.
        """
        mode = stat.S_IMODE(self._path.stat().st_mode) if self._path.exists() else None

        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o666 if mode is None else 0o600)

        names = (f".{number}.part" if number else ".part" for number in count())
        while self._file is None:
            part = self._path.with_name(self._path.name + next(names))
            with suppress(FileExistsError):
                # "x" is exclusive: neither is a link followed, nor a pipe waited for.
                self._file = FileIO(part, "x", opener=private)
                self._part = part
        # By the descriptor, as the name might be that of another file by now.
        if mode is not None and os.chmod in os.supports_fd:
            os.chmod(self._file.fileno(), mode & 0o777)

    async def write(self, piece: bytes) -> None:
        """Write all of *piece*."""
        await to_thread.run_sync(self._write, piece, abandon_on_cancel=True)

    def _write(self, piece: bytes) -> None:
        assert self._file is not None  # opened
        rest = memoryview(piece)
        with named(self._name):
            while rest:  # unbuffered, so that closing never waits for the reader of a pipe
                rest = rest[self._file.write(rest) :]

    def finish(self) -> None:
        """Move the complete file to its place."""
        assert self._file is not None  # opened
        self._file.close()
        if self._part:
            os.replace(self._part, self._path)

    def discard(self) -> None:
        """Remove the incomplete file."""
        if self._file:
            self._file.close()
            if self._part:
                self._part.unlink(missing_ok=True)


async def save(
    path: Path, pieces: AsyncIterator[bytes], *, total: int | None, console: Console
) -> None:
    """Write *pieces* to *path*, with a progress bar if *console* is a terminal.

    :param total: expected number of bytes, if known
    :raises OSError: the file can't be written

    Unless every piece arrives, the file at *path* is unchanged.
    """
    progress = bars(console)
    target = Target(path)
    try:
        await target.open()
        with progress:
            shown = progress.add_task(printable(path.name, console.encoding), total=total)
            async for piece in pieces:
                await target.write(piece)
                progress.advance(shown, len(piece))
            if total is None:
                progress.update(shown, total=progress.tasks[0].completed)
        await to_thread.run_sync(target.finish)
    except BaseException:
        target.discard()  # not awaited, because a cancelled task could not await
        raise
