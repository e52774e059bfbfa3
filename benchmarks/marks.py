"""Pages with parts that are written by programs, each between two marks."""

from __future__ import annotations

import re
from collections.abc import Iterable


def filled(page: str, block: str, lines: Iterable[str]) -> str:
    """Return *page* with *lines* between the marks of *block*."""
    text = "\n".join(lines)
    marks = re.compile(rf"(<!-- begin: {block} -->\n).*?(<!-- end: {block} -->)", re.DOTALL)
    if not marks.search(page):
        raise SystemExit(f"the page has no marks for {block}")
    return marks.sub(lambda match: f"{match[1]}\n{text.strip()}\n\n{match[2]}", page)
