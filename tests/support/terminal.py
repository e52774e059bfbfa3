"""A terminal of its own for a process: what is typed, what is shown, and how wide it is."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from typing import Final

#: How long a process may need to start on a busy machine, in seconds.
PATIENCE: Final = 30.0
COLUMNS: Final = 100
ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class RealTerminal:
    """A terminal, and a process that it controls.

    The process is the first of a session.  So it gets the signals of the terminal: Ctrl-C, and that
    the size has changed.

    :param command: the process to start
    """

    def __init__(self, *command: str) -> None:
        self._ours, theirs = pty.openpty()
        self._shown = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.resize(COLUMNS)
        environment = {**os.environ, "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        # A session without a terminal is controlled by the first one that it opens.
        opening = f'exec "$@" < {os.ttyname(theirs)} > {os.ttyname(theirs)} 2>&1'
        self._process = subprocess.Popen(
            ["sh", "-c", opening, "sh", *command],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=environment,
        )
        self._theirs = theirs

    def resize(self, columns: int) -> None:
        """Make it *columns* wide."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def type(self, text: str) -> None:
        """Type *text*; character 3 is Ctrl-C."""
        os.write(self._ours, text.encode())

    def wait_for(self, pattern: str) -> str:
        """Wait until *pattern* is shown, and return what was shown up to its end."""
        end = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self._shown)) is None:
            arrived = self._read() and time.monotonic() < end
            assert arrived, f"{pattern} is not shown: {self._shown!r}"
        shown, self._shown = self._shown[: found.end()], self._shown[found.end() :]
        return shown

    def _read(self) -> bool:
        """Read more of what is shown; return whether there was something."""
        if not select.select([self._ours], [], [], PATIENCE)[0]:
            return False
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # how Linux reports that the other side is closed
            return False
        self._shown += self._decoder.decode(piece)
        return True

    def wait(self) -> tuple[int, str]:
        """Wait for the end of the process: its status, and the rest of what was shown."""
        os.close(self._theirs)
        self._theirs = -1
        end = time.monotonic() + PATIENCE
        while self._read():
            assert time.monotonic() < end, f"the process goes on: {self._shown!r}"
        return self._process.wait(PATIENCE), self._shown

    def close(self) -> None:
        """End the process if it runs, and close the terminal."""
        self._process.kill()
        self._process.wait()
        for descriptor in {self._ours, self._theirs} - {-1}:
            os.close(descriptor)


def visible(shown: str) -> str:
    """Return what is left of *shown* without escape sequences."""
    return ESCAPE.sub("", shown)


def frames(shown: str) -> Sequence[str]:
    """Return the states of a line that is drawn again and again."""
    return [visible(frame) for frame in re.split(r"[\r\n]+", shown) if visible(frame)]
