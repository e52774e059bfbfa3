"""Three kinds of plots, as SVG that needs nothing to be shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 720
LABELS: Final = 190  # left of the bars
NUMBERS: Final = 70  # right of them
BAR: Final = 18
GAP: Final = 14
STYLE: Final = (
    "<style>text{font:12px system-ui,DejaVu Sans,sans-serif;fill:#222}"
    ".title{font-weight:600;font-size:14px}.axis{stroke:#bbb}"
    ".right{text-anchor:end}.middle{text-anchor:middle}</style>"
)

# One for each library; its backends are told apart by their labels.
COLOURS: Final = {
    "anyhttp": "#2563a8",
    "aiohttp": "#d0742b",
    "httpx": "#8a8f98",
    "httpx2": "#6b7280",
    "anyio": "#3d9970",
    "pyreqwest": "#a34db5",
    "websockets": "#3d9970",
}
OTHER: Final = "#b08968"

# Of lines in one panel that are no libraries.
LINES: Final = ("#2563a8", "#d0742b", "#3d9970")
BAND: Final = "#f3e3c3"
PANEL: Final = 78  # its height


@dataclass(frozen=True, slots=True)
class Group:
    """Bars that belong together, and what stands above them."""

    title: str
    bars: Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines with one scale, which begins at zero; their points have the same distances."""

    title: str
    series: Mapping[str, Sequence[float]]


def _colour(client: str) -> str:
    return COLOURS.get(client.partition("-")[0], OTHER)


def _text(x: float, y: float, text: str, kind: str = "", style: str = "") -> str:
    own = f' style="{style}"' if style else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}"{own}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="axis" x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}"/>'


def _bar(y: float, length: float, colour: str) -> str:
    size = f'width="{length:.1f}" height="{BAR - 4}"'
    return f'<rect x="{LABELS}" y="{y:.0f}" {size} fill="{colour}"/>'


def _document(height: float, title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img">'
    )
    # White by itself: a page may be shown on a dark ground.
    ground = f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>'
    lines = [head, f"<title>{escape(title)}</title>", STYLE, ground, *parts, "</svg>"]
    return "\n".join(lines) + "\n"


def bars(title: str, groups: Sequence[Group], *, mark: float | None = None) -> str:
    """Draw horizontal bars from zero.

    :param mark: value at which a line is drawn through all of them
    """
    largest = max((value for group in groups for _, value in group.bars), default=0.0) or 1.0
    scale = (WIDTH - LABELS - NUMBERS) / max(largest, mark or 0.0)
    parts = [_text(10, 22, title, "title")]
    y = 40.0
    for group in groups:
        if group.title:
            parts.append(_text(10, y + 10, group.title))
            y += BAR
        for client, value in group.bars:
            length = max(1.0, value * scale)
            parts += [
                _text(LABELS - 8, y + 12, client, "right"),
                _bar(y, length, _colour(client)),
                _text(LABELS + length + 6, y + 12, f"{value:.3g}"),
            ]
            y += BAR
        y += GAP
    if mark is not None:
        x = LABELS + mark * scale
        parts.append(_line(x, 34, x, y - GAP))
    return _document(y, title, parts)


def lines(
    title: str, categories: Sequence[str], series: Mapping[str, Sequence[float | None]]
) -> str:
    """Draw one line for each of *series* over *categories*, on a logarithmic scale."""
    values = [value for row in series.values() for value in row if value is not None]
    low, high = math.log10(min(values) / 1.3), math.log10(max(values) * 1.3)
    left, right, top, bottom = 60.0, WIDTH - 190.0, 45.0, 330.0

    def x_of(index: int) -> float:
        return left + (right - left) * index / max(1, len(categories) - 1)

    def y_of(value: float) -> float:
        return bottom - (bottom - top) * (math.log10(value) - low) / (high - low)

    parts = [_text(10, 22, title, "title"), _line(left, bottom, right, bottom)]
    for power in range(math.floor(low), math.ceil(high) + 1):
        for tick in (10.0**power, 2 * 10.0**power, 5 * 10.0**power):
            if low <= math.log10(tick) <= high:
                parts.append(_line(left, y_of(tick), right, y_of(tick)))
                parts.append(_text(left - 8, y_of(tick) + 4, f"{tick:g}", "right"))
    for index, category in enumerate(categories):
        parts.append(_text(x_of(index), bottom + 20, category, "middle"))
    ends = list[tuple[float, str]]()
    for client, row in series.items():
        dots = [(x_of(i), y_of(value)) for i, value in enumerate(row) if value is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        dash = "6 3" if "-uvloop" in client else "2 3" if "-trio" in client else "none"
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{_colour(client)}" '
            f'stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        ends.append((dots[-1][1], client))
    last = -math.inf
    for y, client in sorted(ends):
        last = max(y, last + 15)  # lines may end close together, names must not
        parts.append(_text(right + 12, last + 4, client))
    return _document(max(370.0, last + 20), title, parts)


def timelines(
    title: str, minutes: float, panels: Sequence[Panel], bands: Sequence[tuple[float, float]] = ()
) -> str:
    """Draw *panels* below each other, over the same time.

    :param minutes: how long that is
    :param bands: parts of the time that are marked in all of them, in minutes
    """
    left, right, top = 60.0, WIDTH - 110.0, 40.0
    scale = (right - left) / minutes
    bottom = top + len(panels) * (PANEL + 2 * GAP)
    parts = [_text(10, 22, title, "title")]
    for begin, end in bands:
        width = max(1.5, (end - begin) * scale)
        parts.append(
            f'<rect x="{left + begin * scale:.1f}" y="{top:.0f}" width="{width:.1f}" '
            f'height="{bottom - top - GAP:.0f}" fill="{BAND}"/>'
        )
    for number, panel in enumerate(panels):
        ground = top + (number + 1) * (PANEL + 2 * GAP) - GAP
        parts += _panel(panel, left, right, ground)
    step = next(step for step in (0.5, 1, 2, 5, 10, 30, 60, 240) if minutes / step <= 12)
    for tick in range(int(minutes / step) + 1):
        x = left + tick * step * scale
        parts += [_line(x, bottom - GAP, x, bottom - GAP + 4)]
        parts.append(_text(x, bottom + 6, f"{tick * step:g}", "middle"))
    parts.append(_text(right + 12, bottom + 6, "minutes"))
    return _document(bottom + 16, title, parts)


def _panel(panel: Panel, left: float, right: float, ground: float) -> list[str]:
    largest = max((value for row in panel.series.values() for value in row), default=0.0) or 1.0
    parts = [
        _text(left, ground - PANEL - 5, panel.title),
        _line(left, ground, right, ground),
        _line(left, ground - PANEL, right, ground - PANEL),
        _text(left - 8, ground + 4, "0", "right"),
        _text(left - 8, ground - PANEL + 4, _shown(largest), "right"),
    ]
    ends = list[tuple[float, str, str]]()
    for colour, (name, row) in zip(LINES, panel.series.items(), strict=False):
        step = (right - left) / max(1, len(row) - 1)
        heights = [ground - PANEL * value / largest for value in row]
        path = " ".join(f"{left + i * step:.1f},{y:.1f}" for i, y in enumerate(heights))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
        ends.append((heights[-1], name, colour))
    last = -math.inf
    for y, name, colour in sorted(ends):
        last = max(y, last + 13)
        parts.append(_text(right + 12, last + 4, name, style=f"fill:{colour}"))
    return parts


def _shown(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
