"""What the sdist and the wheel contain; run as a script, with the paths of the two.

Not a test module: both have to be built first, which the session ``package`` of nox does.
"""

from __future__ import annotations

import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[
    "project"
]

#: The pytest plugin, a module beside the package.
PLUGIN: Final = "pytest_anyhttp.py"

ENTRY_POINTS: Final = (
    "[console_scripts]",
    "anyhttp = anyhttp._cli:main",
    "[pytest11]",
    "pytest_anyhttp = pytest_anyhttp",
    "",
)

#: Without these nobody could run the tests of an sdist, build its pages or make the next release.
NEEDED_IN_SDIST: Final = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "RELEASING.md",
    "changes/README.md",
    "docs/conf.py",
    "docs/man/anyhttp.1",
    "examples/get.py",
    "hatch_build.py",
    "noxfile.py",
    "pyproject.toml",
    "tests/conftest.py",
}


def files_below(directory: str) -> set[str]:
    """Names of the source files, as an archive has them."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / directory).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def require_same(what: str, found: Iterable[object], wanted: Iterable[object]) -> None:
    """Fail, and say what differs, unless both have the same elements."""
    lacks, too_much = set(wanted) - set(found), set(found) - set(wanted)
    if lacks or too_much:
        sys.exit(f"{what}: lacks {sorted(map(str, lacks))}, has {sorted(map(str, too_much))}")


def check_sdist(path: Path) -> None:
    """Fail unless the sdist has the package and all that the project is made with."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = NEEDED_IN_SDIST | {PLUGIN} | files_below("anyhttp") | files_below("tests")
    require_same(path.name, names & wanted, wanted)


def check_wheel(path: Path) -> Message:
    """Fail unless the wheel has the package, the plugin, the page of the manual, and nothing else.

    Return its metadata.
    """
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        tops = {name.partition("/")[0] for name in names}
        (info,) = (name for name in tops if name.endswith(".dist-info"))
        manual = f"{info.removesuffix('.dist-info')}.data/data/share/man/man1/anyhttp.1"
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE")
    wanted = {PLUGIN, manual} | files_below("anyhttp")
    assert "anyhttp/py.typed" in wanted
    require_same(path.name, [name for name in names if not name.startswith(info)], wanted)
    require_same("entry points", entry_points.split("\n"), ENTRY_POINTS)
    assert licence == (ROOT / "LICENSE").read_bytes()
    return metadata


def headings(text: str) -> list[str]:
    """The headings of a Markdown text."""
    return [line for line in text.splitlines() if line.startswith("#")]


def check_metadata(metadata: Message) -> None:
    """Fail unless the index will show what ``pyproject.toml`` says."""
    assert metadata["Name"] == "anyhttp-client"
    assert metadata["License-Expression"] == PROJECT["license"]
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    readme, shown = (ROOT / "README.md").read_text("utf-8"), str(metadata.get_payload())
    require_same("headings", headings(shown), headings(readme))
    assert "](docs/" not in shown, "relative links lead nowhere on the index"
    for field, wanted in (
        ("Classifier", PROJECT["classifiers"]),
        ("Provides-Extra", PROJECT["optional-dependencies"]),
        ("Project-URL", [f"{name}, {url}" for name, url in PROJECT["urls"].items()]),
    ):
        require_same(field, metadata.get_all(field, []), wanted)


def main() -> None:
    """Check the two files that the command line names."""
    sdist, wheel = map(Path, sys.argv[1:])
    check_sdist(sdist)
    metadata = check_wheel(wheel)
    check_metadata(metadata)
    print(f"{metadata['Name']} {metadata['Version']}: {sdist.name} and {wheel.name} are complete")


if __name__ == "__main__":
    main()
