"""The table of ``docs/explanation/libraries.md``, written from what runs found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.downstream.examples import Example
from tests.downstream.package import Backend, Package

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "libraries.md"
BEGIN: Final = "<!-- written by nox -s downstream: from here -->"
END: Final = "<!-- to here -->"
HEAD: Final = (
    "| package | works | on trio | what was driven | what differs |",
    "|---|---|---|---|---|",
)
EXAMPLE_HEAD: Final = ("| example of | on asyncio | on trio | what is run |", "|---|---|---|---|")


@dataclass(frozen=True)
class Row:
    """A package, and on which event loops its driver succeeded."""

    package: Package
    works: Mapping[Backend, bool]

    @property
    def cells(self) -> list[str]:
        """What the table says of it."""
        package = self.package
        why_not = f"no: {package.asyncio_only}"
        works = {
            backend: "refused" if package.refused and works else _yes_or_no(works)
            for backend, works in self.works.items()
        }
        return [
            f"`{package.name}` {package.version}",
            works["asyncio"],
            why_not if package.asyncio_only else works["trio"],
            package.driven,
            package.refused or package.differs,
        ]


@dataclass(frozen=True)
class ExampleRow:
    """An example program, and on which event loops it ran."""

    example: Example
    works: Mapping[Backend, bool]

    @property
    def cells(self) -> list[str]:
        """What the table says of it."""
        example = self.example
        how = "as it stands" if example.runs_itself else "its `main()`"
        why_not = f"no: {example.asyncio_only}"
        return [
            f"`{example.package}`",
            _yes_or_no(self.works["asyncio"]),
            why_not if example.asyncio_only else _yes_or_no(self.works["trio"]),
            how if example.asyncio_only else f"{how}; on trio its `main()`",
        ]


Table = dict[str, list[str]]


def read_tables() -> tuple[Table, Table]:
    """Return the rows of packages, and of examples, by the name of the package."""
    written = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    packages, _, examples = written.partition(EXAMPLE_HEAD[0])
    return _rows(packages), _rows(examples)


def write_tables(
    rows: Iterable[Row], examples: Iterable[ExampleRow], known: Iterable[Package]
) -> None:
    """Put rows into the page; those of other packages stay while these are *known*."""
    packages, shown = read_tables()
    packages |= {row.package.name: row.cells for row in rows}
    shown |= {row.example.package: row.cells for row in examples}
    names = [package.name for package in known]
    text = PAGE.read_text("utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    lines = _lines(
        *([table[name] for name in names if name in table] for table in (packages, shown))
    )
    PAGE.write_text("\n".join([before + BEGIN, *lines, END + after]), "utf-8")


def _rows(text: str) -> Table:
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0].split("`")[1]: cells for cells in table}


def _lines(packages: list[list[str]], examples: list[list[str]]) -> list[str]:
    """Return what stands between the marks: counts, and the tables."""
    working = [cells for cells in packages if cells[1] == "yes"]
    on_trio = [cells for cells in working if cells[2] == "yes"]
    counted = f"{len(working)} packages work, {len(on_trio)} of them on trio as well."
    shown = (
        "Example programs, taken out of the packages' own descriptions when the session runs and",
        "run without a change by `python -m anyhttp.as_aiohttp`:",
    )
    first = [*HEAD, *(f"| {' | '.join(cells)} |" for cells in packages)]
    second = [*EXAMPLE_HEAD, *(f"| {' | '.join(cells)} |" for cells in examples)]
    return ["", counted, "", *first, "", *shown, "", *second, ""]


def _yes_or_no(works: bool) -> str:
    return "yes" if works else "no"
