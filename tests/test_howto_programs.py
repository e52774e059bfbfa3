"""docs/howto/: the programs on these pages print what the pages say, on both backends.

A block of Python that begins with the name of a file is that file.  The next console block shows
what it prints.  A file whose name begins with ``test_`` has tests, which are called.  The programs
send their requests to the server of the tutorial.  Any other block is part of a program: it runs
inside an async function, with ``session`` and the names of the package.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import socket
import ssl
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio
import pytest
from yarl import URL

import anyhttp
from anyhttp.testing import mock_requests, serve
from tests.support.fresh_python import ROOT, output_of
from tests.support.multiplexed import jumping
from tests.support.pages import blocks, file_of, names_of, without_start
from tests.support.tls import Authority

DOCS: Final = ROOT / "docs"
#: Pages whose blocks of Python other tests run, and one whose blocks change what is imported.
ELSEWHERE: Final = {"in-place-of-aiohttp", "recipes", "testing", "testing-ported"}
PAGES: Final = {
    page.stem: page.read_text("utf-8")
    for page in sorted((DOCS / "howto").glob("*.md"))
    if page.stem not in ELSEWHERE
}
PRACTICE_SERVER: Final = next(
    source
    for source in blocks((DOCS / "tutorial" / "index.md").read_text("utf-8"), "python")
    if file_of(source) == "server.py"
)

#: The address of the server, on the pages.
ADDRESS: Final = "localhost:8000"
#: What differs each time: the boundaries of multipart bodies.
BOUNDARY: Final = re.compile(r"\b[0-9a-f]{32}\b")

FILES: Final = {
    f"{page}/{file_of(source)}": source
    for page, text in PAGES.items()
    for source in blocks(text, "python")
    if file_of(source)
}
#: A command that runs a file, variables of its environment before it, and what it prints.
COMMAND: Final = re.compile(
    r"^\$ ((?:[A-Z_]+=\S+ )*)python (\w+\.py)\n((?:(?!\$ ).*\n)*)", re.MULTILINE
)
#: The variables and what is printed, by the file that the command runs.
COMMANDS: Final = {
    f"{page}/{name}": (dict(word.split("=", 1) for word in variables.split()), output)
    for page, text in PAGES.items()
    for block in blocks(text, "console")
    for variables, name, output in COMMAND.findall(block)
}
#: What waits for time to pass.
WAITS: Final = re.compile(r"sleep\(|_after\(|RateLimit|\"never\"")
#: Programs that do.
WAITING: Final = [name for name, source in FILES.items() if WAITS.search(source)]
#: Programs for asyncio alone.
OF_ASYNCIO: Final = [name for name, source in FILES.items() if "\nimport asyncio\n" in source]
#: The others.
PROGRAMS: Final = [name for name in COMMANDS if name not in {*WAITING, *OF_ASYNCIO}]
#: Files of tests.
TESTS: Final = [name for name in FILES if "/test_" in name]
#: Libraries that are not there; ``nox -s downstream`` has them.
ABSENT: Final = re.compile(
    r"^(?:from|import) (?:openai|opentelemetry\.instrumentation|orjson)\b", re.MULTILINE
)
#: Blocks that are no file.
PARTS: Final = [
    pytest.param(source, id=f"{page}-{number}")
    for page, text in PAGES.items()
    for number, source in enumerate(blocks(text, "python"))
    if not file_of(source) and not ABSENT.search(source)
]


def neighbours(name: str) -> dict[str, str]:
    """Return the files of the same page, by their names."""
    page = name.partition("/")[0]
    return {Path(file).name: text for file, text in FILES.items() if file.startswith(f"{page}/")}


def write_neighbours(name: str, folder: Path) -> None:
    """Write the files of the same page, for those that import them."""
    for file, text in neighbours(name).items():
        (folder / file).write_text(text)


def test_each_file_is_run() -> None:
    """The page says what it prints, or it has tests, or another file of the page imports it."""
    imported = [
        name
        for name in FILES
        if any(
            re.search(rf"^(from|import) {Path(name).stem}\b", text, re.MULTILINE)
            for text in neighbours(name).values()
        )
    ]
    assert FILES.keys() == {*COMMANDS, *TESTS, *imported}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The present folder; modules in it can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in [*sys.modules.items()]:
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
async def printed(
    name: str, capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """What the program prints, with what differs each time replaced."""
    for library in ("httpx", "requests"):
        if f"\nimport {library}\n" in FILES[name]:
            pytest.importorskip(library)
    variables, _ = COMMANDS[name]
    write_neighbours(name, folder)
    async with serve() as server:
        names_of(PRACTICE_SERVER)["add_routes"](server)
        address = f"localhost:{server.port}"
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value.replace(ADDRESS, address))
        source = FILES[name].replace(ADDRESS, address)
        main = names_of(without_start(source))["main"]
        if inspect.iscoroutinefunction(main):
            await main()
        else:
            await anyio.to_thread.run_sync(main)
        printed = capsys.readouterr().out.replace(address, ADDRESS)
    return BOUNDARY.sub("BOUNDARY", printed.replace("\r\n", "\n"))


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_prints_what_the_page_says(name: str, printed: str) -> None:
    """Whichever backend it is started on."""
    assert printed == BOUNDARY.sub("BOUNDARY", COMMANDS[name][1])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("name", OF_ASYNCIO)
async def test_a_program_for_asyncio_prints_what_the_page_says(name: str, printed: str) -> None:
    """The page says that it is for asyncio."""
    assert printed == COMMANDS[name][1]


@jumping
@pytest.mark.parametrize("name", WAITING)
async def test_a_program_that_waits_prints_what_the_page_says(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same routes answer it without sockets, so that time can jump."""
    with mock_requests(assert_all_called=False) as mock:
        names_of(PRACTICE_SERVER)["add_routes"](mock)
        await names_of(without_start(FILES[name]))["main"]()
    assert capsys.readouterr().out == COMMANDS[name][1]


