"""Write ``docs/explanation/faults.md``; ``nox -s faults`` does it."""

from __future__ import annotations

from .page import PAGE, rendered
from .table import TABLE

PAGE.write_text(rendered(TABLE), "utf-8")
