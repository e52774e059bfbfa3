"""docs/: a reader finds what there is."""

from __future__ import annotations

import re
from typing import Final

from tests.support.fresh_python import ROOT

DOCS: Final = ROOT / "docs"


def test_each_guide_is_listed_with_a_sentence() -> None:
    """In one group, where it stands for readers and for the navigation."""
    page = (DOCS / "howto" / "index.md").read_text("utf-8")
    in_lists, in_trees = [], []
    for group in page.split("\n## ")[1:]:
        in_lists.append(re.findall(r"^- \[\]\(([\w-]+)\.md\): [A-Z].*[.]$", group, re.MULTILINE))
        tree = re.search(r"^```{toctree}\n(?::.*\n)*\n((?:[\w-]+\n)+)```$", group, re.MULTILINE)
        in_trees.append(tree[1].split() if tree else [])
    assert in_lists == in_trees
    guides = {guide.stem for guide in (DOCS / "howto").glob("*.md")} - {"index"}
    assert sorted(name for group in in_lists for name in group) == sorted(guides)
