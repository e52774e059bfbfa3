"""The lines of standard input, which are sent as messages."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from anyio import to_thread

from ._failures import print_error
from ._fetch import PIECE


class Lines:
    """The lines of standard input; each stays here until it has been sent.

    One task reads for as long as the command runs: what it has read goes to the next connection if
    this one is lost.
    """

    def __init__(self) -> None:
        self._line: str | None = None
        self._wanted = anyio.Event()
        self._there = anyio.Event()
        self._sent = anyio.Event()

    async def read(self) -> None:
        """Read standard input, a line at a time, from the first :meth:`next` on."""
        await self._wanted.wait()
        try:
            async with aclosing(read_lines()) as lines:
                async for self._line in lines:
                    self._there.set()
                    await self._sent.wait()
                    self._sent = anyio.Event()
        except OSError as exc:
            print_error(f"standard input cannot be read: {exc.strerror}")
        self._line = None
        self._there.set()

    async def next(self) -> str | None:
        """Return the first line that has not been sent; ``None`` after the last one."""
        self._wanted.set()
        await self._there.wait()
        return self._line

    def forget(self) -> None:
        """Forget the line that :meth:`next` has returned: it has been sent."""
        self._there = anyio.Event()
        self._sent.set()


async def read_lines() -> AsyncGenerator[str, None]:
    """Yield the lines of standard input as they arrive, without their line ends."""
    rest: list[bytes] = []  # joined once a line is complete: the cost is linear
    while piece := await _read_piece(sys.stdin.fileno()):
        *lines, last = piece.split(b"\n")
        if lines:
            lines[0] = b"".join([*rest, lines[0]])
            rest.clear()
        rest.append(last)
        for line in lines:
            yield line.removesuffix(b"\r").decode(errors="replace")
    if any(rest):
        yield b"".join(rest).decode(errors="replace")


async def _read_piece(descriptor: int) -> bytes:
    try:
        # Avoid a thread if possible: a thread that waits for a terminal never ends.
        await anyio.wait_readable(descriptor)
    except (OSError, NotImplementedError):  # a regular file, or Windows
        return await to_thread.run_sync(os.read, descriptor, PIECE, abandon_on_cancel=True)
    return os.read(descriptor, PIECE)