@pytest.mark.parametrize("name", TESTS)
async def test_tests_of_a_page_pass(name: str, folder: Path) -> None:
    """Each of them, on both backends."""
    write_neighbours(name, folder)
    names = names_of(FILES[name])
    tests = [test for called, test in names.items() if called.startswith("test_")]
    assert tests
    for test in tests:
        marks = getattr(test, "pytestmark", [])
        for values in [mark.args[1] for mark in marks if mark.name == "parametrize"] or [[()]]:
            for arguments in values:
                await test(*arguments)


@pytest.fixture
def log_level() -> Iterator[None]:
    """Take back the level that a program sets for the log."""
    yield
    logging.getLogger("anyhttp.client").setLevel(logging.NOTSET)


@pytest.mark.parametrize("source", PARTS)
@pytest.mark.usefixtures("log_level")
async def test_a_part_of_a_program_runs(source: str, folder: Path, tls_ca: Authority) -> None:
    """Where every request is answered, and the files that it reads are there."""
    (folder / "company.pem").write_bytes(tls_ca.ca_pem)
    (folder / "client.pem").write_bytes(tls_ca.server_pem)
    modules = {"URL": URL, "anyio": anyio, "json": json, "socket": socket, "ssl": ssl}
    names = {**modules, **{name: getattr(anyhttp, name) for name in anyhttp.__all__}}
    exec(f"async def part(session):\n{textwrap.indent(source, '    ')}", names)
    with mock_requests() as mock:
        mock.fallback(json={})
        async with anyhttp.ClientSession("https://api.test/") as session:
            await names["part"](session)


def test_the_program_in_place_of_aiohttp() -> None:
    """In a Python of its own; ``nox -s downstream`` runs the one with a library."""
    page = (DOCS / "howto" / "in-place-of-aiohttp.md").read_text("utf-8")
    sources = [source for source in blocks(page, "python") if not ABSENT.search(source)]
    assert output_of(*sources) == "True"


#: Reads a variable of the environment, by its name or by a constant that is its name.
READS: Final = re.compile(r"os\.environ(?:\.get\(|\[)(?:\"(\w+)\"|(_[A-Z_]+))")


def test_the_page_of_the_environment_has_every_variable() -> None:
    """Those that the package reads itself; the standard library reads those of proxies for it."""
    read = set()
    for file in (ROOT / "anyhttp").rglob("*.py"):
        text = file.read_text("utf-8")
        for name, constant in READS.findall(text):
            found = re.search(rf'^{constant}: Final = "(\w+)"$', text, re.MULTILINE)
            read.add(found[1] if constant and found else name)
    listed = {
        name
        for row in re.findall(r"^\| (`[A-Z_`, ]+`) \|", PAGES["environment"], re.MULTILINE)
        for name in re.findall(r"[A-Z_]+", row)
    }
    assert {"NETRC", "SSLKEYLOGFILE", "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"} <= read <= listed
    of_proxies = {f"{name}_PROXY" for name in ("HTTP", "HTTPS", "WS", "WSS", "ALL", "NO")}
    # The last three are read by the standard library and by OpenSSL.
    others = {"REQUEST_METHOD", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    assert listed == read | of_proxies | others
