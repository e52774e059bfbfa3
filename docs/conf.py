"""Sphinx configuration; built with warnings as errors and nitpicks (``nox -s docs``)."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path

from docutils.nodes import Element, Text
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from anyhttp._common.version import __version__

project = "anyhttp"
author = "The anyhttp maintainers"
copyright = "the anyhttp maintainers"  # noqa: A001 (the name that Sphinx reads)
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"anyhttp {release}"
exclude_patterns = ["_build"]

add_module_names = False
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True

# The build needs no network, so names of other projects stay plain text.
OUTSIDE = (
    *("anyio", "asyncio", "collections", "http", "httpx", "httpx2", "json", "multidict", "os"),
    *("opentelemetry", "socket", "ssl", "time", "yarl"),
)
# So do the exceptions of httpx and httpx2, which a docstring names without the one or the other.
OF_HTTPX = (
    "(Connect|Pool|Read|Write)Timeout", "(Connect|Proxy|Read)Error", "(Local|Remote)ProtocolError",
    "UnsupportedProtocol",
)  # fmt: skip
nitpick_ignore_regex = [
    (r"py:.*", rf"({'|'.join(OUTSIDE)})\..*"),
    (r"py:exc", "|".join(OF_HTTPX)),
]


def find(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: Element
) -> Element | None:
    """Find names that a docstring gives without their module, as it does for a neighbour.

    A type in a signature stays unlinked if it is not documented; a name in prose must be found.
    """
    if node.get("refdomain") != "py":
        return None
    node["refspecific"] = True  # any module will do
    found = env.domains.python_domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], node["reftarget"], node, contnode
    )
    # Only references that somebody wrote as a role have the attribute.
    of_signature = node["reftype"] == "class" and "refwarn" not in node
    return contnode if found is None and of_signature else found


def unlink_builtins(app: Sphinx, doctree: Element) -> None:
    """Leave ``type`` in a signature alone: several classes have an attribute of that name."""
    for node in list(doctree.findall(pending_xref)):
        if node["reftype"] == "class" and node["reftarget"] in vars(builtins):
            node.replace_self(Text(node["reftarget"]))


def add_changes(app: Sphinx, page: str, source: list[str]) -> None:
    """Make the page of changes: what is new since the last release stands in files of its own."""
    if page != "changelog":
        return
    root = Path(app.srcdir).parent
    command = [sys.executable, "-m", "towncrier", "build", "--draft"]
    command += ["--version", "Next release", "--date", "not released yet"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    before, _, after = (
        (root / "CHANGELOG.md")
        .read_text("utf-8")
        .partition("<!-- towncrier: entries start here -->\n")
    )
    source[0] = f"{before}{done.stdout}{after}".replace("](docs/", "](")


def setup(app: Sphinx) -> None:
    """Connect to Sphinx, after all those who may know where a reference leads."""
    app.connect("source-read", add_changes)
    app.connect("doctree-read", unlink_builtins)
    app.connect("missing-reference", find, priority=900)
