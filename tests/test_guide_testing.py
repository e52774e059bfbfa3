"""docs/howto/testing.md: all of its examples are run, as the tests that they are.

A block that begins with the name of a file is that file.  All other blocks are parts of one more
file of tests, where they stand on the same lines as on the page, so that a failure names its line.
pytest runs these files in a process of its own, on asyncio and on trio.
"""

from __future__ import annotations

import ast
import builtins
import errno
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from yarl import URL

import anyhttp
from anyhttp import ClientSession, ClientTimeout, testing
from anyhttp.testing import MockConnector, Recorder, UnansweredRequest
from tests.support.fresh_python import ROOT
from tests.support.user_tests import run_user_tests

PAGE: Final = ROOT / "docs" / "howto" / "testing.md"
TEXT: Final = PAGE.read_text("utf-8")

#: The file of the blocks that are no file by themselves.
REST: Final = "test_the_page.py"


#: Tests on other pages, which run beside those of this one.
ELSEWHERE: Final = {
    "README.md": "test_readme.py",
    "docs/tutorial/robust.md": "test_check_links.py",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code of the page.

    :param line: of its first line
    """

    language: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """The name of the file that it is; empty if it is none."""
        named = re.match(r"# ([\w.]+\.(?:py|toml|ini))\n", self.text)
        return named[1] if named else ""


BLOCKS: Final = [
    Block(found["language"], found["text"], TEXT.count("\n", 0, found.start("text")) + 1)
    for found in re.finditer(
        r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", TEXT, re.DOTALL | re.MULTILINE
    )
]
PYTHON: Final = [block for block in BLOCKS if block.language == "python"]


def found_tests(text: str) -> dict[str, bool]:
    """Return the names of the tests in *text*, and whether each is asynchronous."""
    return {
        node.name: isinstance(node, ast.AsyncFunctionDef)
        for node in ast.parse(text).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
    }


def test_no_block_is_left_out() -> None:
    """A block is Python that holds a test, a file that a test uses, or what a test compares."""
    assert {block.language for block in BLOCKS} <= {"python", "text", "{toctree}"}
    assert TEXT.count("\n```") == 2 * len(BLOCKS)
    without_tests = [block for block in PYTHON if not found_tests(block.text)]
    assert {block.file for block in without_tests} <= {"prices.py", "conftest.py"}
    names = [name for block in PYTHON for name in found_tests(block.text)]
    assert len(names) == len(set(names))


def test_the_reference_has_every_name() -> None:
    """What is public is described."""
    reference = (ROOT / "docs" / "reference" / "testing.md").read_text("utf-8")
    described = re.findall(r"^\.\. auto(?!module)\w+:: (\w+)", reference, re.MULTILINE)
    assert sorted(described) == sorted(testing.__all__)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The backends on which each test of the page has passed; empty for a plain function."""
    folder = tmp_path_factory.mktemp("page")
    rest = [""] * TEXT.count("\n")
    for block in PYTHON:
        if block.file:
            (folder / block.file).write_text(block.text)
        else:
            lines = block.text.splitlines()
            rest[block.line - 1 : block.line - 1 + len(lines)] = lines
    (folder / REST).write_text("\n".join(rest))
    for page, file in ELSEWHERE.items():
        text = (ROOT / page).read_text("utf-8")
        found = re.search(rf"^# {file}\n.*?(?=^```)", text, re.DOTALL | re.MULTILINE)
        assert found is not None
        (folder / file).write_text(found[0])
    (folder / "check_links.py").write_text((ROOT / "examples/check_links.py").read_text("utf-8"))
    cassette = folder / "cassettes" / Path(REST).stem / "test_what_was_recorded.har"
    anyio.run(record, cassette)
    return run_user_tests(folder)


async def record(cassette: Path) -> None:
    """Make the cassette of an example."""
    network = MockConnector()
    network.get("https://api.test/prices/ruler", json={"cents": 80})
    async with ClientSession(connector=Recorder(cassette, network)) as session:
        await session.get("https://api.test/prices/ruler")


@pytest.mark.parametrize(
    "name",
    ["test_user_name", "test_dead_links_are_printed", "test_a_busy_server_is_asked_again"],
)
def test_an_example_of_another_page(name: str, outcomes: dict[str, list[str]]) -> None:
    """Those of the README and of the tutorial run beside those of the page."""
    assert sorted(outcomes[name]) == ["asyncio", "trio"]


@pytest.mark.parametrize(
    ("name", "is_async"),
    [(name, is_async) for block in PYTHON for name, is_async in found_tests(block.text).items()],
)
def test_an_example(name: str, is_async: bool, outcomes: dict[str, list[str]]) -> None:
    """It passes, on both backends if it is asynchronous."""
    assert sorted(outcomes[name]) == (["asyncio", "trio"] if is_async else [])


def rows(first: str) -> list[tuple[str, str]]:
    """Return the two cells of each row of the table whose first column is headed *first*."""
    table = TEXT.partition(f"\n| {first} | ")[2].partition("\n\n")[0]
    found = []
    for row in table.splitlines()[2:]:
        one, other = row.removeprefix("| ").removesuffix(" |").split(" | ")
        found.append((one.strip("`"), other))
    assert found
    return found


#: What code in the tables may use.
NAMES: Final = {
    **{name: getattr(anyhttp, name) for name in anyhttp.__all__},
    **{name: getattr(testing, name) for name in testing.__all__},
    "URL": URL,
    "errno": errno,
    "re": re,
    "socket": socket,
    "ssl": ssl,
}


def arguments(code: str) -> dict[str, Any]:
    """Return the arguments by name that *code* of a table is."""
    made: dict[str, Any] = eval(f"dict({code})", dict(NAMES))
    return made


async def get(mock: MockConnector, timeout: ClientTimeout) -> bytes:
    """Return the body that one request gets; a bad status is an error."""
    async with ClientSession(connector=mock, timeout=timeout) as session:
        async with session.get("https://api.test/") as response:
            if response.status == 500:
                response.raise_for_status()
            return await response.read()


@pytest.mark.parametrize(("code", "what"), rows("failure"))
async def test_a_failure_comes_out_as_the_table_says(code: str, what: str) -> None:
    """As exactly the class that is named last."""
    name = re.findall(r"{exc}`~?(?:anyhttp\.)?(\w+)`", what)[-1]
    expected: type[Exception] = getattr(anyhttp, name, None) or getattr(builtins, name)
    sock_read = 30 if "sock_read" in what else None
    timeout = ClientTimeout(total=0.01 if "stall" in code else 60, sock_read=sock_read)
    mock = MockConnector()
    mock.get("https://api.test/", **arguments(code))
    with pytest.raises(expected) as caught:
        await get(mock, timeout)
    assert caught.type is expected


@pytest.mark.parametrize("code", [code for code, _ in rows("answer")])
async def test_an_answer_of_the_table_is_one(code: str) -> None:
    """It answers a request; without waiting, here."""
    mock = MockConnector()
    if code == "none":
        mock.get("https://api.test/")
    else:
        mock.get("https://api.test/", **arguments(re.sub("(seconds|delay)=3", r"\1=0", code)))
    with suppress(anyhttp.ClientResponseError):  # an answer of a sequence is the status 500
        await get(mock, ClientTimeout(total=60))
    assert len(mock.calls) == 1


@pytest.mark.parametrize("code", [code for code, _ in rows("first argument")])
def test_a_url_of_the_table_is_one(code: str) -> None:
    """A route can be made with it."""
    mock = MockConnector()
    mock.get(eval(code, dict(NAMES)))


@pytest.mark.parametrize("code", [code for code, _ in rows("condition")])
def test_a_condition_of_the_table_is_one(code: str) -> None:
    """A route can be made with it."""
    mock = MockConnector()
    mock.post("https://api.test/users", **arguments(code))


async def test_the_text_of_an_error_is_the_one_on_the_page() -> None:
    """It is that of the example before it."""
    mock = MockConnector()
    mock.get("https://api.test/user/{id}", json={"id": 7})
    mock.post("https://api.test/users/7", status=204)
    async with ClientSession(connector=mock) as session:
        with pytest.raises(UnansweredRequest) as caught:
            await session.get("https://api.test/users/7")
    assert [block.text for block in BLOCKS if block.language == "text"] == [f"{caught.value}\n"]


#: What stands for the names in the tables of other libraries.
VALUES: Final[dict[str, Any]] = {
    "url": "https://api.test/users",
    "value": {"name": "Ada"},
    "function": lambda request: request.json(),
    "error": ConnectionResetError(),
    "kind": "text/plain",
    "first": 500,
    "second": 200,
    "app": lambda scope, receive, send: None,
}
NEW: Final = sorted({
    code
    for old in ("aioresponses", "respx", "others")
    for _, new in rows(old)
    for code in re.findall("`(.*?)`", new)
    if not code.startswith("anyhttp_") and code not in {"mock", "aiohttp.web"}
})  # fmt: skip


@pytest.mark.parametrize("code", NEW)
async def test_what_replaces_another_library_is_there(code: str) -> None:
    """A test can write it, after a POST and a GET."""
    names: dict[str, Any] = {**NAMES, **VALUES, "mock": MockConnector()}
    mock, url, value = names["mock"], VALUES["url"], VALUES["value"]
    names["route"] = mock.post(url, match_json=value, times=1)
    mock.get(url, json=value, times=1)
    async with ClientSession(connector=mock) as session:
        await session.post(url, json=value)
        await session.get(url)
        names["request"] = mock.calls[0]
        eval(code, names)
