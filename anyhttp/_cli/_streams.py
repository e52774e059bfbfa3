"""The standard streams, of which any may be closed or broken; it imports no other package."""

from __future__ import annotations

import io
import os
import sys
from errno import EBADF
from typing import Final

NAMES: Final = ("stdin", "stdout", "stderr")


class ClosedStream(io.TextIOWrapper):
    """Stands in place of a standard stream that was closed when the command started.

    Reading from it finds the end, and messages are lost.
    """

    def __init__(self, descriptor: int) -> None:
        raw = io.FileIO(descriptor, "w" if descriptor else "r", closefd=False)
        super().__init__(io.BufferedWriter(raw) if descriptor else io.BufferedReader(raw), "utf-8")


class ClosedOutput(ClosedStream):
    """Stands in place of standard output: nothing can be written."""

    def write(self, text: str) -> int:
        """Fail.

        :raises OSError: always
        """
        raise OSError(EBADF, "standard output is closed")


def replace_closed_streams() -> None:
    """Give each closed standard stream a descriptor, so that no socket gets its number.

    The messages of the command would go to the server otherwise.  And ``print()`` takes standard
    output for a standard error that is ``None``.
    """
    for descriptor, name in enumerate(NAMES):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
        if getattr(sys, name) is None:
            kind = ClosedOutput if name == "stdout" else ClosedStream
            setattr(sys, name, kind(descriptor))


def require_stdout() -> None:
    """Check that standard output was open when the command started.

    :raises OSError: it was not
    """
    if isinstance(sys.stdout, ClosedOutput):
        sys.stdout.write("")


def flushed_stdout() -> OSError | None:
    """Write out what is left for the standard streams; return the error of standard output.

    A stream that fails is left to the null device: the interpreter would try once more, and
    print a traceback.
    """
    failures: list[OSError | None] = []
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
            failures.append(None)
        except OSError as exc:
            failures.append(exc)
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return failures[0]
