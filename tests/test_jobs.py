"""The everyday jobs of ``docs/howto/recipes.md``: each is a short example.

``examples/test_jobs.py`` and its neighbours run them, except for those that need sockets.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from typing import Final

import pytest
from yarl import URL

from anyhttp.testing import (
    Answer,
    AutojumpEventLoop,
    LoopbackServer,
    ReceivedRequest,
    mock_requests,
    serve,
)
from examples import company_proxy, ported_from_aiohttp, ported_from_httpx
from tests.support.fresh_python import ROOT
from tests.support.jobs import FILES, before, program
from tests.support.proxies import Proxies
from tests.support.tls import Authority

EXAMPLES: Final = ROOT / "examples"

#: lines of code of a job at most
LONGEST: Final = 25


def lines_of_code(source: str) -> int:
    """Count the lines that hold more than a comment or a docstring."""
    no_code = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING}
    no_code |= {tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    docstrings = {
        number
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and ast.get_docstring(node) is not None
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    code = {
        number
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in no_code
        for number in range(token.start[0], token.end[0] + 1)
    }
    return len(code - docstrings)


def test_lines_are_counted_without_comments_and_docstrings() -> None:
    """What explains a program does not make it longer."""
    source = '''"""A
module."""

x = 1  # one
# two
def f():
    """Do it."""
    return """

"""
'''
    assert lines_of_code(source) == 5


@pytest.mark.parametrize("name", FILES)
def test_a_job_is_short(name: str) -> None:
    """What takes more lines is a thing that the library should have."""
    assert lines_of_code((EXAMPLES / f"{name}.py").read_text("utf-8")) <= LONGEST


def test_a_job_is_run() -> None:
    """An example that nobody runs is soon wrong."""
    tests = [*EXAMPLES.glob("test_*.py"), Path(__file__)]
    imported = {
        name
        for test in tests
        for node in ast.walk(ast.parse(test.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("examples")
        for name in [(node.module or "").removeprefix("examples."), *(it.name for it in node.names)]
    }
    assert {name for name in FILES if not name.startswith("test_")} <= imported


@pytest.mark.parametrize("name", FILES)
def test_a_job_is_on_the_page(name: str) -> None:
    """Once, as a whole or its main part."""
    page = (ROOT / "docs" / "howto" / "recipes.md").read_text("utf-8")
    assert page.count(f"literalinclude}} ../../examples/{name}.py") == 1


@pytest.fixture
def authority_file(tls_ca: Authority, tmp_path: Path) -> str:
    """The certificate of a company's authority, in a file."""
    file = tmp_path / "company.pem"
    file.write_bytes(tls_ca.ca_pem)
    return str(file)


async def test_company_proxy(
    proxies: Proxies,
    tls_ca: Authority,
    authority_file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The proxy opens a tunnel; inside, the certificate is one of the company's."""
    proxy = proxies("http", login=("ada", "secret"))
    monkeypatch.setenv("https_proxy", str(proxy.login_url))
    async with serve("welcome", tls=tls_ca.server_for("wiki.company.test")) as server:
        url = URL(str(server.url)).with_host("wiki.company.test")
        await company_proxy.main(str(url), authority_file)
    assert [seen.asked for seen in proxy.seen] == [f"CONNECT wiki.company.test:{url.port}"]
    assert capsys.readouterr().out == "200 welcome\n"


async def test_company_proxy_that_refuses(
    proxies: Proxies,
    authority_file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the proxy says is told apart from what a server says."""
    proxy = proxies("http", login=("ada", "secret"))
    monkeypatch.setenv("https_proxy", str(proxy.url))
    await company_proxy.main("https://wiki.company.test/", authority_file)
    assert capsys.readouterr().out == "the proxy refused: 407 b'go away'\n"


async def test_a_server_that_the_company_does_not_vouch_for(
    proxies: Proxies,
    authority_file: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The tunnel is open, but nothing is sent in it."""
    proxy = proxies("http")
    monkeypatch.setenv("https_proxy", str(proxy.url))
    async with serve("welcome", tls=Authority().server_for("wiki.company.test")) as server:
        url = URL(str(server.url)).with_host("wiki.company.test")
        await company_proxy.main(str(url), authority_file)
        assert not server.calls
    assert capsys.readouterr().out.startswith("not trusted: ")


# -- ports, before and after


def number_of(request: ReceivedRequest) -> str:
    """Answer with the number that is asked for."""
    return request.query["number"]


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"loop_factory": AutojumpEventLoop})])
async def test_a_program_of_aiohttp_runs_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the import is another; it waits at its end, which is needless here."""
    source = before("aiohttp").replace("import aiohttp", "import anyhttp as aiohttp")
    for main in (program(source, "before"), ported_from_aiohttp.main):
        with mock_requests() as mock:
            mock.get("https://api.test/echo", match_query={}, answer=number_of)
            await main("https://api.test/")
        with mock_requests() as mock:
            mock.get("https://api.test/echo", match_query={}, status=404)
            await main("https://api.test/")
    pages, failure, *after = capsys.readouterr().out.splitlines()
    assert pages == str([str(number) for number in range(10)])
    assert failure.startswith("failed: 404, message='Not Found'")
    assert after == [pages, failure]


async def test_a_program_of_httpx_and_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Both ask for the same, and print the same; the ported one also what the server says."""
    pytest.importorskip("httpx")

    async def run_both(server: LoopbackServer) -> tuple[list[str], list[str]]:
        printed = []
        for main in (program(before("httpx"), "before"), ported_from_httpx.main):
            await main(str(server.url))
            printed.append(capsys.readouterr().out.splitlines())
        first, second = printed
        return first, second

    async with serve() as server:
        signed = {"Authorization": "Basic YWRhOnNlY3JldA=="}
        server.post("/items", match_headers=signed, status=201, json={"id": 7})
        server.get("/report?year=2026", answers=[Answer(text="one\r\ntwo\n")] * 2 + [503, 503])
        assert await run_both(server) == (["201 {'id': 7}", "one", "two"],) * 2
        refused, said = await run_both(server)
        assert (refused[1], said[1]) == ("refused: 503", "refused: 503 b''")
        assert [call.json() for call in server.calls[::2]] == [{"name": "pencil"}] * 4
    gone = await run_both(server)
    assert all(line.startswith("no answer: ") for (line,) in gone)
