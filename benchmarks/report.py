"""From samples to a table, and to a file that keeps them all."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import anyhttp

from . import footprint
from .clients import YARDSTICK
from .measure import Sample
from .workloads import Workload

# Everything whose version can move a figure.
PACKAGES: Final = (
    *("aiohttp", "httpx", "httpx2", "niquests", "picows", "pyreqwest", "websockets", "zapros"),
    *("anyio", "trio", "uvloop", "h11", "multidict", "yarl"),
)

COLUMNS: Final = "{:26} {:>10} {:>7} {:>6}  {:>10} {:>7} {:>6}  {:>8} {:>6}"


@dataclass(slots=True)
class Run:
    """All samples of one invocation, and what they were taken on.

    :ivar samples: by workload, then client; one entry per round, up to a failure
    :ivar footprints: by their name, then client; one figure per round
    :ivar failures: by workload or footprint, then client: what went wrong
    :ivar skipped: by client: what is not installed
    """

    machine: dict[str, object]
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    footprints: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figure:
    """The median over the rounds, and how far apart they were.

    :ivar median: seconds per request
    :ivar spread: largest minus smallest, as a part of the median; None for a single round
    :ivar ratio: how many times as fast as the yardstick: the median of the ratios of the rounds,
        as the rounds are what the machine's moods have in common; None without a yardstick
    """

    median: float
    spread: float | None
    ratio: float | None


def figure(values: Sequence[float], yardstick: Sequence[float]) -> Figure:
    """Sum up *values*, in seconds per request, one per round."""
    median = statistics.median(values)
    spread = (max(values) - min(values)) / median if len(values) > 1 else None
    ratios = [theirs / ours for theirs, ours in zip(yardstick, values, strict=False)]
    return Figure(median, spread, statistics.median(ratios) if ratios else None)


def figures(samples: Sequence[Sample], yardstick: Sequence[Sample]) -> tuple[Figure, Figure]:
    """Return the CPU and the wall clock figure of one client."""
    return (
        figure([s.cpu / s.requests for s in samples], [s.cpu / s.requests for s in yardstick]),
        figure([s.wall / s.requests for s in samples], [s.wall / s.requests for s in yardstick]),
    )


def machine_facts(
    server: str, client_core: int | None, server_core: int | None
) -> dict[str, object]:
    """Return what a reader needs to know before comparing with another machine."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load when it began": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "server": server,
        "client core": client_core,
        "server core": server_core,
        # anyhttp itself is often measured as it stands in the sources.
        "versions": {"anyhttp": anyhttp.__version__}
        | {name: version for name in PACKAGES if (version := _version(name))},
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def table(run: Run, workloads: Iterable[Workload]) -> str:
    """Return the whole report as plain text, the fastest client of each workload first."""
    lines = list(machine_lines(run.machine))
    for client, reason in run.skipped.items():
        lines.append(f"skipped {client}: {reason}")
    for workload in workloads:
        lines += ["", f"{workload.name}: {workload.title}", _header()]
        lines += _rows(run.samples.get(workload.name, {}))
        for client, reason in run.failures.get(workload.name, {}).items():
            lines.append(f"{client:26} failed: {reason}")
    lines.append(footprint.table(run.footprints))
    for kind in footprint.FOOTPRINTS:
        for client, reason in run.failures.get(kind.name, {}).items():
            lines.append(f"{kind.name} {client:26} failed: {reason}")
    lines += [
        "",
        f"x: times as fast as {YARDSTICK.name} in the same round (above 1 is faster), median;",
        "   of memory and time to import: how many times as much the yardstick takes.",
        "spread: largest minus smallest round, in percent of the median.",
    ]
    return "\n".join(lines)


def machine_lines(machine: Mapping[str, object]) -> Iterable[str]:
    for name, value in machine.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{package} {version}" for package, version in value.items())
        yield f"{name}: {'any' if value is None else value}"


def _header() -> str:
    return COLUMNS.format(
        "client", "CPU/req", "spread", "x", "wall/req", "spread", "x", "requests", "rounds"
    ).rstrip()


def _rows(samples: Mapping[str, Sequence[Sample]]) -> Iterable[str]:
    yardstick = samples.get(YARDSTICK.name, ())
    rows = [(*figures(taken, yardstick), client, taken) for client, taken in samples.items()]
    for cpu, wall, client, taken in sorted(rows, key=lambda row: row[0].median):
        requests = round(statistics.median(sample.requests for sample in taken))
        yield COLUMNS.format(client, *_cells(cpu), *_cells(wall), requests, len(taken))


def _cells(value: Figure) -> tuple[str, str, str]:
    return (
        duration(value.median),
        "-" if value.spread is None else f"{value.spread:.0%}",
        "-" if value.ratio is None else f"{value.ratio:.2f}",
    )


def duration(seconds: float) -> str:
    """Return *seconds* in the unit that suits them."""
    if seconds < 0.01:
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e3:.1f} ms"


def write_json(run: Run, path: Path) -> None:
    """Write every sample and the figures made of them to *path*."""
    results = [
        _result(workload, client, taken, samples.get(YARDSTICK.name, ()))
        for workload, samples in run.samples.items()
        for client, taken in samples.items()
    ]
    document = {
        "command": " ".join(("python -m benchmarks", *sys.argv[1:])),
        "machine": run.machine,
        "yardstick": YARDSTICK.name,
        "taken": datetime.now(UTC).date().isoformat(),
        "results": results,
        "footprints": run.footprints,
        "failures": run.failures,
        "skipped": run.skipped,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


def _result(
    workload: str, client: str, samples: Sequence[Sample], yardstick: Sequence[Sample]
) -> dict[str, object]:
    cpu, wall = figures(samples, yardstick)
    return {
        "workload": workload,
        "client": client,
        "cpu_per_request": asdict(cpu),
        "wall_per_request": asdict(wall),
        "rounds": [asdict(sample) for sample in samples],
    }
