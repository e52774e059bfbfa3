"""Two kinds of plots, as SVG that a page holds as it is, or shows as an image.

They are as wide as the text of a page on a phone, so that nothing is scaled down there.  Text has
the colour of the text around it, also where a reader chooses a dark page.  In an image it has that
of the system.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 356
LABELS: Final = 132  # left of the bars
NUMBERS: Final = 46  # right of them
BAR: Final = 20
GAP: Final = 12
LINE: Final = 17  # from one line of text to the next
SIZE: Final = 12  # of text, in pixels
TITLE_LENGTH: Final = 46  # how many letters of a title a line has room for
TEXT_LENGTH: Final = 52  # the same of other text

# Within a page ``:root`` is the page, and the variable is that of its theme.  Within an image there
# is no variable, and ``:root`` is the drawing.
STYLE: Final = (
    "<style>svg.plot{color:var(--color-foreground-primary,#222);max-width:100%;height:auto}"
    "@media(prefers-color-scheme:dark){svg.plot:root{color:#ddd}}"
    f".plot text{{font:{SIZE}px system-ui,DejaVu Sans,sans-serif;fill:currentColor}}"
    f".plot text.title{{font-weight:600;font-size:{SIZE + 1}px}}"
    ".plot .axis{stroke:currentColor;stroke-opacity:.4}"
    ".plot .right{text-anchor:end}.plot .middle{text-anchor:middle}</style>"
)

# One for each library; its backends are told apart by their labels.
COLOURS: Final = {
    "anyhttp": "#3b7fc4",
    "httpx2": "#7a808c",
    "pyreqwest": "#a95fc0",
    "websockets": "#3d9970",
}
OTHER: Final = "#a87c50"

# Of lines in one panel that are no libraries.
LINES: Final = ("#3b7fc4", "#c96f28", "#35906a")
BAND: Final = "#e0a93a"
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
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img">'
    )
    lines = [head, f"<title>{escape(title)}</title>", STYLE, *parts, "</svg>"]
    return "\n".join(lines) + "\n"


def _written(y: float, text: str, length: int, kind: str = "") -> tuple[list[str], float]:
    """Return *text* in as many lines as it needs below *y*, and where they end."""
    parts = list[str]()
    for line in textwrap.wrap(text, length):
        y += LINE
        parts.append(_text(2, y, line, kind))
    return parts, y


def bars(title: str, groups: Sequence[Group], *, mark: float | None = None) -> str:
    """Draw horizontal bars from zero.

    :param mark: value at which a line is drawn through all of them
    """
    largest = max((value for group in groups for _, value in group.bars), default=0.0) or 1.0
    scale = (WIDTH - LABELS - NUMBERS) / max(largest, mark or 0.0)
    parts, y = _written(0, title, TITLE_LENGTH, "title")
    marked = list[tuple[float, float]]()
    for group in groups:
        title_parts, y = _written(y + GAP / 2, group.title, TEXT_LENGTH)
        parts += title_parts
        y += 6
        marked.append((y, y + BAR * len(group.bars)))
        for client, value in group.bars:
            length = max(1.0, value * scale)
            parts += [
                _text(LABELS - 6, y + BAR - 6, client, "right"),
                _bar(y + 1, length, _colour(client)),
                _text(LABELS + length + 5, y + BAR - 6, shown(value)),
            ]
            y += BAR
    if mark is not None:
        x = LABELS + mark * scale
        parts += [_line(x, top - 2, x, bottom) for top, bottom in marked]
    return _document(y + GAP, title, parts)


def timelines(
    title: str, minutes: float, panels: Sequence[Panel], bands: Sequence[tuple[float, float]] = ()
) -> str:
    """Draw *panels* below each other, over the same time.

    :param minutes: how long that is
    :param bands: parts of the time that are marked in all of them, in minutes
    """
    left, right = 56.0, WIDTH - 62.0
    scale = (right - left) / minutes
    parts, top = _written(0, title, TITLE_LENGTH, "title")
    top += GAP
    bottom = top + len(panels) * (PANEL + 3 * GAP)
    for begin, end in bands:
        width = max(1.5, (end - begin) * scale)
        parts.append(
            f'<rect x="{left + begin * scale:.1f}" y="{top:.0f}" width="{width:.1f}" '
            f'height="{bottom - top - GAP:.0f}" fill="{BAND}" fill-opacity=".45"/>'
        )
    for number, panel in enumerate(panels):
        ground = top + (number + 1) * (PANEL + 3 * GAP) - GAP
        parts += _panel(panel, left, right, ground)
    step = next(step for step in (0.5, 1, 2, 5, 10, 30, 60, 240) if minutes / step <= 6)
    for tick in range(int(minutes / step) + 1):
        x = left + tick * step * scale
        parts += [_line(x, bottom - GAP, x, bottom - GAP + 4)]
        parts.append(_text(x, bottom + 8, f"{tick * step:g}", "middle"))
    parts.append(_text(right + 10, bottom + 8, "minutes"))
    return _document(bottom + 18, title, parts)


def _panel(panel: Panel, left: float, right: float, ground: float) -> list[str]:
    largest = max((value for row in panel.series.values() for value in row), default=0.0) or 1.0
    parts = [
        _text(2, ground - PANEL - 8, panel.title),
        _line(left, ground, right, ground),
        _line(left, ground - PANEL, right, ground - PANEL),
        _text(left - 8, ground + 4, "0", "right"),
        _text(left - 8, ground - PANEL + 4, shown(largest), "right"),
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
        last = max(y, last + 14)
        parts.append(_text(right + 4, last + 4, name, style=f"fill:{colour}"))
    return parts


def shown(value: float) -> str:
    """Return *value* as it stands in a drawing: three digits, and never a power of ten."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"
