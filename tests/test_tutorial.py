"""docs/tutorial/: the programs print what the chapters say, on both backends.

A block that begins with the name of a file is that file; the next console block shows how it is run
and what it prints.  ``server.py`` of the first page serves the others.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest

from anyhttp.testing import mock_requests, serve
from tests.support.fresh_python import ROOT
from tests.support.multiplexed import jumping
from tests.support.pages import blocks, file_of, names_of, without_start

TUTORIAL: Final = ROOT / "docs" / "tutorial"
PAGES: Final = {page.stem: page.read_text("utf-8") for page in sorted(TUTORIAL.glob("*.md"))}

#: The address of the server, on the pages.
ADDRESS: Final = "localhost:8000"

SOURCES: Final = {
    file_of(source): source for text in PAGES.values() for source in blocks(text, "python")
}
#: Programs that wait for time to pass.
WAITING: Final = ["enough.py", "failures.py", "follow.py"]
#: The others.
PROGRAMS: Final = [
    name for name in SOURCES if not name.startswith("test_") and name not in {"server.py", *WAITING}
]
#: What is on the pages below a command, by that command.
PRINTED: Final = {
    command: output
    for text in PAGES.values()
    for block in blocks(text, "console")
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
}


def test_the_chapters_are_in_the_order_of_their_numbers() -> None:
    """The first page lists them all, each has a program, and leads to the next."""
    listed = re.findall(r"^[\w-]+$", blocks(PAGES["index"], "{toctree}")[0], re.MULTILINE)
    assert {*listed, "index"} == PAGES.keys()
    assert [PAGES[name][:4] for name in listed] == [f"# {n}." for n in range(1, len(listed) + 1)]
    for name, following in zip(["index", *listed], listed, strict=False):
        assert f"]({following}.md)." in PAGES[name].splitlines()[-1]


async def printed_by(
    main: Callable[[], Awaitable[object]], capsys: pytest.CaptureFixture[str], address: str
) -> str:
    """Return what *main* prints, with the server's address as it is on the pages."""
    capsys.readouterr()
    await main()
    return capsys.readouterr().out.replace(address, ADDRESS)


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_prints_what_the_page_says(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever backend it is started on."""
    monkeypatch.chdir(tmp_path)  # for those that write a file
    source = SOURCES[name]
    async with serve() as server:
        names_of(SOURCES["server.py"])["add_routes"](server)
        address = f"localhost:{server.port}"
        names = names_of(without_start(source).replace(ADDRESS, address))
        assert await printed_by(names["main"], capsys, address) == PRINTED[f"python {name}"]


@jumping
@pytest.mark.parametrize("name", WAITING)
async def test_a_program_that_waits_prints_what_the_page_says(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same routes answer it without sockets, so that time can jump."""
    with mock_requests(assert_all_called=False) as mock:
        mock.get("http://localhost:1/", exception=ConnectionRefusedError)
        names_of(SOURCES["server.py"])["add_routes"](mock)
        main = names_of(without_start(SOURCES[name]))["main"]
        assert await printed_by(main, capsys, ADDRESS) == PRINTED[f"python {name}"]


async def test_the_last_program_prints_what_the_page_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is a file of the examples; its tests on the page are run by ``test_guide_testing.py``."""
    main = names_of((ROOT / "examples" / "check_links.py").read_text("utf-8"))["main"]
    async with serve() as server:
        names_of(SOURCES["server.py"])["add_routes"](server)
        address = f"localhost:{server.port}"
        printed = await printed_by(lambda: main(f"http://{address}/"), capsys, address)
    assert printed == PRINTED[f"python check_links.py http://{ADDRESS}/"]
