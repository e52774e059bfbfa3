"""Which cases are run: some of each cell, or all."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from itertools import cycle, product
from typing import Final

from .model import Fault, Phase, by_phase
from .runner import MODES, Mode
from .table import TABLE

Backend = tuple[str, dict[str, bool]]

BACKENDS: Final[dict[str, Backend]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
READERS: Final = ("auto", "h11")


@dataclass(frozen=True)
class Case:
    """A cell of the table, and how it is tried."""

    phase: Phase
    fault: Fault
    backend: str
    reader: str
    modes: tuple[Mode, ...]
    positions: tuple[int, ...]

    @property
    def id(self) -> str:
        """The name of the test."""
        modes = "+".join(mode.name for mode in self.modes)
        return f"{self.phase.title}-{self.fault.name.lower()}-{self.backend}-{self.reader}-{modes}"

    @property
    def runs(self) -> list[tuple[int, Mode]]:
        """Each position with its mode.

        The modes take turns, and begin with another one for each backend and reader.
        """
        if len(self.positions) == 1:
            return [(self.positions[0], mode) for mode in self.modes]
        start = self.positions[0] + 2 * READERS.index(self.reader) + len(self.backend)
        modes = cycle(self.modes[start % len(self.modes) :] + self.modes[: start % len(self.modes)])
        return list(zip(self.positions, modes, strict=False))


def installed_backends() -> list[str]:
    """Return the backends that can be used here."""
    return [name for name in BACKENDS if name != "uvloop" or importlib.util.find_spec("uvloop")]


def some_cases() -> list[Case]:
    """Return each cell once; backend, reader and mode change from one to the next."""
    backends, readers = installed_backends(), READERS
    turns = list(product(MODES, readers, backends))
    # A step without a common divisor with their number: neighbours differ in all three.
    step = next(number for number in (7, 5, 11) if len(turns) % number)
    cases = []
    for number, (phase, fault) in enumerate(by_phase(TABLE)):
        mode, reader, backend = turns[number * step % len(turns)]
        positions = tuple(phase.positions(fault, every=False))
        cases.append(Case(phase, fault, backend, reader, (mode,), positions))
    return cases


def all_cases() -> list[Case]:
    """Return every position of each cell, on each backend and with each reader."""
    cases = []
    for phase, fault in by_phase(TABLE):
        readers = READERS if phase.conversation.has_readers else READERS[:1]
        positions = tuple(phase.positions(fault, every=True))
        for backend, reader in product(installed_backends(), readers):
            cases.append(Case(phase, fault, backend, reader, MODES, positions))
    return cases
