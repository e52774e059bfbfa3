"""Draws the phases of requests, and counts of things, as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from ._phases import PHASES, Hop, Phase
from ._terminal import printable_line

STYLES: Final = {
    "pause": "dim",
    "queue": "dim",
    "DNS": "cyan",
    "connect": "blue",
    "TLS": "magenta",
    "send": "yellow",
    "first byte": "green",
    "body": "bright_green",
}

#: Columns of the name of a phase, and of its milliseconds.
NAME_WIDTH: Final = 13
TIME_WIDTH: Final = 14

#: Bars are no longer than this: the eye compares lengths, and not what is far apart.
LONGEST_BAR: Final = 60


def milliseconds(seconds: float) -> str:
    """Return a time for people to read."""
    return f"{seconds * 1000:.1f} ms"


def block(console: Console) -> str:
    """Return the character that bars are made of."""
    try:
        "█".encode(console.encoding)
    except UnicodeEncodeError:
        return "#"
    return "█"


def draw_phases(console: Console, hops: Sequence[Hop]) -> None:
    """Draw each hop as a group of bars on one axis of time; without a terminal, as plain lines."""
    phases = [phase for hop in hops for phase in hop.phases if phase.end is not None]
    if not phases:
        return
    begin = min(phase.begin for phase in phases)
    end = max(phase.end or 0.0 for phase in phases)
    width = min(max(console.width - NAME_WIDTH - TIME_WIDTH, 0), LONGEST_BAR)
    for hop in hops:
        title = f"{hop.method} {hop.url}: {hop.outcome}"
        console.print(Text(printable_line(title, console.encoding), "bold"), soft_wrap=True)
        for name in PHASES:
            seconds = hop.seconds(name)
            if seconds is None:
                continue
            line = Text(f"  {name:<{NAME_WIDTH - 2}}")
            if console.is_terminal and width:
                own = [phase for phase in hop.phases if phase.name == name]
                bar = _bar(own, begin, end, width, block(console))
                line.append(bar, STYLES[name])
            line.append(f"{milliseconds(seconds):>{TIME_WIDTH}}")
            console.print(line, soft_wrap=True)
    console.print(Text(f"  {'total':<{NAME_WIDTH - 2}}"), end="")
    if console.is_terminal:
        console.print(" " * width, end="")
    console.print(f"{milliseconds(end - begin):>{TIME_WIDTH}}", highlight=False)


def _bar(phases: Sequence[Phase], begin: float, end: float, width: int, block: str) -> str:
    """Return a line in which each of *phases* is a piece; the longest is always to be seen."""
    scale = width / (end - begin or 1.0)
    cells = [" "] * width
    pieces = [(phase.begin, end if phase.end is None else phase.end) for phase in phases]
    longest = max(pieces, key=lambda piece: piece[1] - piece[0])
    for piece in pieces:
        first, last = (round((time - begin) * scale) for time in piece)
        if piece is longest and first == last:
            first = min(first, width - 1)
            last = first + 1
        cells[first:last] = block * (last - first)
    return "".join(cells)
