"""Draw the plots of the pages about performance from the tables there.

``python -m benchmarks.plots`` does so, and ``python -m benchmarks.page`` as its last step.  A plot
has no figures of its own, so that none can differ from the table beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import svg
from .marks import filled

EXPLANATION: Final = Path(__file__).parent.parent / "docs" / "explanation"
FIGURES: Final = EXPLANATION / "performance-figures.md"
SUMMARY: Final = EXPLANATION / "performance.md"
DIRECTORY: Final = EXPLANATION / "performance"

#: What the first page shows, by the names that the rows have on the page of figures.
SHOWN: Final[Mapping[str, str]] = {
    "small GET, 1 in flight": "small GET",
    "small GET, 50 in flight": "small GET, 50 at a time",
    "two cookies set by each response": "GET, with two new cookies",
    "GET of 100 kB, `read()`": "GET of 100 kB",
    "250 kB of lines of 50 bytes, `async for line in resp.content`": "250 kB, line by line",
    "20 events that come one by one, `iter_any()`": "20 events that come one by one",
    "POST of 10 MB of bytes": "POST of 10 MB of bytes",
    "multipart form with that file": "multipart form with a file of 10 MB",
    "GET over a new TCP connection each": "GET over a new TCP connection",
    "GET over a new TLS connection each": "GET over a new TLS connection",
    "WebSocket, flood of messages of 20 bytes received": "WebSocket, messages received",
    "WebSocket, echo of 20 bytes": "WebSocket, echo of 20 bytes",
}
#: Those beside which the first page shows it.
PEERS: Final = ("httpx2-asyncio", "pyreqwest-asyncio", "websockets-asyncio")
TITLE: Final = "how many times as many instructions {} takes (more is better, the line is 1)"


@dataclass(frozen=True, slots=True)
class Work:
    """A row of a table, for all backends.

    :ivar ratios: by client: how many times as much the yardstick takes
    """

    title: str
    ratios: dict[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of rows that belong together.

    :ivar yardstick: with whom all are compared
    """

    group: str
    yardstick: str
    rows: list[Work]

    @property
    def name(self) -> str:
        """The name of its plot."""
        return f"instructions-{re.sub('[ /]', '-', self.group).lower()}"

    @property
    def title(self) -> str:
        """What its plot shows."""
        return f"{self.group}: {TITLE.format(self.yardstick)}"


def tables(page: str) -> Iterator[Table]:
    """Yield the tables of instructions on the page of figures."""
    block = page.partition("<!-- begin: instructions -->")[2].partition("<!-- end:")[0]
    for section in block.split("\n### ")[1:]:
        group, _, text = section.partition("\n")
        head, _, *lines = [line for line in text.splitlines() if line.startswith("|")]
        table = Table(group, _cells(head)[2], [])
        for line in lines:
            title, backend, _, _, ratio, _, _, others = _cells(line)
            if title:
                table.rows.append(Work(title, {}))
            ratios = table.rows[-1].ratios
            if ratio != "-":
                ratios[f"anyhttp-{backend}"] = float(ratio)
            ratios |= {name: float(x) for name, x in re.findall(r"([\w-]+) ([\d.]+)", others)}
        yield table


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _bars(rows: Iterable[Work], peers: Iterable[str] = ()) -> list[svg.Group]:
    groups = list[svg.Group]()
    for row in rows:
        bars = [(name, x) for name, x in row.ratios.items() if name.startswith("anyhttp-")]
        bars += [(name, row.ratios[name]) for name in peers if name in row.ratios]
        groups.append(svg.Group(row.title.replace("`", ""), bars))
    return groups


def shown(page: str) -> list[Work]:
    """Return the rows of the first page."""
    found = {row.title: row for table in tables(page) for row in table.rows}
    return [Work(name, found[title].ratios) for title, name in SHOWN.items()]


def summary_lines(page: str) -> Iterator[str]:
    """Yield the table of the first page."""
    names = ("anyhttp-asyncio", "anyhttp-trio", *PEERS)
    yield f"| work | {' | '.join(name.replace('-', ', ') for name in names)} |"
    yield f"|---|{'---|' * len(names)}"
    for row in shown(page):
        cells = [f"{row.ratios[name]:.2f}" if name in row.ratios else "" for name in names]
        yield f"| {row.title} | {' | '.join(cells)} |"


def drawings(page: str) -> dict[str, str]:
    """Return all plots of the page of figures, and that of the first page, by their names."""
    found = {
        table.name: svg.bars(table.title, _bars(table.rows), mark=1.0) for table in tables(page)
    }
    found["summary"] = svg.bars(TITLE.format("aiohttp"), _bars(shown(page), PEERS), mark=1.0)
    return found


def included(name: str) -> str:
    """Return the lines by which a page holds a plot.

    It becomes a part of the page, and not an image, so that its colours follow those of the page.
    """
    return f"```{{raw}} html\n:file: {DIRECTORY.name}/{name}.svg\n```\n"


def main() -> None:
    """Draw everything, and fill the table of the first page."""
    page = FIGURES.read_text("utf-8")
    DIRECTORY.mkdir(exist_ok=True)
    for name, drawing in drawings(page).items():
        (DIRECTORY / f"{name}.svg").write_text(drawing, "utf-8")
    lines = [*summary_lines(page), "", included("summary")]
    SUMMARY.write_text(filled(SUMMARY.read_text("utf-8"), "summary", lines), "utf-8")


if __name__ == "__main__":
    main()
