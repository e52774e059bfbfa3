"""The mutants that are known to survive, each with its reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # it imports mutmut
    from tests.mutation.mutants import Mutant

FOLDER: Final = Path(__file__).parent / "survivors"


@dataclass(frozen=True)
class Survivor:
    """A change of a function that no test notices.

    It is named by the lines that are changed, so that it is found again wherever the function
    stands, and whatever else is changed in it.

    :param why: the reason for which there is no test of it
    """

    file: str
    function: str
    was: str
    now: str
    why: str

    def is_of(self, mutant: Mutant) -> bool:
        """Whether *mutant* is this change."""
        return mutant.key == (self.file, self.function, self.was, self.now)


def read_survivors(target: str) -> list[Survivor]:
    """Return the survivors of a target that are named in its file; none without a file.

    A table of the file has the keys ``file``, ``function`` and ``why``, and as ``changes`` pairs
    of lines: before, and after.
    """
    path = FOLDER / f"{target}.toml"
    if not path.exists():
        return []
    tables = tomllib.loads(path.read_text("utf-8"))["survivor"]
    return [
        Survivor(table["file"], table["function"], was, now, table["why"])
        for table in tables
        for was, now in table["changes"]
    ]


def as_table(mutants: Iterable[Mutant]) -> str:
    """Return *mutants* as tables of a file of survivors, without the reasons."""
    by_function: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
    for mutant in mutants:
        changes = by_function.setdefault((mutant.file, mutant.function), {})
        changes[mutant.was, mutant.now] = None
    return "\n".join(
        f'[[survivor]]\nfile = {_quoted(file)}\nfunction = {_quoted(function)}\nwhy = ""\n'
        "changes = [\n"
        + "".join(f"    [{_quoted(was)}, {_quoted(now)}],\n" for was, now in changes)
        + "]\n"
        for (file, function), changes in by_function.items()
    )


def _quoted(text: str) -> str:
    if "'" in text:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"'{text}'"
