"""The tables of ``docs/explanation/faults.md``, written from the declared table."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Final

from .model import Cell, Fault, Outcome, Phase, Returned, Together

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "faults.md"

BEGIN: Final = "<!-- written by nox -s faults: from here -->"
END: Final = "<!-- to here -->"

_COLUMNS: Final = {
    Fault.CLOSE: "ends the connection in both directions; over TLS after close-notify",
    Fault.RESET: "ends it with RST, as a system does whose program has died",
    Fault.HALF_CLOSE: "sends nothing more (FIN) and goes on reading",
    Fault.STALL: "sends nothing more; `sock_connect` or `sock_read` is short",
    Fault.STALL_TOTAL: "sends nothing more; `total` is short",
    Fault.GARBAGE: "sends bytes without a meaning in place of the rest, and keeps the connection",
    Fault.DRIP: "sends each byte by itself",
    Fault.SPLIT: "sends the bytes in two parts",
    Fault.JOIN: "sends these bytes together with the next ones",
    Fault.ANSWER_EARLY: "answers before it has read the request",
    Fault.ANSWER_TWICE: "sends an answer, and another one that nobody asked for",
    Fault.ALERT: "sends a fatal TLS alert, and closes the connection",
    Fault.CERTIFICATE: "shows a certificate for another name",
    Fault.WRONG_KEY: "accepts a WebSocket by the key of another handshake",
    Fault.CANCEL: "sends `RST_STREAM` with `INTERNAL_ERROR`",
    Fault.GO_AWAY: "sends `GOAWAY` as if it had seen no request, or none after the second of "
    "three; it answers those before, and closes the connection",
    Fault.REFUSE: "refuses, as its protocol provides for",
    Fault.BREAK: "sends frames that break a rule, which are of many kinds, or a flood of them",
    Fault.TRICKLE: "lets the client send single bytes of a body for a while",
    Fault.NARROW: "makes the windows of streams negative by `SETTINGS`, and later wide again",
}


def rendered(table: Iterable[Phase]) -> str:
    """Return the page with the tables for *table*."""
    phases = list(table)
    used = {fault for phase in phases for fault in phase.cells}
    meanings = [f"| {fault.value} | {_COLUMNS[fault]} |" for fault in Fault if fault in used]
    lines = ["", "## The faults", "", "| the peer … | that is: it … |", "|---|---|", *meanings, ""]
    for group, rows in groupby(phases, key=lambda phase: phase.group):
        lines += _section(group, list(rows))
    text = PAGE.read_text("utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return "\n".join([before + BEGIN, *lines, END + after])


def _section(group: str, rows: list[Phase]) -> list[str]:
    faults = [fault for fault in Fault if any(fault in row.cells for row in rows)]
    reasons: list[str] = []
    lines = [
        f"| | {' | '.join(fault.value for fault in faults)} |",
        f"|---{'|---' * len(faults)}|",
    ]
    for row in rows:
        cells = [_cell(row.cells.get(fault), reasons) for fault in faults]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return [f"## {group}", "", *lines, "", *notes, *([""] if notes else [])]


def _cell(cell: Cell | None, reasons: list[str]) -> str:
    if cell is None:
        return "-"
    text = " or ".join(_outcome(outcome) for outcome in cell.outcomes)
    if not cell.why:
        return text
    if cell.why not in reasons:
        reasons.append(cell.why)
    return f"{text} ({reasons.index(cell.why) + 1})"


def _outcome(outcome: Outcome) -> str:
    if isinstance(outcome, Returned):
        return outcome.value
    if isinstance(outcome, Together):
        others = ", ".join(_outcome(other) for other in outcome.others)
        return f"{_outcome(outcome.own)} (the others: {others})"
    if isinstance(outcome, str):
        return outcome
    if outcome.__module__ == "builtins":
        return f"`{outcome.__name__}`"
    return f"{{exc}}`~anyhttp.{outcome.__name__}`"
