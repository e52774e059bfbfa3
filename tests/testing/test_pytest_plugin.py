"""The plugin for pytest, with each of the plugins that run async tests: pytest in subprocesses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from tests.support.fresh_python import ROOT, output_of
from tests.support.programs import free_port

_LOOP: Final = "\nasyncio_default_fixture_loop_scope = function"

#: name, plugin of pytest, setting, and the mark of async tests
RUNNERS: Final = {
    "anyio": ("anyio", "anyio_mode = strict", "@pytest.mark.anyio"),
    "anyio, auto": ("anyio", "anyio_mode = auto", ""),
    "asyncio": ("asyncio", f"asyncio_mode = strict{_LOOP}", "@pytest.mark.asyncio"),
    "asyncio, auto": ("asyncio", f"asyncio_mode = auto{_LOOP}", ""),
    "trio": ("trio", "trio_mode = false", "@pytest.mark.trio"),
    "trio, auto": ("trio", "trio_mode = true", ""),
}

CONFTEST: Final = '''
import json

def pytest_runtest_logreport(report):
    name = report.nodeid.rpartition("::")[2]
    with open("reports.jsonl", "a") as file:
        print(json.dumps([name, report.when, report.outcome, report.longreprtext]), file=file)
'''

HEADER: Final = """
import anyio, pytest
from anyhttp import ClientSession, UnixConnector
"""


@dataclass(frozen=True, slots=True)
class Report:
    """How a part of a test ended: its setup, the call, or its teardown."""

    outcome: str
    text: str


class Folder:
    """A folder with tests, which are run by a pytest of their own."""

    def __init__(self, path: Path, runner: str) -> None:
        self._plugin, self._setting, self._mark = RUNNERS[runner]
        self.path: Path = path
        (path / "conftest.py").write_text(CONFTEST)

    def run(
        self, tests: str, *options: str, settings: str = "", returns: int = 0
    ) -> dict[str, dict[str, Report]]:
        """Run *tests*, and return how the parts of each ended.

        :param tests: ``@mark`` stands before those that are async
        :param settings: lines for ``pytest.ini``
        :param returns: what pytest has to return: 0 if all tests passed, 1 if some failed
        """
        text = HEADER + dedent(tests).replace("@mark", self._mark)
        (self.path / "test_it.py").write_text(text)
        lines = ("[pytest]", "filterwarnings = error", self._setting, dedent(settings))
        (self.path / "pytest.ini").write_text("\n".join(lines))
        reports = self.path / "reports.jsonl"
        reports.unlink(missing_ok=True)
        # Nothing is loaded but what is named, whatever is installed, and whatever runs this test.
        environment = {name: text for name, text in os.environ.items() if "PYTEST" not in name}
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
        command = (sys.executable, "-m", "pytest", "-p", "pytest_anyhttp", "-p", self._plugin)
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", *options],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == returns, done.stdout + done.stderr
        found: dict[str, dict[str, Report]] = {}
        for line in reports.read_text().splitlines():
            name, when, outcome, longrepr = json.loads(line)
            found.setdefault(name, {})[when] = Report(outcome, longrepr)
        return found


@pytest.fixture(params=RUNNERS)
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    """A folder for tests, for each plugin that runs async ones."""
    return Folder(tmp_path, request.param)


@pytest.fixture
def one_folder(tmp_path: Path) -> Folder:
    """A folder for tests to which the plugin that runs them makes no difference."""
    return Folder(tmp_path, "asyncio")


def outcomes(reports: dict[str, dict[str, Report]]) -> dict[str, str]:
    """How each test ended: the first of its parts that did not pass, with its outcome."""
    return {
        name: next(
            (f"{part.outcome} in {when}" for when, part in parts.items() if part.outcome != "passed"),
            "passed",
        )
        for name, parts in reports.items()
    }


def test_nothing_of_the_package_is_imported_with_the_plugin() -> None:
    """pytest loads it in every run of everybody who has installed anyhttp."""
    assert output_of(
        "import sys, pytest_anyhttp",
        "print(*(name for name in sys.modules if name.partition('.')[0] == 'anyhttp'))",
    ) == ""


def test_nothing_is_imported_in_a_run_without_a_fixture(one_folder: Folder) -> None:
    """Neither by the hooks of the plugin."""
    reports = one_folder.run("""
        import sys

        def test_nothing():
            assert "anyhttp.testing" not in sys.modules
    """)
    assert outcomes(reports) == {"test_nothing": "passed"}


class TestNoNetwork:
    """``anyhttp_no_network``."""

    def test_a_connection_is_refused(self, folder: Folder) -> None:
        """The error names the host and the test."""
        reports = folder.run(
            """
            @mark
            async def test_fails(anyhttp_no_network):
                async with ClientSession() as session:
                    await session.get("https://api.test/users?id=1")
            """,
            returns=1,
        )
        for parts in reports.values():
            assert parts["call"].outcome == "failed"
            assert parts["teardown"].outcome == "passed"
            assert "ForbiddenConnection: test_it.py::test_fails" in parts["call"].text
            assert (
                "may not connect to api.test:443, as GET https://api.test/users?id=1 wants to"
                in parts["call"].text
            )
