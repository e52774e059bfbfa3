"""The page about the long runs, and its plots."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Final

from anyhttp import __version__
from benchmarks import svg
from benchmarks.marks import filled

from .samples import Sample
from .verdict import MEBIBYTE, Run, condensed

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "soak.md"

#: Of how many points a line is made at most.
POINTS: Final = 240


def write_page(runs: Sequence[Run], *, minutes: float, seed: int, in_flight: int) -> None:
    """Write the plots and the figures."""
    folder = PAGE.with_suffix("")
    folder.mkdir(exist_ok=True)
    for run in runs:
        (folder / f"{run.backend}.svg").write_text(plot(run), "utf-8")
    text = PAGE.read_text("utf-8")
    text = filled(text, "runs", run_lines(runs, minutes=minutes, seed=seed, in_flight=in_flight))
    PAGE.write_text(filled(text, "kinds", kind_lines(runs)), "utf-8")


def plot(run: Run) -> str:
    """Draw what was sampled."""
    samples = run.samples
    began, minutes = samples[0].at, (samples[-1].at - samples[0].at) / 60

    def line(values: Sequence[float]) -> list[float]:
        return condensed(values, POINTS)

    pace = [later.requests - earlier.requests for earlier, later in pairwise(samples)]
    panels = [
        svg.Panel("resident memory, MiB", {"": line([s.memory / MEBIBYTE for s in samples])}),
        svg.Panel(
            "memory blocks of Python objects, thousands",
            {"": line([s.objects / 1000 for s in samples])},
        ),
        svg.Panel("open descriptors", {"": line([s.descriptors for s in samples])}),
        svg.Panel("tasks", {"": line([s.tasks for s in samples])}),
        svg.Panel(
            "connections in use, idle, and requests that wait for one",
            {
                "in use": line([s.in_use for s in samples]),
                "idle": line([s.idle for s in samples]),
                "waiting": line([s.waiting for s in samples]),
            },
        ),
        svg.Panel(
            "latency, ms",
            {
                "median": line([s.median * 1000 for s in samples]),
                "99 %": line([s.slow * 1000 for s in samples]),
            },
        ),
        svg.Panel("requests a second", {"": line(pace)}),
    ]
    bands = [((each.stopped - began) / 60, (each.started - began) / 60) for each in run.restarts]
    return svg.timelines(
        f"{run.backend}: marked where a server was restarted", minutes, panels, bands
    )


def run_lines(runs: Sequence[Run], *, minutes: float, seed: int, in_flight: int) -> Iterator[str]:
    """Yield the figures of all runs."""
    yield (
        f"Made on {datetime.now(UTC):%Y-%m-%d} by `nox -s soak -- {minutes:g} {seed}`: "
        f"{minutes:g} minutes on each event loop, {in_flight} requests at a time, on "
        f"CPython {platform.python_version()}, anyhttp {__version__}, anyio {version('anyio')}, "
        f"trio {version('trio')}, uvloop {version('uvloop')}, {os.cpu_count()} processors."
    )
    yield ""
    yield "| | " + " | ".join(run.backend for run in runs) + " |"
    yield "|---|" + "---|" * len(runs)

    def row(name: str, cells: Sequence[object]) -> str:
        return f"| {name} | " + " | ".join(str(cell) for cell in cells) + " |"

    outcomes = [run.outcome for run in runs]
    rights = [sum(sum(row.values()) for row in each.right.values()) for each in outcomes]
    yield row("requests that went as they have to", [f"{count:,}" for count in rights])
    yield row("cancelled", [f"{each.cancelled:,}" for each in outcomes])
    yield row("ended by a short time limit", [f"{each.timed_out:,}" for each in outcomes])
    yield row("failed while a server was away", [f"{each.failed:,}" for each in outcomes])
    yield row("restarts of a server", [len(run.restarts) for run in runs])
    for at, growth in enumerate(runs[0].growths()):
        bound = growth.bound
        name = f"{bound.name}, {bound.unit}" if bound.unit else bound.name
        each = [run.growths()[at] for run in runs]
        yield row(f"{name}: median", [f"{g.median / bound.scale:,.4g}" for g in each])
        cells = [f"{g.grown / bound.scale:+.3g} (≤ {g.allowed / bound.scale:.3g})" for g in each]
        yield row(f"{name}: growth", cells)
    yield row(
        "descriptors before, at most, after", [_passage(run, 0, "descriptors") for run in runs]
    )
    yield row("tasks before, at most, after", [_passage(run, 1, "tasks") for run in runs])
    yield row("latency of the slowest 1 %, ms: median", [_slow(run.samples) for run in runs])
    for run in runs:
        # A part of the page, and not an image, so that its colours follow those of the page.
        yield from ("", "```{raw} html", f":file: soak/{run.backend}.svg", "```")


def _passage(run: Run, at: int, name: str) -> str:
    most = max(getattr(sample, name) for sample in run.samples)
    return f"{run.outcome.before[at]}, {most}, {run.outcome.after[at]}"


def _slow(samples: Sequence[Sample]) -> str:
    return f"{statistics.median(sample.slow for sample in samples) * 1000:,.0f}"


def kind_lines(runs: Sequence[Run]) -> Iterator[str]:
    """Yield how often each kind of request was made."""
    yield "| kind | over | " + " | ".join(run.backend for run in runs) + " |"
    yield "|---|---|" + "---|" * len(runs)
    for kind, places in sorted(runs[0].outcome.right.items()):
        counts = [f"{sum(run.outcome.right.get(kind, {}).values()):,}" for run in runs]
        yield f"| `{kind}` | {', '.join(sorted(places))} | {' | '.join(counts)} |"
