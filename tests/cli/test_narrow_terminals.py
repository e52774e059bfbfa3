"""Bars in terminals that have room for few columns or lines."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest

pytest.importorskip("click")
pytest.importorskip("rich")


from rich.console import Console

from anyhttp._cli._bars import draw_phases
from anyhttp._cli._bench import show
from anyhttp._cli._figures import Figures
from anyhttp._cli._phases import Hop, Phase
from anyhttp._cli._progress import bars


class Screen(io.StringIO):
    """A terminal that remembers what is shown."""

    def __init__(self, columns: int, lines: int = 24) -> None:
        super().__init__()
        self.console: Console = Console(
            file=self, width=columns, height=lines, force_terminal=True, no_color=True
        )

    def isatty(self) -> bool:
        """Say that it is one."""
        return True

    def lines(self) -> Sequence[str]:
        """Return the lines that have been shown."""
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())
        return [line for line in re.split("[\r\n]+", shown) if line.strip()]


def figures() -> Figures:
    """Return figures in two rows: many fast responses, and a slow one."""
    made = Figures(seconds=1.0)
    for latency in [0.001] * 1000 + [0.1]:
        made.add_response(200, 1, latency)
    return made


@pytest.mark.parametrize(
    ("columns", "expected"), [(8, 0), (29, 0), (30, 0), (31, 1), (45, 15), (70, 40), (200, 40)]
)
def test_bars_of_a_histogram_fit_into_the_terminal(columns: int, expected: int) -> None:
    """There is none where the figures alone take the whole line."""
    screen = Screen(columns)
    show(screen.console, figures())
    rows = [line for line in screen.lines() if " - " in line]
    assert [max(map(rows[index].count, "█")) for index in (0, -1)] == [expected, min(expected, 1)]
    assert columns < 30 or max(map(len, rows)) <= columns


def test_a_histogram_in_a_file_has_a_width_of_its_own() -> None:
    """Nothing is known of how it will be looked at."""
    file = io.StringIO()
    show(Console(file=file, width=8), figures())
    assert "█" * 40 in file.getvalue()


@pytest.mark.parametrize(("columns", "expected"), [(8, 0), (27, 0), (28, 1), (37, 10), (200, 60)])
def test_bars_of_phases_fit_into_the_terminal(columns: int, expected: int) -> None:
    """There is none where names and times alone take the whole line."""
    screen = Screen(columns)
    hop = Hop("GET", "http://localhost/")
    hop.phases.append(Phase("body", 0.0, 1.0))
    draw_phases(screen.console, [hop])
    [row] = [line for line in screen.lines() if line.startswith("  body")]
    assert row.count("█") == expected
    assert columns < 27 or len(row) <= columns


def test_no_more_bars_than_lines() -> None:
    """What is drawn above the first line of the terminal could not be drawn over any more.

    The rest is counted; at the end, all are shown.
    """
    screen = Screen(60, lines=5)
    names = [f"file {number}" for number in range(6)]
    with bars(screen.console) as display:
        for name in names[:5]:
            display.add_task(name, total=100)
        display.refresh()
        assert [line[:6] for line in screen.lines()[-5:]] == names[:5]
        display.add_task(names[5], total=100)
        display.refresh()
        *shown, rest = screen.lines()[-5:]
        assert [line[:6] for line in shown] == names[:4]
        assert rest.strip() == "and 2 more"
    assert [line[:6] for line in screen.lines()[-6:]] == names


def test_bars_leave_room_for_ctrl_c() -> None:
    """A terminal shows it as "^C" after the last bar, and must not begin another line for it."""
    screen = Screen(50)
    with bars(screen.console) as display:
        display.add_task("a file", total=100)
    assert max(len(line.rstrip()) for line in screen.lines()) == 48
