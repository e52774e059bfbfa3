"""The table of ``docs/explanation/libraries.md``, written from what runs found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.downstream.package import Backend, Package

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "libraries.md"
BEGIN: Final = "<!-- written by nox -s downstream: from here -->"
END: Final = "<!-- to here -->"
HEAD: Final = (
    "| package | works | on trio | what was driven | what differs |",
    "|---|---|---|---|---|",
)


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
        return [
            f"`{package.name}` {package.version}",
            "refused" if package.refused else _yes_or_no(self.works["asyncio"]),
            why_not if package.asyncio_only else _yes_or_no(self.works["trio"]),
            package.driven,
            package.refused or package.differs,
        ]


def read_table() -> list[list[str]]:
    """Return the cells of every row that the page has."""
    written = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in written.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def write_table(rows: Iterable[Row], known: Iterable[Package]) -> None:
    """Put *rows* into the page; rows of other packages stay while those are *known*."""
    table = {cells[0].split("`")[1]: cells for cells in read_table()}
    table |= {row.package.name: row.cells for row in rows}
    names = [package.name for package in known if package.name in table]
    text = PAGE.read_text("utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    lines = _lines([table[name] for name in names])
    PAGE.write_text("\n".join([before + BEGIN, *lines, END + after]), "utf-8")


def _lines(table: list[list[str]]) -> list[str]:
    """Return what stands between the marks: a count, and the table."""
    working = [cells for cells in table if cells[1] == "yes"]
    on_trio = [cells for cells in working if cells[2] == "yes"]
    counted = f"{len(working)} packages work, {len(on_trio)} of them on trio as well."
    return ["", counted, "", *HEAD, *(f"| {' | '.join(cells)} |" for cells in table), ""]


def _yes_or_no(works: bool) -> str:
    return "yes" if works else "no"
