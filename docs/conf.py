"""Sphinx configuration; built with warnings as errors and nitpicks (``nox -s docs``)."""

from __future__ import annotations

import builtins
import inspect
import random
import re
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any

from docutils.nodes import Element, Text, entry, literal, raw
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.logging import getLogger

import anyhttp
from anyhttp._common.version import __version__
from anyhttp.opentelemetry import REDACTED_QUERY

LOGGER = getLogger(__name__)

project = "anyhttp"
author = "The anyhttp maintainers"
copyright = "the anyhttp maintainers"  # noqa: A001 (the name that Sphinx reads)
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"anyhttp {release}"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
exclude_patterns = ["_build"]

add_module_names = False
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
# A longer signature has one parameter a line.
maximum_signature_line_length = 88
# Signatures show these names, and docs/reference/values.md what they stand for.
autodoc_type_aliases = {
    name: name
    for name in (
        *("ClientHandlerType", "ClientMiddlewareType", "Http2Option", "JSONBytesEncoder"),
        *("JSONDecoder", "JSONEncoder", "LooseCookies", "LooseHeaders", "Query", "RaiseForStatus"),
        *("SSLOption", "SocketFactoryType", "StrOrURL"),
    )
}

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


#: After these characters a long name in a table may be broken.
BREAKS = re.compile(r"(?<=[._/(,=])(?=\w)|(?<=[a-z])(?=[A-Z][a-z])")


def let_names_break(app: Sphinx, doctree: Element, page: str) -> None:
    """Say where a name in a table may be broken; ``narrow.css`` does so on narrow screens."""
    for cell in doctree.findall(entry):
        for name in list(cell.findall(literal)):
            for text in list(name.findall(Text)):
                first, *others = BREAKS.split(text)
                parts = [
                    node
                    for part in others
                    for node in (raw("", "<wbr>", format="html"), Text(part))
                ]
                text.parent.replace(text, [Text(first), *parts])


#: A cell of a table with more characters than this gets the class ``prose``.
LONG_TEXT = 60


def mark_prose(app: Sphinx, doctree: Element, page: str) -> None:
    """Mark the cells of tables that hold sentences: ``narrow.css`` gives these some width."""
    for cell in doctree.findall(entry):
        if len(cell.astext()) > LONG_TEXT:
            cell["classes"].append("prose")


class Shown:
    """Stands for a default in a signature, as a reader should see it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


#: Defaults that are shown otherwise than by their ``repr``.
BY_VALUE = (
    (anyhttp.ClientTimeout(), "ClientTimeout()"),
    (anyhttp.HttpVersion11, "HttpVersion11"),
    (sys.maxsize, "sys.maxsize"),
    (random.random, "random.random"),
    (REDACTED_QUERY, "REDACTED_QUERY"),
)


def shown_default(name: str, value: object) -> object:
    """Return what stands for the default *value* of the parameter *name*."""
    if name == "keepalive_timeout" and value is ...:
        return Shown("15.0")
    is_lambda = inspect.isfunction(value) and value.__name__ == "<lambda>"
    if value is ... or is_lambda or (isinstance(value, Enum) and value.name == "MISSING"):
        return Shown("NOT_GIVEN")
    for known, text in BY_VALUE:
        if type(value) is type(known) and value == known:
            return Shown(text)
    if isinstance(value, type):
        return Shown(value.__name__)
    if inspect.isfunction(value):
        return Shown(f"{value.__module__.split('.')[0]}.{value.__name__}")
    if type(value) is tuple:
        return tuple(shown_default(name, item) for item in value)
    return value


def show_defaults(app: Sphinx, obj: Any, bound: bool) -> None:
    """Let a signature show defaults that can be read; an object without a signature has none."""
    function = obj.__func__ if inspect.ismethod(obj) else obj
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    parameters = []
    for parameter in signature.parameters.values():
        if parameter.default is not parameter.empty:
            default = shown_default(parameter.name, parameter.default)
            parameter = parameter.replace(default=default)
        parameters.append(parameter)
    if inspect.isfunction(function):
        function.__dict__["__signature__"] = signature.replace(parameters=parameters)


def tidy_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, args: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Let a signature name types as programs do; an enum, which nobody calls, has none."""
    if args is None:
        return None
    if isinstance(obj, type) and issubclass(obj, Enum):
        return "", None
    args = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", args)
    args = re.sub(r"[~\w.]*\bEllipsisType \| ", "", args)
    if "<" in args or "Ellipsis" in args:
        LOGGER.warning("the signature of %s cannot be read: %s", name, args)
    return args, returns


def skip_fields(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out the fields of a named tuple, for which Python has no words."""
    return True if type(obj).__name__ == "_tuplegetter" else None


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
    app.connect("autodoc-before-process-signature", show_defaults)
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("source-read", add_changes)
    app.connect("doctree-read", unlink_builtins)
    app.connect("doctree-resolved", let_names_break)
    app.connect("doctree-resolved", mark_prose)
    app.connect("missing-reference", find, priority=900)
