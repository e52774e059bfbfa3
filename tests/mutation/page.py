"""The figures in ``docs/explanation/checks.md``, written from what runs found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tests.mutation.targets import ROOT

PAGE: Final = ROOT / "docs" / "explanation" / "checks.md"
BEGIN: Final = "<!-- written by nox -s mutation: from here -->"
END: Final = "<!-- to here -->"
HEAD: Final = "| target | changes | noticed | of these, never ended | known not to be noticed |"


def read_rows() -> dict[str, list[str]]:
    """Return the cells of the table by the names of the targets."""
    lines = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {cells[0]: cells for cells in rows[4:] if len(cells) > 1}


def write_rows(rows: Iterable[list[str]], names: Sequence[str]) -> None:
    """Put *rows* into the table; those of other targets stay while they are in *names*."""
    known = read_rows() | {cells[0]: cells for cells in rows}
    lines = [f"| {' | '.join(known[name])} |" for name in names if name in known]
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    text = "\n".join([before + BEGIN, "", HEAD, "|---|---|---|---|---|", *lines, "", END])
    PAGE.write_text(text + rest.partition(END)[2], "utf-8")
