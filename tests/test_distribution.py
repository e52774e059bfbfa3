"""The distribution is ``anyhttp-client``: on the package index, ``anyhttp`` is somebody else's."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parent.parent
DIRECTORIES: Final = (".ci", "anyhttp", "benchmarks", "changes", "docs", "examples", "tests")
TEXTS: Final = {"", ".cfg", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}

#: Extras of the wrong distribution; a backslash stands there in a regular expression.
WRONG_EXTRA: Final = re.compile(r"(?<![\w./-])anyhttp\\?\[")

#: An extra without the name of the distribution, which is what a reader has to install.
BARE_EXTRA: Final = re.compile(r"\bextras?:? `+\w+`+")

#: A command that installs it, with options and other names between the verb and its name.
WRONG_COMMAND: Final = re.compile(
    r"\b(?:pip3?|pipx|uv|poetry|pdm)\s+(?:pip\s+)?(?:install|add|run)\s+"
    r"(?:[^\s&;`]+[ \t]+){0,6}?['\"`]?anyhttp(?![\w./-])"
)


def texts() -> Iterator[Path]:
    """Every text of the project, generated ones left out."""
    for path in ROOT.iterdir():
        if path.is_file() and path.suffix in TEXTS and not path.name.startswith(".coverage"):
            yield path
    for directory in DIRECTORIES:
        for path in (ROOT / directory).rglob("*"):
            if path.is_file() and path.suffix in TEXTS and "_build" not in path.parts:
                yield path


def wrong(text: str) -> list[str]:
    """What *text* says that would install the other project, or does not say what to install."""
    return [
        found
        for pattern in (WRONG_EXTRA, WRONG_COMMAND, BARE_EXTRA)
        for found in pattern.findall(text)
    ]


def test_no_text_installs_the_other_project() -> None:
    """Messages, docstrings, pages: an extra is written ``anyhttp-client[socks]``."""
    read = {path: path.read_text("utf-8") for path in texts()}
    assert {ROOT / "README.md", ROOT / "anyhttp" / "resolver.py"} <= read.keys()
    assert not {str(path.relative_to(ROOT)) for path, text in read.items() if wrong(text)}


def test_the_search_finds_an_extra_alone() -> None:
    """It does not say of which distribution it is."""
    assert wrong("it needs the extra {0}socks{0}".format("``"))
    assert wrong("(extras: {0}dns{0})".format("`"))
    assert not wrong("it needs {0}anyhttp-client[socks]{0}".format("``"))


@pytest.mark.parametrize("page", ["README.md", "docs/howto/installation.md"])
def test_every_extra_is_listed(page: str) -> None:
    """A user finds them in one table, by the name that is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / page).read_text("utf-8")
    listed = re.findall(r"^\| `anyhttp-client\[(\w+)\]` \|", text, re.MULTILINE)
    assert sorted(listed) == sorted(project["optional-dependencies"])


@pytest.mark.parametrize(
    "text",
    [
        "pip install {}",
        "python -m pip install '{}'",
        "pip install --upgrade -e {} uvloop",
        "uv add {}",
        "uv pip install {}",
        "pip install\n{}",
        "{}[socks]",
        'match=r"{}\\[dns\\]"',
    ],
)
def test_the_search_finds_the_name_that_is_not_ours(text: str) -> None:
    """The test above would be green as well if it found nothing at all."""
    assert wrong(text.format("anyhttp"))
    assert not wrong(text.format("anyhttp-client"))


@pytest.mark.parametrize(
    "text",
    [
        "python -m pip uninstall anyhttp",
        "python -m pip install '.[cli]' && .venv/bin/anyhttp demo",
        "python -m pip install nox` and run anyhttp",
        "import anyhttp",
    ],
)
def test_the_search_passes_what_installs_nothing(text: str) -> None:
    """The import and the command are called ``anyhttp``, and it can be removed under that name."""
    assert not wrong(text)


@pytest.fixture
def hatch_build(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is in ``hatch_build.py``; hatchling, which runs it, need not be installed."""
    interface = ModuleType("hatchling.metadata.plugin.interface")
    vars(interface)["MetadataHookInterface"] = object
    names = interface.__name__.split(".")
    for count in range(1, len(names)):
        package = ".".join(names[:count])
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    monkeypatch.setitem(sys.modules, interface.__name__, interface)
    return runpy.run_path(str(ROOT / "hatch_build.py"))


def test_the_package_index_shows_absolute_links(hatch_build: dict[str, Any]) -> None:
    """To the address of the documentation; while it has none, their text is left."""
    text = "See [jobs](docs/howto/recipes.md#oauth-2), [home](docs/index.md) and [x](https://x/)."
    description = hatch_build["description"]
    assert description(text) == "See jobs, home and [x](https://x/)."
    assert description(text, "https://docs.test/") == (
        "See [jobs](https://docs.test/howto/recipes.html#oauth-2), "
        "[home](https://docs.test/index.html) and [x](https://x/)."
    )


def test_the_readme_has_no_link_that_leads_nowhere_from_the_index(
    hatch_build: dict[str, Any],
) -> None:
    """Each goes to a page that is there, and none is left that is relative."""
    readme = (ROOT / "README.md").read_text("utf-8")
    pages = re.findall(r"\]\((docs/[^)#]+)", readme)
    assert pages
    assert not [page for page in pages if not (ROOT / page).is_file()]
    assert not re.findall(r"\]\((?!https://)", hatch_build["description"](readme))
