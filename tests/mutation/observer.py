"""Which test runs which lines of the functions that are mutated, and how long each test takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, Final

monitoring: Final[Any] = vars(sys)["monitoring"]  # since Python 3.12
TOOL: Final[int] = monitoring.PROFILER_ID


@dataclass
class Observed:
    """What a test has done; lines are named with the file of the package that has them.

    :param seconds: of CPU time
    """

    lines: set[tuple[str, int]] = field(default_factory=set)
    seconds: float = 0.0


class Observer:
    """Observes the functions of files while tests run."""

    def __init__(self, functions: Iterable[tuple[str, FunctionType]]) -> None:
        self._files: dict[CodeType, str] = {
            code: file for file, function in functions for code in _with_inner(function.__code__)
        }
        self._now = Observed()
        monitoring.use_tool_id(TOOL, "mutation")
        monitoring.register_callback(TOOL, monitoring.events.LINE, self._on_line)
        for code in self._files:
            monitoring.set_local_events(TOOL, code, monitoring.events.LINE)

    @contextmanager
    def observing(self) -> Iterator[Observed]:
        """Observe during the block."""
        self._now = observed = Observed()
        monitoring.restart_events()
        started = time.process_time()
        yield observed
        observed.seconds = time.process_time() - started

    def _on_line(self, code: CodeType, line: int) -> object:
        self._now.lines.add((self._files[code], line))
        return monitoring.DISABLE  # until the next test


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
