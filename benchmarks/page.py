"""Put the figures of a run into the documentation: ``python -m benchmarks.page``.

It reads what ``python -m benchmarks`` has written, with the figures of WebSockets if they are
beside it, and what ``python -m benchmarks.instructions`` has; whatever is there of the two.  It
replaces what stands between the marks in the page of figures, and has the plots drawn from that.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeAlias

from . import plots
from .clients import YARDSTICK
from .footprint import FOOTPRINTS
from .instructions import (
    RESULTS as COUNTED,
    Counts,
    peers,
    row_cells,
    scale_cells,
)
from .marks import filled
from .measure import Sample
from .report import duration, figures
from .rows import ROWS, SCALE
from .targets import TARGETS, Costs, Target
from .workloads import WORKLOADS

RESULTS: Final = Path(__file__).parent / "results"

# Of the groups of rows, those whose yardstick is not aiohttp.
YARDSTICKS: Final = {"HTTP/2": "httpx2"}

Samples: TypeAlias = Mapping[str, Mapping[str, Sequence[Sample]]]

WEBSOCKETS: Final = {
    "echo20": "WebSocket echo of 20 bytes",
    "echo10k": "WebSocket echo of 10 kB",
    "echo1m": "WebSocket echo of 1 MB",
}
TITLES: Final = {w.name: w.title for w in WORKLOADS} | WEBSOCKETS


def read_samples(path: Path) -> tuple[dict[str, Any], Samples]:
    """Return the file of the main benchmarks, and the samples in it."""
    document: dict[str, Any] = json.loads(path.read_text())
    samples: dict[str, dict[str, list[Sample]]] = {}
    for result in document["results"]:
        taken = [Sample(**sample) for sample in result["rounds"]]
        samples.setdefault(result["workload"], {})[result["client"]] = taken
    return document, samples


def read_websockets(path: Path) -> Samples:
    """Return the samples of the WebSocket benchmarks that the page shows."""
    if not path.exists():
        return {}
    taken: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(path.read_text())["samples"]
    return {
        workload: {client: [Sample(**s) for s in rounds] for client, rounds in clients.items()}
        for workload, clients in taken.items()
        if workload in WEBSOCKETS
    }


def costs_of(samples: Samples, footprints: Costs) -> Costs:
    """Return the CPU seconds per request of each round, and the footprints."""
    costs = {
        workload: {client: [s.cpu / s.requests for s in taken] for client, taken in rows.items()}
        for workload, rows in samples.items()
    }
    return {**costs, **footprints}


# -- tables ----------------------------------------------------------------------------


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _head(*cells: str) -> list[str]:
    return [_row(*cells), f"|{'---|' * len(cells)}"]


def _percent(spread: float | None) -> str:
    return "-" if spread is None else f"{spread:.0%}"


def machine_block(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the figures were taken on."""
    yield from _head("", "")
    yield _row("taken", document["taken"])
    for name, value in document["machine"].items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{package} {version}" for package, version in value.items())
        yield _row(name, "any" if value is None else value)
    yield _row("command", f"`{document['command']}`")


def _compared_with(target: Target) -> str:
    if target.workload != target.others[0][0]:
        return "itself at 50 in flight"
    names = [client for _, client in target.others]
    return names[0] if len(names) == 1 else f"the best of {', '.join(names)}"


def targets_block(costs: Costs) -> Iterator[str]:
    """Yield the table of goals and of what was measured."""
    yield from _head("work", "on", "compared with", "goal", "measured", "spread", "")
    for target in TARGETS:
        sign = "≤" if target.kind == "cost" else "≥"
        backend = target.client.split("-")[1]  # it is always anyhttp
        cells = [target.work, backend, _compared_with(target), f"{sign} {target.asked:g}x"]
        if ratio := target.measured(costs):
            verdict = "" if target.is_met(ratio) else "**short**"
            cells += [f"{ratio.median:.2f}x", _percent(ratio.spread), verdict]
        else:
            cells += ["-", "-", "not measured"]
        yield _row(*cells)


