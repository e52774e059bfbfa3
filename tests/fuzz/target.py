"""What is fuzzed: functions that take any bytes, and the bounds of what an input may cost."""

from __future__ import annotations

import importlib
import pkgutil
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.cost import calls_of

__all__ = ("FOLDER", "Target", "all_targets", "target")

FOLDER: Final = Path(__file__).parent

#: Calls and bytes that an input may take whatever its size: objects are made, caches are filled.
BASE_CALLS: Final = 20_000
BASE_MEMORY: Final = 2 * 1024 * 1024

#: Seconds of processor time that an input may take, which has some thousand bytes at most.  What is
#: linear takes a tenth of that, also on a busy machine; what is not takes minutes.
MAX_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Target:
    """One parser or reader, under attack.

    :param name: also that of its corpus and its dictionary
    :param check: raises an exception if something is wrong with the result for an input
    :param max_size: longest input, in bytes
    :param calls: most calls of functions for each byte of the input
    :param memory: most bytes that are allocated at a time for each byte of the input
    """

    name: str
    check: Callable[[bytes], object]
    max_size: int
    calls: int
    memory: int

    def run(self, data: bytes) -> None:
        """Check *data*, and all that this costs."""
        self.check_quickly(data)
        self.check_cost(data)

    def check_quickly(self, data: bytes) -> None:
        """Check *data*, and the time that it takes; a warning is an error.

        Loops inside of C, as those of expressions that backtrack, can be seen by their time alone.
        """
        seconds = self._seconds(data)
        if seconds > MAX_SECONDS:  # on a busy machine, once is not enough
            seconds = min(self._seconds(data) for _ in range(3))
        assert seconds <= MAX_SECONDS, f"{seconds} seconds for {len(data)} bytes"

    def _seconds(self, data: bytes) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            start = time.thread_time()
            self.check(data)
            return time.thread_time() - start

    def check_cost(self, data: bytes) -> None:
        """Count calls and bytes, apart from each other: that of the calls takes memory too."""
        calls = calls_of(lambda: self.check(data))
        most = BASE_CALLS + self.calls * len(data)
        assert calls <= most, f"{calls} calls for {len(data)} bytes"
        tracemalloc.start()
        try:
            self.check(data)
            _, memory = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        most = BASE_MEMORY + self.memory * len(data)
        assert memory <= most, f"{memory} bytes allocated for {len(data)} bytes"

    @property
    def corpus(self) -> Path:
        """The file with inputs that are worth keeping."""
        return FOLDER / "corpora" / f"{self.name}.txt"

    @property
    def dictionary(self) -> Path:
        """The file with what inputs are made of, in the format of libFuzzer."""
        return FOLDER / "dictionaries" / f"{self.name}.dict"


_TARGETS: Final[dict[str, Target]] = {}


def target(
    *, max_size: int = 2048, calls: int = 50, memory: int = 500
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Make a target of a function, by the function's name."""

    def register(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
        name = check.__name__
        _TARGETS[name] = Target(name, check, max_size, calls, memory)
        return check

    return register


def all_targets() -> dict[str, Target]:
    """Return all targets by their names."""
    for module in pkgutil.iter_modules([str(FOLDER / "targets")]):
        importlib.import_module(f"tests.fuzz.targets.{module.name}")
    return dict(sorted(_TARGETS.items()))
