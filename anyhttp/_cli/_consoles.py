"""Standard output and standard error for what rich prints, and what happens if that fails."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO, Any, Final, cast

from rich.console import Console

from ._failures import STDOUT, named


class NamedOutput:
    """Standard output, whose errors say that it is the one that cannot be written."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream: Final = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write *text*."""
        with named(STDOUT):
            return self._stream.write(text)

    def flush(self) -> None:
        """Write out what has been held back."""
        with named(STDOUT):
            self._stream.flush()


class LossyOutput(NamedOutput):
    """Standard error: what cannot be written is lost, and the command goes on."""

    def write(self, text: str) -> int:
        """Write *text*, if that is possible."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write out what has been held back, if that is possible."""
        with suppress(OSError):
            self._stream.flush()


def output_console() -> Console:
    """Return the console that prints on standard output."""
    return Console(file=cast("IO[str]", NamedOutput(sys.stdout)), highlight=False)


def error_console() -> Console:
    """Return the console that prints on standard error."""
    return Console(file=cast("IO[str]", LossyOutput(sys.stderr)), highlight=False)
