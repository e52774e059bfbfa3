"""Processes that are forked to run tests, and the end of those that do not end."""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

MEMORY: Final = 3 * 1024**3  # of one process, as a mutant may never stop to fill a list
IDLE_SECONDS: Final = 10.0  # after which a process that does nothing is ended
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Fork:
    """A process that runs a function and sends back what that returns.

    It is ended when it has used more CPU time than it may, or has neither used nor wanted any
    for a while: neither depends on how busy the machine is.
    """

    pid: int
    pipe: int
    cpu_limit: float
    _received: bytearray = field(default_factory=bytearray)
    _wanted: float = 0.0  # CPU time that it has used or waited for
    _active: float = field(default_factory=time.monotonic)
    has_timed_out: bool = False
    is_over: bool = False

    @classmethod
    def start(cls, function: Callable[[], object], *, cpu_limit: float) -> Fork:
        """Fork a process."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _run(function, writer)
        os.close(writer)
        os.set_blocking(reader, False)
        return cls(pid, reader, cpu_limit)

    def check(self) -> None:
        """Read what has been sent, see whether that was all, and check the limits."""
        try:
            while received := os.read(self.pipe, 65536):
                self._received += received
        except BlockingIOError:
            self._check_limits()
        else:
            self.is_over = True

    def result(self) -> Any:
        """Return what the function has returned, or ``None`` if the process has failed.

        What it may have started is ended too.
        """
        os.close(self.pipe)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # not even made a group, or all gone
        os.waitpid(self.pid, 0)
        return pickle.loads(self._received) if self._received else None

    def _check_limits(self) -> None:
        used, wanted = _times(self.pid)
        now = time.monotonic()
        if abs(wanted - self._wanted) > 0.05:
            self._wanted, self._active = wanted, now
        if used > self.cpu_limit or now > self._active + IDLE_SECONDS:
            self.has_timed_out = True
            os.kill(self.pid, signal.SIGKILL)


def wait_for_any(forks: Sequence[Fork]) -> None:
    """Wait until one of them is over."""
    while not any(fork.is_over for fork in forks):
        select.select([fork.pipe for fork in forks], [], [], 0.5)
        for fork in forks:
            fork.check()


def _run(function: Callable[[], object], writer: int) -> NoReturn:
    """Be the forked process."""
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        result = pickle.dumps(function())
        while result:
            result = result[os.write(writer, result) :]
    finally:
        os._exit(0)


def _times(pid: int) -> tuple[float, float]:
    """Return the CPU time of a process, and that with the time in which its threads waited for it.

    A process that is gone has none.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / TICKS
        waited = 0
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as stat:
                waited += int(stat.read().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, sys.float_info.max
    return used, used + waited / 1e9