def tables_block(samples: Samples, footprints: Costs) -> Iterator[str]:
    """Yield a table for each workload and each footprint, the cheapest client first."""
    for name, rows in samples.items():
        yield f"### `{name}`: {TITLES[name]}\n"
        yield from _head("client", "CPU", "spread", "x", "wall clock", "spread", "x", "rounds")
        yardstick = rows.get(YARDSTICK.name, ())
        found = [(*figures(taken, yardstick), client, taken) for client, taken in rows.items()]
        for cpu, wall, client, taken in sorted(found, key=lambda row: row[0].median):
            cells = list[str]()
            for figure in (cpu, wall):
                ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
                cells += [duration(figure.median), _percent(figure.spread), ratio]
            yield _row(client, *cells, len(taken))
        yield ""
    for kind in FOOTPRINTS:
        if not (taken_by := footprints.get(kind.name)):
            continue
        yield f"### `{kind.name}`: {kind.title}\n"
        yield from _head("client", kind.unit, "spread", "rounds")
        for client, values in sorted(taken_by.items(), key=lambda item: statistics.median(item[1])):
            median = statistics.median(values)
            spread = (max(values) - min(values)) / median if len(values) > 1 else None
            yield _row(client, f"{median * kind.scale:.1f}", _percent(spread), len(values))
        yield ""


# -- instructions ----------------------------------------------------------------------


def instructions_block(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a plot and a table for each group of rows that were counted."""
    counts: Counts = document["counts"]
    versions = ", ".join(f"{k} {v}" for k, v in document["machine"]["versions"].items())
    python = document["machine"]["python"]
    yield f"Counted on {document['taken']} by {document['instrument']}: {python}, {versions}.\n"
    for group, members in groupby(ROWS, lambda row: row.group):
        rows = [row for row in members if row.name in counts]
        if not rows:
            continue
        compared = YARDSTICKS.get(group, "aiohttp")
        table = plots.Table(f"{group[0].upper()}{group[1:]}", compared, [])
        yield f"### {table.group}\n"
        yield plots.included(table.name)
        yield from _head("work", "on", compared, "anyhttp", "x", "goal", "", "others, x")
        for row in rows:
            title, others = row.title, peers(counts[row.name])
            for backend, theirs, own, value, asked, verdict in row_cells(row, counts[row.name]):
                verdict = f"**{verdict}**" if verdict else ""
                yield _row(title, backend, theirs, own, value, f"≥ {asked}", verdict, others)
                title = others = ""
        yield ""


def scale_block(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table for each way in which the work was made larger."""
    counts: Counts = document["counts"]
    for group, members in groupby(SCALE, lambda row: row.group):
        rows = [row for row in members if row.name in counts]
        if rows:
            yield from _head(group, "aiohttp on asyncio", "anyhttp on asyncio", "anyhttp on trio")
        for row in rows:
            yield _row(row.title.partition(" ")[0], *scale_cells(counts[row.name]))
        yield ""


# -- the page --------------------------------------------------------------------------


def main() -> None:
    """Fill the page of figures, and draw the plots."""
    parser = argparse.ArgumentParser("python -m benchmarks.page", description=__doc__)
    parser.add_argument("--json", type=Path, default=RESULTS / "latest.json", dest="path")
    parser.add_argument("--ws-json", type=Path, default=RESULTS / "latest-ws.json", dest="ws_path")
    parser.add_argument("--instructions-json", type=Path, default=COUNTED, dest="counted_path")
    options = parser.parse_args()
    page: str = plots.FIGURES.read_text("utf-8")
    if options.path.exists():
        page = with_costs(page, options.path, options.ws_path)
    if options.counted_path.exists():
        document: dict[str, Any] = json.loads(options.counted_path.read_text())
        page = filled(page, "instructions", instructions_block(document))
        page = filled(page, "scale", scale_block(document))
    plots.FIGURES.write_text(page, "utf-8")
    plots.main()


def with_costs(page: str, path: Path, websockets: Path) -> str:
    """Return *page* with the figures of CPU time."""
    document, http = read_samples(path)
    samples = {**http, **read_websockets(websockets)}
    footprints: Costs = document["footprints"]
    for block, lines in (
        ("machine", machine_block(document)),
        ("targets", targets_block(costs_of(samples, footprints))),
        ("tables", tables_block(samples, footprints)),
    ):
        page = filled(page, block, lines)
    return page


if __name__ == "__main__":
    main()
