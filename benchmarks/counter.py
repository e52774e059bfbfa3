"""What is counted in a process while it works: instructions, or CPU time as the check.

Instructions are those of user space, from the processor's own counter where the system lets a
process read it, and from callgrind where it does not: that is some forty times slower, but says
the same.  Load on the machine moves neither.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from .measure import cpu_seconds

Instrument: TypeAlias = Literal["perf", "callgrind", "cpu"]

UNITS: Final[dict[Instrument, str]] = {
    "perf": "instructions",
    "callgrind": "instructions",
    "cpu": "ns of CPU",
}

# What callgrind is told from inside the process; a client request is a macro of C.
MARKS: Final = """\
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void dump(void) { CALLGRIND_DUMP_STATS; }
"""

# A block is copied in a loop: callgrind would count the one instruction that glibc prefers once
# for each byte, the processor counts it once.
TUNABLES: Final = ":".join(
    f"glibc.cpu.x86_rep_{name}_threshold={2**40}" for name in ("movsb", "stosb")
)

# In what callgrind writes.
TOTAL: Final = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)

# perf_event_open(2): its number, and struct perf_event_attr in its first and shortest version.
NUMBERS: Final = {"x86_64": 298, "aarch64": 241}
ATTRIBUTES: Final = struct.Struct("=IIQQQQQIIQ")
HARDWARE: Final = 0
INSTRUCTIONS: Final = 1
INHERIT: Final = 1 << 1  # by threads that are started later
EXCLUDE_KERNEL: Final = 1 << 5
EXCLUDE_HYPERVISOR: Final = 1 << 6


class Counter(Protocol):
    """Counts from ``start`` on; one that has been read is at its end."""

    def start(self) -> None:
        """Begin; what has been before does not count."""
        ...

    def mark(self) -> None:
        """End one part and begin the next."""
        ...

    def figures(self) -> list[int]:
        """Return how much each part was."""
        ...


class _Total:
    """A counter that can be read while it runs."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._totals: list[int] = []

    def start(self) -> None:
        self._totals.append(self._read())

    def mark(self) -> None:
        self._totals.append(self._read())

    def figures(self) -> list[int]:
        return [after - before for before, after in pairwise(self._totals)]


class _Callgrind:
    """callgrind, under which this process has to be running; see ``command_prefix``."""

    def __init__(self, directory: Path) -> None:
        self._marks = ctypes.CDLL(str(directory / "marks.so"))
        self._out = directory / str(os.getpid())
        self._dumps = 0

    def start(self) -> None:
        self._marks.start()

    def mark(self) -> None:
        self._marks.dump()
        self._dumps += 1

    def figures(self) -> list[int]:
        # Only now: reading the files takes instructions as well.
        dumps = [self._out.with_suffix(f".{number + 1}") for number in range(self._dumps)]
        found = [TOTAL.search(dump.read_text()) for dump in dumps]
        return [int(total[1]) for total in found if total is not None]


def open_perf() -> Callable[[], int]:
    """Open the processor's own counter of this process and the threads it starts from now on.

    :return: what reads the counter
    :raises OSError: there is none, or the system keeps it to itself
    """
    number = NUMBERS.get(platform.machine())
    if number is None or platform.system() != "Linux":
        raise OSError("perf_event_open is not known on this machine")
    flags = INHERIT | EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR
    fields = (HARDWARE, ATTRIBUTES.size, INSTRUCTIONS, 0, 0, 0, flags, 0, 0, 0)
    attributes = ctypes.create_string_buffer(ATTRIBUTES.pack(*fields))
    library = ctypes.CDLL(None, use_errno=True)
    file: int = library.syscall(number, attributes, 0, -1, -1, ctypes.c_ulong(0))
    if file < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return lambda: int.from_bytes(os.read(file, 8), sys.byteorder)


def counter_for(instrument: Instrument, directory: Path) -> Counter:
    """Return the counter of this process."""
    if instrument == "callgrind":
        return _Callgrind(directory)
    return _Total(open_perf() if instrument == "perf" else cpu_nanoseconds)


def cpu_nanoseconds() -> int:
    """Return the CPU time of this process, user's and system's."""
    return round(cpu_seconds() * 1e9)


def best_instrument() -> Instrument:
    """Return what counts instructions on this machine.

    :raises RuntimeError: nothing does
    """
    try:
        open_perf()
    except OSError as exc:
        missing = [name for name in ("valgrind", "cc") if shutil.which(name) is None]
        if missing:
            reason = f"{exc}; for callgrind {' and '.join(missing)} would be needed"
            raise RuntimeError(f"instructions cannot be counted here: {reason}") from exc
        return "callgrind"
    return "perf"


def command_prefix(instrument: Instrument, directory: Path) -> list[str]:
    """Return what has to stand before the command of a process that counts.

    :param directory: for the files of callgrind
    """
    if instrument != "callgrind":
        return []
    library = directory / "marks.so"
    if not library.exists():
        source = library.with_suffix(".c")
        source.write_text(MARKS)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    options = ("--tool=callgrind", "--instr-atstart=no", "--quiet")
    out = f"--callgrind-out-file={directory}/%p"
    return ["env", f"GLIBC_TUNABLES={TUNABLES}", "valgrind", *options, out]
