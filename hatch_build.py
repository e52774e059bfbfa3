"""What the package index shows: README.md, with links that lead somewhere from there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: A link to a page of the documentation.
LINK: Final = re.compile(r"\[([^\]]+)\]\(docs/([\w/-]+)\.md(#[\w-]+)?\)")


def description(readme: str, documentation: str = "") -> str:
    """Return *readme* with absolute links to the documentation.

    :param documentation: URL of the published documentation, which ends in a slash; without one,
        what a link says is left, and the link itself is not
    """
    return LINK.sub(rf"[\1]({documentation}\2.html\3)" if documentation else r"\1", readme)


class ReadmeHook(MetadataHookInterface):
    """Called by hatchling whenever it needs the metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the description to *metadata*."""
        readme = (Path(self.root) / "README.md").read_text("utf-8")
        documentation = metadata.get("urls", {}).get("Documentation", "")
        text = description(readme, documentation)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
